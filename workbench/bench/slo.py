"""
What an answer must keep to, and how much of a load does. Pure.

Names and meaning are those of ``vllm bench serve --goodput``: a request is good
if it meets every limit; one of a single token has no TPOT, and meets any. One
that failed is not good: it was not answered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .. import units
from ..errors import ConfigError

_UNITS_S = {"ms": 1e-3, "s": 1.0, "": 1e-3}
"""A number alone is milliseconds, as vLLM takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Service level objectives: what each of a request's times may be at most; ``None``: any."""

    ttft_s: float | None = None
    tpot_s: float | None = None
    e2el_s: float | None = None

    def is_met(self, *, ttft_s: float, tpot_s: float | None, e2el_s: float) -> bool:
        """Tell whether one answer keeps to all of them."""
        pairs = ((self.ttft_s, ttft_s), (self.tpot_s, tpot_s), (self.e2el_s, e2el_s))
        return all(limit is None or took is None or took <= limit for limit, took in pairs)

    def __str__(self) -> str:
        limits = (("TTFT", self.ttft_s), ("TPOT", self.tpot_s), ("E2EL", self.e2el_s))
        return ", ".join(
            f"{name} ≤ {units.seconds(limit)}" for name, limit in limits if limit is not None
        )


def read_slo(text: str) -> Slo:
    """
    Read ``ttft=200ms,tpot=50ms,e2el=3s``.

    Raises:
        ConfigError: It is of another form, or a name comes twice.
    """
    limits: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"(ttft|tpot|e2el)\s*[=:]\s*([0-9.]+)\s*(ms|s|)", part.lower())
        if not found or f"{found[1]}_s" in limits or not _number(found[2]):
            raise _not_an_slo(part)
        limits[f"{found[1]}_s"] = _number(found[2]) * _UNITS_S[found[3]]
    if not limits:
        raise _not_an_slo(text)
    return Slo(**limits)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _not_an_slo(part: str) -> ConfigError:
    return ConfigError(
        f"{part!r} is not a limit for ttft, tpot or e2el, each once.",
        hint="For example: --slo ttft=200ms,tpot=50ms",
        key="slo",
        source=part,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """
    A kind of use: how long its prompts and answers are, and what it must keep to.

    Args:
        goodput: The share of requests that has to.
    """

    name: str
    input_tokens: int
    output_tokens: int
    slo: Slo
    goodput: float = 0.99


# Limits: guidellm, docs/guides/service_level_objectives.md: chat applications; retrieval-augmented
# generation whose answers are shown while they come; code generation. Its limits of ITL are taken
# for TPOT, as its own `tpot_ms` does. Lengths: the profiles that guidellm recommends for the same
# uses. Both read 2026-11. They are conventions, and nobody's measurements: for your own users take
# your own.
PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="chat",
            input_tokens=512,
            output_tokens=256,
            slo=Slo(ttft_s=0.2, tpot_s=0.05),
        ),
        Preset(
            name="rag",
            input_tokens=4096,
            output_tokens=512,
            slo=Slo(ttft_s=0.3, tpot_s=0.1),
        ),
        Preset(
            name="code",
            input_tokens=512,
            output_tokens=512,
            slo=Slo(ttft_s=0.5, tpot_s=0.15),
        ),
    )
}
