"""
The one place in this application that knows which server answers.

`workbench migrate --write` put it here, and it is yours: change what you like. It needs the
package `openai` and nothing else. The environment says the rest:

    OPENAI_BASE_URL    the server, with /v1                     [http://localhost:8000/v1]
    OPENAI_API_KEY     if it asks for one
    LLM_MODEL          the served model's name                  [default: whatever is served]
    LLM_TIMEOUT_S      how long an answer may take              [600]
    LLM_RETRIES        how often a request without an answer is sent again  [2]
    LOGGING_ENDPOINT   where a record of each request is posted [only the log `llm_client`]

Answers are dictionaries of the form that llama-cpp-python returned and OpenAI's API speaks. A
record has a hash of the prompt, and never the prompt.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import os
import queue
import re
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import openai

BASE_URL = os.environ.get("OPENAI_BASE_URL") or "http://localhost:8000/v1"
# vLLM without --api-key takes any key, and the SDK insists on one.
API_KEY = os.environ.get("OPENAI_API_KEY") or "none"
MODEL = os.environ.get("LLM_MODEL") or "default"
TIMEOUT_S = float(os.environ.get("LLM_TIMEOUT_S") or 600)
RETRIES = int(os.environ.get("LLM_RETRIES") or 2)

SERVER: dict[str, Any] = {
    "base_url": BASE_URL,
    "api_key": API_KEY,
    "timeout": openai.Timeout(TIMEOUT_S, connect=5.0),
    "max_retries": RETRIES,
}
"""What OpenAI's SDK, and LangChain's ``ChatOpenAI``, are told of the server."""

SESSION = uuid.uuid4().hex[:12]

log = logging.getLogger("llm_client")


class LLM:
    """
    The served model.

    Args:
        model: Its served name.

        seed: For every request that has none of its own.
    """

    def __init__(self, model: str | None = None, *, seed: int | None = None) -> None:
        self.model = model or MODEL
        self.seed = seed
        self.openai = openai.OpenAI(**SERVER)

    def chat(self, messages: Sequence[Any], *, stream: bool = False, **params: Any) -> Any:
        """Ask by OpenAI's chat completions; with *stream* return an iterator of chunks."""
        return self._ask(
            self.openai.chat.completions.create, {"messages": messages, **params}, stream
        )

    def complete(self, prompt: str | list[int], *, stream: bool = False, **params: Any) -> Any:
        """Go on with a text as it is, without the model's chat template."""
        return self._ask(self.openai.completions.create, {"prompt": prompt, **params}, stream)

    def embeddings(self, input: str | list[str], **params: Any) -> Any:
        """Turn texts into vectors, where an embedding model is served."""
        answer = self.openai.embeddings.create(model=self.model, input=input, **params)
        return answer.model_dump(exclude_unset=True)

    def tokenize(self, text: bytes | str, add_bos: bool = True, special: bool = False) -> list[int]:
        """Return the served model's token ids of a text; *special* is always on."""
        said = text.decode() if isinstance(text, bytes) else text
        asked = {"model": self.model, "prompt": said, "add_special_tokens": add_bos}
        ids: list[int] = self._post("/tokenize", asked)["tokens"]
        return ids

    def detokenize(self, tokens: Sequence[int]) -> bytes:
        """Write token ids as text."""
        asked = {"model": self.model, "tokens": list(tokens)}
        text: str = self._post("/detokenize", asked)["prompt"]
        return text.encode()

    def n_ctx(self) -> int:
        """Return the context's length in tokens, as the server was started."""
        served = {each.id: each for each in self.openai.models.list()}
        length: int = served[self.model].max_model_len  # type: ignore[attr-defined]  # vLLM says it
        return length

    def close(self) -> None:
        """Close the connections. The server goes on."""
        self.openai.close()

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        # vLLM has these beside /v1, and not below it.
        root = BASE_URL.rstrip("/").removesuffix("/v1")
        answer: dict[str, Any] = self.openai.post(root + path, body=body, cast_to=dict[str, Any])
        return answer

    def _ask(self, create: Any, params: dict[str, Any], stream: bool) -> Any:
        params = {"model": self.model, **self._constrained(params)}
        if self.seed is not None:
            params.setdefault("seed", self.seed)
        record = Record(params, streamed=stream)
        if stream:
            return self._chunks(create, params, record)
        with record:
            answer = create(**params).model_dump(exclude_unset=True)
            record.saw(answer)
        return answer

    def _constrained(self, params: dict[str, Any]) -> dict[str, Any]:
        """Write a grammar as the server's version takes it; the other form is ignored unseen."""
        extra = params.get("extra_body") or {}
        kept_to = extra.get("structured_outputs")
        if not kept_to or self._version() >= (0, 11):
            return params
        rest = {name: value for name, value in extra.items() if name != "structured_outputs"}
        old = {f"guided_{kind}": value for kind, value in kept_to.items()}
        return params | {"extra_body": rest | old}

    def _version(self) -> tuple[int, ...]:
        """Return vLLM's version; a build between two releases counts as the newest."""
        root = BASE_URL.rstrip("/").removesuffix("/v1")
        said = self.openai.get(f"{root}/version", cast_to=dict[str, Any])["version"]
        numbers = tuple(int(each) for each in re.findall(r"\d+", said)[:2])
        return (99,) if ".dev" in said and numbers < (0, 2) else numbers

    def _chunks(self, create: Any, params: dict[str, Any], record: Record) -> Iterator[Any]:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        with record, create(**params, **options) as stream:
            for event in stream:
                chunk = event.model_dump(exclude_unset=True)
                record.saw(chunk)
                # The last one has no choices, only the count of tokens.
                if chunk["choices"]:
                    yield chunk


