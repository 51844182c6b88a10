"""llama.cpp's server, by hand."""

import os

import ollama
import requests

LLAMA_URL = os.getenv("LLAMA_URL", "http://localhost:8080")


def complete(prompt: str, n: int = 32) -> str:
    payload = {
        "prompt": prompt,
        "n_predict": n,
        "temperature": 0,
        "stop": ["<|im_end|>"],
        "cache_prompt": True,
    }
    response = requests.post(f"{LLAMA_URL}/completion", json=payload, timeout=120)
    response.raise_for_status()
    return response.json()["content"]


def chat(messages: list[dict]) -> dict:
    r = requests.post(
        f"{LLAMA_URL}/v1/chat/completions",
        json={"model": "local", "messages": messages, "temperature": 0, "max_tokens": 32},
    )
    data = r.json()
    return {"answer": data["choices"][0]["message"]["content"], "tokens": data["usage"]["total_tokens"]}


def stream(question: str):
    for part in ollama.chat(
        model="llama3.2",
        messages=[{"role": "user", "content": question}],
        options={"temperature": 0, "num_predict": 32, "num_ctx": 2048},
        stream=True,
    ):
        yield part["message"]["content"]
