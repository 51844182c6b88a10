"""
What does streaming through the client cost, beside the bare OpenAI SDK?

    python benchmarks/streaming.py [--rounds 3] [--streams 32] [--chunks 500] [--rate 100]

A scripted server on the loopback writes chunks of vLLM's form at a steady pace
on many streams at once, and into each the time at which it was written. Every
client runs in a process of its own and reads them all; what is compared is its
CPU time for 100,000 chunks, and how much later than written a chunk is in the
hands of the loop that asked for it. Clients take turns, round by round.

Goal: at most half of the SDK's CPU time, asynchronous against asynchronous and
plain against plain.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

MODEL = "pocket"
PEERS = {"workbench, async": "openai, async", "workbench": "openai"}
# Linux has one monotonic clock for all processes.
CLOCK = time.perf_counter


# --- The server ---


def chunk(content: str) -> bytes:
    """Write a chunk as vLLM 0.32 does."""
    choice = {"index": 0, "delta": {"content": content}, "logprobs": None, "finish_reason": None}
    payload = {
        "id": "chatcmpl-8a0c3c9d5b6f4a4e9f5c",
        "object": "chat.completion.chunk",
        "created": 1780000000,
        "model": MODEL,
        "choices": [{**choice, "token_ids": None}],
    }
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


async def serve(chunks: int, rate: float) -> None:
    """Answer every request with a paced stream, until standard input is closed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.readuntil(b"\r\n\r\n"):
            length = next(
                int(line.split(b":")[1])
                for line in request.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
            writer.write(b"transfer-encoding: chunked\r\n\r\n")
            began_s = CLOCK()
            for number in range(chunks):
                await asyncio.sleep(max(0.0, began_s + number / rate - CLOCK()))
                send(writer, chunk(f"{CLOCK():.9f} "))
            send(writer, b"data: [DONE]\n\n")
            writer.write(b"0\r\n\r\n")

    def send(writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


# --- The clients: each calls `seen` with every text it gets ---

Seen = Callable[[str], None]


def openai_plain(base_url: str, streams: int, seen: Seen) -> None:
    """Read by the SDK's plain loop, a thread for each stream."""
    import openai

    sdk = openai.OpenAI(base_url=base_url, api_key="none")

    def read(_number: int) -> None:
        messages = [{"role": "user", "content": "Count."}]
        for each in sdk.chat.completions.create(model=MODEL, messages=messages, stream=True):
            seen(each.choices[0].delta.content)

    in_threads(read, streams)


def openai_async(base_url: str, streams: int, seen: Seen) -> None:
    """Read by the SDK's asynchronous loop."""
    import openai

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as sdk:

            async def read() -> None:
                messages = [{"role": "user", "content": "Count."}]
                answer = await sdk.chat.completions.create(
                    model=MODEL, messages=messages, stream=True
                )
                async for each in answer:
                    seen(each.choices[0].delta.content)

            await asyncio.gather(*(read() for _ in range(streams)))

    asyncio.run(main())


def workbench_plain(base_url: str, streams: int, seen: Seen) -> None:
    """Read by ``Client.stream``, a thread for each."""
    from workbench import Client

    with Client(base_url, model=MODEL) as client:

        def read(_number: int) -> None:
            for piece in client.stream("Count."):
                seen(piece)

        in_threads(read, streams)


def workbench_async(base_url: str, streams: int, seen: Seen) -> None:
    """Read by ``Client.astream``."""
    from workbench import Client

    async def main() -> None:
        async with Client(base_url, model=MODEL) as client:

            async def read() -> None:
                async for piece in client.astream("Count."):
                    seen(piece)

            await asyncio.gather(*(read() for _ in range(streams)))

    asyncio.run(main())


def in_threads(read: Callable[[int], None], streams: int) -> None:
    """Run one reader for each stream, all at once."""
    with ThreadPoolExecutor(streams) as pool:
        list(pool.map(read, range(streams)))


CLIENTS: dict[str, Callable[[str, int, Seen], None]] = {
    "openai, async": openai_async,
    "workbench, async": workbench_async,
    "openai": openai_plain,
    "workbench": workbench_plain,
}


def measure(name: str, base_url: str, streams: int) -> dict[str, float]:
    """Run one client in this process; count its CPU time, threads included."""
    delays_s: list[float] = []
    lock = threading.Lock()

    def seen(text: str) -> None:
        now_s = CLOCK()
        late_s = [now_s - float(stamp) for stamp in text.split()]
        with lock:
            delays_s.extend(late_s)

    CLIENTS[name](base_url, 1, lambda text: None)  # imports and connects
    before_s = cpu_s()
    CLIENTS[name](base_url, streams, seen)
    used_s = cpu_s() - before_s
    percentiles = statistics.quantiles(delays_s, n=100)
    return {
        "chunks": len(delays_s),
        "cpu_s": used_s * 100_000 / len(delays_s),
        "p50_ms": percentiles[49] * 1e3,
        "p99_ms": percentiles[98] * 1e3,
    }


def cpu_s() -> float:
    """Return this process's CPU time so far, in user mode and in the kernel."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# --- The comparison ---


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--chunks", type=int, default=500, help="of each stream")
    parser.add_argument("--rate", type=float, default=100, help="chunks/s of each stream")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.chunks, given.rate))
    elif given.measure:
        print(json.dumps(measure(*given.measure, given.streams)))
    else:
        compare(given)


def compare(given: argparse.Namespace) -> None:
    """Let the clients take turns at one server."""
    options = [f"--{name}={getattr(given, name)}" for name in ("streams", "chunks", "rate")]
    this = [sys.executable, __file__, *options]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CLIENTS}
    with subprocess.Popen(
        [*this, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        base_url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        for _ in range(given.rounds):
            for name in CLIENTS:
                command = [*this, "--measure", name, base_url]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
                found[name].append(json.loads(done.stdout))
        assert server.stdin
        server.stdin.close()
    print(f"{given.streams} streams of {given.chunks} chunks at {given.rate:g}/s, ", end="")
    print(f"median of {given.rounds} rounds")
    print(f"{'':18}{'CPU s per 100,000 chunks':>26}{'delay p50':>12}{'p99':>10}")
    for name, rows in found.items():
        middle = {key: median(row[key] for row in rows) for key in rows[0]}
        peer = PEERS.get(name)
        share = middle["cpu_s"] / median(row["cpu_s"] for row in found[peer]) if peer else None
        beside = f"   {share:.2f} × {peer}" if share else ""
        print(
            f"{name:18}{middle['cpu_s']:26.1f}{middle['p50_ms']:9.2f} ms"
            f"{middle['p99_ms']:7.2f} ms{beside}"
        )


def median(values: Iterable[float]) -> float:
    """Return the median of any iterable."""
    return statistics.median(list(values))


if __name__ == "__main__":
    main()
