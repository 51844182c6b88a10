"""
What checks come to.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a check came to."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    What one check found.

    Args:
        id: Stable, in kebab case; what people search for and suppress by.

        seen: The evidence: what stands there, with its place (``line 14: …``).

        why: What will happen because of it, in a sentence or two.

        fix: What to write or type instead; several lines when that is clearer.

        source: Where it is known from: a URL, or a file of vLLM's with its version.
    """

    id: str
    verdict: Verdict
    seen: str
    why: str
    fix: str
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """
    What one question to a running server came to.

    Args:
        id: Stable, in kebab case; what is stored, and compared with an earlier probe.

        seen: The evidence in a line: what was sent, and what came.

        means: What that is for the user, and the next step where there is one.
    """

    group: str
    id: str
    verdict: Verdict
    seen: str
    means: str
    duration_s: float
