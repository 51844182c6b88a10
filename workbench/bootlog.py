"""
What a vLLM's log says while it boots: how far it is, and how much of what it has. Pure.

The lines are vLLM's own, read in its sources and logs of 0.9.2 to 0.33; where
a text changed between versions the pattern takes both. What depends on their
wording is here and in :mod:`workbench.fingerprints`, and ``tests/data/boots``
has the logs that hold it to its word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .records import BootPhase

# Two wordings: 0.9.2 "takes", later "took", and newer ones measure the first run with it.
_COMPILED = r"torch\.compile (?:and initial profiling/warmup run together )?(?:takes|took)"

START = "import vLLM"
DOWNLOAD = "download"
LOAD = "load weights"
FIRST_TOKEN = "first token"

# (phase, the line that begins it), in the order in which a boot meets them.
# One that never shows itself is skipped over: compiling on the CPU with --enforce-eager,
# capturing graphs there at all. A download is known only afterwards; see BootReader.feed.
_MARKS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("start engine", r"vLLM API server version|non-default args"),
        ("start worker", r"Initializing a V[01] LLM engine"),
        (LOAD, r"Starting to load model"),
        ("profile", r"Loading weights took|Model loading took"),
        ("compile", r"for vLLM's torch\.compile|Starting torch\.compile|Dynamo bytecode transform"),
        (
            "measure memory",
            _COMPILED,
        ),
        ("warm up", r"Warming up model|KV cache size: [\d,]+ tokens|# \w+ blocks: \d+"),
        ("capture graphs", r"Capturing (?:\w+ )*CUDA graph"),
        ("open API", r"init engine \(profile"),
        (FIRST_TOKEN, r"Application startup complete"),
    )
)


_DOWNLOADED = re.compile(r"Time spent downloading weights")

# tqdm's bars: "…checkpoint shards:  50% Completed | 2/4", "Capturing CUDA graphs:  30%|███ …".
_BAR = re.compile(r"(?:shards|graphs?(?: shapes)?\b)[^:]*:\s+(\d{1,3})%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    What a boot says of itself; ``None`` where it does not.

    Args:
        model_load_gib: Memory that the weights took.

        kv_cache_gib: Memory that is left for the KV cache.

        kv_cache_tokens: What it holds.

        max_concurrency: So many requests of full length at once.

        graphs_gib: Memory that the captured graphs took.
    """

    model_load_gib: float | None = None
    model_load_s: float | None = None
    kv_cache_gib: float | None = None
    kv_cache_tokens: int | None = None
    max_model_len: int | None = None
    max_concurrency: float | None = None
    compile_s: float | None = None
    graphs_gib: float | None = None


# One regular expression for all wordings of 0.9.2 to 0.33: the GiB stand with and without
# "memory", the cache's size and the concurrency on one line or on two.
_FIGURES = tuple(
    re.compile(pattern)
    for pattern in (
        r"Model loading took (?P<model_load_gib>[\d.]+) GiB(?: memory)? and "
        r"(?P<model_load_s>[\d.]+) seconds",
        r"Available KV cache memory: (?P<kv_cache_gib>[\d.]+) GiB",
        r"KV cache size: (?P<kv_cache_tokens>[\d,]+) tokens",
        r"Maximum concurrency for (?P<max_model_len>[\d,]+) tokens per request: "
        r"(?P<max_concurrency>[\d.]+)x",
        _COMPILED + r" (?P<compile_s>[\d.]+) s in total",
        r"Graph capturing finished in \d+ secs, took (?P<graphs_gib>[\d.]+) GiB",
    )
)

_WHOLE = frozenset({"kv_cache_tokens", "max_model_len"})


def _number(name: str, text: str) -> float:
    plain = text.replace(",", "")
    return int(plain) if name in _WHOLE else float(plain)


class BootReader:
    """
    Follows a boot through its log.

    Lines go in with the second at which they were seen; :meth:`phases` comes
    out. It holds no clock of its own.
    """

    def __init__(self) -> None:
        self._begun: list[tuple[str, float]] = [(START, 0.0)]
        self.fraction: float | None = None
        """How much of the phase at work is done, where vLLM draws a bar for it."""
        self._figures: dict[str, float] = {}

    def feed(self, line: str, *, at_s: float) -> None:
        """Take one line. A phase that lies behind what was seen already is not gone back to."""
        self._note_figures(line)
        if bar := _BAR.search(line):
            self.fraction = int(bar[1]) / 100
        name = self._begun[-1][0]
        if name == LOAD and _DOWNLOADED.search(line):
            # vLLM says so only when it is over: what was taken for loading was this.
            self._begun[-1:] = [(DOWNLOAD, self._begun[-1][1]), (LOAD, at_s)]
            self.fraction = None
            return
        for mark, pattern in _MARKS[_rank(name) :]:
            if pattern.search(line):
                self._begun.append((mark, at_s))
                self.fraction = int(bar[1]) / 100 if bar else None
                return

    def figures(self) -> Figures:
        """Return the numbers that the log has had so far."""
        return Figures(**self._figures)  # type: ignore[arg-type]  # integers are made below

    def _note_figures(self, line: str) -> None:
        for pattern in _FIGURES:
            if found := pattern.search(line):
                self._figures |= {
                    name: _number(name, text)
                    for name, text in found.groupdict().items()
                    if text is not None
                }

    def phases(self, *, ended_s: float | None = None) -> tuple[BootPhase, ...]:
        """List the phases so far; the last one is open unless *ended_s* closes it."""
        ends = [began for _, began in self._begun[1:]] + [ended_s]
        return tuple(
            BootPhase(name=name, began_s=began, ended_s=end)
            for (name, began), end in zip(self._begun, ends, strict=True)
        )


def _rank(name: str) -> int:
    """Count the marks that lie behind a phase."""
    return next((index + 1 for index, (mark, _) in enumerate(_MARKS) if mark == name), 0)


def eta_s(
    phases: Sequence[BootPhase], *, now_s: float, earlier: Iterable[Sequence[BootPhase]]
) -> float | None:
    """
    Predict the seconds that are left, from earlier boots of the same thing.

    What lies ahead takes the median of its earlier durations; what is being
    done now takes its median less what it has had, but not less than nothing.

    Returns:
        Seconds, or ``None`` when there is no earlier boot to learn from.
    """
    from statistics import median  # brings fractions and decimals, and `status` needs none

    durations: dict[str, list[float]] = {}
    for boot in earlier:
        for phase in boot:
            if phase.ended_s is not None:
                durations.setdefault(phase.name, []).append(phase.ended_s - phase.began_s)
    if not durations:
        return None
    usual = {name: median(values) for name, values in durations.items()}
    current = phases[-1]
    rest_s = max(0.0, usual.get(current.name, 0.0) - (now_s - current.began_s))
    ahead = (name for name, _ in _MARKS[_rank(current.name) :])
    return rest_s + sum(usual.get(name, 0.0) for name in ahead)
