"""
What does recording cost the caller, and how long does reading a million records take?

    python benchmarks/telemetry.py [--rows 1000000] [--emits 20000] [--file PATH]

``emit`` is timed call by call, at a pace that a program keeps and as fast as
it goes. Reading is timed against a file of three records a second, which is
made first (a minute or two for a million; with --file it is kept and used again).
Beside it stands the bare way: all rows by sqlite3, then a DataFrame of them.
Goals: emit 30 us in the median; the last hour in 0.2 s, all in 4 s.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from workbench.records import ChatMessage, Generation, SamplingParams, Timings, Usage
from workbench.telemetry import Chosen, Store, Telemetry, TelemetryRecord
from workbench.telemetry.record import COLUMNS, rfc3339
from workbench.telemetry.segments import seal_next

PAUSE_S = 0.002
PER_SECOND = 3
BATCH = 10_000


def answer(number: int) -> Generation:
    """Make an answer of fifty chunks, sampled and tagged."""
    now_s = time.perf_counter()
    return Generation(
        text="an answer " * 20,
        model="pocket",
        messages=(ChatMessage("user", f"question {number} " * 20),),
        params=SamplingParams(temperature=0.7, max_tokens=256, seed=number),
        usage=Usage(input_tokens=100, output_tokens=50),
        timings=Timings(
            started_at=datetime.now(UTC),
            sent_s=now_s,
            chunks_s=tuple(now_s + n / 100 for n in range(50)),
            done_s=now_s + 0.5,
        ),
        request_id=f"chatcmpl-{number}",
        trace_id="0" * 32,
        tags={"run": "benchmark"},
    )


def emits_us(number: int, *, pause_s: float) -> list[float]:
    """Time so many calls of ``emit``."""
    took = []
    answers = [answer(n) for n in range(number)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "telemetry.db"
        with Telemetry(path, session="bench", max_queued=number) as telemetry:
            for each in answers:
                before_s = time.perf_counter()
                telemetry.emit(each)
                took.append((time.perf_counter() - before_s) * 1e6)
                if pause_s:
                    time.sleep(pause_s)
            telemetry.flush(60)
        assert (telemetry.status().written, telemetry.dropped) == (number, 0)
    return took


def record(number: int, sent: datetime) -> TelemetryRecord:
    """Make the record of an answer, each a little different."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return TelemetryRecord(
        id=f"{int(sent.timestamp() * 1000):012x}{digest[:20]}",
        timestamp=rfc3339(sent),
        session=f"{number // 1000:012x}",
        user_hash="h1:" + "a" * 64,
        model="pocket",
        served_model="pocket",
        server_version="0.32.0",
        backend="embedded",
        base_url="http://127.0.0.1:8000/v1",
        streamed=True,
        temperature=0.7,
        max_tokens=256,
        seed=number,
        prompt_hash="h1:" + digest,
        input_tokens=100 + number % 50,
        output_tokens=50 + number % 20,
        cached_tokens=16,
        ttft_s=0.1 + number % 97 / 1000,
        tpot_s=0.01 + number % 13 / 10_000,
        e2e_latency_s=1.5 + number % 7 / 10,
        duration_s=1.6 + number % 7 / 10,
        num_chunks=50,
        status="ok",
        http_status=200,
        finish_reason="stop",
        request_id="chatcmpl-" + digest[:32],
        attempts=1,
        num_tool_calls=0,
        trace_id=digest[32:],
        span_id=digest[16:32],
        tags='{"run": "benchmark"}',
    )


def fill(path: Path, rows: int) -> None:
    """Write a file of *rows* records that ends now, as the writer and the keeper would."""
    begun = datetime.now(UTC) - timedelta(seconds=rows / PER_SECOND)
    with Store(path) as store:
        for start in range(0, rows, BATCH):
            numbers = range(start, min(rows, start + BATCH))
            store.append([record(n, begun + timedelta(seconds=n / PER_SECOND)) for n in numbers])
            while seal_next(store):
                pass


def bare(path: Path) -> pd.DataFrame:
    """Read all rows as everybody would."""
    with closing(sqlite3.connect(path)) as connection:
        return pd.read_sql_query(f"SELECT {', '.join(COLUMNS)} FROM requests", connection)


def seconds(read: Callable[[], pd.DataFrame]) -> tuple[float, float, int]:
    """Time a reading: elapsed, of one core, and how many rows it brought."""
    gc.collect()
    before_s, before_cpu_s = time.perf_counter(), time.process_time()
    frame = read()
    return time.perf_counter() - before_s, time.process_time() - before_cpu_s, len(frame)


def readings(path: Path) -> Iterator[str]:
    """Time the ways of reading, a line each."""
    last_hour = Chosen(since=timedelta(hours=1))
    with Store(path) as store:
        ways: dict[str, Callable[[], pd.DataFrame]] = {
            "the last hour": lambda: store.frame(last_hour),
            "the last hour's errors": lambda: store.frame(
                Chosen(since=timedelta(hours=1), status="error")
            ),
            "all": store.frame,
            "all, by pandas.read_sql_query": lambda: bare(path),
        }
        for name, read in ways.items():
            rounds = [seconds(read) for _ in range(1 if "pandas" in name else 3)]
            took_s = statistics.median(each[0] for each in rounds)
            cpu_s = statistics.median(each[1] for each in rounds)
            yield f"{name:32}{took_s:8.3f} s   CPU {cpu_s:6.3f} s   {rounds[0][2]:>9,} rows"


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--emits", type=int, default=20_000)
    parser.add_argument("--file", type=Path)
    asked = parser.parse_args()
    for name, number, pause_s in (
        ("emit, 2 ms apart", asked.emits // 10, PAUSE_S),
        ("emit, without a pause", asked.emits, 0.0),
    ):
        took = sorted(emits_us(number, pause_s=pause_s))
        p99 = took[int(len(took) * 0.99)]
        print(f"{name:32}median {statistics.median(took):6.1f} us   p99 {p99:8.1f} us")
    with tempfile.TemporaryDirectory() as folder:
        path = asked.file or Path(folder) / "telemetry.db"
        if not path.exists():
            before_s = time.perf_counter()
            fill(path, asked.rows)
            print(f"{'writing them':32}{time.perf_counter() - before_s:8.1f} s")
        print(f"{'the file':32}{path.stat().st_size / 2**20:8.0f} MiB")
        with Store(path) as store:
            store.frame(Chosen(last=1))  # imports pandas
        for line in readings(path):
            print(line)


if __name__ == "__main__":
    main()
