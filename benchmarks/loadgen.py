"""
How far is what the load generator measures from what the server did?

    python benchmarks/loadgen.py [--rounds 3] [--seconds 3] [--processes 1]

The server (servers/exact.py) writes down when it gave each event to the kernel;
its own lateness is thus nobody's error. A client's TTFT and ITL of every event
are compared with the server's: with 64 streams of 100 tokens/s, with 1,000 that
are offered 85,000 tokens/s together, and with 10,000 that are offered as many.
Then the clients read as fast as they can, with events coalesced and with one a
packet. Each client runs in a process of its own. Beside the workbench are a
plain aiohttp loop that parses each event, and a bare one of epoll and recv that
counts line ends: what Python and the kernel cost before anything is understood.

On a machine that does other work all figures but the memory become worse, for
all clients; compare within one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import select
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

SERVER = Path(__file__).parent / "servers" / "exact.py"
CLIENTS = ("workbench", "aiohttp", "bare")
OFFERED_TPS = 85_000
PACED_STREAMS = (64, 1000, 10_000)
CEILING_TOKENS = {"coalesced": 400_000, "packets": 20_000}
CEILING_STREAMS = 8

# The limit, and whether more is better.
GOALS = {
    "1000 ttft p99": (0.2, False),
    "1000 itl p99": (0.5, False),
    "1000 cpu": (0.4, False),
    "coalesced": (2_000_000, True),
    "packets": (150_000, True),
    "start": (1.0, False),
    "1000 bytes": (100, False),
}

Times = dict[int, list[float]]
Found = dict[str, float]


# --- The clients: each returns when the chunks of each request came ---


def by_workbench(base_url: str, streams: int) -> Times:
    """Read with the workbench's loop, in as many processes as WORKERS says."""
    from workbench.bench import arrivals, http1, processes

    to = http1.target(base_url)
    requests = [http1.post(to, "/chat/completions", {"user": str(n)}) for n in range(streams)]
    count = int(os.environ.get("WORKERS", "1"))
    load = processes.run(to, requests, arrivals.at_once(streams), processes=count)
    errors = [request.answer.error for request in load.requests if request.answer.error]
    assert not errors, errors[0]
    return {request.number: list(request.answer.stamps_s) for request in load.requests}


def by_aiohttp(base_url: str, streams: int) -> Times:
    """Read with aiohttp, parse each event as it comes, and take the time then."""
    import aiohttp

    came: Times = {}

    async def read(session: aiohttp.ClientSession, number: int) -> None:
        stamps, rest = came.setdefault(number, []), b""
        body = {"user": str(number)}
        async with session.post(f"{base_url}/chat/completions", json=body) as answer:
            async for data in answer.content.iter_any():
                *events, rest = (rest + data).split(b"\n\n")
                at_s = time.monotonic()
                for event in events:
                    if event != b"data: [DONE]" and json.loads(event[6:])["choices"]:
                        stamps.append(at_s)

    async def main() -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(read(session, number) for number in range(streams)))

    asyncio.run(main())
    return came


def by_bare(base_url: str, streams: int) -> Times:
    """Receive, take the time, and count the ends of events; understand nothing."""
    from workbench.bench import http1

    to, poll = http1.target(base_url), select.epoll()
    sockets: dict[int, socket.socket] = {}
    came: dict[int, list[float]] = {}
    for number in range(streams):
        sock = socket.create_connection((to.host, to.port))
        sock.sendall(http1.post(to, "/chat/completions", {"user": str(number)}))
        sockets[sock.fileno()], came[sock.fileno()] = sock, []
        poll.register(sock, select.EPOLLIN)
    left = streams
    while left:
        for fd, _ in poll.poll():
            data = sockets[fd].recv(65536)
            came[fd].extend([time.monotonic()] * data.count(b"\n\n\r\n"))
            left -= data.endswith(b"0\r\n\r\n")
    return {number: stamps[:-1] for number, stamps in enumerate(came.values())}


# --- One measurement, in a process of its own ---


def measure(client: str, base_url: str, streams: int) -> Found:
    """Let one client read; lay its times beside the server's, if the server was paced."""
    read = {"workbench": by_workbench, "aiohttp": by_aiohttp, "bare": by_bare}[client]
    read(base_url, 1)  # imports and connects
    told(base_url)
    cpu_before_s, memory_before, began_s = cpu_s(), peak_bytes(), time.monotonic()
    came = read(base_url, streams)
    took_s, used_s = time.monotonic() - began_s, cpu_s() - cpu_before_s
    tokens = sum(map(len, came.values()))
    found: Found = {
        "tokens": tokens,
        "tps": tokens / took_s,
        "cpu_s": used_s * 100_000 / tokens,
        "bytes": (peak_bytes() - memory_before) / tokens,
        "stream": (peak_bytes() - memory_before) / streams,
    }
    if true := told(base_url):
        found |= errors_ms(came, true)
    return found


def errors_ms(came: Times, true: Times) -> Found:
    """
    Return mean and p99 of how far TTFT and ITL are from the server's, in milliseconds.

    Of TTFT it is the end that is compared: when a client says that it sent is not checked.
    """
    ttft, itl = [], []
    for number, stamps in came.items():
        theirs = true[number]
        assert len(stamps) == len(theirs), (number, len(stamps), len(theirs))
        ttft.append(abs(stamps[0] - theirs[0]))
        late = [mine - given for mine, given in zip(stamps, theirs, strict=True)]
        itl += [abs(b - a) for a, b in pairwise(late)]
    return {
        "ttft mean": statistics.fmean(ttft) * 1e3,
        "ttft p99": p99(ttft) * 1e3,
        "itl p99": p99(itl) * 1e3,
    }


