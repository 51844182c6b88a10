from llama_cpp import Llama
llm = Llama("m.gguf", embedding=True)
v = llm.embed("x")
w = llm.create_embedding("y")["data"][0]["embedding"]
print(llm.n_ctx(), llm.tokenize(b"x"), llm.tokenizer().encode("x"), llm.metadata, llm.model_path, llm.n_tokens, llm.token_eos())
state = llm.save_state()
llm.reset()
llm.verbose = False
for t in llm.generate(llm.tokenize(b"x"), top_k=40): print(t)
del llm
llm.close()
