"""Trials whose throughput is known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from tests.bench.results import result
from workbench.bench.result import Result
from workbench.tune.candidates import Candidate
from workbench.tune.kept import Setup
from workbench.tune.quality import Quality
from workbench.tune.trial import Role, Trial

GOOD = Quality(same=10, of=10, perplexity=0.0)
SETUP = Setup(
    model="pocket",
    version="0.32.0",
    recipe="1f2e",
    goal="throughput",
    slo=None,
    concurrency=4,
    num_prompts=20,
    repeats=3,
    seed=7,
)


def run(tokens_per_s: float, **fields: object) -> Result:
    """Four answers of three tokens each: twelve tokens in twelve parts of the rate."""
    return result(duration_s=12 / tokens_per_s, **fields) if fields else _plain(tokens_per_s)


@cache
def _plain(tokens_per_s: float) -> Result:
    """Make it once: its intervals take a while."""
    return result(duration_s=12 / tokens_per_s)


def flag(name: str, factor: str = "") -> Candidate:
    return Candidate(factor=factor or name, add=(f"--{name}",))


def trial(candidate: Candidate | None, rates: Sequence[float], **fields: object) -> Trial:
    """One start with a run at each of *rates*; of no candidate: the flags from before."""
    made: dict[str, object] = {
        "role": Role.CANDIDATE if candidate else Role.BEFORE,
        "candidate": candidate,
        "runs": tuple(map(run, rates)),
        "quality": GOOD if candidate else None,
        "boot_s": 10.0 if candidate else None,
        "took_s": 60.0,
    }
    return Trial(**made | fields)
