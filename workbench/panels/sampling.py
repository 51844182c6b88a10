"""
The sampling controls: what each is, in which unit, and between which bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import ConfigError
from ..records import SamplingParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """
    A field of :class:`~workbench.records.SamplingParams` that a person sets.

    Args:
        unit: What its number counts, or what its bounds mean.
    """

    name: str
    label: str
    unit: str
    low: float
    high: float
    step: str = "1"
    whole: bool = False


# The bounds are vLLM's: vllm/sampling_params.py, `_verify_args`. Where it has none, a round number.
CONTROLS = (
    Control(
        name="temperature", label="Temperature", unit="0 greedy – 2", low=0, high=2, step="0.05"
    ),
    Control(name="top_p", label="Top p", unit="share, 0 – 1", low=0, high=1, step="0.01"),
    Control(name="top_k", label="Top k", unit="tokens, -1 all", low=-1, high=1_000_000, whole=True),
    Control(name="min_p", label="Min p", unit="share, 0 – 1", low=0, high=1, step="0.01"),
    Control(
        name="max_tokens", label="Max tokens", unit="tokens", low=1, high=1_000_000, whole=True
    ),
    Control(
        name="repetition_penalty",
        label="Repetition penalty",
        unit="1 none – 2",
        low=0.01,
        high=2,
        step="0.05",
    ),
    Control(name="seed", label="Seed", unit="whole number", low=0, high=2**63 - 1, whole=True),
)


def read_params(values: Mapping[str, Any], before: SamplingParams) -> SamplingParams:
    """
    Read what stands in the controls; an empty one leaves it to the server.

    Args:
        before: What stays where a control is not among the values.

    Raises:
        ConfigError: A value is no number, or out of its bounds.
    """
    read: dict[str, Any] = {
        control.name: _read(control, str(values[control.name]).strip())
        for control in CONTROLS
        if control.name in values
    }
    return replace(before, **read) if read else before


def _read(control: Control, written: str) -> float | int | None:
    if not written:
        return None
    try:
        value = int(written) if control.whole else float(written)
    except ValueError:
        value = None
    if value is None or not control.low <= value <= control.high:
        raise ConfigError(
            f"{control.label} is {written!r}, which is not from {control.low:,g} to "
            f"{control.high:,g}.",
            hint="Leave it empty for the server's default.",
            key=control.name,
        )
    return value
