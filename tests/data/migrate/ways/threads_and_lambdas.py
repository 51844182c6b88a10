from llama_cpp import Llama
from concurrent.futures import ThreadPoolExecutor
llm = Llama("m.gguf")
prompts = ["a", "b"]
with ThreadPoolExecutor() as pool:
    answers = list(pool.map(llm, prompts))
    other = list(pool.map(lambda p: llm(p, max_tokens=5), prompts))
    f = pool.submit(llm.create_completion, "x", max_tokens=3)
answers = [llm(p)["choices"][0]["text"] for p in prompts]
print(*map(llm, prompts))
text = "".join(c["choices"][0]["text"] for c in llm("x", stream=True))
ask = llm
print(ask("q"))
