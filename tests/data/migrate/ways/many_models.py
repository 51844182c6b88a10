from llama_cpp import Llama
llms = {name: Llama(f"{name}.gguf") for name in ("a", "b")}
for name, llm in llms.items():
    print(name, llm("hi")["choices"][0]["text"])
pool = [Llama("a.gguf"), Llama("b.gguf")]
print(pool[0].create_chat_completion(messages=[]))
print(llms["a"]("x"))
