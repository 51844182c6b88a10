"""
Talk to a server that speaks OpenAI's chat API, and measure it while doing so.

The core is asynchronous (``achat``, ``astream``, ``amodels``). The plain verbs
run it on a background thread, so they work in a notebook, whose own loop is
busy with the cell. Nothing is imported or connected before the first request.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TypeAlias, TypeVar
from urllib.parse import urlsplit

from ..records import Generation, Outcome, SamplingParams, ServedModel
from . import refusals
from .backends import Backends
from .base import ChatBackend, ChatRequest, Delta, Timeouts, Tool
from .exchange import Exchange, ModelChoice, Route
from .loop_thread import LoopThread
from .messages import Messages, as_messages
from .stream import CLOSE_S, AsyncStream, Stream

log = logging.getLogger(__name__)

T = TypeVar("T")
OnOutcome: TypeAlias = Callable[[Outcome], object]

DEFAULT_URL = "http://localhost:8000/v1"
# One, because a kept connection that the server drops just as we write looks
# like a failure and is none. More would hide a server in trouble.
MAX_RETRIES = 1


class Client:
    """
    A server to talk to. May be used by several threads and loops at once.

    Args:
        base_url: Including ``/v1``, as the OpenAI SDK wants it.

        api_key: If the server asks for one. Never shown in any text.

        model: The served model to ask; without it the first one the server
            lists, asked once.

        timeouts: Limits of the phases of a request.

        on_outcome: Called once for every request with its ``Generation`` or
            ``Failure``, before the caller gets it, on the thread the request
            ran on. The error in a ``Failure`` is an ``asyncio.CancelledError``
            when the caller left. What the callback raises is logged.

        max_retries: How often a request that got no answer is sent again.
            Its TTFT then includes the attempts before. 0 for measuring.

    Raises:
        ValueError: *base_url* is not an HTTP address.

    Examples:
        with Client() as client:
            print(client.chat("Why is the sky blue?"))
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        model: str | None = None,
        timeouts: Timeouts | None = None,
        on_outcome: OnOutcome | None = None,
        max_retries: int = MAX_RETRIES,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a base URL looks like {DEFAULT_URL}, not {base_url!r}")
        timeouts = timeouts or Timeouts()

        def make_backend() -> ChatBackend:
            from .openai_adapter import OpenAIBackend

            return OpenAIBackend(
                base_url, api_key=api_key, connect_s=timeouts.connect_s, max_retries=max_retries
            )

        self._backends = Backends(make_backend)
        self._model = model
        self._route = Route(
            base_url=refusals.public_url(base_url),
            timeouts=timeouts,
            backend=self._backends.here,
            model=ModelChoice(model),
            tell=OutcomeTeller(on_outcome).tell,
        )
        self._loop = LoopThread(f"workbench-client-{parts.port}", holds=self._backends)
        # For the client that nobody closes. It must not wait: a collector
        # can run it on any thread.
        weakref.finalize(self, self._loop.close, wait=False).atexit = False

    def __repr__(self) -> str:
        return f"Client({self.base_url!r}, model={self._model!r})"

    @property
    def base_url(self) -> str:
        """The address, without a password it may carry."""
        return self._route.base_url

    def chat(
        self,
        messages: Messages,
        params: SamplingParams | None = None,
        *,
        model: str | None = None,
        tools: Sequence[Tool] | None = None,
    ) -> Generation:
        """
        Ask, wait and return the whole answer.

        Ctrl-C cancels the request at the server too. Without a stream there
        is no TTFT; ``stream(…).read()`` waits the same and has it.

        Args:
            messages: The user's words, or a conversation of ``ChatMessage``
                or OpenAI-style dictionaries.

            params: How to sample; unset means the server's default.

            model: Another model than the client's.

            tools: Functions the model may call, as OpenAI-style dictionaries.

        Raises:
            ClientError: See :mod:`workbench.errors`.
        """
        request = self._request(messages, params, model, tools)
        exchange = Exchange(self._route, request, streamed=False)
        result = self._loop.submit(exchange.run())
        return self._wait(result, exchange.cancel)

    def stream(
        self,
        messages: Messages,
        params: SamplingParams | None = None,
        *,
        model: str | None = None,
        tools: Sequence[Tool] | None = None,
    ) -> Stream:
        """Ask, and return the answer as it comes. Arguments as :meth:`chat`."""
        request = self._request(messages, params, model, tools)

        def start(queue: SimpleQueue[Delta | None]) -> Exchange:
            return Exchange(self._route, request, streamed=True, publish=queue.put)

        return Stream(start, self._loop, owner=self)

    def models(self) -> tuple[ServedModel, ...]:
        """List what the server serves."""
        result = self._loop.submit(self.amodels())
        return self._wait(result, result.cancel)

    async def achat(
        self,
        messages: Messages,
        params: SamplingParams | None = None,
        *,
        model: str | None = None,
        tools: Sequence[Tool] | None = None,
    ) -> Generation:
        """Await the whole answer, on the caller's loop. As :meth:`chat`."""
        request = self._request(messages, params, model, tools)
        return await Exchange(self._route, request, streamed=False).run()

    def astream(
        self,
        messages: Messages,
        params: SamplingParams | None = None,
        *,
        model: str | None = None,
        tools: Sequence[Tool] | None = None,
    ) -> AsyncStream:
        """Ask, and return the answer as it comes, on the caller's loop. As :meth:`stream`."""
        request = self._request(messages, params, model, tools)

        def start(queue: asyncio.Queue[Delta | None]) -> Exchange:
            return Exchange(self._route, request, streamed=True, publish=queue.put_nowait)

        return AsyncStream(start)

    async def amodels(self) -> tuple[ServedModel, ...]:
        """Await the list of what the server serves."""
        return await (await self._backends.here()).models()

    def close(self) -> None:
        """Cancel what runs on the client's thread and end it. Idempotent."""
        self._loop.close()

    async def aclose(self) -> None:
        """Close what was opened on the caller's loop, then as :meth:`close`."""
        await self._backends.aclose()
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _request(
        self,
        messages: Messages,
        params: SamplingParams | None,
        model: str | None,
        tools: Sequence[Tool] | None,
    ) -> ChatRequest:
        return ChatRequest(
            model=model or self._model or "",
            messages=as_messages(messages),
            params=params or SamplingParams(),
            tools=tuple(tools or ()),
        )

    def _wait(self, result: Future[T], cancel: Callable[[], object]) -> T:
        try:
            return result.result()
        finally:
            if not result.done():
                # Ctrl-C: the request must not go on without its caller.
                self._loop.call_soon(cancel)
                wait([result], timeout=CLOSE_S)


class OutcomeTeller:
    """Tells outcomes to a callback; what that raises is logged once and goes no further."""

    def __init__(self, callback: OnOutcome | None) -> None:
        self._callback = callback
        self._has_logged = False

    def tell(self, outcome: Outcome) -> None:
        """Call the callback, if there is one."""
        if self._callback is None:
            return
        try:
            self._callback(outcome)
        except Exception:
            if not self._has_logged:
                log.exception("on_outcome failed; further failures are not logged")
            self._has_logged = True
