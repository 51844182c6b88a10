"""
A thread with an event loop, for the synchronous doors of an asynchronous core.

A notebook's own loop is busy running the cell that asks, so it can't be
used. Not anyio's portal: its worker is joined at exit, and a client that
nobody closed would keep the interpreter from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

CLOSE_S = 2.0


class LoopThread:
    """
    Runs coroutines for threads that have no loop of their own.

    Starts with the first coroutine. A daemon: it ends with the interpreter.

    Args:
        name: Of the thread, as debuggers show it.

        holds: What must live as long as the loop, because it closes there.
    """

    def __init__(self, name: str, *, holds: object) -> None:
        self._name = name
        self._holds = holds
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._closed = False

    def submit(self, work: Coroutine[object, object, T]) -> Future[T]:
        """Start *work* on the loop and return at once."""
        try:
            return asyncio.run_coroutine_threadsafe(work, self._running())
        except RuntimeError:
            work.close()
            raise

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Run *callback* on the loop; do nothing when it is gone."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(callback)
            except RuntimeError:
                # Closed between the question and the call: nothing is left to tell.
                return

    def close(self, *, wait: bool = True) -> None:
        """Cancel what runs and end the thread. Idempotent."""
        with self._lock:
            self._closed = True
            thread, stop = self._thread, self._stop
        if thread is None or stop is None:
            return
        self.call_soon(stop.set)
        # A finaliser can run on any thread, this one included.
        if wait and thread is not threading.current_thread():
            thread.join(CLOSE_S)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._closed:
                raise RuntimeError("the client is closed")
            if self._thread is threading.current_thread():
                raise RuntimeError("a callback on the client's thread must use achat or astream")
            if self._loop is None:
                ready = threading.Event()
                self._thread = threading.Thread(
                    target=self._main, args=(ready,), name=self._name, daemon=True
                )
                self._thread.start()
                ready.wait()
            assert self._loop is not None
            return self._loop

    def _main(self, ready: threading.Event) -> None:
        asyncio.run(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        ready.set()
        await self._stop.wait()
        # asyncio.run cancels the rest. Let work that was submitted just before
        # start first, so that it is cancelled where it knows how to say so.
        await asyncio.sleep(0)
