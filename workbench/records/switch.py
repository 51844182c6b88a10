"""
What is told of a switch from one model to another.
"""

from __future__ import annotations

from dataclasses import dataclass

from .checks import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchStep:
    """
    One step of a switch.

    Args:
        seen: What came of it, in a line.
    """

    name: str
    verdict: Verdict
    seen: str
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchReport:
    """
    A switch, step by step.

    Args:
        before: The served model name before; ``None`` when nothing ran.

        switched: Whether the new model serves. If not, the one before does again.

        unavailable_s: How long no model served; ``None`` when nothing was stopped.
    """

    model: str
    before: str | None
    steps: tuple[SwitchStep, ...]
    switched: bool
    duration_s: float
    unavailable_s: float | None = None
