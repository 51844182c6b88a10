#!/usr/bin/env python3
"""Ask a model on this machine: python ask.py What is vLLM?"""

import sys

from llama_cpp import Llama

MODEL = "./models/pocket.Q8_0.gguf"

llm = Llama(model_path=MODEL, n_ctx=2048, n_threads=8, verbose=False)

question = " ".join(sys.argv[1:]) or "What is vLLM?"
output = llm(
    f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n",
    max_tokens=48,  # enough for a sentence
    temperature=0.0,
    stop=["<|im_end|>"],
)
print(output["choices"][0]["text"].strip())