class Record:
    """What one request was and how it went, told when it is over."""

    def __init__(self, params: dict[str, Any], *, streamed: bool) -> None:
        asked = params.get("messages", params.get("prompt"))
        said = json.dumps(asked, sort_keys=True, default=str).encode()
        extra = params.get("extra_body") or {}
        names = ("temperature", "top_p", "max_tokens", "seed", "top_k", "min_p")
        self.sent_s = time.monotonic()
        self.facts: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "timestamp": datetime.now(UTC).isoformat(),
            "session": SESSION,
            "model": params["model"],
            "base_url": BASE_URL,
            "streamed": streamed,
            "num_chunks": 0,
            "prompt_hash": f"sha256:{hashlib.sha256(said).hexdigest()}",
            **{name: (params | extra)[name] for name in names if name in params | extra},
        }

    def saw(self, piece: dict[str, Any]) -> None:
        """Note what an answer, or a chunk of one, says."""
        self.facts["request_id"] = piece.get("id")
        usage = piece.get("usage") or {}
        if usage:
            self.facts["input_tokens"] = usage.get("prompt_tokens")
            self.facts["output_tokens"] = usage.get("completion_tokens")
        for choice in piece["choices"][:1]:
            self.facts["finish_reason"] = choice.get("finish_reason")
            delta = choice.get("delta") or {"content": choice.get("text")}
            if delta.get("content") or delta.get("tool_calls") or "message" in choice:
                self._has_content()

    def _has_content(self) -> None:
        now_s = time.monotonic() - self.sent_s
        if self.facts["streamed"]:
            self.facts.setdefault("ttft_s", now_s)
            self.facts["num_chunks"] += 1
        self.facts["e2e_latency_s"] = now_s

    def __enter__(self) -> Record:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self.facts["duration_s"] = time.monotonic() - self.sent_s
        self.facts["status"] = "ok"
        if kind is not None:
            # A failure has no latency, so that it flatters no mean.
            self.facts.pop("e2e_latency_s", None)
            left = issubclass(kind, GeneratorExit | KeyboardInterrupt)
            self.facts["status"] = "interrupted" if left else "error"
            self.facts["error_type"] = kind.__name__
            self.facts["http_status"] = getattr(error, "status_code", None)
        tell({name: fact for name, fact in self.facts.items() if fact is not None})


def tell(record: dict[str, Any]) -> None:
    """Write a record to the log, and post it to LOGGING_ENDPOINT. The place for hooks of yours."""
    log.info("%s", json.dumps(record))
    if os.environ.get("LOGGING_ENDPOINT"):
        _outbox().put(record)


_queue: queue.Queue[dict[str, Any] | None] | None = None


def _outbox() -> queue.Queue[dict[str, Any] | None]:
    """Start the thread that posts, when there is something to post."""
    global _queue  # noqa: PLW0603
    if _queue is None:
        _queue = queue.Queue()
        poster = threading.Thread(target=_post_all, args=(_queue,), daemon=True)
        poster.start()
        atexit.register(_finish, _queue, poster)
    return _queue


def _finish(outbox: queue.Queue[dict[str, Any] | None], poster: threading.Thread) -> None:
    """Post what is still there before the application ends, but do not hold it up for long."""
    outbox.put(None)
    poster.join(timeout=5)


def _post_all(outbox: queue.Queue[dict[str, Any] | None]) -> None:
    while (record := outbox.get()) is not None:
        try:
            _post_record(record)
        except OSError as error:  # a log that is down must not stop the application
            log.warning("LOGGING_ENDPOINT: %s", error)


def _post_record(record: dict[str, Any]) -> None:
    token = os.environ.get("LOGGING_ENDPOINT_TOKEN")
    document = {"schema": "vllm-workbench/telemetry/1", "records": [record]}
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    url = os.environ["LOGGING_ENDPOINT"]
    request = urllib.request.Request(url, json.dumps(document).encode(), headers)
    with urllib.request.urlopen(request, timeout=10):
        pass


_llm = LLM()
chat, complete, embeddings = _llm.chat, _llm.complete, _llm.embeddings
