# -*- coding: utf-8 -*-
"""Doc."""
from __future__ import annotations

import ollama


async def go():
    c = ollama.AsyncClient(host="http://gpu:11434")
    async for part in await c.chat(model="x", messages=[], stream=True):
        print(part["message"]["content"])

def tool_loop(messages):
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b
    r = ollama.chat(model="x", messages=messages, tools=[add], options={"temperature": 0, "num_ctx": 8192, "num_gpu": 1})
    return r["message"]["content"]
