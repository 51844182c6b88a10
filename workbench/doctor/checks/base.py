"""
What a check is, and what the checks share.

A check is a function of the machine. Its docstring is what ``--explain`` prints: the first
paragraph says what is looked at, the rest why it matters.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ...records import Verdict
from ..machine import Machine

EMBEDDED, COMPOSE = "embedded", "compose"
"""What can be made ready."""

ISSUES = "https://github.com/ROCm/legacy-rocm-build/issues"
LIBROCDXG = "https://github.com/ROCm/librocdxg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """
    What a check saw.

    Args:
        seen: The evidence, with its place.

        why: What will happen because of it; empty if the check's own reason says it.

        fix: Commands, or lines to write, for whoever has to mend it.

        unsure: It could not be found out, which is no fault.
    """

    verdict: Verdict
    seen: str
    why: str = ""
    fix: str = ""
    unsure: bool = False


Look: TypeAlias = Callable[[Machine], Seen]


@dataclass(frozen=True, slots=True)
class HostCheck:
    """
    One question to the machine.

    Args:
        blocks: What cannot be started while it fails; empty: it works all the same, but not well.
    """

    id: str
    area: str
    look: Look
    blocks: frozenset[str]
    source: str | None

    @property
    def about(self) -> str:
        """What is looked at, and why."""
        return inspect.cleandoc(self.look.__doc__ or "")

    @property
    def why(self) -> str:
        """Why it matters."""
        return " ".join(self.about.partition("\n\n")[2].split())


def check(
    id: str, *, area: str, blocks: tuple[str, ...] = (), source: str | None = None
) -> Callable[[Look], HostCheck]:
    """Make a check of a function."""
    return lambda look: HostCheck(id, area, look, frozenset(blocks), source)


def passed(seen: str) -> Seen:
    """Say that it is as it should be."""
    return Seen(verdict=Verdict.PASS, seen=seen)


def skipped(seen: str, *, unsure: bool = False) -> Seen:
    """Say that there is nothing to look at here, or, *unsure*, that it cannot be seen."""
    return Seen(verdict=Verdict.SKIP, seen=seen, unsure=unsure)


def warned(seen: str, *, fix: str, why: str = "") -> Seen:
    """Say that it works, but not well, or not always."""
    return Seen(verdict=Verdict.WARN, seen=seen, why=why, fix=fix)


def failed(seen: str, *, fix: str, why: str = "") -> Seen:
    """Say that something cannot work."""
    return Seen(verdict=Verdict.FAIL, seen=seen, why=why, fix=fix)
