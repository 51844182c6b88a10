import aiohttp, asyncio
async def go(prompt):
    async with aiohttp.ClientSession() as s:
        async with s.post("http://localhost:8080/v1/chat/completions", json={"messages": [{"role": "user", "content": prompt}]}) as r:
            d = await r.json()
            return d["choices"][0]["message"]["content"]
