"""
Whether a reader who leaves frees the server: asked of the server, not of the client.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from ..client import Stream
from ..servers.metrics_page import count_requests, text_of
from .base import Found, Target, fails, metrics_page, skips, warns, works
from .chats import LONG_QUESTION, SAMPLED

SEEN_WITHIN_S = 5.0
FREED_WITHIN_S = 10.0
LOOK_EVERY_S = 0.02

LONG_TOKENS = 1500
"""Seconds of work on any machine, where the context has the room."""

OTHERS = "Unless others have begun to use it: then probe again when it is idle."


def cancellation(target: Target) -> Found:
    """Leave a stream, and look whether the server goes on with it."""
    before = _running(target)
    if before is None:
        return skips(
            "/metrics has no vllm:num_requests_running", "Whether a slot is freed cannot be seen."
        )
    with _long_stream(target) as stream, closing(stream.deltas()) as deltas:
        next(deltas, None)
        during = _watched(target, lambda running: running > before, SEEN_WITHIN_S)
    after = _watched(target, lambda running: running <= before, FREED_WITHIN_S)
    return _judged(before, during, after)


def _judged(before: float, during: float | None, after: float | None) -> Found:
    if during is None or after is None:
        return fails("/metrics answered before the stream, and not since", "See: workbench logs")
    seen = f"running requests: {before:g} before, {during:g} while streaming, {after:g} after"
    if after > before:
        return fails(seen, f"A reader who leaves does not stop the server. {OTHERS}")
    if during <= before:
        return warns(seen, "The stream was over before the metrics showed it.")
    return works(seen, "A reader who leaves frees the server at once.")


def _long_stream(target: Target) -> Stream:
    """Begin an answer that goes on until it is left; only a vLLM's check comes here."""
    room = target.model.max_model_len or LONG_TOKENS
    params = replace(SAMPLED, max_tokens=min(LONG_TOKENS, room // 2), ignore_eos=True)
    return target.client.stream(LONG_QUESTION, params)


def _watched(target: Target, holds: Callable[[float], bool], within_s: float) -> float | None:
    """Look until it holds or the time is over, and return the last number that was seen."""
    deadline_s = time.monotonic() + within_s
    while True:
        running = _running(target)
        if (running is not None and holds(running)) or time.monotonic() > deadline_s:
            return running
        time.sleep(LOOK_EVERY_S)


def _running(target: Target) -> float | None:
    return count_requests(text_of(metrics_page(target)), "running")
