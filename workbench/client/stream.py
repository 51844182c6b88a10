"""
An answer that is still being written, for the two kinds of readers.

The request runs on a loop of its own pace: chunks are stamped when they
arrive and wait for the reader, who takes all that is there at once. A reader
that is slow (a cell being redrawn) therefore never looks like a slow server.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, wait
from contextlib import aclosing, closing
from itertools import groupby
from operator import attrgetter
from queue import Empty, SimpleQueue
from time import perf_counter
from types import TracebackType
from typing import Self

from ..records import Generation
from .base import Delta
from .exchange import Exchange, client_closed
from .loop_thread import LoopThread

# Cancelling takes milliseconds; this only keeps a wedged loop from taking the
# reader with it.
CLOSE_S = 2.0


class Stream:
    """
    An answer as it comes: iterate over its text, then look at ``generation``.

    The request has been sent when the stream exists. Leaving the loop early,
    by ``break``, an exception or Ctrl-C, closes the stream and frees the
    server's slot, as do ``close()``, the end of a ``with`` block and
    forgetting the stream.

    Examples:
        with client.stream("Why is the sky blue?") as stream:
            for piece in stream:
                print(piece, end="", flush=True)
        stream.generation.ttft_s
    """

    def __init__(
        self,
        start: Callable[[SimpleQueue[Delta | None]], Exchange],
        loop: LoopThread,
        *,
        owner: object,
    ) -> None:
        # Whoever ends the loop when forgotten: not while this is read.
        self._owner = owner
        self._queue: SimpleQueue[Delta | None] = SimpleQueue()
        self._exchange = start(self._queue)
        self._result: Future[Generation] = loop.submit(self._exchange.run())
        self._ended = False
        self._closed = False
        # The exchange does not know its stream, so a forgotten stream dies
        # at once and this cancels the request.
        self._give_up = weakref.finalize(self, loop.call_soon, self._exchange.cancel)
        self._give_up.atexit = False

    def __repr__(self) -> str:
        return f"<Stream {_state(self._result.done())}: {self._exchange.draft.num_chunks} chunks>"

    def __iter__(self) -> Iterator[str]:
        """Yield the first answer's text as it comes, everything that waits in one piece."""
        with closing(self.deltas()) as deltas:
            for delta in deltas:
                if delta.text and delta.choice == 0:
                    yield delta.text

    def deltas(self) -> Generator[Delta, None, None]:
        """
        Yield deltas, with reasoning and tool calls beside the text.

        What waits is merged into one; its stamp is that of the first.
        """
        try:
            while waiting := self._take():
                yield from _merged(waiting)
            self._check()
        finally:
            self.close()

    @property
    def generation(self) -> Generation:
        """The answer; while it comes, or after it broke off, what there is of it."""
        if self._result.done() and not self._result.cancelled() and not self._result.exception():
            return self._result.result()
        return self._exchange.draft.generation(perf_counter())

    def read(self) -> Generation:
        """Wait for the end and return the answer, without looking at its pieces."""
        try:
            wait([self._result])
            self._check()
        finally:
            self.close()
        return self.generation

    def close(self) -> None:
        """End the request if it still runs, and free the server's slot. Idempotent."""
        self._closed = self._closed or not self._result.done()
        self._give_up()
        # Until the connection is closed, so that the slot is free on return.
        wait([self._result], timeout=CLOSE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self) -> list[Delta]:
        """Wait for deltas and take all there are; empty at the end."""
        waiting: list[Delta] = []
        while not self._ended:
            try:
                delta = self._queue.get(block=not waiting)
            except Empty:
                break
            if delta is None:
                self._ended = True
            else:
                waiting.append(delta)
        return waiting

    def _check(self) -> None:
        """Raise what the request raised."""
        try:
            self._result.result()
        except CancelledError:
            if not self._closed:
                raise client_closed(self.generation) from None


class AsyncStream:
    """
    A :class:`Stream` for code that awaits; runs on the caller's loop.

    Examples:
        async with client.astream("Why is the sky blue?") as stream:
            async for piece in stream:
                print(piece, end="", flush=True)
    """

    def __init__(self, start: Callable[[asyncio.Queue[Delta | None]], Exchange]) -> None:
        self._queue: asyncio.Queue[Delta | None] = asyncio.Queue()
        self._exchange = start(self._queue)
        self._task = asyncio.get_running_loop().create_task(self._exchange.run())
        self._ended = False
        self._closed = False
        # A collector can run on any thread, and a task is cancelled on its loop only.
        loop = asyncio.get_running_loop()
        self._give_up = weakref.finalize(self, _cancel_on, loop, self._exchange)
        self._give_up.atexit = False

    def __repr__(self) -> str:
        done = self._task.done()
        return f"<AsyncStream {_state(done)}: {self._exchange.draft.num_chunks} chunks>"

    async def __aiter__(self) -> AsyncIterator[str]:
        """Yield text as it comes, everything that waits in one piece."""
        async with aclosing(self.deltas()) as deltas:
            async for delta in deltas:
                if delta.text and delta.choice == 0:
                    yield delta.text

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        """Yield deltas, as :meth:`Stream.deltas`."""
        try:
            while waiting := await self._take():
                for delta in _merged(waiting):
                    yield delta
            await self._check()
        finally:
            await self.aclose()

    @property
    def generation(self) -> Generation:
        """The answer; while it comes, or after it broke off, what there is of it."""
        if self._task.done() and not self._task.cancelled() and not self._task.exception():
            return self._task.result()
        return self._exchange.draft.generation(perf_counter())

    async def read(self) -> Generation:
        """Wait for the end and return the answer, without looking at its pieces."""
        try:
            await asyncio.wait([self._task])
            await self._check()
        finally:
            await self.aclose()
        return self.generation

    async def aclose(self) -> None:
        """End the request if it still runs, and free the server's slot. Idempotent."""
        self._closed = self._closed or not self._task.done()
        self._give_up()
        await asyncio.wait([self._task], timeout=CLOSE_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _take(self) -> list[Delta]:
        waiting: list[Delta] = []
        while not self._ended:
            if waiting and self._queue.empty():
                break
            delta = await self._queue.get()
            if delta is None:
                self._ended = True
            else:
                waiting.append(delta)
        return waiting

    async def _check(self) -> None:
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()
        elif not self._closed:
            raise client_closed(self.generation)


def _merged(deltas: Iterable[Delta]) -> Iterator[Delta]:
    """Put together what follows on each other in one answer."""
    for choice, run in groupby(deltas, key=attrgetter("choice")):
        first, *rest = run
        if not rest:
            yield first
            continue
        every = [first, *rest]
        yield Delta(
            first.at_s,
            "".join([delta.text for delta in every]),
            "".join([delta.reasoning for delta in every]),
            tuple(part for delta in every for part in delta.tool_calls),
            tuple(token for delta in every for token in delta.logprobs),
            choice,
        )


def _cancel_on(loop: asyncio.AbstractEventLoop, exchange: Exchange) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(exchange.cancel)


def _state(done: bool) -> str:
    return "ended" if done else "running"
