"""
What a client learns of its server when a request first needs it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ..errors import ClientError, RequestRejectedError, ServerFailureError
from . import refusals, wire
from .base import ChatBackend


class ModelChoice:
    """
    The model to ask for when a request names none: the client's, else the server's first.

    The server is asked once; :meth:`forget` makes the next request ask again.
    """

    def __init__(self, model: str | None) -> None:
        self._given = model
        self._found: str | None = None

    async def resolve(self, backend: ChatBackend, *, base_url: str) -> str:
        """Return the model's name, asking the server if nobody said."""
        name = self._given or self._found
        if name is None:
            served = wire.read_models(await backend.fetch("models"))
            if not served:
                raise ServerFailureError(
                    f"{base_url} serves no model.",
                    hint=refusals.HINT_LOGS,
                    base_url=base_url,
                    status_code=200,
                )
            name = self._found = served[0].name
        return name

    def forget(self) -> None:
        """Drop what the server said: it serves something else now."""
        self._found = None


class VllmVersion:
    """The server's version, asked once; ``None`` for a server that is no vLLM."""

    def __init__(self) -> None:
        self._known = False
        self._version: str | None = None
        self._asking: asyncio.Task[None] | None = None

    async def resolve(self, backend: ChatBackend) -> str | None:
        """Return it, asking the server the first time."""
        if not self._known:
            self._version = await _version(backend)
            self._known = True
        return self._version

    @property
    def known(self) -> str | None:
        """The version, if it was asked for and is a vLLM's."""
        return self._version

    def ask_beside(self, backend: ChatBackend) -> None:
        """Begin to ask, unless it is known or somebody does; nobody waits for it."""
        if not self._known and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask(backend))

    async def _ask(self, backend: ChatBackend) -> None:
        with suppress(ClientError):  # the request itself will tell what is wrong
            await self.resolve(backend)


async def _version(backend: ChatBackend) -> str | None:
    try:
        answer = await backend.fetch("/version")
    except RequestRejectedError:
        return None
    except ClientError as exc:
        if getattr(exc, "status_code", None) == 200:
            return None  # some page, of a server that answers any path
        raise
    version = answer.get("version")
    return version if isinstance(version, str) else None
