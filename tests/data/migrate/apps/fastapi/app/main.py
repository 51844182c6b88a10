from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from app import llm

app = FastAPI()


class Question(BaseModel):
    text: str


@app.post("/complete")
def complete(question: Question) -> dict:
    return {"text": llm.complete(question.text)}


@app.post("/chat")
def chat(question: Question) -> dict:
    return llm.chat([{"role": "user", "content": question.text}])


@app.get("/stream")
def stream(q: str) -> StreamingResponse:
    return StreamingResponse(llm.stream(q), media_type="text/plain")
