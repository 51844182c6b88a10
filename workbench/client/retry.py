"""
Sending again what was not delivered: when, how often, and after which wait.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeVar

from ..errors import (
    ClientError,
    RateLimitedError,
    RequestRejectedError,
    RequestTimeoutError,
    ServerFailureError,
    ServerUnreachableError,
    StreamInterruptedError,
)
from ..urls import is_loopback
from .base import Retries

T = TypeVar("T")

PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})
"""Refusals of now, not of this request. The SDK of OpenAI takes the same."""


async def with_retries(
    policy: Retries,
    attempt: Callable[[], Awaitable[T]],
    *,
    undelivered: Callable[[], bool] = lambda: True,
) -> T:
    """
    Await *attempt* until it brings something, fails for good, or the budget is used up.

    Args:
        undelivered: Asked after a failure; what has reached the caller cannot
            be sent again.
    """
    waited_s = 0.0
    for number in range(policy.times):
        try:
            return await attempt()
        except ClientError as exc:
            wait_s = wait_before(number, policy, asked_s=getattr(exc, "retry_after_s", None))
            spent = waited_s + wait_s > policy.budget_s
            if spent or not undelivered() or not passes(exc):
                raise
        waited_s += wait_s
        await asyncio.sleep(wait_s)
    return await attempt()


def passes(error: ClientError) -> bool:
    """Tell whether *error* may be gone if the same is asked again."""
    if isinstance(error, RequestTimeoutError):
        return error.phase == "connect"
    if isinstance(error, RequestRejectedError):
        return isinstance(error, RateLimitedError) or error.status_code in PASSING
    if isinstance(error, ServerFailureError):
        # No status: it hung up. 200 with nonsense is nobody's bad moment.
        return error.status_code is None or error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    if isinstance(error, ServerUnreachableError):
        # This machine's own kernel says at once that nobody listens, and means it.
        return not is_loopback(error.base_url or "")
    return isinstance(error, StreamInterruptedError)


def wait_before(number: int, policy: Retries, *, asked_s: float | None) -> float:
    """
    Say how long to wait after attempt *number*, in seconds.

    The server's own wish, if it has one, is a floor.
    """
    longest_s = min(policy.longest_wait_s, policy.first_wait_s * 2.0**number)
    return max(asked_s or 0.0, longest_s * random.uniform(0.5, 1.0))
