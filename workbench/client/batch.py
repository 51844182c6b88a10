"""
Many prompts, a few at a time: one row for each, errors too.

Prompts are taken one by one when a slot is free, so that a generator of a
hundred thousand costs no more memory than their rows. Those under way are
cancelled when the batch ends early, which frees the server's slots.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sized,
)
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields
from functools import partial
from itertools import islice
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, Unpack

from ..errors import (
    AuthenticationError,
    ClientError,
    ModelNotServedError,
    RequestTimeoutError,
    ServerUnreachableError,
)
from ..records import ChatMessage, Generation, Progress, SamplingParams, ToolCall
from .kept import KeptAnswers, key_of
from .messages import Messages, as_messages
from .output import Parse, as_output, parsed
from .tools import as_tools

if TYPE_CHECKING:
    from .ask import Ask
    from .client import Client

T = TypeVar("T")

Prompts: TypeAlias = Iterable[Messages] | AsyncIterable[Messages]
Keep: TypeAlias = str | os.PathLike[str]
OnProgress: TypeAlias = Callable[[Progress], object]

CONCURRENCY = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    What became of one prompt. Numbers as in :class:`~workbench.records.Generation`.

    Args:
        index: Of the prompt, in the order given.

        prompt: Its text; of a conversation the last message's.

        text: The answer, or what had arrived before the error.

        error_type: The error's class; ``None`` when all went well.
    """

    index: int
    prompt: str
    text: str | None = None
    parsed: Any = None
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_latency_s: float | None = None
    attempts: int | None = None
    request_id: str | None = None
    error_type: str | None = None
    error: str | None = None


# Not the prompt, which is the caller's; not the error's message, which may quote it.
_KEPT = [
    item.name for item in fields(Row) if item.name not in ("index", "prompt", "parsed", "error")
]

_COPIED = ("text", "reasoning", "tool_calls", "finish_reason", "attempts", "request_id")
_MEASURED = ("ttft_s", "tpot_s", "e2e_latency_s")


def quiet(_progress: Progress) -> None:
    """Show nothing."""


async def amap(
    client: Client,
    prompts: Prompts,
    params: SamplingParams | None = None,
    *,
    concurrency: int = CONCURRENCY,
    keep: Keep | None = None,
    on_progress: OnProgress = quiet,
    **ask: Unpack[Ask],
) -> list[Row]:
    """Await one row for each prompt, on the caller's loop. As ``Client.map``."""
    batch = Batch(
        client, params, concurrency=concurrency, keep=keep, on_progress=on_progress, ask=ask
    )
    return await batch.run(each(prompts), total=count(prompts))


