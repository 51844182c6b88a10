"""
What is told of a switch from one model to another.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
class Quicker:
    """
    A way of vLLM's own that is quicker than another start.

    Args:
        offered: Whether the running server has it; ``None``: nothing runs that could say.

        says: What it does here, or what it needs.
    """

    name: str
    offered: bool | None
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchReport:
    """
    A switch, step by step.

    Args:
        before: The served model name before; ``None`` when nothing ran.

        switched: Whether the new model serves. If not, the one before does again.

        unavailable_s: How long no model served; ``None`` when nothing was stopped.

        quicker: What would have been, told after a long one.
    """

    model: str
    before: str | None
    steps: tuple[SwitchStep, ...]
    switched: bool
    duration_s: float
    unavailable_s: float | None = None
    quicker: tuple[Quicker, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchPlan:
    """
    What a switch would do.

    Args:
        before: The served model name now; ``None`` when nothing runs.

        fetch_bytes: What would come from the hub.

        requests: How many are under way now; ``None``: the server does not say.

        steps: Names and what would be done, in order.

        command: What would be started, without secrets; ``None``: nothing, or it is known
            only when the model is here.

        noted_in: The file that later commands read the model from.
    """

    model: str
    before: str | None
    fetch_bytes: int
    requests: int | None
    steps: tuple[tuple[str, str], ...]
    command: str | None
    noted_in: Path
    quicker: tuple[Quicker, ...]
