from ctransformers import AutoModelForCausalLM
llm = AutoModelForCausalLM.from_pretrained("TheBloke/Llama-2-7B-GGML", model_file="x.bin", model_type="llama", gpu_layers=50, temperature=0.1, max_new_tokens=512, stop=["User:"])
for text in llm("AI is going to", stream=True):
    print(text, end="", flush=True)
tokens = llm.tokenize("AI is going to")
for token in llm.generate(tokens):
    print(llm.detokenize(token))
e = llm.embed("x")
