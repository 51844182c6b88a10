import requests, json
url = "http://localhost:11434/api/chat"
def stream(messages):
    with requests.post(url, json={"model": "llama3", "messages": messages, "stream": True}, stream=True) as r:
        for line in r.iter_lines():
            if line:
                yield json.loads(line)["message"]["content"]
