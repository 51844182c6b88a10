"""
One request, from sending to its outcome.

Everything that happens to a request happens here once, whoever asked and on
whichever loop: the model is found, phases are limited, events go into the
draft and to a reader, an error gets what had arrived, and the outcome is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from time import perf_counter
from typing import TypeAlias

from ..errors import (
    ClientError,
    ModelNotServedError,
    RequestRejectedError,
    RequestTimeoutError,
    StreamInterruptedError,
)
from ..records import Failure, Generation, Outcome
from . import refusals, wire
from .base import ChatBackend, ChatRequest, Delta, Event, Retries, Timeouts
from .draft import Draft
from .output import Parse, parsed
from .retry import with_retries
from .server_facts import ModelChoice, VllmVersion
from .trace import new_trace

Publish: TypeAlias = Callable[[Delta | None], object]

# After its last word a server gets this long to end the body, so that the
# connection can be used again.
GOODBYE_S = 1.0

HINT_BUSY = "Is the server busy? %wb status tells; or raise Timeouts.{name}."
HINT_STALLED = "See what the server does: %wb logs; or raise Timeouts.stream_s."
HINT_MODEL = "Name one of these, or start that one: workbench restart --model {requested}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    What every request of one client shares.

    Args:
        gate: Awaited before a request is sent; ``True``: the server may have
            become another meanwhile.

        asks_version: Ask for the server's version beside the first request.
    """

    base_url: str
    timeouts: Timeouts
    retries: Retries
    backend: Callable[[], Awaitable[ChatBackend]]
    model: ModelChoice
    version: VllmVersion
    tell: Callable[[Outcome], None]
    gate: Callable[[], Awaitable[bool]]
    asks_version: bool = False
    underway: set[Exchange] = field(default_factory=set)

    def close_here(self) -> None:
        """End what is under way on the running loop, whose connections are about to close."""
        here = asyncio.get_running_loop()
        for exchange in list(self.underway):
            if exchange.is_on(here):
                exchange.close()


