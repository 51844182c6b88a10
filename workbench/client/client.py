"""
Talk to a server that speaks OpenAI's chat API, and measure it while doing so.

The core is asynchronous (``achat``, ``astream``, ``amodels``). The plain verbs
run it on a background thread, so they work in a notebook, whose own loop is
busy with the cell. Nothing is imported or connected before the first request.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, wait
from http import HTTPStatus
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TypeVar, Unpack
from urllib.parse import urlsplit

from ..errors import ClientError, RequestRejectedError
from ..records import (
    Embeddings,
    Generation,
    SamplingParams,
    ServedModel,
    Tokens,
    ToolRun,
    ToolStep,
)
from . import refusals, wire
from .ask import Ask, as_request, as_tool_loop, of_round
from .backends import Backends
from .base import ChatBackend, Delta, Json, Retries, Timeouts
from .batch import CONCURRENCY, Batch, Errands, Keep, OnProgress, Row, count, quiet
from .exchange import Exchange, Route
from .loop_thread import LoopThread
from .messages import Messages, as_messages
from .outcomes import OnOutcome, OutcomeTeller
from .retry import with_retries
from .server_facts import ModelChoice, VllmVersion
from .stream import CLOSE_S, AsyncStream, Stream
from .tools import MAX_ROUNDS

T = TypeVar("T")

DEFAULT_URL = "http://localhost:8000/v1"

HINT_EMBED = "{model} writes and does not embed; serve a model that was made for embeddings."
HINT_CLOSED = "Make another client; a map with keep=… goes on where it was."


async def _open() -> bool:
    """Hold nothing back."""
    return False


def ignore(_step: ToolStep) -> None:
    """Show nothing of a tool's call."""


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

        gate: Awaited before each chat is sent, so that it can be held back; ``True``:
            the server may serve another model by now.

        retries: When a request that got no answer is sent again. Its TTFT then
            includes the attempts before, and ``Generation.attempts`` counts them.

        asks_version: Ask for the server's version beside the first request, so that
            outcomes say it.

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
        retries: Retries | None = None,
        gate: Callable[[], Awaitable[bool]] | None = None,
        asks_version: bool = False,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a base URL looks like {DEFAULT_URL}, not {base_url!r}")
        timeouts = timeouts or Timeouts()

        def make_backend() -> ChatBackend:
            from .openai_adapter import OpenAIBackend

            return OpenAIBackend(base_url, api_key=api_key, connect_s=timeouts.connect_s)

        self._backends = Backends(make_backend)
        self._model = model
        self._route = Route(
            base_url=refusals.public_url(base_url),
            timeouts=timeouts,
            retries=retries or Retries(),
            backend=self._backends.here,
            model=ModelChoice(model),
            version=VllmVersion(),
            tell=OutcomeTeller(on_outcome).tell,
            gate=gate or _open,
            asks_version=asks_version,
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
        self, messages: Messages, params: SamplingParams | None = None, **ask: Unpack[Ask]
    ) -> Generation:
        """
        Ask, wait and return the whole answer.

        Ctrl-C cancels the request at the server too. Without a stream there
        is no TTFT; ``stream(…).read()`` waits the same and has it.

        Args:
            messages: The user's words, or a conversation of ``ChatMessage``
                or OpenAI-style dictionaries.

            params: How to sample; unset means the server's default.

            ask: Anything else; see :class:`Ask`.

        Raises:
            ClientError: See :mod:`workbench.errors`.
        """
        request, parse = as_request(messages, params, ask, model=self._model)
        exchange = Exchange(self._route, request, streamed=False, parse=parse)
        return self._wait(self._loop.submit(exchange.run()), exchange.cancel)

    def stream(
        self, messages: Messages, params: SamplingParams | None = None, **ask: Unpack[Ask]
    ) -> Stream:
        """Ask, and return the answer as it comes. Arguments as :meth:`chat`."""
        request, parse = as_request(messages, params, ask, model=self._model)

        def start(queue: SimpleQueue[Delta | None]) -> Exchange:
            return Exchange(self._route, request, streamed=True, parse=parse, publish=queue.put)

        return Stream(start, self._loop, owner=self)

    async def achat(
        self, messages: Messages, params: SamplingParams | None = None, **ask: Unpack[Ask]
    ) -> Generation:
        """Await the whole answer, on the caller's loop. As :meth:`chat`."""
        request, parse = as_request(messages, params, ask, model=self._model)
        return await Exchange(self._route, request, streamed=False, parse=parse).run()

    def astream(
        self, messages: Messages, params: SamplingParams | None = None, **ask: Unpack[Ask]
    ) -> AsyncStream:
        """Ask, and return the answer as it comes, on the caller's loop. As :meth:`stream`."""
        request, parse = as_request(messages, params, ask, model=self._model)

        def start(queue: asyncio.Queue[Delta | None]) -> Exchange:
            return Exchange(
                self._route, request, streamed=True, parse=parse, publish=queue.put_nowait
            )

        return AsyncStream(start)

    def run_tools(
        self,
        messages: Messages,
        functions: Sequence[Callable[..., object]],
        params: SamplingParams | None = None,
        *,
        on_step: Callable[[ToolStep], object] = ignore,
        max_rounds: int = MAX_ROUNDS,
        **ask: Unpack[Ask],
    ) -> ToolRun:
        """
        Ask, run the functions that the model calls, and ask again until it answers.

        Calls of one answer run one after the other, on the caller's thread:
        functions print, draw and wait for people. :meth:`arun_tools` runs them
        side by side.

        Args:
            functions: What the model may call. Their signatures and docstrings
                are what it knows of them; see
                :func:`~workbench.client.tools.tool_schema`.

            on_step: Called with every call that was carried out.

            max_rounds: How many answers in a row may ask for tools.

        Raises:
            ToolLoopError: It asks for tools without end.

            ClientError: As for :meth:`chat`.
        """
        loop = as_tool_loop(messages, functions, max_rounds, ask)
        return loop.drive(
            lambda: self.stream(loop.messages, params, **of_round(ask, loop)).read(), on_step
        )

    async def arun_tools(
        self,
        messages: Messages,
        functions: Sequence[Callable[..., object]],
        params: SamplingParams | None = None,
        *,
        on_step: Callable[[ToolStep], object] = ignore,
        max_rounds: int = MAX_ROUNDS,
        **ask: Unpack[Ask],
    ) -> ToolRun:
        """Await it, on the caller's loop; the calls of one answer run side by side."""
        loop = as_tool_loop(messages, functions, max_rounds, ask)
        while True:
            answer = await self.astream(loop.messages, params, **of_round(ask, loop)).read()
            calls = loop.calls(answer)
            if not calls:
                return loop.done(answer)
            for step in await asyncio.gather(*map(loop.arun, calls)):
                loop.add(step)
                on_step(step)

    def map(
        self,
        prompts: Iterable[Messages],
        params: SamplingParams | None = None,
        *,
        concurrency: int = CONCURRENCY,
        keep: Keep | None = None,
        on_progress: OnProgress = quiet,
        **ask: Unpack[Ask],
    ) -> list[Row]:
        """
        Ask many prompts, a few at a time; return a row for each, in their order.

        What goes wrong with a prompt is in its row. Ctrl-C cancels those under
        way. ``logprobs`` are not kept.

        Args:
            prompts: Taken one by one when a slot is free, on the caller's
                thread; may be a generator. The same prompt may come again.

            concurrency: How many are under way at once.

            keep: A file (JSON Lines) to which every finished answer is added.
                A later call takes from it what was asked in the same way
                (base URL, model, messages, params, options), and asks for the
                rest and for what failed. Answers are in it; of prompts only a SHA-256,
                from which who has the file could confirm a guess.

            on_progress: Called on the caller's thread with every finished one.

        Raises:
            ClientError: The first request to end finds no server, or a wrong key
                or model, as all others would.

            ConfigError: *keep* is no such file, or another batch writes to it.
        """
        total = count(prompts)
        errands = Errands(self._loop.call_soon)
        batch = Batch(
            self,
            params,
            concurrency=concurrency,
            keep=keep,
            on_progress=errands.later(on_progress),
            ask=ask,
        )
        result = self._loop.submit(batch.run(errands.each(prompts), total=total))
        result.add_done_callback(errands.end)
        return self._wait(result, batch.cancel, meanwhile=errands.run)

    def models(self) -> tuple[ServedModel, ...]:
        """List what the server serves."""
        return self._run(self.amodels())

    async def amodels(self) -> tuple[ServedModel, ...]:
        """Await the list of what the server serves."""
        return wire.read_models(await self.afetch("models"))

    async def amodel_name(self, model: str | None = None) -> str:
        """Await the name of the model that a request for *model* goes to."""
        backend = await self._backends.here()
        return model or await self._route.model.resolve(backend, base_url=self.base_url)

    def embed(self, texts: str | Sequence[str], *, model: str | None = None) -> Embeddings:
        """
        Turn texts into vectors, with a model that was made for it.

        Raises:
            RequestRejectedError: The server's model writes and does not embed.
        """
        listed = [texts] if isinstance(texts, str) else list(texts)
        return self._run(self._aembed(listed, model))

    def tokenize(self, messages: Messages, *, system: str | None = None) -> Tokens:
        """
        Show a prompt as the model sees it, chat template included; ``len`` counts it.

        vLLM only. A text without the template: :meth:`count`.
        """
        body: dict[str, object] = {
            "messages": [
                wire.message_fields(message) for message in as_messages(messages, system=system)
            ]
        }
        return self._run(self._atokenize(body))

    def count(self, text: str) -> int:
        """Count a text's tokens, without a chat template. vLLM only."""
        return len(self._run(self._atokenize({"prompt": text, "add_special_tokens": False})))

    def detokenize(self, ids: Sequence[int]) -> str:
        """Write tokens as text. vLLM only."""
        return self._run(self._adetokenize(list(ids)))

    def vllm_version(self) -> str | None:
        """Return the server's version; ``None`` for a server that is no vLLM."""
        return self._run(self._aversion())

    def fetch(self, path: str, body: Json | None = None) -> Json:
        """
        Ask anything else that answers with a JSON object: GET, or POST with a *body*.

        Args:
            path: Below the base URL; one that begins with ``/`` is below the
                server's root.
        """
        return self._run(self.afetch(path, body))

    async def afetch(self, path: str, body: Json | None = None) -> Json:
        """Await it, on the caller's loop. As :meth:`fetch`."""
        backend = await self._backends.here()
        return await with_retries(self._route.retries, lambda: backend.fetch(path, body))

    def close(self) -> None:
        """Cancel what runs on the client's thread and end it. Idempotent."""
        self._loop.close()

    async def aclose(self) -> None:
        """End and close what was opened on the caller's loop, then as :meth:`close`."""
        self._route.close_here()
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

    async def _aembed(self, texts: list[str], model: str | None) -> Embeddings:
        name = await self.amodel_name(model)
        body = {"model": name, "input": texts, "encoding_format": "float"}
        try:
            return wire.read_embeddings(await self.afetch("embeddings", body))
        except RequestRejectedError as exc:
            if exc.status_code == HTTPStatus.NOT_FOUND:
                exc.hint = HINT_EMBED.format(model=name)
            raise

    async def _atokenize(self, body: Mapping[str, object]) -> Tokens:
        whole = {"model": await self.amodel_name(None), **body}
        return wire.read_tokens(await self.afetch("/tokenize", whole))

    async def _adetokenize(self, ids: list[int]) -> str:
        body = {"model": await self.amodel_name(None), "tokens": ids}
        return str((await self.afetch("/detokenize", body)).get("prompt", ""))

    async def _aversion(self) -> str | None:
        return await self._route.version.resolve(await self._backends.here())

    def _run(self, work: Coroutine[object, object, T]) -> T:
        result = self._loop.submit(work)
        return self._wait(result, result.cancel)

    def _wait(
        self,
        result: Future[T],
        cancel: Callable[[], object],
        *,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> T:
        try:
            meanwhile()
            return result.result()
        except CancelledError:
            # Only the loop's end does that: Ctrl-C comes as itself.
            raise ClientError(
                f"The client was closed while it waited for {self.base_url}.",
                hint=HINT_CLOSED,
                base_url=self.base_url,
            ) from None
        finally:
            if not result.done():
                # Ctrl-C: the request must not go on without its caller.
                self._loop.call_soon(cancel)
                wait([result], timeout=CLOSE_S)
