import os
from openai import OpenAI
BASE = os.getenv("LLM_BASE_URL", "http://localhost:1234/v1")
class Bot:
    def __init__(self):
        self.client = OpenAI(base_url=BASE, api_key=os.environ["KEY"], timeout=30, default_headers={"x": "y"})
    def ask(self, q, model="local-model"):
        s = self.client.chat.completions.create(model="local-model", messages=[{"role": "user", "content": q}], stream=True)
        for c in s:
            print(c.choices[0].delta.content or "", end="")