class Exchange:
    """
    A request under way. Runs once; belongs to the loop it runs on.

    Args:
        request: What to ask. An empty model name means: the route's choice.

        streamed: Whether tokens are wanted as they come.

        parse: Reads the text into ``Generation.parsed``.

        publish: Called with every delta as it arrives, then once with ``None``.
    """

    def __init__(
        self,
        route: Route,
        request: ChatRequest,
        *,
        streamed: bool,
        parse: Parse | None = None,
        publish: Publish | None = None,
    ) -> None:
        self._route = route
        self._streamed = streamed
        self._parse = parse
        self._publish = publish
        self._task: asyncio.Task[object] | None = None
        self._abandoned = False
        self._closed = False
        self._sent = False
        self._delivered = False
        self.draft = Draft(
            replace(request, trace=new_trace()),
            base_url=route.base_url,
            started_at=datetime.now(UTC),
            sent_s=perf_counter(),
            streamed=streamed,
        )

    async def run(self) -> Generation:
        """
        Send the request, read the answer and tell the outcome, exactly once.

        Raises:
            ClientError: With what had arrived in ``partial``.

            OutputFormatError: All arrived, and does not read as it should. The
                request itself went well, and that is what is told.
        """
        self._task = asyncio.current_task()
        self._route.underway.add(self)
        try:
            if self._abandoned:
                raise asyncio.CancelledError
            await self._fetch()
        except BaseException as exc:
            self._route.tell(self._failure(exc))
            if self._closed and self._task and isinstance(exc, asyncio.CancelledError):
                self._task.uncancel()  # it is the caller's own, and goes on
                raise client_closed(self.draft.generation(perf_counter())) from None
            raise
        else:
            self.draft.server_version = self._route.version.known
            generation = self.draft.generation(perf_counter())
            self._route.tell(generation)
            if self._parse is None or generation.tool_calls:
                return generation  # a call comes before the answer that has the form
            return replace(generation, parsed=parsed(generation, self._parse))
        finally:
            self._task = None
            self._route.underway.discard(self)
            if self._publish:
                self._publish(None)

    def cancel(self) -> None:
        """Give up; the connection closes and the server's slot is free. Call on the loop."""
        # A task that is cancelled before its first step never runs at all, and
        # would not tell its outcome.
        self._abandoned = True
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        """Give up as :meth:`cancel`; whoever awaits it is told why. Call on the loop."""
        self._closed = True
        self.cancel()

    def is_on(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Tell whether it runs on *loop*."""
        return self._task is not None and self._task.get_loop() is loop

    async def _fetch(self) -> None:
        if await self._route.gate():
            self._route.model.forget()
        backend = await self._route.backend()
        named = bool(self.draft.request.model)
        if self._route.asks_version:
            self._route.version.ask_beside(backend)
        await self._prepare(backend)
        self.draft.started_at = datetime.now(UTC)
        self.draft.sent_s = perf_counter()
        try:
            await self._send(backend)
        except RequestRejectedError as exc:
            if exc.status_code != HTTPStatus.NOT_FOUND:
                raise
            if named or not await self._model_changed(backend):
                raise await self._not_found(backend, exc) from exc.__cause__
            await self._send(backend)

    async def _send(self, backend: ChatBackend) -> None:
        await with_retries(
            self._route.retries,
            lambda: self._attempt(backend),
            undelivered=lambda: not self._delivered,
        )

    async def _model_changed(self, backend: ChatBackend) -> bool:
        """Take what the server serves now, where nobody named a model; tell if it is another."""
        before = self.draft.request.model
        self._route.model.forget()
        try:
            model = await self._route.model.resolve(backend, base_url=self.draft.base_url)
        except ClientError:
            return False
        self.draft.request = replace(self.draft.request, model=model)
        return model != before

    async def _prepare(self, backend: ChatBackend) -> None:
        """Complete the request with what only the server knows."""
        route, draft = self._route, self.draft
        if not draft.request.model:
            model = await with_retries(
                route.retries, lambda: route.model.resolve(backend, base_url=draft.base_url)
            )
            draft.request = replace(draft.request, model=model)
        if wire.needs_version(draft.request):
            version = await route.version.resolve(backend)
            draft.request = replace(draft.request, vllm_version=version)

    async def _attempt(self, backend: ChatBackend) -> None:
        if self._sent:
            self.draft.begin_again()
        self._sent = True
        await (self._stream(backend) if self._streamed else self._answer(backend))

    async def _answer(self, backend: ChatBackend) -> None:
        limit_s = self._route.timeouts.answer_s
        try:
            async with asyncio.timeout(limit_s):
                events = await backend.answer(self.draft.request)
        except RequestTimeoutError:
            raise
        except TimeoutError as exc:
            raise self._too_slow("No answer", limit_s, name="answer_s") from exc
        for event in events:
            self.draft.add(event)

    async def _stream(self, backend: ChatBackend) -> None:
        limits, draft = self._route.timeouts, self.draft
        now = asyncio.get_running_loop().time
        try:
            async with (
                asyncio.timeout(limits.first_token_s) as deadline,
                backend.stream(draft.request) as batches,
            ):
                async for batch in batches:
                    progressed = self._take(batch)
                    if draft.ended_s is not None:
                        deadline.reschedule(now() + GOODBYE_S)
                    elif progressed:
                        limit_s = limits.stream_s
                        deadline.reschedule(None if limit_s is None else now() + limit_s)
        except StreamInterruptedError:
            if not draft.is_complete:
                raise
        except RequestTimeoutError:
            raise
        except TimeoutError as exc:
            if not draft.is_complete:
                raise self._stalled() from exc
        if not draft.is_complete:
            raise StreamInterruptedError(
                f"The stream from {draft.base_url} ended before the answer did, "
                f"after {draft.num_chunks} chunks.",
                hint=refusals.HINT_LOGS,
                base_url=draft.base_url,
            )

    def _take(self, batch: Sequence[Event]) -> bool:
        """Add events to the draft; return whether the answer got longer."""
        before = self.draft.num_chunks
        for event in batch:
            self.draft.add(event)
            if isinstance(event, Delta):
                self._delivered = True
                if self._publish:
                    self._publish(event)
        return self.draft.num_chunks > before

    def _failure(self, exc: BaseException) -> Failure:
        now_s = perf_counter()
        draft = self.draft
        draft.server_version = self._route.version.known
        partial = draft.generation(now_s) if draft.num_chunks else None
        if isinstance(exc, StreamInterruptedError):
            exc.partial = partial = draft.generation(now_s)
        elif isinstance(exc, ClientError):
            exc.partial = partial
        if isinstance(exc, ClientError):
            exc.request_id = exc.request_id or draft.request_id
        return Failure(
            error=exc,
            model=draft.request.model,
            messages=draft.request.messages,
            params=draft.request.params,
            timings=draft.timings(now_s),
            partial=partial,
            attempts=draft.attempts,
            server_version=draft.server_version,
            trace_id=draft.request.trace.trace_id if draft.request.trace else None,
            span_id=draft.request.trace.span_id if draft.request.trace else None,
            tags=draft.request.tags,
        )

    async def _not_found(
        self, backend: ChatBackend, refused: RequestRejectedError
    ) -> RequestRejectedError:
        # A 404 is a wrong model or a wrong path; a server that lists its
        # models and lacks this one settles which.
        requested = self.draft.request.model
        self._route.model.forget()
        try:
            listing = wire.read_models(await backend.fetch("models"))
        except ClientError:
            return refused
        served = tuple(model.name for model in listing)
        if requested in served:
            return refused
        return ModelNotServedError(
            f"{self.draft.base_url} does not serve {requested!r}. It serves: "
            f"{', '.join(served) or 'no model'}.",
            hint=HINT_MODEL.format(requested=requested),
            base_url=refused.base_url,
            request_id=refused.request_id,
            status_code=refused.status_code,
            body=refused.body,
            requested=requested,
            served=served,
        )

    def _stalled(self) -> RequestTimeoutError:
        limits, draft = self._route.timeouts, self.draft
        if not draft.num_chunks:
            return self._too_slow("No first token", limits.first_token_s, name="first_token_s")
        return RequestTimeoutError(
            f"The stream from {draft.base_url} stalled: nothing for {limits.stream_s:g} s "
            f"after {draft.num_chunks} chunks.",
            hint=HINT_STALLED,
            base_url=draft.base_url,
            phase="stream",
        )

    def _too_slow(self, what: str, limit_s: float | None, *, name: str) -> RequestTimeoutError:
        return RequestTimeoutError(
            f"{what} from {self.draft.base_url} within {limit_s:g} s.",
            hint=HINT_BUSY.format(name=name),
            base_url=self.draft.base_url,
            phase="first_token",
        )


def client_closed(partial: Generation) -> StreamInterruptedError:
    """Say that the client went while an answer came; *partial* is what there is of it."""
    return StreamInterruptedError(
        "The client was closed while the answer came.",
        base_url=partial.base_url,
        request_id=partial.request_id,
        partial=partial,
    )
