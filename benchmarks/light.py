"""
How light are ``import workbench`` and ``workbench status``?

    python benchmarks/light.py [--rounds 15]

Whole processes are timed, in turns with a bare Python, and medians are
compared. Goals: the import adds less than 60 ms, a status takes less than
0.3 s whether the server is up or not.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "bare python": [sys.executable, "-c", "pass"],
    "import workbench": [sys.executable, "-c", "import workbench"],
    "workbench status": [sys.executable, "-m", "workbench", "status"],
    "workbench status --json": [sys.executable, "-m", "workbench", "status", "--json"],
}


def seconds(command: list[str]) -> float:
    """Time one process from start to exit."""
    before_s = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - before_s


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    bare_s = statistics.median(times["bare python"])
    print(f"{'':26}{'median':>9}{'min':>9}{'over bare':>11}   ({rounds} rounds)")
    for name, values in times.items():
        median_s = statistics.median(values)
        print(
            f"{name:26}{median_s * 1e3:6.0f} ms{min(values) * 1e3:6.0f} ms"
            f"{(median_s - bare_s) * 1e3:8.0f} ms"
        )


if __name__ == "__main__":
    main()
