"""
A batch that is refused as a whole is sent in smaller parts, down to the record that is to blame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...errors import SinkError
from ..record import TelemetryRecord

# So many records refused one by one, and none taken: it is not the records.
GIVE_UP_AFTER = 3


class RefusedBatchError(Exception):
    """
    A batch was refused for what is in it, or for its size; a smaller one may be taken.

    Args:
        why: What the address said, as a sentence.

        too_large: Its size is what is wrong.
    """

    def __init__(self, why: str, *, too_large: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.too_large = too_large


def send_in_parts(
    name: str,
    records: Sequence[TelemetryRecord],
    post: Callable[[Sequence[TelemetryRecord]], None],
) -> None:
    """
    Send all, halving what is refused.

    Args:
        name: The sink's.

        post: Sends some, or raises a ``RefusedBatchError``.

    Raises:
        SinkError: Some records were refused one by one; or *post* raised it.
    """
    waiting, refused, taken = [records], dict[str, RefusedBatchError](), 0
    while waiting:
        part = waiting.pop()
        try:
            post(part)
            taken += len(part)
        except RefusedBatchError as refusal:
            if len(part) > 1:
                half = len(part) // 2
                waiting += [part[half:], part[:half]]
            else:
                refused[part[0].id] = refusal
                give_up_if_none_is_taken(name, refused, taken)
    if refused:
        raise rejection(name, refused, len(records))


def give_up_if_none_is_taken(name: str, refused: dict[str, RefusedBatchError], taken: int) -> None:
    """
    Blame the address and not the records, if it takes none and not because of their size.

    Raises:
        SinkError: It is permanent, and rejects no record.
    """
    if taken or len(refused) < GIVE_UP_AFTER or any(each.too_large for each in refused.values()):
        return
    why = next(iter(refused.values())).why
    raise SinkError(
        f"{why} It takes no record at all.",
        hint="Check that the address takes what this sink sends; README.md says what arrives.",
        sink=name,
        permanent=True,
    )


def rejection(name: str, refused: dict[str, RefusedBatchError], sent: int) -> SinkError:
    """Make the error that names the records which will never be taken."""
    why = next(iter(refused.values())).why
    return SinkError(
        f"{why} That was {len(refused)} of {sent} records, each sent alone.",
        hint="They stay in the telemetry file, and are not sent there again.",
        sink=name,
        rejected=tuple(refused),
    )
