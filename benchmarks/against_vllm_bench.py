"""
Does `workbench bench` read the same numbers as `vllm bench serve`?

    python benchmarks/against_vllm_bench.py [--concurrency 1,2,4,8] [--rounds 5] [--num-prompts 32]

Both measure the same embedded server in turns, with prompts of the same length,
new ones each time so that the prefix cache knows none. vLLM's own noise is how
much its rounds differ; a difference is real when Welch's 95 % interval of it
leaves out zero. The last column says so for each metric. Of so many intervals
one in twenty does by chance. `best` is the ratio of both tools' best rounds: what
else the machine does makes a round worse and never better.

A server that runs is taken as it is; else one is started, and stopped at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from workbench import Session
from workbench.bench import vllm_json, workload
from workbench.bench.asked_server import Address, tokenizer
from workbench.bench.intervals import Interval, difference
from workbench.bench.measure import measure
from workbench.bench.plan import Plan
from workbench.bench.result import Metrics

BODY = {"temperature": 0, "ignore_eos": True}

VLLM_BENCH = """
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""
"""`vllm bench serve` itself; its command asks for package metadata, which the engine has not."""

METRICS: dict[str, Callable[[Metrics], float]] = {
    "req/s": lambda found: found.request_throughput_rps,
    "tok/s": lambda found: found.output_throughput_tps or 0.0,
    "TTFT mean": lambda found: found.ttft.mean.value if found.ttft else 0.0,
    "TTFT p50": lambda found: found.ttft.median if found.ttft else 0.0,
    "TPOT mean": lambda found: found.tpot.mean.value if found.tpot else 0.0,
    "TPOT p50": lambda found: found.tpot.median if found.tpot else 0.0,
    "ITL mean": lambda found: found.itl.mean.value if found.itl else 0.0,
    "ITL p50": lambda found: found.itl.median if found.itl else 0.0,
    "E2EL mean": lambda found: found.e2el.mean.value if found.e2el else 0.0,
    "E2EL p50": lambda found: found.e2el.median if found.e2el else 0.0,
}


@dataclass
class Runs:
    """What both tools found at one concurrency, round by round."""

    ours: list[Metrics] = field(default_factory=list)
    theirs: list[Metrics] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Both tools, pointed at one server."""

    session: Session
    num_prompts: int
    input_len: int
    output_len: int

    def ours(self, concurrency: int, prompts: Sequence[workload.Prompt]) -> Metrics:
        """Measure with the workbench."""
        plan = Plan(prompts=tuple(prompts), concurrency=concurrency, body=BODY)
        server = self.session.server
        return measure(server.base_url, plan, api_key=server.api_key).metrics

    def theirs(self, concurrency: int, prompts: Sequence[workload.Prompt]) -> Metrics:
        """Measure with vLLM's own tool, as a user runs it."""
        with tempfile.TemporaryDirectory() as folder:
            asked, found = Path(folder, "prompts.json"), Path(folder, "found.json")
            # ShareGPT's form is the one that it reads without pandas, which the engine has not.
            said = [[prompt.text, "an answer of some words"] for prompt in prompts]
            talks = [{"conversations": [{"value": text} for text in pair]} for pair in said]
            asked.write_text(json.dumps(talks))
            done = subprocess.run(
                self._command(concurrency, asked, found),
                env=os.environ | {"OPENAI_API_KEY": self.session.server.api_key or ""},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode or not found.exists():
                sys.exit(f"vllm bench serve failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
            return vllm_json.read(found).metrics

    def _command(self, concurrency: int, asked: Path, found: Path) -> list[str]:
        model = self.session.status().models[0]
        options = {
            "--backend": "openai-chat",
            "--base-url": self.session.server.base_url.removesuffix("/v1"),
            "--endpoint": "/v1/chat/completions",
            "--model": model.name,
            "--tokenizer": model.root or "",
            "--dataset-name": "sharegpt",
            "--dataset-path": str(asked),
            "--sharegpt-output-len": str(self.output_len),
            "--num-prompts": str(self.num_prompts),
            "--max-concurrency": str(concurrency),
            "--num-warmups": str(concurrency),
            "--temperature": "0",
            "--result-filename": str(found),
        }
        flags = ["--ignore-eos", "--disable-shuffle", "--disable-tqdm"]
        python = Path(self.session.settings.engine_dir, "bin", "python")
        return [
            *(str(python), "-c", VLLM_BENCH, "--save-result", "--save-detailed", *flags),
            *(word for pair in options.items() for word in pair),
        ]


def main() -> None:
    """Measure in turns, and show the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--concurrency", default="1,2,4,8")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--num-prompts", type=int, default=32)
    parser.add_argument("--input-len", type=int, default=64)
    parser.add_argument("--output-len", type=int, default=64)
    asked = parser.parse_args()
    many = [int(part) for part in asked.concurrency.split(",")]
    with Session() as session:
        session.up()
        try:
            tools = Tools(
                session=session,
                num_prompts=asked.num_prompts,
                input_len=asked.input_len,
                output_len=asked.output_len,
            )
            different = sum(show(each, turns(tools, each, asked.rounds)) for each in many)
        finally:
            session.down(only_mine=True)
    compared = len(many) * len(METRICS)
    print(f"\n{different} of {compared} differ beyond the noise of the rounds.")


def turns(tools: Tools, concurrency: int, rounds: int) -> Runs:
    """Let both measure, in another order each round."""
    to = Address(tools.session.server.base_url, tools.session.server.api_key)
    count, runs = tokenizer(to, None), Runs()
    lengths = workload.Lengths(input=tools.input_len, output=tools.output_len)
    for number in range(rounds):
        pair = [(tools.ours, runs.ours), (tools.theirs, runs.theirs)]
        for turn, (run, kept) in enumerate(pair if number % 2 else reversed(pair)):
            seed = concurrency * 10_000 + number * 10 + turn
            prompts = workload.synthetic(tools.num_prompts, lengths, seed=seed, count=count)
            kept.append(run(concurrency, prompts))
    return runs


def show(concurrency: int, runs: Runs) -> int:
    """Print a table; return how many metrics differ."""
    print(f"\nconcurrency {concurrency}, {len(runs.ours)} rounds each")
    print(
        f"{'':12}{'vllm':>10}{'its noise':>12}{'workbench':>11}{'ratio':>8}{'95 %':>18}{'best':>8}"
    )
    different = 0
    for name, read in METRICS.items():
        theirs, ours = [read(each) for each in runs.theirs], [read(each) for each in runs.ours]
        mean = fmean(theirs)
        noise = (max(theirs) - min(theirs)) / 2 / mean
        gap, best = difference(theirs, ours), max if name.endswith("/s") else min
        real = gap is not None and gap.tells_from_zero
        different += real
        print(
            f"{name:12}{mean:10.4g}{f'± {noise:.1%}':>12}{fmean(ours):11.4g}"
            f"{fmean(ours) / mean:8.3f}{_ends(gap, mean):>18}{best(ours) / best(theirs):8.3f}"
            f"  {'DIFFERENT' if real else 'same'}",
            flush=True,
        )
    for tool, found in (("vllm", runs.theirs), ("workbench", runs.ours)):
        if failed := sum(each.failed for each in found):
            print(f"{tool}: {failed} requests failed")
    return different


def _ends(gap: Interval | None, mean: float) -> str:
    return "–" if gap is None else f"[{1 + gap.low / mean:.3f}, {1 + gap.high / mean:.3f}]"


if __name__ == "__main__":
    main()
