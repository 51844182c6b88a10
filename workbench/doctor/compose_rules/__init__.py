"""
What is known to go wrong with vLLM in a compose file: one function, one id.

A rule takes a container as it would run and returns a finding or ``None``.
Here they are in the order in which things fail, which is the order to mend
them in: what Compose refuses, what does not start, what finds no GPU, what does not fit, who gets
in, what does not last.
"""

from __future__ import annotations

from . import access, memory, numbers, startup, syntax, upkeep, wsl
from .base import Rule

RULES: tuple[Rule, ...] = (
    *syntax.RULES,
    *startup.RULES,
    *numbers.RULES,
    *wsl.RULES,
    *memory.RULES,
    *access.RULES,
    *upkeep.RULES,
)

__all__ = ["RULES", "Rule"]
