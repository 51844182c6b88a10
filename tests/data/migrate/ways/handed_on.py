from llama_cpp import Llama
import functools, asyncio
def go(model, p):
    return model(p)["choices"][0]["text"]
class Bot:
    def __init__(self, engine, name="x"):
        self.engine = engine
    def ask(self, p):
        return self.engine.create_completion(p)["choices"][0]["text"]
def train(model):
    return model(1)
llm = Llama("m.gguf")
print(go(llm, "x"))
bot = Bot(llm)
from .rag import answer
print(answer(llm, "q"))
f = functools.partial(llm, max_tokens=3)
