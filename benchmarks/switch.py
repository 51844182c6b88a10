"""
Does ``workbench use`` cost anything over a cold start of the model that it switches to?

    python benchmarks/switch.py [--rounds 3] [--from pocket] [--to pocket-mini]

In turns, each as a whole process on the embedded engine: a switch, timed from typing it to its
end, with its check of the new server; then ``down``, which is not counted, and ``up`` of the same
model, which is the cold start. Goal: a switch takes at most 1.05 times the cold start. How long
nothing served is the switch's own figure: from the drain's end to the first decoded token.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any


def typed(state_dir: str, *words: str) -> tuple[float, str]:
    """Run a verb as a whole process; return how long it took and what it printed."""
    before_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "workbench", *words],
        env={**os.environ, "WORKBENCH_STATE_DIR": state_dir, "WORKBENCH_PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return time.perf_counter() - before_s, done.stdout


def switch(state_dir: str, model: str) -> tuple[float, float]:
    """Switch; return how long it took, and how long nothing served."""
    took_s, said = typed(state_dir, "use", model, "--json")
    report: dict[str, Any] = json.loads(said)
    return took_s, report["unavailable_s"]


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--from", dest="before", default="pocket")
    parser.add_argument("--to", dest="after", default="pocket-mini")
    arguments = parser.parse_args()
    switches, away, cold = [], [], []
    with tempfile.TemporaryDirectory(prefix="workbench-switch-") as folder:
        try:
            typed(folder, "use", arguments.after)  # not counted: fills the page cache for both
            for _ in range(arguments.rounds):
                typed(folder, "use", arguments.before)
                took_s, unavailable_s = switch(folder, arguments.after)
                switches.append(took_s)
                away.append(unavailable_s)
                typed(folder, "down")
                cold.append(typed(folder, "up", "--model", arguments.after)[0])
        finally:
            typed(folder, "down")
    name = f"{arguments.before} → {arguments.after}"
    print(f"{name:28}{'median':>9}{'min':>9}{'max':>9}")
    for what, values in (
        ("workbench use", switches),
        ("  of which nothing served", away),
        ("down, then workbench up", cold),
    ):
        print(
            f"{what:28}{statistics.median(values):7.1f} s{min(values):7.1f} s{max(values):7.1f} s"
        )
    ratio = statistics.median(switches) / statistics.median(cold)
    print(f"use / cold start: {ratio:.3f}   ({arguments.rounds} rounds each, in turns)")


if __name__ == "__main__":
    main()
