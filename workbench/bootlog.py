"""
What a vLLM's log says while it boots: how far it is, and why it stopped. Pure.

The lines are vLLM's own, read in its sources and logs of 0.9.2 to 0.33; where
a text changed between versions the pattern takes both. Everything that
depends on their wording is in this file, and ``tests/data/boots`` has the
logs that hold it to its word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .records import BootPhase

START = "import vLLM"
FIRST_TOKEN = "first token"

# (phase, the line that begins it), in the order in which a boot meets them.
# One that never shows itself is skipped over.
_MARKS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("start engine", r"vLLM API server version|non-default args"),
        ("start worker", r"Initializing a V1 LLM engine"),
        ("load weights", r"Starting to load model"),
        ("profile", r"Loading weights took|Model loading took"),
        ("warm up", r"Warming up model|KV cache size: [\d,]+ tokens"),
        ("open API", r"init engine \(profile"),
        (FIRST_TOKEN, r"Application startup complete"),
    )
)


class BootReader:
    """
    Follows a boot through its log.

    Lines go in with the second at which they were seen; :meth:`phases` comes
    out. It holds no clock of its own.
    """

    def __init__(self) -> None:
        self._begun: list[tuple[str, float]] = [(START, 0.0)]

    def feed(self, line: str, *, at_s: float) -> None:
        """Take one line. A phase that lies behind what was seen already is not gone back to."""
        reached = _rank(self._begun[-1][0])
        for name, pattern in _MARKS[reached:]:
            if pattern.search(line):
                self._begun.append((name, at_s))
                return

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


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """
    Why a boot failed.

    Args:
        line: The decisive line of the log, without its prefixes.

        hint: The next thing to try.
    """

    line: str
    hint: str


_CAUSES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), hint)
    for pattern, hint in (
        (
            r"max seq len \(\d+\).*KV cache is needed",
            "Give it a smaller context (--max-model-len) or more KV cache "
            "(WORKBENCH_KV_CACHE_GIB).",
        ),
        (
            r"less than requested memory for kv",
            "This machine has too little free memory for that KV cache: lower "
            "WORKBENCH_KV_CACHE_GIB.",
        ),
        (
            r"No available memory for the cache blocks",
            "Give it more KV cache: WORKBENCH_KV_CACHE_GIB.",
        ),
        (
            r"Free memory on device .* is less than desired",
            "Close what else uses the memory, or lower --gpu-memory-utilization.",
        ),
        (
            r"[Aa]ddress already in use",
            "Another program has the port; take another: workbench up --port 8001",
        ),
        (
            r"User-specified max_model_len .* is greater than the derived",
            "The model was made for a shorter context: lower --max-model-len.",
        ),
        (
            r"safetensors_rust\.SafetensorError|InvalidHeader|HeaderTooLarge|MetadataIncompleteBuffer",
            "The weights are damaged or not fetched whole: fetch the model again "
            "(in a git clone: git checkout -- models).",
        ),
        (
            r"gated repo|401 Client Error|Access to model .* is restricted",
            "The model asks for a licence: accept it on its page and set HF_TOKEN.",
        ),
        (
            r"Unknown quantization method|are not supported for now|has no vLLM implementation"
            r"|Model architectures .* (failed|are not supported)",
            "This vLLM does not know the model's architecture or quantization; "
            "take another model or version.",
        ),
        (
            r"Illegal instruction",
            "The engine needs a CPU with AVX2; use a server elsewhere (WORKBENCH_BASE_URL).",
        ),
        (
            r"MemoryError|Cannot allocate memory|DefaultCPUAllocator: can't allocate",
            "There is too little memory: stop other programs, or lower WORKBENCH_KV_CACHE_GIB.",
        ),
        (
            r"No space left on device",
            "The disk is full: make room and start again.",
        ),
    )
)

# An exception's last line, or argparse's: "api_server.py: error: unrecognized arguments".
_EXCEPTION = re.compile(r"^[\w.]*(?:Error|Exception|NotFound)(?:: |$)|^[\w.]+\.py: error: ")

# What vLLM's parent process says of any failure of its child; the reason is above it.
_ECHO = re.compile(r"Engine core initialization failed|EngineDeadError|WorkerProc initialization")

_PREFIX = re.compile(
    r"^(?:\([^)]*\)\s*)?"  # (EngineCore pid=123)
    r"(?:(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\s[\d-]+\s[\d:.]+\s\[[^\]]*\]\s?)?"
)


def diagnose(lines: Sequence[str]) -> Diagnosis | None:
    """
    Find the line that says why a boot failed.

    A text that is known wins, wherever it stands. Otherwise the first
    exception that is not a mere echo of a child's failure: the later ones are
    raised on the way up.
    """
    bare = [_PREFIX.sub("", line, count=1).strip() for line in lines]
    for pattern, hint in _CAUSES:
        for line in bare:
            if pattern.search(line):
                return Diagnosis(line, hint)
    for line, after in zip(bare, [*bare[1:], ""], strict=True):
        if _EXCEPTION.match(line) and not _ECHO.search(line):
            # pydantic says only how many errors there are, and what they are below.
            said = f"{line}: {after}" if "validation error" in line else line
            return Diagnosis(said, "The whole log: workbench logs")
    return None