class Batch:
    """
    Prompts under way. Runs once; belongs to the loop it runs on.

    Raises:
        ValueError: Less than one at a time, or more than one answer to a prompt.
    """

    def __init__(
        self,
        client: Client,
        params: SamplingParams | None,
        *,
        concurrency: int,
        keep: Keep | None,
        on_progress: OnProgress,
        ask: Ask,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency is at least 1, not {concurrency}")
        if params and (params.n or 1) > 1:
            raise ValueError("a row is one answer: give the prompt n times instead of n")
        self._client = client
        self._params = params
        self._keep = keep
        self._on_progress = on_progress
        self._ask, self._parse = _prepared(ask)
        self._slots = asyncio.Semaphore(concurrency)
        self._rows: dict[int, Row] = {}
        self._errors = 0
        self._total: int | None = None
        self._any_finished = False
        self._task: asyncio.Task[object] | None = None
        self._abandoned = False

    async def run(self, prompts: AsyncIterator[Messages], *, total: int | None) -> list[Row]:
        """Ask them all; what ends it early is raised after the rest has been cancelled."""
        self._task, self._total = asyncio.current_task(), total
        if self._abandoned:
            raise asyncio.CancelledError
        with self._kept() as kept:
            if kept:
                # The answer depends on it, and another may be served next time.
                self._ask["model"] = await self._client.amodel_name(self._ask.get("model"))
            try:
                await self._all(prompts, kept)
            except BaseExceptionGroup as group:
                first = group.exceptions[0]
                raise first from first.__cause__
        return [self._rows[index] for index in range(len(self._rows))]

    def _kept(self) -> AbstractContextManager[KeptAnswers | None]:
        if self._keep is None:
            return nullcontext()
        return KeptAnswers(self._keep, base_url=self._client.base_url)

    def cancel(self) -> None:
        """Give up, those under way too. Call on the loop."""
        self._abandoned = True
        if self._task is not None:
            self._task.cancel()

    async def _all(self, prompts: AsyncIterator[Messages], kept: KeptAnswers | None) -> None:
        index = 0
        async with asyncio.TaskGroup() as group:
            await self._slots.acquire()
            async for prompt in prompts:
                key = self._key(index, prompt) if kept else ""
                row = self._taken(index, prompt, kept.take(key)) if kept else None
                if row is None:
                    group.create_task(self._ask_one(index, prompt, key, kept))
                    await self._slots.acquire()
                else:
                    self._add(row)
                index += 1

    async def _ask_one(
        self, index: int, prompt: Messages, key: str, kept: KeptAnswers | None
    ) -> None:
        try:
            row = await self._asked(index, prompt)
        finally:
            self._slots.release()
        if kept:
            kept.add(key, {name: getattr(row, name) for name in _KEPT})
        self._add(row)

    async def _asked(self, index: int, prompt: Messages) -> Row:
        answer, error = None, None
        value: object = None
        try:
            with _named(index):
                stream = self._client.astream(prompt, self._params, **self._ask)
            answer = await stream.read()
            asked_tool = bool(answer.tool_calls)
            value = parsed(answer, self._parse) if self._parse and not asked_tool else None
        except ClientError as exc:
            if not self._any_finished and _hits_all(exc):
                raise
            answer, error = exc.partial, exc
        self._any_finished = True
        return _row(index, prompt, answer, value, error)

    def _key(self, index: int, prompt: Messages) -> str:
        with _named(index):
            turns = as_messages(prompt, system=self._ask.get("system"))
        params = (self._params or SamplingParams()).given()
        asked = {name: value for name, value in self._ask.items() if name != "tags"}
        return key_of({**asked, "messages": turns, "params": params})

    def _taken(self, index: int, prompt: Messages, answer: Mapping[str, Any] | None) -> Row | None:
        if answer is None:
            return None
        facts: dict[str, Any] = {name: answer.get(name) for name in _KEPT}
        try:
            facts["tool_calls"] = tuple(ToolCall(**call) for call in answer["tool_calls"])
            value = self._parse(answer["text"]) if self._parse else None
        except (KeyError, TypeError, ValueError, RecursionError):
            return None  # edited, or the type has become stricter: asked again
        return Row(index=index, prompt=_text_of(prompt), parsed=value, **facts)

    def _add(self, row: Row) -> None:
        self._rows[row.index] = row
        self._errors += row.error_type is not None
        plural = "" if self._errors == 1 else "s"
        self._on_progress(
            Progress(
                label=f"{self._errors} error{plural}",
                done=len(self._rows),
                total=self._total,
                unit="requests",
            )
        )


class Errands:
    """
    What a loop's thread has done by the thread that waits for it.

    A caller's generator may print, read a database or use the client, and a
    notebook shows what is written in the cell of the writing thread: both
    belong on the caller's own.

    Args:
        call_soon: Runs a callback on the loop, if that is still there.
    """

    def __init__(self, call_soon: Callable[[Callable[[], object]], object]) -> None:
        self._call_soon = call_soon
        self._queue: SimpleQueue[Callable[[], object] | None] = SimpleQueue()

    def run(self) -> None:
        """Do what is asked until :meth:`end`."""
        while (errand := self._queue.get()) is not None:
            errand()

    def end(self, _result: Future[Any]) -> None:
        """Let :meth:`run` return."""
        self._queue.put(None)

    def later(self, function: Callable[[T], object]) -> Callable[[T], None]:
        """Return *function* such that the waiting thread calls it."""
        return lambda argument: self._queue.put(lambda: function(argument))

    async def each(self, items: Iterable[T]) -> AsyncIterator[T]:
        """Yield *items*, each taken by the waiting thread when it is wanted."""
        source = iter(items)
        while True:
            taken: asyncio.Future[tuple[T, ...]] = asyncio.get_running_loop().create_future()
            self._queue.put(partial(self._take, source, taken))
            item = await taken
            if not item:
                return
            yield item[0]

    def _take(self, source: Iterator[T], taken: asyncio.Future[tuple[T, ...]]) -> None:
        item = tuple(islice(source, 1))
        self._call_soon(partial(_set, taken, item))


def _set(taken: asyncio.Future[T], item: T) -> None:
    if not taken.done():  # the batch may have ended meanwhile
        taken.set_result(item)


async def each(prompts: Prompts) -> AsyncIterator[Messages]:
    """Yield prompts of either kind, and let the loop breathe between them."""
    if isinstance(prompts, AsyncIterable):
        async for prompt in prompts:
            yield prompt
        return
    for prompt in prompts:
        yield prompt
        await asyncio.sleep(0)


def count(prompts: object) -> int | None:
    """
    Say how many prompts there are, if they know.

    Raises:
        TypeError: It is one prompt and not many.
    """
    if isinstance(prompts, (str, bytes, Mapping, ChatMessage)):
        raise TypeError("prompts are many; for one there is chat")
    return len(prompts) if isinstance(prompts, Sized) else None


def _prepared(ask: Ask) -> tuple[Ask, Parse | None]:
    """Turn types and functions into what is sent, once and not for every prompt."""
    ready: Ask = {**ask}
    parse = None
    if (wanted := ask.get("output")) is not None:
        ready["output"], parse = as_output(wanted)
    if tools := ask.get("tools"):
        ready["tools"] = as_tools(tools)
    return ready, parse


def _hits_all(error: ClientError) -> bool:
    """Tell whether every further request would end like this."""
    if isinstance(error, RequestTimeoutError):
        return error.phase == "connect"
    return isinstance(error, (AuthenticationError, ServerUnreachableError, ModelNotServedError))


def _row(
    index: int,
    prompt: Messages,
    answer: Generation | None,
    value: object,
    error: ClientError | None,
) -> Row:
    facts: dict[str, Any] = {}
    if answer:
        facts = {name: getattr(answer, name) for name in (*_COPIED, *_MEASURED)}
    if answer and answer.usage:
        facts["input_tokens"] = answer.usage.input_tokens
        facts["output_tokens"] = answer.usage.output_tokens
    if error:
        facts["error_type"], facts["error"] = type(error).__name__, error.message
        facts["request_id"] = error.request_id
    return Row(index=index, prompt=_text_of(prompt), parsed=value, **facts)


def _text_of(prompt: Messages) -> str:
    content = as_messages(prompt)[-1].content
    if isinstance(content, tuple):
        content = "".join(part for part in content if isinstance(part, str))
    return content or ""


@contextmanager
def _named(index: int) -> Iterator[None]:
    """Add the number of the prompt to a programmer's mistake."""
    try:
        yield
    except (TypeError, ValueError) as exc:
        exc.add_note(f"It was prompt {index}.")
        raise
