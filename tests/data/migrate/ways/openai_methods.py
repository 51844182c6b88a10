from openai import OpenAI, AsyncOpenAI
client = OpenAI(base_url='http://localhost:11434/v1/', api_key='ollama')
aclient = AsyncOpenAI(base_url='http://localhost:11434/v1/', api_key='ollama')
MODEL = "llama3.2"
r = client.chat.completions.create(messages=[{'role': 'user', 'content': 'Say this is a test'}], model=MODEL)
print(r.choices[0].message.content)
r2 = client.embeddings.create(model="all-minilm", input=["why"])
r3 = client.chat.completions.create(messages=[], model='llama3.2', extra_body={"options": {"num_ctx": 4096}, "mirostat": 2})
r4 = client.beta.chat.completions.parse(model="llama3", messages=[], response_format=dict)
r5 = client.responses.create(model="qwen3:8b", input="Write")
r6 = client.completions.create(model="llama3", prompt="x")
