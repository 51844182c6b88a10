import ollama
from ollama import ChatResponse

def ask(prompt: str) -> str:
    response: ChatResponse = ollama.chat(model="llama3", messages=[{"role": "user", "content": prompt}])
    return response["message"]["content"]

def last(prompt):
    return ollama.generate(model="llama3", prompt=prompt)["response"]

def whole(prompt):
    return ollama.chat(model="llama3", messages=[{"role": "user", "content": prompt, "images": ["a.png"]}]).message.content

def stats(prompt):
    r = ollama.generate(model="llama3", prompt=prompt)
    print(r["eval_count"] / r["eval_duration"] * 1e9)
    return r["response"]
