"""
Keyed hashes: equal prompts can be found again, but not guessed from the file.

A plain SHA-256 of a short prompt falls to a word list. With a key that stays
in the state folder, only who has the folder can try. Losing the key loses no
row: later hashes just no longer match earlier ones.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from ..errors import StoreError
from ..records import ChatMessage, fields_of
from ..secretfile import read_or_make

KEY_BYTES = 32
# Names the digest (HMAC-SHA-256) and the canonical form, so that a later change
# of either shows in the column instead of silently matching nothing.
HASH_PREFIX = "h1:"
PLAIN_PREFIX = "sha256:"


class Hasher:
    """
    Hashes with one key.

    Args:
        key: 32 secret bytes, see ``load_or_make_key``.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "Hasher(key=…)"

    def prompt(self, messages: Sequence[ChatMessage]) -> str:
        """Hash a conversation by its canonical JSON."""
        return self._digest(canonical_json(messages))

    def user(self, name: str) -> str:
        """Hash a user's name. No prompt has the same bytes: its JSON starts with ``[``."""
        return self._digest(f"user:{name}".encode(errors="backslashreplace"))

    def _digest(self, content: bytes) -> str:
        return HASH_PREFIX + hmac.new(self._key, content, hashlib.sha256).hexdigest()


class PlainHasher(Hasher):
    """
    Hashes prompts without the key, so that other programs come to the same.

    Whoever has the file can confirm a guess. A user's name keeps its key: there
    are few names to guess.
    """

    def __repr__(self) -> str:
        return "PlainHasher(key=…)"

    def prompt(self, messages: Sequence[ChatMessage]) -> str:
        """Hash a conversation by its canonical JSON."""
        return PLAIN_PREFIX + hashlib.sha256(canonical_json(messages)).hexdigest()


def canonical_json(messages: Sequence[ChatMessage]) -> bytes:
    """
    Write messages in the one form that is hashed.

    Keys are sorted, there is no white space, everything outside ASCII is
    escaped (half a surrogate pair too, which UTF-8 would refuse), and unset
    fields are left out: a field that ``ChatMessage`` gains later changes no
    earlier hash. Text is not normalised, as the server's tokeniser doesn't.
    """
    text = json.dumps(list(messages), default=_set_fields, sort_keys=True, separators=(",", ":"))
    return text.encode("ascii")


def load_or_make_key(path: Path) -> bytes:
    """
    Read the key, making it first when there is none. Safe in several processes at once.

    Raises:
        StoreError: The file can't be made or read, or holds no key.
    """
    try:
        key = read_or_make(path, lambda: secrets.token_bytes(KEY_BYTES))
    except OSError as error:
        raise StoreError(
            f"The telemetry key {path} cannot be used: {error.strerror or error}.",
            hint="Make the file and its folder readable and writable for you.",
            path=path,
        ) from error
    if len(key) != KEY_BYTES:
        raise StoreError(
            f"The telemetry key {path} has {len(key)} bytes instead of {KEY_BYTES}.",
            hint="Delete it: a new one is made. Hashes of before will not match those of after.",
            path=path,
        )
    return key


def _set_fields(value: object) -> dict[str, object]:
    return {
        name: content for name, content in fields_of(value).items() if content not in (None, ())
    }
