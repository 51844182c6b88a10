#!/bin/sh
# What ran before: llama.cpp's own server, and a question to see that it lives.
llama-server -m models/pocket.Q8_0.gguf -c 2048 -ngl 99 --port 8080 &
curl -s http://localhost:8080/v1/chat/completions \
  -H "Content-Type: application/json" \
  -d '{"model": "pocket", "messages": [{"role": "user", "content": "What is vLLM?"}],
       "temperature": 0, "max_tokens": 32}'
