"""
Keys and tokens, kept out of everything that is shown. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HIDDEN = "***"
LONGEST_QUOTE = 160

# A word of the name ends so: HF_TOKEN_READ and API_KEY_1, not TOKENIZER nor MAX_NUM_BATCHED_TOKENS.
_NAME = re.compile(
    r"(TOKEN|KEYS?|SECRETS?|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)(?![A-Z])", re.IGNORECASE
)
_ABOUT_ONE = re.compile(r"_(PATH|FILE|DIR|LENGTH|LIMIT|COUNT|THRESHOLD)$", re.IGNORECASE)
_ASSIGNED = re.compile(r"\b(\w+)=(?=[\"']?([^\s$\"']+))")  # a value may have one within: A=B_KEY=c
_OPTION = re.compile(r"--(?:api[-_]key|hf[-_]token)[=\s]+[\"']?([^\s$\"']+)")
_HUB_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{8,}")
_LOGIN = re.compile(r"(?<=://)[^/\s\"']+@")
_QUERY = re.compile(r"(://[^\s\"'?]*)\?[^\s\"']+")


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret."""
    return bool(_NAME.search(name)) and not _ABOUT_ONE.search(name)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secret values that are known."""

    values: frozenset[str]

    def hide(self, text: str) -> str:
        """
        Put stars in their place; the longest first, as one may be a part of another.

        A URL's login and query go too: many services take their key there.
        """
        for value in sorted(self.values, key=len, reverse=True):
            text = text.replace(value, HIDDEN) if value else text
        return _QUERY.sub(rf"\1?{HIDDEN}", _LOGIN.sub(f"{HIDDEN}@", text))

    def quote(self, lines: Sequence[str], numbers: Iterable[int]) -> str:
        """Quote lines by their numbers, each with its own."""
        wanted = sorted({number for number in numbers if 0 < number <= len(lines)})
        return "\n".join(
            f"line {number}: {self.hide(lines[number - 1].strip())[:LONGEST_QUOTE]}"
            for number in wanted
        )

    @staticmethod
    def in_text(text: str) -> list[str]:
        """Find what looks like one: an assignment, an option, a token of the hub."""
        return [
            *(value for name, value in _ASSIGNED.findall(text) if is_secret_name(name)),
            *_OPTION.findall(text),
            *_HUB_TOKEN.findall(text),
        ]
