"""
An address that a batch is POSTed to. The standard library does it.
"""

from __future__ import annotations

import base64
import gzip
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from ...errors import ConfigError, SinkError
from ...urls import bare_url, is_loopback
from .answers import raise_for, seconds_of

TIMEOUT_S = 10.0
"""For connecting, and for each wait for bytes."""

GZIP_FROM_BYTES = 4096
ANSWER_BYTES = 65_536


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET, and would take the token elsewhere."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """Follow none, so that it is an answer like others."""


class Endpoint:
    """
    An address that a batch is POSTed to.

    Args:
        name: The sink's.

        url: http or https; user and password become basic authentication, unless a header
            ``Authorization`` is given.

        key: The setting that the address comes from.

    Raises:
        ConfigError: It is no such URL.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        key: str,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.name = name
        self.timeout_s = timeout_s
        self.shown = bare_url(url) or ""
        self._url, basic = _taken_apart(url, key)
        self._headers = {"User-Agent": "vllm-workbench", **basic, **(headers or {})}
        self._takes_gzip = True
        # No proxy knows the way to this machine.
        direct = [urllib.request.ProxyHandler({})] if is_loopback(self._url) else []
        self._opener = urllib.request.build_opener(_Stay(), *direct)

    def post(self, body: bytes, content_type: str) -> bytes:
        """
        Send, and return the answer's body.

        A large body is sent compressed. HTTP has no way to ask first who can read that, so who
        answers 400 or 415 gets it again as it is, and from then on only so.

        Raises:
            RefusedBatchError: A smaller one may be taken.
            SinkError: It was not taken.
        """
        packed = self._takes_gzip and len(body) >= GZIP_FROM_BYTES
        headers = {"Content-Type": content_type}
        if packed:
            zipped = gzip.compress(body, compresslevel=6, mtime=0)
            status, answer, wait_s = self._ask(zipped, {**headers, "Content-Encoding": "gzip"})
        if not packed or status in (400, 415):
            status, answer, wait_s = self._ask(body, headers)
            self._takes_gzip = self._takes_gzip and not (packed and 200 <= status < 300)
        raise_for(
            self.name,
            self.shown,
            status,
            retry_after_s=wait_s,
            said=answer.decode(errors="replace"),
        )
        return answer

    def _ask(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, float | None]:
        request = urllib.request.Request(
            self._url, body, {**self._headers, **headers}, method="POST"
        )
        try:
            try:
                answer = self._opener.open(request, timeout=self.timeout_s)
            except urllib.error.HTTPError as refusal:
                answer = refusal
            with answer:
                wait_s = seconds_of(answer.headers.get("Retry-After"))
                return answer.status, answer.read(ANSWER_BYTES), wait_s
        except (OSError, HTTPException) as exc:
            raise self._no_answer(exc) from exc

    def _no_answer(self, exc: Exception) -> SinkError:
        reason = getattr(exc, "reason", exc)
        why = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        if isinstance(reason, TimeoutError):
            why = f"no answer within {self.timeout_s:g} s"
        return SinkError(
            f"{self.shown} cannot be reached: {why}.",
            hint="It is tried again. Check that something listens there.",
            sink=self.name,
        )


def _taken_apart(url: str, key: str) -> tuple[str, dict[str, str]]:
    """Return the URL without user and password, which urllib would not understand, and these."""
    try:
        parts = urlsplit(url)
        host, user, _port = parts.hostname, parts.username, parts.port
    except ValueError:
        host, user = None, None
    if not host or parts.scheme not in ("http", "https") or not url.isascii() or " " in url:
        raise ConfigError(
            f"{key} is not a URL like http://localhost:5000/logs.",  # it may hold a password
            hint="`workbench status --settings` says where it comes from.",
            key=key,
            source=key,
        )
    netloc = parts.netloc.rpartition("@")[2]
    bare = urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))
    if user is None:
        return bare, {}
    pair = f"{unquote(user)}:{unquote(parts.password or '')}"
    return bare, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
