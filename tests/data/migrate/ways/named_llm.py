from llama_cpp import Llama
LLM = Llama(model_path="m.gguf")
def chat(p):
    return LLM.create_chat_completion(messages=[{"role": "user", "content": p}])["choices"][0]["message"]["content"]
