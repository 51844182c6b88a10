"""
The one place that knows OpenAI's SDK.

The SDK gives authentication, proxies and transport (on aiohttp, whose parser is
C: h11's and anyio's cost for each read is more than all of ours). Reading the
stream is ours: its pydantic model of every chunk costs more than a hundred
microseconds, which at a few hundred streams is most of what one would measure.
So responses are taken raw, as bytes.

The SDK takes the better part of a second to import and is therefore imported
with the first request, not with this module.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from http import HTTPStatus
from time import perf_counter
from typing import Any

from ..errors import (
    ClientError,
    RequestTimeoutError,
    ServerFailureError,
    ServerUnreachableError,
    StreamInterruptedError,
)
from ..urls import is_loopback, root_url
from . import refusals, wire
from .base import ChatRequest, Ended, Event, Json, Opened
from .sse import EventParser
from .trace import HEADER

# vLLM without --api-key takes any; the SDK insists on one and would otherwise
# take OPENAI_API_KEY from the environment, which only the settings may read.
NO_KEY = "none"

HINT_UNREACHABLE = "Is the server up? %wb status tells; `workbench up` starts it."
HINT_PORT = "Check the port, and whether the base URL begins with https:// or http://."
HINT_CONNECT = "Check the address and the network, or raise Timeouts.connect_s."
HIDDEN = "***"
DONE = "[DONE]"


class OpenAIBackend:
    """
    A :class:`~workbench.client.base.ChatBackend` on OpenAI's Python SDK.

    Args:
        base_url: Including ``/v1``.

        api_key: Sent as a bearer token; never shown.

        connect_s: Limit for opening a connection.
    """

    def __init__(self, base_url: str, *, api_key: str | None, connect_s: float | None) -> None:
        import openai

        self._base_url = base_url
        self._url = refusals.public_url(base_url)
        self._key = api_key
        self._connect_s = connect_s
        self._sdk: Any = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or NO_KEY,
            # Everything after the connection is limited by the caller, who
            # knows first tokens from later ones.
            timeout=openai.Timeout(None, connect=connect_s),
            # Sending again is the caller's, who knows what was delivered.
            max_retries=0,
            http_client=_http_client(direct=is_loopback(base_url)),
        )
        # The SDK imports each part of its API when it is first touched: here,
        # and not inside the first request, whose TTFT it would become.
        streamed, raw = self._sdk.with_streaming_response, self._sdk.with_raw_response
        self._streamed: Any = {False: streamed.chat.completions, True: streamed.completions}
        self._raw: Any = {False: raw.chat.completions, True: raw.completions}

    def __repr__(self) -> str:
        return f"OpenAIBackend({self._url!r})"

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[Sequence[Event]]]:
        """Ask for a stream; one batch of events for every read, stamped on arrival."""
        asked = self._streamed[request.raw].create(
            **wire.request_fields(request, stream=True),
            extra_body=wire.extra_fields(request),
            extra_headers=_headers(request),
        )
        with self._translated():
            async with asked as response, aclosing(self._batches(response)) as batches:
                yield batches

    async def _batches(self, response: Any) -> AsyncGenerator[Sequence[Event], None]:
        request_id = response.headers.get("x-request-id")
        if request_id:
            yield (Opened(request_id),)
        # The name of a type may be written in capitals too (RFC 9110, 8.3.1).
        kind = response.headers.get("content-type", "").lower()
        if not kind.startswith("text/event-stream"):
            with self._translated(streaming=True):
                body = await response.text()
            raise self._nonsense("no event stream", body)
        parser = EventParser()
        with self._translated(streaming=True):
            async for data in response.iter_bytes():
                at_s = perf_counter()
                if payloads := parser.feed(data):
                    events, error = self._read(payloads, at_s, request_id)
                    yield events
                    if error:
                        raise error

    def _read(
        self, payloads: list[str], at_s: float, request_id: str | None
    ) -> tuple[list[Event], ClientError | None]:
        # What came before an error in the same read is part of the answer, so
        # the two are returned side by side.
        events: list[Event] = []
        for payload in payloads:
            if payload == DONE:
                events.append(Ended(at_s))
                continue
            try:
                chunk = self._parsed(payload)
            except ServerFailureError as exc:
                return events, exc
            if refusal := refusals.refusal_in(chunk, request_id=request_id):
                return events, refusals.error_for(self._hiding_key(refusal), base_url=self._url)
            events.extend(wire.read_chunk(chunk, at_s))
        return events, None

    async def answer(self, request: ChatRequest) -> Sequence[Event]:
        """Ask for the answer in one piece, as the events of a stream that came at once."""
        with self._translated():
            response = await self._raw[request.raw].create(
                **wire.request_fields(request, stream=False),
                extra_body=wire.extra_fields(request),
                extra_headers=_headers(request),
            )
            at_s = perf_counter()
        answer = self._parsed(response.text)
        if not answer.get("choices"):
            raise self._nonsense("no answer", response.text)
        events = wire.read_answer(answer, at_s)
        request_id = response.headers.get("x-request-id")
        return [Opened(request_id), *events] if request_id else events

    async def fetch(self, path: str, body: Json | None = None) -> Json:
        """Ask anything else: GET, or POST with a *body*, and read the JSON object."""
        import httpx2

        url = root_url(self._base_url) + path if path.startswith("/") else path
        with self._translated():
            if body is None:
                response = await self._sdk.get(url, cast_to=httpx2.Response)
            else:
                response = await self._sdk.post(url, body=body, cast_to=httpx2.Response)
        return self._parsed(response.text)

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        await self._sdk.close()

    def _parsed(self, text: str) -> dict[str, object]:
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError) as exc:  # or brackets without end
            raise self._nonsense("no JSON", text) from exc
        if not isinstance(parsed, dict):
            raise self._nonsense("no JSON object", text)
        return parsed

    def _nonsense(self, what: str, body: str) -> ServerFailureError:
        body = self._without_key(body)
        return ServerFailureError(
            f"{self._url} answered with {what} but {refusals.excerpt(body)}.",
            hint=refusals.HINT_PATH,
            base_url=self._url,
            status_code=HTTPStatus.OK,
            body=body,
        )

    @contextmanager
    def _translated(self, *, streaming: bool = False) -> Iterator[None]:
        try:
            yield
        except ClientError:
            raise
        except Exception as exc:
            error = self.translate(exc, streaming=streaming)
            if error is None:
                raise
            raise error from exc

    def translate(  # noqa: PLR0911  one return for each kind: it is a table
        self, exc: Exception, *, streaming: bool = False
    ) -> ClientError | None:
        """
        Return our error for one of the SDK's or its transport's.

        Args:
            exc: What was raised.

            streaming: The answer had begun, so a lost connection is an
                interrupted stream.

        Returns:
            ``None`` for an exception that is neither's: a mistake in the code.
        """
        import aiohttp
        import httpx2
        import openai

        # Most specific first: a timeout is a connection error to the SDK.
        if isinstance(exc, openai.APIResponseValidationError):
            return self._nonsense("something else than promised,", exc.response.text)
        if isinstance(exc, openai.APIStatusError):
            return self._refused(exc)
        if isinstance(exc, openai.APITimeoutError) and not _was_refused(exc):
            return self._too_slow()
        if isinstance(exc, openai.APIConnectionError):
            return self._lost(exc.__cause__ or exc)
        if isinstance(exc, aiohttp.ClientResponseError):
            # The one that passes through httpx and the SDK as it is.
            return self._garbled(exc.message)
        if isinstance(exc, (httpx2.RequestError, aiohttp.ClientError, ssl.SSLError, OSError)):
            # Raised bare while a body is read; the SDK wraps them before that.
            return self._interrupted(exc) if streaming else self._lost(exc)
        if isinstance(exc, openai.APIError):
            return self._nonsense("an error", exc.message)
        return None

    def _refused(self, exc: Any) -> ClientError:
        text = self._without_key(exc.response.text)
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            body = text
        # The SDK's own message quotes the body, and a debug traceback shows it.
        exc.args = (self._without_key(str(exc)),)
        headers = exc.response.headers
        refusal = refusals.Refusal(
            status_code=exc.status_code,
            body=body,
            retry_after=headers.get("retry-after"),
            request_id=headers.get("x-request-id"),
        )
        return refusals.error_for(refusal, base_url=self._url)

    def _too_slow(self) -> ClientError:
        return RequestTimeoutError(
            f"No connection to {self._url} within {self._connect_s:g} s.",
            hint=HINT_CONNECT,
            base_url=self._url,
            phase="connect",
        )

    def _garbled(self, what: str) -> ClientError:
        return ServerFailureError(
            f"{self._url} answered something that is no HTTP: "
            f"{refusals.excerpt(self._without_key(what))}.",
            hint=HINT_PORT,
            base_url=self._url,
        )

    def _lost(self, cause: BaseException) -> ClientError:
        import httpx2

        if isinstance(cause, httpx2.DecodingError):
            return self._garbled(str(cause))
        if _hung_up(cause):
            return ServerFailureError(
                f"{self._url} took the request and hung up without an answer.",
                hint=refusals.HINT_LOGS,
                base_url=self._url,
            )
        return ServerUnreachableError(
            f"Nothing answers at {self._url}: {_reason(cause)}.",
            hint=HINT_UNREACHABLE,
            base_url=self._url,
        )

    def _interrupted(self, exc: BaseException) -> ClientError:
        return StreamInterruptedError(
            f"The stream from {self._url} broke off: {_reason(exc)}.",
            hint=refusals.HINT_LOGS,
            base_url=self._url,
        )

    def _hiding_key(self, refusal: refusals.Refusal) -> refusals.Refusal:
        text = self._without_key(json.dumps(refusal.body))
        try:
            return replace(refusal, body=json.loads(text))
        except ValueError:  # the key is a number, or a word of the JSON itself
            return replace(refusal, body=text)

    def _without_key(self, text: str) -> str:
        # A server may quote the key it refuses.
        return text.replace(self._key, HIDDEN) if self._key else text


def _headers(request: ChatRequest) -> dict[str, str]:
    return {HEADER: request.trace.header} if request.trace else {}


def _was_refused(exc: BaseException) -> bool:
    """Tell a connection that failed from one that took too long: the SDK calls both a time-out."""
    import aiohttp

    found = next((each for each in _chain(exc) if isinstance(each, aiohttp.ClientError)), None)
    return found is not None and not isinstance(found, TimeoutError)


def _hung_up(exc: BaseException) -> bool:
    """Tell a connection that was lost from one that was never there."""
    import aiohttp
    import httpx2

    lost = (httpx2.ReadError, httpx2.RemoteProtocolError, aiohttp.ServerDisconnectedError)
    return any(
        isinstance(each, (*lost, aiohttp.ClientOSError))
        and not isinstance(each, aiohttp.ClientConnectorError)
        for each in _chain(exc)
    )


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__


def _reason(exc: BaseException) -> str:
    """Say what the operating system said, which transports wrap several times."""
    seen = exc
    while (inner := seen.__cause__ or seen.__context__) is not None:
        seen = inner
        if isinstance(seen, OSError) and seen.errno and seen.errno > 0:
            return os.strerror(seen.errno)
    return str(exc).rstrip(".") or type(exc).__name__


def _http_client(*, direct: bool) -> Any:
    """
    Make the SDK's HTTP client on aiohttp, which reads a chunk at half the cost.

    Args:
        direct: Without the environment's proxies; see ``is_loopback``.
    """
    import openai

    return openai.DefaultAioHttpClient(trust_env=not direct)
