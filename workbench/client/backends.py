"""
The adapters of one client: connections belong to the event loop they were made on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from .base import ChatBackend


class Backends:
    """One adapter for every event loop that asks."""

    def __init__(self, make: Callable[[], ChatBackend]) -> None:
        self._make = make
        self._kept: dict[asyncio.AbstractEventLoop, AsyncGenerator[ChatBackend, None]] = {}
        self._here: dict[asyncio.AbstractEventLoop, ChatBackend] = {}
        self._closed = False

    async def here(self) -> ChatBackend:
        """
        Return the running loop's adapter, made when first needed.

        Raises:
            RuntimeError: The client was closed.
        """
        if self._closed:
            raise RuntimeError("the client is closed")
        loop = asyncio.get_running_loop()
        if loop not in self._here:
            self._kept[loop] = self._keep(loop)
            self._here[loop] = await anext(self._kept[loop])
        return self._here[loop]

    async def aclose(self) -> None:
        """Close the running loop's adapter, and make no other."""
        self._closed = True
        if keeper := self._kept.get(asyncio.get_running_loop()):
            await keeper.aclose()

    async def _keep(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[ChatBackend, None]:
        # A generator, because asyncio.run finishes those before it closes its
        # loop: a caller who forgets aclose() still leaves no open socket.
        backend = self._make()
        try:
            yield backend
        finally:
            del self._here[loop], self._kept[loop]
            await backend.aclose()
