"""
What may be behind a text that somebody saw: an error, a log, or a sentence of their own. Pure.

Known texts come first: those of a boot that failed, then those of rocminfo, then those that
several checks explain. A sentence is compared with what the checks say of themselves; rare words
count more.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..failures import all_known
from .checks import CHECKS
from .checks.base import HostCheck
from .checks.rocm import TEXTS

MOST = 6

ENOUGH = 4.0
"""Of a sentence's likeness to a check: about two words that few others have."""

SHORT = frozenset({"wsl", "gpu", "hub", "key", "cpu", "env"})
EMPTY = frozenset(
    {"also", "than", "that", "them", "then", "there", "they", "thi", "what", "when", "with"}
    | {"from", "have", "instead", "into", "none", "only", "other", "take", "which", "without"}
)

LONGEST_LINE = 2000

LONGEST_SENTENCE = 60
"""Words. A log has all words in it, and is like everything."""

BEHIND: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        r"cuda\.is_available\(\)|is_available\(\).{0,40}\bfalse\b"
        r"|torch\b.{0,60}\b(?:cuda|gpu)\b.{0,40}\b(?:not available|unavailable|false)\b",
        ("torch-runtime", "dev-dxg", "hsa-shadowed", "dxg-detection", "rocm-stack", "kfd-rights"),
    ),
    (
        r"\b401\b.{0,40}unauthori[sz]ed|incorrect api key|invalid api key",
        ("server-key", "hub-token", "model-access"),
    ),
    (
        r"all at once|in one piece|(?:stream|sse)\w*.{0,60}(?:buffer|delay|whole)",
        ("stream-in-pieces", "proxy"),
    ),
    (
        r"address already in use|port is already allocated|ports are not available",
        ("port",),
    ),
    (r"connection refused|couldn't connect to server", ("port", "proxy", "wsl-network")),
    (r"no space left on device", ("image-present", "disk-for-models", "disk-for-engine")),
)
"""What a text has (in any case), and the checks that may explain it, the likeliest first."""

_WORD = re.compile(r"[a-z][\w.-]+|/[\w/.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """
    What it may be.

    Args:
        id: Of the fingerprint or the check.

        because: The line or the words that speak for it.

        is_known: The text itself is known; else it is only alike.
    """

    id: str
    cause: str
    because: str
    fix: str
    source: str | None
    is_known: bool


def causes(text: str) -> tuple[Cause, ...]:
    """List what may be behind a text, the likeliest first."""
    boots = list(_of_boots(text))
    said = {cause.because for cause in boots}
    found = [*boots, *(cause for cause in _of_rocminfo(text) if cause.because not in said)]
    by_id: dict[str, Cause] = {}
    for cause in (*found, *_explained(text), *_alike(text)):
        by_id.setdefault(cause.id, cause)
    return tuple(by_id.values())[:MOST]


def _of_boots(text: str) -> Iterator[Cause]:
    for known in all_known(text.splitlines()):
        yield Cause(
            id=known.id,
            cause=known.cause,
            because=known.line or "",
            fix=known.fix,
            source=known.source,
            is_known=True,
        )


def _of_rocminfo(text: str) -> Iterator[Cause]:
    for said, why, fix, source in TEXTS:
        if line := next((line for line in text.splitlines() if said in line), None):
            yield Cause(
                id="rocminfo",
                cause=why,
                because=line.strip(),
                fix=fix,
                source=source,
                is_known=True,
            )


def _explained(text: str) -> Iterator[Cause]:
    by_id = {check.id: check for check in CHECKS}
    for pattern, ids in BEHIND:
        known = re.compile(pattern, re.IGNORECASE)
        line = next((line for line in text.splitlines() if known.search(line[:LONGEST_LINE])), None)
        if line:
            for id in ids:
                yield replace(_to_check(by_id[id], []), because=line.strip(), is_known=True)


def _alike(text: str) -> list[Cause]:
    """Compare with the checks, by their words; those that many checks have tell little."""
    if len(text.split()) > LONGEST_SENTENCE:
        return []
    asked = _words(text)
    about = {
        check: _words(f"{check.id} {check.id.replace('-', ' ')} {check.about}") for check in CHECKS
    }
    common = Counter(word for words in about.values() for word in words)
    scored: list[tuple[float, HostCheck, list[str]]] = []
    for check, words in about.items():
        shared = sorted(asked & words)
        score = sum(math.log(len(CHECKS) / common[word]) for word in shared)
        if score >= ENOUGH and len(shared) > 1:
            scored.append((score, check, shared))
    scored.sort(key=lambda it: -it[0])
    return [_to_check(check, shared) for _, check, shared in scored]


def _to_check(check: HostCheck, shared: list[str]) -> Cause:
    return Cause(
        id=check.id,
        cause=check.why,
        because=", ".join(shared),
        fix=f"workbench doctor --only {check.id}",
        source=check.source,
        is_known=False,
    )


def _words(text: str) -> set[str]:
    """Take the words that mean something, a plural as its singular."""
    found = (word.strip(".-") for word in _WORD.findall(text.lower()))
    singular = (word if word.endswith("ss") else word.removesuffix("s") for word in found)
    return {word for word in singular if len(word) > 3 or word in SHORT} - EMPTY
