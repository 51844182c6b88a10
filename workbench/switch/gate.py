"""
What a request does that comes while models are switched: it waits, or fails with a clear word.
"""

from __future__ import annotations

import asyncio

from ..errors import ServerUnreachableError
from .journal import Journal

LOOK_EVERY_S = 0.1

HINT = (
    "Ask again when it is over (workbench status), or have requests wait: "
    "WORKBENCH_DURING_SWITCH=wait"
)


class Gate:
    """
    Asked before every request of this folder's clients, in any process.

    Args:
        waits: Whether a request is held until the switch is over.
    """

    def __init__(self, journal: Journal, *, waits: bool, base_url: str) -> None:
        self._journal = journal
        self._waits = waits
        self._base_url = base_url

    async def __call__(self) -> bool:
        """
        Let a request pass, at once or when the switch is over.

        Returns:
            Whether there was one: what the client knew of the server is old then.

        Raises:
            ServerUnreachableError: There is one, and requests do not wait.
        """
        going_on = self._journal.going_on()
        if going_on is None:
            return False
        if not self._waits:
            raise ServerUnreachableError(
                f"The model is being switched to {going_on.model}, and requests do not wait.",
                hint=HINT,
                base_url=self._base_url,
            )
        while self._journal.going_on():
            await asyncio.sleep(LOOK_EVERY_S)
        return True
