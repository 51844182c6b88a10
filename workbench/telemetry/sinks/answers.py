"""
What an HTTP status means for a sink: come back later, send less, or stop. Pure.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ...errors import SinkError
from .base import RefusedBatchError

SAID_CHARS = 200


def raise_for(
    name: str, place: str, status: int, *, retry_after_s: float | None = None, said: str = ""
) -> None:
    """
    Return for a success, and raise what any other status means.

    Args:
        name: The sink's.

        place: Where it was sent, fit to be shown.

        said: The answer's body.

    Raises:
        RefusedBatchError: 413, 400, 422: a part of it may be taken.
        SinkError: Everything else. Permanent unless it is 408, 425, 429 or 5xx.
    """
    if 200 <= status < 300:
        return
    why = f"{place} answered HTTP {status}{_quoted(said)}."
    if status in (400, 413, 422):
        raise RefusedBatchError(why, too_large=status == 413)
    passing = status in (408, 425, 429) or status >= 500
    raise SinkError(
        why,
        hint=None if passing else _hint(status),
        sink=name,
        retry_after_s=retry_after_s if passing else None,
        permanent=not passing,
    )


def seconds_of(retry_after: str | None, *, now: datetime | None = None) -> float | None:
    """
    Read ``Retry-After``: seconds, or a date. ``None`` for neither.

    Source:
        RFC 9110, 10.2.3.
    """
    text = (retry_after or "").strip()
    try:
        seconds = float(text)
        return seconds if math.isfinite(seconds) and seconds >= 0 else None
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - (now or datetime.now(UTC))).total_seconds())


def _quoted(said: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in said[:SAID_CHARS]).split())
    return f': "{line}"' if line else ""


def _hint(status: int) -> str:
    if status in (401, 403, 407):
        return "Check the key or token, and what it may do."
    if 300 <= status < 400:
        return "Set the address that it redirects to: a token is not taken along."
    return "Check the address."
