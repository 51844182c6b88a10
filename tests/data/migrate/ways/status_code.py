import json, requests
def ask(prompt):
    response = requests.post('http://localhost:11434/api/generate', json={'model': 'mistral', 'prompt': prompt, 'stream': False})
    if response.status_code == 200:
        result = response.json()
        try:
            return json.loads(result['response'])
        except json.JSONDecodeError:
            return None
