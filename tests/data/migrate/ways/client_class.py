import requests
API = "http://localhost:11434"
class C:
    def __init__(self, host=API, model="llama3"):
        self.host = host
        self.model = model
        self.session = requests.Session()
    def chat(self, messages, **options):
        r = self.session.post(f"{self.host}/api/chat", json={"model": self.model, "messages": messages, "stream": False, "options": options})
        r.raise_for_status()
        return r.json()["message"]
    def gen(self, prompt, system=""):
        payload = {"model": self.model, "prompt": prompt, "system": system, "stream": False, "format": "json", "options": {"temperature": 0.1, "num_predict": 100, "stop": ["x"], "seed": 0}}
        r = self.session.post(f"{self.host}/api/generate", json=payload, timeout=120)
        return r.json()["response"]
