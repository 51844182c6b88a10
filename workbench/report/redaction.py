"""
What nobody shall read in a report: secrets, in every form that they may come in, and whose
machine it is. Pure.

A secret that is known goes wherever it stands: whole, as a piece that somebody cut off, and as
URLs, JSON, Base64 and hexadecimal write it. One that is not known goes by its form. Too much is
hidden rather than too little.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus

from ..doctor.secrets import HIDDEN, Secrets, is_secret_name

SHORTEST = 4
"""What is shorter protects nothing, and would blot out parts of other words."""

PIECE = 8
"""Characters of a secret in a row that tell something of it."""

NOBODYS = frozenset(
    {"root", "ubuntu", "debian", "user", "users", "me", "admin", "docker", "vllm", "workbench"}
    | {"test", "runner", "jovyan", "vscode", "home", "localhost", "host", "local", "public"}
    | {"default", "default user", "all users", "desktop.ini", "gpu", "wsl", "linux", "server"}
    | {"rocm", "cuda", "amd", "nvidia", "windows", "desktop", "laptop", "model", "models", "python"}
)
"""Names of users and hosts that are no person's."""

PUBLIC = (
    *("huggingface.co", "github.com", "docker.com", "docker.io", "nvidia.com", "amd.com"),
    *("vllm.ai", "microsoft.com", "nodejs.org", "python.org", "kernel.org", "git-scm.com"),
    *(
        "nginx.org",
        "pytorch.org",
        "python-httpx.org",
        "localhost",
        "127.0.0.1",
        "0.0.0.0",
        "[::1]",
        "ghcr.io",
        "quay.io",
    ),
)
"""Hosts that may be named, with all below them."""

_FORMS = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        (r"-----BEGIN [^-]*KEY-----.*?(?:-----END [^-]*KEY-----|\Z)", re.DOTALL),
        (r"\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}", 0),  # a JSON web token
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}", 0),
        (r"\b(?:hf_|gh[oprsu]_|github_pat_|glpat-|sk-|xox[a-z]-|wb-|npm_|nvapi-)[\w-]{9,}", 0),
        # A key of a connection string, a signature of an address: up to its end.
        (r"(?<=Key=)[^;\s\"']+", re.IGNORECASE),
        (r"(?<=\bsig=)[^&;\s\"']+", re.IGNORECASE),
        (r"(?<=\bpwd=)[^&;\s\"']+", re.IGNORECASE),
        (r"(?<=\bBasic )[\w+/=-]{4,}", re.IGNORECASE),
        (r"(?<=\bBearer )[^\s\"',;]+", re.IGNORECASE),
        (r"(?<=\s-u )[^\s:]+:\S+|(?<=--user[ =])[^\s:]+:\S+", 0),  # curl's
        (r"(?<=\bcookie: )[^\r\n\"']+", re.IGNORECASE),
        (r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}\b", 0),
        (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE),
        (r"(?<=GPU-)[0-9a-f]{16,}", re.IGNORECASE),
        # Hexadecimal that is no image's digest.
        (r"(?<!sha256:)(?<![0-9a-f])[0-9a-f]{32,}(?![0-9a-f])", re.IGNORECASE),
    )
)
# Long, and no word if it has letters of both kinds and digits: Base64 by its end, or any.
_WORD = re.compile(r"(?<![\w+/])[\w+/-]{20,}={1,2}(?!\w)|(?<![\w/+])[A-Za-z0-9+]{32,}(?![\w/])")
_KINDS = tuple(map(re.compile, ("[a-z]", "[A-Z]", "[0-9]")))

# {"api_key": "…"}, api-key: …, x-api-key=…
_PAIR = re.compile(
    r"(?P<name>[\w-]{1,80})(?P<between>[\"']?\s*[:=]\s*(?P<quote>\\?[\"']))(?P<value>.{1,4096}?)(?P=quote)"
)
_LINE = re.compile(
    r"^(?P<name>[ \t]{0,80}[\w-]{1,80})(?P<between>:[ \t]{1,80})(?P<value>\S.*)$", re.MULTILINE
)
# "refused: api_key: … is not valid", without quotes and in the middle of a line.
_INLINE = re.compile(
    r"(?P<name>[\w-]{1,80})(?P<between>:[ \t]{1,80})"
    r"(?P<value>[^\s\"',;]{1,4096}(?<!:))(?=[\s\"',;]|$)"
)

# Not 6.6.87.2-microsoft, nor 32.0.23033.1002: versions of kernels and drivers have four parts too.
_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_ADDRESS = re.compile(
    rf"(?<![\w.])(?!127\.|0\.0\.0\.0){_BYTE}(?:\.{_BYTE}){{3}}(?![\w.]|-[a-z])"
    r"|(?<![\w:])[0-9a-f]{1,4}(?::{1,2}[0-9a-f]{1,4}){4,7}(?![\w:])",
    re.IGNORECASE,
)
_HOST = re.compile(r"(?<=://)(\[[^\]\s]+\]|[^/\s:?#\"'@{}()<>,;|\]*]+)")
_HOME = re.compile(r"(?<=/home/)[^/\s:\"']+|(?<=/Users/)[^/\s:\"']+|(?<=\\Users\\)[^\\\s\"']+")


