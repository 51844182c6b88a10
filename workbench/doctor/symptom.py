"""
What may be behind a text that somebody saw: an error, a log, or a sentence of their own. Pure.

Known texts come first: those of a boot that failed, then those of rocminfo. A sentence is compared
with what the checks say of themselves; rare words count more.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ..failures import all_known
from .checks import CHECKS
from .checks.base import HostCheck
from .checks.rocm import TEXTS

MOST = 5

ENOUGH = 4.0
"""Of a sentence's likeness to a check: about two words that few others have."""

SHORT = frozenset({"wsl", "gpu", "hub", "key", "cpu", "env"})
EMPTY = frozenset(
    {"also", "than", "that", "them", "then", "there", "they", "thi", "what", "when", "with"}
    | {"from", "have", "instead", "into", "none", "only", "other", "take", "which", "without"}
)

LONGEST_SENTENCE = 60
"""Words. A log has all words in it, and is like everything."""

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
    for cause in (*found, *_alike(text)):
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
