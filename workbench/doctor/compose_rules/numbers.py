"""
A rule for options that take a number: what is none, or out of range, ends vLLM at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ...records import Finding, Verdict
from ..effective import Arguments, Container
from .base import Rule, command_with, found

Test: TypeAlias = Callable[[str], bool]


def _whole(least: int, most: float = math.inf) -> Test:
    return lambda text: bool(re.fullmatch(r"[+-]?[0-9]{1,15}", text)) and least <= int(text) <= most


def _share(text: str) -> bool:
    return _is_real(text) and 0 < float(text) <= 1


def _tokens(text: str) -> bool:
    """Take vLLM's own forms: 8192, 8k, 25.6k, 8K; a capital one counts in 1024, and whole."""
    number = re.fullmatch(r"([0-9]+)[kmgtKMGT]?|([0-9]+\.[0-9]+)[kmgt]", text)
    return bool(number and float(number[1] or number[2]) > 0)


def _context(text: str) -> bool:
    return text.lower() in ("auto", "-1") or _tokens(text)


def _is_real(text: str) -> bool:
    return bool(
        re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", text, re.IGNORECASE)
    )


@dataclass(frozen=True, slots=True)
class Option:
    """
    An option that takes a number.

    Args:
        takes: What it takes, as a reader would say it.

        advised: A value that it takes.
    """

    names: tuple[str, ...]
    is_right: Test
    takes: str
    advised: str


PARALLEL = "a whole number from 1: the number of GPUs"

OPTIONS = (
    Option(("--max-model-len",), _context, "tokens (8192, 8k), or auto", "8192"),
    Option(("--gpu-memory-utilization",), _share, "a share, above 0 and at most 1", "0.85"),
    Option(("--port",), _whole(0, 65535), "a port, at most 65535", "8000"),
    Option(("--tensor-parallel-size", "-tp"), _whole(1), PARALLEL, "1"),
    Option(("--pipeline-parallel-size", "-pp"), _whole(1), PARALLEL, "1"),
    Option(("--data-parallel-size", "-dp"), _whole(1), PARALLEL, "1"),
    Option(("--max-num-seqs",), _whole(1), "a whole number from 1", "64"),
    Option(("--max-num-batched-tokens",), _tokens, "tokens: 8192, 8k", "8192"),
)


def number_refused(it: Container) -> Finding | None:
    """What vLLM cannot take as the number that an option wants."""
    if not it.arguments:
        return None
    wrong = [(option, text) for option in OPTIONS if (text := _wrong(option, it.arguments))]
    if not wrong:
        return None
    mended = [word for option, _ in wrong for word in (option.names[0], option.advised)]
    return found(
        it,
        "number-refused",
        Verdict.FAIL,
        seen=it.evidence(*(it.line_with(text) for _, text in wrong)),
        why="vLLM ends before it loads anything: "
        + "; ".join(f"{option.names[0]} takes {option.takes}, not {text}" for option, text in wrong)
        + ".",
        fix=command_with(
            it, *mended, without=[name for option, _ in wrong for name in option.names]
        ),
        source="vLLM vllm/config/ (what its fields take), vllm/utils/argparse_utils.py, 0.33.0",
    )


def _wrong(option: Option, arguments: Arguments) -> str | None:
    """Return a value that it does not take; what a shell puts in later is not known here."""
    text = arguments.last(*option.names)
    if not text or "$" in text:
        return None
    return None if option.is_right(text.replace("_", "")) else text  # Python reads 8_192


RULES: tuple[Rule, ...] = (number_refused,)
