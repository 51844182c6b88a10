"""
A load in shares, and what came of them as one again. Pure.

Request *n* is the (n mod *count*)th share's, and the concurrency is shared out evenly. So in a
closed loop one may be through before another: at the very end less is under way than from one.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from .arrivals import Times
from .http1 import Target
from .load import Load, Progress, Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What :class:`.Loop` is given: all of a load, or a part of it."""

    target: Target
    requests: Sequence[bytes]
    due_s: Times
    concurrency: int | None = None
    stop_s: float | None = None
    patience_s: float = 600.0

    @property
    def streams(self) -> int:
        """The most that are under way at once."""
        return min(self.concurrency or len(self.requests), len(self.requests)) or 1


def split(whole: Share, count: int) -> list[Share]:
    """Share a load out."""
    return [
        Share(
            target=whole.target,
            requests=tuple(whole.requests[number::count]),
            due_s=whole.due_s[number::count],
            concurrency=_part(whole.concurrency, number, count),
            stop_s=whole.stop_s,
            patience_s=whole.patience_s,
        )
        for number in range(count)
    ]


def _part(whole: int | None, number: int, count: int) -> int | None:
    return None if whole is None else whole // count + (number < whole % count)


def merged(loads: Sequence[Load]) -> Load:
    """
    Lay together what each share came to, in the shares' order and on one clock.

    A request's number is the whole load's again.
    """
    late_s: array[float] = array("d")
    requests: list[Sent] = []
    for at, load in enumerate(loads):
        late_s.extend(load.read_late_s)
        for sent in load.requests:
            sent.number = sent.number * len(loads) + at
        requests += load.requests
    return Load(
        requests=sorted(requests, key=lambda sent: sent.number),
        started_s=min(each.started_s for each in loads),
        ended_s=max(each.ended_s for each in loads),
        read_late_s=late_s,
        kernel_stamps=all(each.kernel_stamps for each in loads),
    )


def unanswered(share: Share, why: str, *, began_s: float, sent: int | None = None) -> Load:
    """
    Return what a share came to whose sender is gone: errors.

    Args:
        sent: So many it had sent, as far as is known; ``None``: all were to be sent.
    """
    requests = [
        Sent(number, began_s + due_s, done_s=began_s)
        for number, due_s in enumerate(share.due_s[:sent])
    ]
    for each in requests:
        each.answer.fail(why)
    return Load(
        requests=requests,
        started_s=began_s,
        ended_s=began_s,
        read_late_s=array("d"),
        kernel_stamps=True,
    )


def nothing() -> Load:
    """Return what came before the beginning."""
    now_s = time.monotonic()
    late_s: array[float] = array("d")
    return Load(
        requests=[], started_s=now_s, ended_s=now_s, read_late_s=late_s, kernel_stamps=True
    )  # fmt: skip


def shifted(load: Load, by_s: float) -> Load:
    """Move a load's times to another clock."""
    for sent in load.requests:
        sent.due_s += by_s
        sent.sent_s = None if sent.sent_s is None else sent.sent_s + by_s
        sent.done_s = None if sent.done_s is None else sent.done_s + by_s
        stamps_s = sent.answer.stamps_s
        sent.answer.stamps_s = array("d", (at_s + by_s for at_s in stamps_s))
    load.started_s += by_s
    load.ended_s += by_s
    return load


def summed(each: Sequence[Progress]) -> Progress:
    """Say how far all are together."""
    return Progress(
        elapsed_s=max(one.elapsed_s for one in each),
        sent=sum(one.sent for one in each),
        done=sum(one.done for one in each),
        failed=sum(one.failed for one in each),
        tokens=sum(one.tokens for one in each),
    )
