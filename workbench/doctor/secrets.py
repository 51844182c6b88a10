"""
Keys and tokens, kept out of everything that is shown. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HIDDEN = "***"
LONGEST_QUOTE = 160

# What is searched for has an end, so that a stranger's long text takes no minutes.
# A word of the name ends so: HF_TOKEN_READ and API_KEY_1, not TOKENIZER nor MAX_NUM_BATCHED_TOKENS.
_NAME = re.compile(
    r"(TOKEN|KEYS?|SECRETS?|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|AUTHORIZATION"
    r"|(?<![A-Z])(PASS|PAT))(?![A-Z])",
    re.IGNORECASE,
)
_ABOUT_ONE = re.compile(r"_(PATH|FILE|DIR|LENGTH|LIMIT|COUNT|THRESHOLD)$", re.IGNORECASE)
_ASSIGNED = re.compile(r"\b(\w+)=(?=[\"']?([^\s$\"']{1,4096}))")  # A=B_KEY=c is two
_OPTION = re.compile(r"--(?:api[-_]key|hf[-_]token)[=\s]+[\"']?([^\s$\"']+)")
_QUOTED = re.compile(r"\b(\w+)=(?=([\"'])(.{1,4096}?)\2)", re.DOTALL)  # with its spaces
_HEADER = re.compile(
    r"(?:\bAuthorization:\s*\w+\s|\bBearer\s|\bAPI-Key:)\s*([^\s$\"'\\]+)", re.IGNORECASE
)
_KNOWN_TOKEN = re.compile(r"\b(?:hf_|gh[oprsu]_|github_pat_|glpat-|sk-)[\w-]{8,}")
_LOGIN = re.compile(r"(?<=://)[^/\s\"']{1,4096}@")
# An image's has no "://" before it; what a digest follows is a tag.
_IMAGE_LOGIN = re.compile(r"(?<![\w./-])[\w.-]+:[^/\s\"'@]{1,4096}@(?!sha256:)(?=[\w.-]+[:/])")
_QUERY = re.compile(r"(://[^\s\"'?]{0,4096})\?[^\s\"']+")


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
        for login in (_LOGIN, _IMAGE_LOGIN):
            text = login.sub(f"{HIDDEN}@", text)
        return _QUERY.sub(rf"\1?{HIDDEN}", text)

    def quote(self, lines: Sequence[str], numbers: Iterable[int]) -> str:
        """Quote lines by their numbers, each with its own."""
        wanted = sorted({number for number in numbers if 0 < number <= len(lines)})
        return "\n".join(
            f"line {number}: {self.hide(lines[number - 1].strip())[:LONGEST_QUOTE]}"
            for number in wanted
        )

    @staticmethod
    def in_text(text: str) -> list[str]:
        """Find what looks like one: an assignment, an option, a header, a well-known token."""
        return [
            *(value for name, value in _ASSIGNED.findall(text) if is_secret_name(name)),
            *(value for name, _, value in _QUOTED.findall(text) if is_secret_name(name)),
            *_OPTION.findall(text),
            *_HEADER.findall(text),
            *_KNOWN_TOKEN.findall(text),
        ]