def told(base_url: str) -> Times:
    """Ask the server when it sent what."""
    with urllib.request.urlopen(base_url.replace("/v1", "/times")) as answer:
        times = json.load(answer)
    return {int(number): stamps for number, stamps in times.items() if stamps}


def p99(values: Iterable[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def cpu_s() -> float:
    """Return the CPU time so far, in user mode and in the kernel, children's too."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def peak_bytes() -> int:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# --- The comparison ---


def against(client: str, streams: int, *options: str) -> Found:
    """Start a server and a client for one measurement."""
    with subprocess.Popen(
        [sys.executable, SERVER, *options], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        try:
            command = [sys.executable, __file__, "--measure", client, url, str(streams)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        finally:
            server.kill()
    result: Found = json.loads(done.stdout)
    return result


def start_s() -> Found:
    """Measure how long it takes until the load generator could send."""
    began_s = time.monotonic()
    code = "import workbench.bench.loop, workbench.bench.arrivals, workbench.bench.workload"
    subprocess.run([sys.executable, "-c", code], check=True)
    return {"start": time.monotonic() - began_s}


def round_of(client: str, given: argparse.Namespace) -> Found:
    """Measure everything once."""
    found: Found = {}
    for streams in PACED_STREAMS:
        itl_s = max(0.01, streams / OFFERED_TPS)
        tokens = max(2, int(given.seconds / itl_s))
        row = against(client, streams, f"--tokens={tokens}", f"--itl-ms={itl_s * 1e3}")
        wanted = ("ttft mean", "ttft p99", "itl p99", "tps", "stream")
        found |= {f"{streams} {name}": row[name] for name in wanted}
        found |= {f"{streams} cpu": row["cpu_s"], f"{streams} bytes": row["bytes"]}
    for way, number in CEILING_TOKENS.items():
        flags = ["--coalesced"] if way == "coalesced" else []
        row = against(client, CEILING_STREAMS, "--itl-ms=0", f"--tokens={number}", *flags)
        found |= {way: row["tps"], f"{way} cpu": row["cpu_s"]}
    return found | (start_s() if client == "workbench" else {})


def main() -> None:
    """Let the clients take turns, and print medians with their goals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of each paced answer")
    parser.add_argument("--processes", type=int, default=1, help="of the workbench's client")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    if given.measure:
        client, url, streams = given.measure
        print(json.dumps(measure(client, url, int(streams))))
        return
    os.environ["WORKERS"] = str(given.processes)
    rows: dict[str, list[Found]] = {client: [] for client in CLIENTS}
    for _ in range(given.rounds):
        for client in CLIENTS:
            rows[client].append(round_of(client, given))
    show(rows, given.rounds)


LINES = {
    "64 ttft mean": "TTFT error at 64 streams, mean, ms",
    "64 ttft p99": "… p99, ms",
    "64 itl p99": "ITL error at 64 streams, p99, ms",
    "1000 ttft mean": "TTFT error at 1,000 streams, mean, ms",
    "1000 ttft p99": "… p99, ms",
    "1000 itl p99": "ITL error at 1,000 streams, p99, ms",
    "1000 tps": "offered and read meanwhile, tokens/s",
    "1000 cpu": "CPU s per 100,000 tokens, paced",
    "1000 bytes": "memory, bytes per token",
    "10000 ttft p99": "TTFT error at 10,000 streams, p99, ms",
    "10000 itl p99": "ITL error at 10,000 streams, p99, ms",
    "10000 tps": "offered and read meanwhile, tokens/s",
    "10000 stream": "memory, bytes per stream",
    "coalesced": "ceiling, coalesced, tokens/s",
    "coalesced cpu": "CPU s per 100,000 tokens",
    "packets": "ceiling, an event a packet, tokens/s",
    "packets cpu": "CPU s per 100,000 tokens",
    "start": "start-up, s",
}


def show(rows: dict[str, list[Found]], rounds: int) -> None:
    """Print what was found: the median, and between which ends."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"median [least–most] of {rounds} rounds; load average {load}, {os.cpu_count()} cores")
    print(f"{'':40}" + "".join(f"{client:>32}" for client in rows))
    for name, line in LINES.items():
        cells = [cell(name, [row[name] for row in found if name in row]) for found in rows.values()]
        print(f"{line:40}" + "".join(f"{each:>32}" for each in cells) + verdict(name, rows))


def cell(name: str, values: list[float]) -> str:
    """Write one client's figures."""
    if not values:
        return "–"
    whole = ("coalesced", "packets", "tps", "bytes", "stream")
    form = ",.0f" if name.rsplit(maxsplit=1)[-1] in whole else ".3f"
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} [{low:{form}}–{high:{form}}]"


def verdict(name: str, rows: dict[str, list[Any]]) -> str:
    """Say whether the workbench's median reaches its goal."""
    if name not in GOALS:
        return ""
    goal, more = GOALS[name]
    middle = statistics.median(row[name] for row in rows["workbench"])
    reached = middle >= goal if more else middle <= goal
    return f"   goal {'≥' if more else '≤'} {goal:,g}: {'reached' if reached else 'NOT reached'}"


if __name__ == "__main__":
    main()
