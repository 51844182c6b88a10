"""
What a server tells those who have no key.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..servers.base import ask
from ..urls import is_loopback, root_url
from .base import TIMEOUT_S, Found, Target, fails, skips, warns, works

REFUSALS = (401, 403)

EXPOSED = "Whoever reaches the port can use it: start the server with a key, or put a proxy before."
PARTLY = "vLLM's key guards /v1 alone: let no others reach the port, or put a proxy before."


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    A path below the root, asked without the key; a ``post`` sends an empty object.

    An empty object starts no work: a server that lets it in refuses it as
    incomplete (400), and that answer is the proof.
    """

    path: str
    post: bool = False

    def __call__(self, target: Target) -> Found:
        """Ask it as somebody without the key."""
        status = _status(target, self)
        seen = f"{'POST' if self.post else 'GET'} {self.path} without a key → {status}"
        if status == 0:
            return fails(seen, "Nobody answers there.")
        if status in REFUSALS:
            return works(seen, "Guarded by the key.")
        if status == 404:
            return skips(seen, "There is no such endpoint.")
        if self.path == "/health":
            return works(seen, "Open, as whoever watches the server needs it.")
        return self._open(target, seen)

    def _open(self, target: Target, seen: str) -> Found:
        """Judge an endpoint that takes anybody: by who can come, and by what the others do."""
        keyed = [other for other in GUARDED if _status(target, other) in REFUSALS]
        if keyed and self in GUARDED:
            return fails(seen, f"Open, although {keyed[0].path} is guarded: something is wrong.")
        if is_loopback(target.base_url):
            return works(seen, "Open, to programs on this machine only.")
        return warns(seen, PARTLY if keyed else EXPOSED)


def _status(target: Target, endpoint: Endpoint) -> int:
    url = root_url(target.base_url) + endpoint.path
    return ask(url, body={} if endpoint.post else None, timeout_s=TIMEOUT_S).status


MODELS = Endpoint("/v1/models")
CHAT = Endpoint("/v1/chat/completions", post=True)
COMPLETIONS = Endpoint("/v1/completions", post=True)
TOKENIZE = Endpoint("/tokenize", post=True)
METRICS = Endpoint("/metrics")
HEALTH = Endpoint("/health")

GUARDED = (MODELS, CHAT, COMPLETIONS)
"""What vLLM's ``--api-key`` guards, together with everything else below ``/v1``."""
