"""
What a check is given, what it returns, and how it says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from ..client import Client, Timeouts
from ..records import SamplingParams, ServedModel, Verdict
from ..servers.base import Answer
from ..servers.metrics_page import ask_page
from ..urls import root_url

TIMEOUTS = Timeouts(connect_s=5.0, first_token_s=30.0, stream_s=20.0, answer_s=45.0)
"""Shorter than for a person's question: these are small, and a probe must end."""

TIMEOUT_S = 10.0
"""For what is asked beside the client."""

MAX_SHOWN = 60
"""Of what a model said, so that the evidence stays a line."""

GREEDY = SamplingParams(temperature=0, max_tokens=256)
"""Room for a model that thinks first."""

SHORT = SamplingParams(temperature=0, max_tokens=32)


THINKS = "It came to its last token: it may still have been thinking, and needs more max_tokens."


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    The server and the model that are probed.

    Args:
        client: Records nothing and sends nothing again.

        api_key: For what is asked beside the client.
    """

    client: Client
    model: ServedModel
    api_key: str | None = field(default=None, repr=False)

    @property
    def base_url(self) -> str:
        """The address, without a password it may carry."""
        return self.client.base_url


@dataclass(frozen=True, slots=True)
class Found:
    """What a check came to; its fields are those of :class:`~workbench.records.Check`."""

    verdict: Verdict
    seen: str
    means: str


works = partial(Found, Verdict.PASS)
warns = partial(Found, Verdict.WARN)
skips = partial(Found, Verdict.SKIP)
fails = partial(Found, Verdict.FAIL)

Ask: TypeAlias = Callable[[Target], Found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """
    One line of the matrix, before it is asked.

    Args:
        without: What it means that the server refuses the request as one that it
            does not know. ``None`` for what every server must have.
    """

    group: str
    id: str
    ask: Ask
    without: str | None = None


def metrics_page(target: Target) -> Answer:
    """Get the server's ``/metrics``; what the network does is an answer too."""
    root = root_url(target.base_url)
    return ask_page(root, api_key=target.api_key, timeout_s=TIMEOUT_S)


def short(text: str | None) -> str:
    """Quote the beginning of what was said, on one line."""
    line = " ".join((text or "").split())
    return f"“{line[:MAX_SHOWN]}…”" if len(line) > MAX_SHOWN else f"“{line}”"
