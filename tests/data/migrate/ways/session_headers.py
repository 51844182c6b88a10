import requests
s = requests.Session()
s.headers["Authorization"] = "Bearer x"
def f(p):
    r = s.post("http://127.0.0.1:8080/v1/chat/completions", json={"model": "m", "messages": [{"role":"user","content":p}], "temperature": 0.2, "max_tokens": 50}, timeout=(3, 60))
    r.raise_for_status()
    data = r.json()
    usage = data.get("usage", {})
    print(usage.get("total_tokens"), data["choices"][0]["finish_reason"], data["model"], data["timings"]["predicted_per_second"])
    return data["choices"][0]["message"]["content"]
