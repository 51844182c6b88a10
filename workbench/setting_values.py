"""
What a setting's text may be: each kind of value, and how it is read. Pure.

A reader returns the value or raises a ``ValueError`` whose words go behind
"NAME cannot be TEXT: ".
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from .urls import bare_url

Backend: TypeAlias = Literal["embedded", "compose", "remote"]

BACKENDS: tuple[Backend, ...] = ("embedded", "compose", "remote")

WaitOrFail: TypeAlias = Literal["wait", "fail"]

WAIT_OR_FAIL: tuple[WaitOrFail, ...] = ("wait", "fail")

PromptHash: TypeAlias = Literal["hmac", "sha256"]

PROMPT_HASHES: tuple[PromptHash, ...] = ("hmac", "sha256")

NO_SERVERS = ("observe", "sidecar")
"""Profiles of the compose file that run beside a server."""


class Secret:
    """A string that shows itself only when asked to: ``secret.reveal()``."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the string itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"


def revealed(secret: Secret | None) -> str | None:
    """Return the string, if there is one."""
    return None if secret is None else secret.reveal()


class Url(Secret):
    """An address that may hold a password or a key, and shows itself without them."""

    def __repr__(self) -> str:
        return bare_url(self._value) or "Url(…)"


def whole(text: str) -> int:
    """Read a whole number."""
    # int() also takes 1_024, which Compose would hand on to vLLM as it stands.
    if not re.fullmatch(r"[+-]?[0-9]{1,15}", text.strip()):
        raise ValueError("it is a whole number")
    return int(text)


def real(text: str) -> float:
    """Read a number."""
    if "_" in text:  # as above
        raise ValueError("it is a number")
    try:
        return float(text)
    except ValueError:
        raise ValueError("it is a number") from None


def positive(text: str) -> int:
    """Read a whole number above zero."""
    value = whole(text)
    if value <= 0:
        raise ValueError("it must be above zero")
    return value


def positive_real(text: str) -> float:
    """Read a number above zero."""
    value = real(text)
    if not 0 < value < float("inf"):
        raise ValueError("it must be above zero")
    return value


def share(text: str) -> float:
    """Read a share: above 0, at most 1."""
    value = real(text)
    if not 0 < value <= 1:
        raise ValueError("it is a share: above 0, at most 1")
    return value


def port(text: str) -> int:
    """Read a port; 0 is any free one."""
    value = whole(text)
    if not 0 <= value <= 65535:
        raise ValueError("a port is a number from 0 (any free one) to 65535")
    return value


def backend(text: str) -> Backend:
    """Read the name of a backend."""
    if text not in BACKENDS:
        raise ValueError(f"it is one of: {', '.join(BACKENDS)}")
    return text


def wait_or_fail(text: str) -> WaitOrFail:
    """Read what a request does meanwhile."""
    if text not in WAIT_OR_FAIL:
        raise ValueError(f"it is one of: {', '.join(WAIT_OR_FAIL)}")
    return text


def prompt_hash(text: str) -> PromptHash:
    """Read the name of a hash."""
    if text not in PROMPT_HASHES:
        raise ValueError(f"it is one of: {', '.join(PROMPT_HASHES)}")
    return text


def pattern(text: str) -> str:
    """Read a regular expression; it stays text."""
    try:
        re.compile(text)
    except re.error as exc:
        raise ValueError(f"it is no regular expression: {exc}") from None
    return text


def tags(text: str) -> str:
    """Read names and values; they stay text."""
    tags_of(text)
    return text


def tags_of(text: str | None) -> dict[str, str]:
    """
    Read ``name=value, name=value``.

    Raises:
        ValueError: A part has no name or no ``=``.
    """
    pairs = [part.partition("=") for part in (text or "").split(",") if part.strip()]
    if any(not name.strip() or not equals for name, equals, _ in pairs):
        raise ValueError("tags look like team=blue, run=7")
    return {name.strip(): value.strip() for name, _, value in pairs}


SIZES = {"": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def bytes(text: str) -> int:
    """Read a size: bytes, or with KiB, MiB or GiB."""
    found = re.fullmatch(r"([0-9]{1,15}) ?([KMG]iB)?", text.strip(), re.IGNORECASE)
    if not found or not int(found[1]):
        raise ValueError("it is a number of bytes, or 500 MiB, or 2 GiB")
    return int(found[1]) * SIZES[(found[2] or "").upper()]


def base_url(text: str) -> str:
    """Read a base URL, without a password."""
    parts = urlsplit(text)
    if parts.username or parts.password:
        raise ValueError("a password does not belong into a URL; use WORKBENCH_API_KEY")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a base URL looks like http://localhost:8000/v1")
    return text.rstrip("/")


def hub(text: str) -> str:
    """Read a hub's address, without a password."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("a hub's address looks like https://huggingface.co")
    return text.rstrip("/")


def profile(text: str) -> str | None:
    """Take the first that is a server: others may stand beside it, in any order."""
    names = [name.strip() for name in text.split(",")]
    return next((name for name in names if name and name not in NO_SERVERS), None)


def secret(text: str) -> Secret:
    """Read what becomes an HTTP header and is never shown."""
    text = text.strip()
    # It becomes an HTTP header. What is wrong is not quoted: it is a secret.
    if not text.isascii() or not text.isprintable():
        raise ValueError("it holds characters that a key cannot have")
    return Secret(text)


def switch(text: str) -> bool:
    """Read yes or no."""
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("it is 1 or 0")
