"""
Keys and tokens, kept out of everything that is shown. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HIDDEN = "***"
LONGEST_QUOTE = 160

_NAME = re.compile(r"(TOKEN|KEY|SECRET|PASSWORD|PASSWD|CREDENTIALS)$", re.IGNORECASE)
_ASSIGNED = re.compile(r"\b\w*(?:TOKEN|KEY|SECRET|PASSWORD)=([^\s$\"']+)", re.IGNORECASE)
_OPTION = re.compile(r"--(?:api[-_]key|hf[-_]token)[=\s]+[\"']?([^\s$\"']+)")
_HUB_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{8,}")
_IN_URL = re.compile(r"(?<=://)([^/@\s]+:[^/@\s]+)@")


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret."""
    return bool(_NAME.search(name))


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secret values that are known."""

    values: frozenset[str]

    def hide(self, text: str) -> str:
        """Put stars in their place; the longest first, as one may be a part of another."""
        for value in sorted(self.values, key=len, reverse=True):
            text = text.replace(value, HIDDEN) if value else text
        return _IN_URL.sub(f"{HIDDEN}@", text)

    def quote(self, lines: Sequence[str], numbers: Iterable[int]) -> str:
        """Quote lines by their numbers, each with its own."""
        wanted = sorted({number for number in numbers if 0 < number <= len(lines)})
        return "\n".join(
            f"line {number}: {self.hide(lines[number - 1].strip())[:LONGEST_QUOTE]}"
            for number in wanted
        )

    @staticmethod
    def in_text(text: str) -> list[str]:
        """Find what looks like one: an assignment, an option, a token of the hub, a URL's."""
        return [
            *_ASSIGNED.findall(text),
            *_OPTION.findall(text),
            *_HUB_TOKEN.findall(text),
            *_IN_URL.findall(text),
        ]
