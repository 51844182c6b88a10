"""
How near do plans come to what a real vLLM said?

    python benchmarks/plan_accuracy.py [FILE …]

Each run of ``tests/data/vram`` is planned from its ``config.json`` and its
flags, and compared with vLLM's own log: the tokens of its KV cache, or, where
it refused to start, the longest context that it named. Goal: within 3 %.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import PlanError
from workbench.vram import Ask, Model, Plan, card_of, plan, read_shape

DATA = Path(__file__).resolve().parent.parent / "tests" / "data" / "vram"

GIB = 2**30

LONGEST = re.compile(r"estimated maximum model length is (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What vLLM was started with and what it said."""

    model: str
    config: dict[str, Any]
    flags: dict[str, Any]
    gpu_memory_utilization: float
    total_gib: float
    started: bool
    tokens: int

    def __str__(self) -> str:
        """Write the model and its flags in a line."""
        given = (name if value is True else f"{name} {value}" for name, value in self.flags.items())
        return f"{self.model}, {', '.join(given)}"

    def plan(self) -> Plan:
        """Plan it; a length of "auto" is the longest that fits, as vLLM makes it."""
        length = self.flags.get("max-model-len")
        if length == "auto":
            return self._plan(self._plan(None).max_model_len)
        return self._plan(int(length) if length else None)

    def _plan(self, max_model_len: int | None) -> Plan:
        return plan(
            Model(name=self.model, shape=read_shape(self.config)),
            card_of(self.total_gib),
            Ask(
                gpu_memory_utilization=self.gpu_memory_utilization,
                max_model_len=max_model_len,
                max_num_batched_tokens=self.flags.get("max-num-batched-tokens"),
                max_num_seqs=self.flags.get("max-num-seqs"),
                kv_cache_dtype=self.flags.get("kv-cache-dtype", "auto"),
                enforce_eager=bool(self.flags.get("enforce-eager")),
            ),
        )


def runs(path: Path) -> Iterator[Run]:
    """Read a file of measured runs."""
    data = json.loads(path.read_text())
    for run in data["runs"]:
        named = LONGEST.search(run["error"] or "")
        config = data["configs"][run["model"]]
        if run["model"].endswith("-experts"):
            # Which layers GPTQ quantized is read off the weights' files, and there were none.
            scheme = {"modules_in_block_to_quantize": [["mlp.experts"]]}
            config |= {"quantization_config": config["quantization_config"] | scheme}
        yield Run(
            model=run["model"],
            config=config,
            flags=run["flags"],
            gpu_memory_utilization=run["gpu_memory_utilization"],
            total_gib=run.get("total_gib") or run["total_bytes"] / GIB,
            started=run["started"],
            tokens=run.get("kv_cache_tokens") or (int(named[1]) if named else 0),
        )


def predicted_tokens(run: Run, answer: Plan) -> int:
    """Return the number that is compared with the log's."""
    return answer.kv_cache_tokens if run.started else answer.max_model_len


def error_percent(run: Run, told: int) -> float:
    """Say by how much it is off; both may say that nothing fits."""
    return 100 * (told / run.tokens - 1) if run.tokens else float(told > 0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("files", nargs="*", type=Path, default=sorted(DATA.glob("measured*.json")))
    print(f"{'predicted':>10}{'measured':>10}{'error':>9}")
    errors = [row(run) for path in parser.parse_args().files for run in runs(path)]
    known = [abs(error) for error in errors if error is not None]
    print(f"The largest error of {len(known)} plans: {max(known):.2f} %")


def row(run: Run) -> float | None:
    """Print one run; return its error, or ``None`` where no plan can be made."""
    try:
        answer = run.plan()
    except PlanError as exc:
        print(f"{'–':>10}{run.tokens:10,}{'':11}{run}: missing: {exc.missing}")
        return None
    told = predicted_tokens(run, answer)
    error = error_percent(run, told)
    verdict = "" if answer.fits == run.started else ": fits was told wrong"
    print(f"{told:10,}{run.tokens:10,}{error:+8.2f} %  {run}{verdict}")
    return error


if __name__ == "__main__":
    main()
