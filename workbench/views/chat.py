"""
How answers look, and what of them a program gets.
"""

from __future__ import annotations

from dataclasses import MISSING, asdict, fields
from typing import TYPE_CHECKING, Any

from .. import units
from ..errors import ClientError
from ..records import (
    Generation,
    ToolStep,
)

if TYPE_CHECKING:
    pass


MAX_SHOWN_RESULT = 400
"""The model reads all of a tool's result, and a person the beginning."""


def status_line(generation: Generation, *, interrupted: bool = False) -> str:
    """
    Say in one line how an answer came.

    The rate is that of decoding, 1 / TPOT: output tokens after the first per second.
    """
    usage = generation.usage
    decode_tps = 1 / generation.tpot_s if generation.tpot_s else None
    return " · ".join(
        (
            f"TTFT {units.seconds(generation.ttft_s)}",
            units.count(usage.output_tokens if usage else None, "token"),
            units.rate(decode_tps),
            "interrupted" if interrupted else (generation.finish_reason or "broke off"),
        )
    )


def step_line(step: ToolStep) -> str:
    """Write a tool's call and what it came to."""
    cut = len(step.result) > MAX_SHOWN_RESULT
    told = f"{step.result[:MAX_SHOWN_RESULT]}…" if cut else step.result
    return f"{step.call.name}({step.call.arguments}) → {told} ({units.seconds(step.duration_s)})"


def generation_data(generation: Generation) -> dict[str, Any]:
    """Write an answer as data, without the clock readings that mean nothing elsewhere."""
    data = asdict(generation)
    del data["timings"]
    return data | {"params": generation.params.given(), "error": None}


def refusal_data(error: ClientError) -> dict[str, Any]:
    """Write a request that failed as data, in the form of an answer: with what had come of it."""
    data = generation_data(error.partial) if error.partial else _nothing_data(error)
    status = getattr(error, "status_code", None)
    about = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
    return data | {"request_id": error.request_id, "error": about | {"status_code": status}}


def _nothing_data(error: ClientError) -> dict[str, Any]:
    """Write an answer of which nothing came: every key is there, and what is unknown is null."""
    data = {
        item.name: None if item.default is MISSING else item.default
        for item in fields(Generation)
        if item.name != "timings"
    }
    return data | {"text": "", "attempts": None, "base_url": error.base_url}
