from functools import lru_cache
from llama_cpp import Llama
from fastapi import Depends, FastAPI, Request
app = FastAPI()

@lru_cache
def get_llm() -> Llama:
    return Llama(model_path="m.gguf")

@app.post("/chat")
async def chat(request: Request, llm: Llama = Depends(get_llm)):
    body = await request.json()
    result = llm.create_chat_completion(messages=body["messages"], temperature=body.get("temperature", 0.7), max_tokens=body.get("max_tokens", 1024))
    if "choices" in result:
        for choice in result["choices"]:
            msg = choice.get("message", {})
            if "content" in msg:
                msg["content"] = msg["content"].strip()
    return result