class Redactor:
    """
    Args:
        secrets: The values that are known.

        people: Names of users and hosts.

        places: What stands for a folder: ``{"/home/anna": "~"}``.
    """

    def __init__(
        self,
        secrets: Iterable[str] = (),
        *,
        people: Iterable[str] = (),
        places: Mapping[str, str] | None = None,
    ) -> None:
        values = {value for value in secrets if len(value) >= SHORTEST}
        forms = {form for value in values for form in _written(value)}
        self._whole = _any_of(forms)
        self._pieces = frozenset(piece for value in values for piece in _pieces(value))
        names = {name for name in people if len(name) >= 3 and not _is_nobodys(name)}
        self._people = _any_of(names, before=r"(?<![A-Za-z0-9])", after=r"(?![A-Za-z0-9])")
        self._places = sorted((places or {}).items(), key=lambda it: -len(it[0]))

    def text(self, text: str) -> str:
        """Hide what is to be hidden in a text."""
        text = self._whole.sub(HIDDEN, text) if self._whole else text
        text = self._without_pieces(text)
        found = {value for value in Secrets.in_text(text) if len(value) >= SHORTEST}
        text = Secrets(frozenset(found - {HIDDEN})).hide(text)
        for pairs in (_PAIR, _LINE, _INLINE):
            text = pairs.sub(_without_value, text)
        for form in _FORMS:
            text = form.sub(HIDDEN, text)
        text = _WORD.sub(_unless_a_word, text)
        return self.nobodys(text)

    def data(self, value: Any) -> Any:
        """Hide it in all texts of what becomes JSON; a secret's name hides all texts below it."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): _hidden(self.data(below))
                if is_secret_name(str(key))
                else self.data(below)
                for key, below in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.data(each) for each in value]
        return (
            value
            if value is None or isinstance(value, (bool, int, float))
            else self.text(str(value))
        )

    def nobodys(self, text: str) -> str:
        """Take away only whose it is: folders, names, hosts, addresses."""
        for place, instead in self._places:
            text = re.sub(rf"{re.escape(place)}(?![\w-])", lambda _: instead, text)  # noqa: B023
        text = self._people.sub("someone", text) if self._people else text
        text = _HOME.sub("me", text)
        text = _HOST.sub(_public_host, text)
        return _ADDRESS.sub("x.x.x.x", text)

    def _without_pieces(self, text: str) -> str:
        """Find what was cut off a secret: any eight of its characters in a row."""
        if not self._pieces:
            return text
        hidden = bytearray(len(text))
        for at in range(len(text) - PIECE + 1):
            if text[at : at + PIECE] in self._pieces:
                hidden[at : at + PIECE] = b"\1" * PIECE
        parts = [
            HIDDEN if hidden[run.start()] else text[run.start() : run.end()]
            for run in re.finditer(rb"\x00+|\x01+", bytes(hidden))
        ]
        return "".join(parts)


def _hidden(value: Any) -> Any:
    """Hide every text; a number is a count of tokens rather than a token."""
    if isinstance(value, Mapping):
        return {key: _hidden(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_hidden(each) for each in value]
    return HIDDEN if isinstance(value, str) else value


def _written(value: str) -> set[str]:
    """List the forms in which programs write a value."""
    raw = value.encode(errors="replace")
    return {
        value,
        quote(value, safe=""),
        quote_plus(value),
        quote(quote(value, safe=""), safe=""),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        escape(value),
        raw.hex(),
        value[::-1],
        *(_base64(raw, before) for before in range(3)),
    } - {""}


def _base64(raw: bytes, before: int) -> str:
    """Write it in Base64 as if *before* bytes stood before it, without what depends on others."""
    text = base64.b64encode(bytes(before) + raw).decode()
    begin = (0, 2, 3)[before]
    end = len(text) - (0, 3, 2)[(len(raw) + before) % 3]
    inner = text[begin:end]
    return inner if len(inner) >= PIECE else ""


def _pieces(value: str) -> set[str]:
    """Cut a secret up; what might be a word of any text stays out of it."""
    all_pieces = {value[at : at + PIECE] for at in range(len(value) - PIECE + 1)}
    return {piece for piece in all_pieces if not re.fullmatch(r"[a-z_/. -]+|[\d.:/ -]+", piece)}


def _any_of(words: Iterable[str], *, before: str = "", after: str = "") -> re.Pattern[str] | None:
    known = sorted(words, key=len, reverse=True)
    if not known:
        return None
    return re.compile(f"{before}(?:{'|'.join(map(re.escape, known))}){after}", re.IGNORECASE)


def _unless_a_word(found: re.Match[str]) -> str:
    return HIDDEN if all(kind.search(found[0]) for kind in _KINDS) else found[0]


def _without_value(found: re.Match[str]) -> str:
    if not is_secret_name(found["name"].strip()) or found["value"].startswith((HIDDEN, "$")):
        return found[0]
    begin, end = found.start("value") - found.start(), found.end("value") - found.start()
    return found[0][:begin] + HIDDEN + found[0][end:]


def _is_nobodys(name: str) -> bool:
    return name.lower() in NOBODYS or _is_public(name)


def _is_public(host: str) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in PUBLIC)


def _public_host(found: re.Match[str]) -> str:
    host = found[0].lower()
    return found[0] if _is_public(host) or host.startswith(HIDDEN) else "host"
