"""
The same prompts on the old and the new side, with the same parameters and seed.

Equal texts are more than can be hoped for where anything is sampled: another
generator draws other tokens of the same seed. Greedy answers of the same weights
differ too where two tokens are nearly as likely, because sums are rounded in
another order. What to look for are other finish reasons, much longer or
shorter answers, and texts that differ from the first word on: a chat template
that is another one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..client import Client
from ..errors import ClientError, ConfigError, MissingDependencyError
from ..records import SamplingParams

if TYPE_CHECKING:
    from ..session import Session

Messages = Sequence[Mapping[str, Any]]

MAX_CONTEXT = 2048
"""Tokens of context that a GGUF is loaded with: what the embedded server has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What one side answered; ``error`` is why it did not."""

    text: str = ""
    output_tokens: int | None = None
    finish_reason: str | None = None
    duration_s: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both sides' answers to one prompt."""

    prompt: str
    old: Answered
    new: Answered

    @property
    def same(self) -> bool:
        """Whether the texts and the reasons to end are equal."""
        texts = self.old.text.strip() == self.new.text.strip()
        return texts and self.old.finish_reason == self.new.finish_reason and not self.failed

    @property
    def failed(self) -> bool:
        """Whether a side did not answer."""
        return bool(self.old.error or self.new.error)

    @property
    def words_alike(self) -> int:
        """Count the words that both texts begin with."""
        both = zip(self.old.text.split(), self.new.text.split(), strict=False)
        return next((place for place, (one, other) in enumerate(both) if one != other), self._least)

    @property
    def _least(self) -> int:
        return min(len(self.old.text.split()), len(self.new.text.split()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All pairs, and what was asked with."""

    old: str
    new: str
    params: SamplingParams
    pairs: tuple[Pair, ...]


class Side(Protocol):
    """Something that answers a chat."""

    name: str

    def ask(self, messages: Messages, params: SamplingParams) -> Answered:
        """Answer; an error is an answer too."""
        ...


class ServerSide:
    """A server that speaks OpenAI's API: vLLM, llama.cpp's, Ollama's."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.name = client.base_url

    def ask(self, messages: Messages, params: SamplingParams) -> Answered:
        """Stream the answer, so that its times are those that a reader sees."""
        try:
            answer = self.client.stream(messages, params).read()
        except ClientError as exc:
            return Answered(error=exc.message)
        return Answered(
            text=answer.text,
            output_tokens=answer.usage.output_tokens if answer.usage else None,
            finish_reason=answer.finish_reason,
            duration_s=answer.e2e_latency_s,
        )


class GgufSide:
    """
    A GGUF in this process, by llama-cpp-python.

    Raises:
        MissingDependencyError: It is not installed.

        ConfigError: It cannot load the file.
    """

    def __init__(self, path: Path, *, n_ctx: int = MAX_CONTEXT) -> None:
        self.name = path.name
        try:
            from llama_cpp import Llama
        except ImportError as exc:
            raise MissingDependencyError(
                f"{path} is to be asked by llama-cpp-python, which is not installed.",
                hint="pip install llama-cpp-python (it is compiled: minutes). Or name the address "
                "of a server that serves it: --old http://127.0.0.1:8080/v1",
                package="llama-cpp-python",
                key="old",
                source="argument",
            ) from exc
        try:
            self.llama = Llama(str(path), n_ctx=n_ctx, verbose=False)
        except ValueError as exc:
            raise ConfigError(
                f"llama-cpp-python cannot load {path}: {exc}", key="old", source="argument"
            ) from exc

    def ask(self, messages: Messages, params: SamplingParams) -> Answered:
        """Answer in one piece, which is when llama-cpp-python counts its tokens."""
        begun_s = time.perf_counter()
        try:
            answer = self.llama.create_chat_completion(messages=list(messages), **_old(params))
        except (ValueError, RuntimeError) as exc:  # too long a prompt, a template that refuses
            return Answered(error=str(exc))
        choice = answer["choices"][0]
        return Answered(
            text=choice["message"]["content"] or "",
            output_tokens=answer["usage"]["completion_tokens"],
            finish_reason=choice["finish_reason"],
            duration_s=time.perf_counter() - begun_s,
        )


def _old(params: SamplingParams) -> dict[str, Any]:
    """Write parameters by llama-cpp-python's names."""
    given = params.given()
    given["repeat_penalty"] = given.pop("repetition_penalty")
    return given


def parameters(*, temperature: float = 0.0, max_tokens: int = 128, seed: int = 0) -> SamplingParams:
    """Make the parameters that both sides are asked with; the rest is llama.cpp's defaults."""
    return SamplingParams(
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        top_p=0.95,
        top_k=40,
        min_p=0.05,
        repetition_penalty=1.0,
    )


def read_prompts(path: Path) -> list[Messages]:
    """
    Read prompts: a line each; in a ``.jsonl`` file objects with ``prompt`` or ``messages``.

    Raises:
        ConfigError: There are none, or a line is none.
    """
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines:
        raise ConfigError(f"{path} has no prompts.", key="ab", source="argument")
    if path.suffix != ".jsonl":
        return [_one_message(line) for line in lines]
    try:
        said = [json.loads(line) for line in lines]
        return [each.get("messages") or _one_message(each["prompt"]) for each in said]
    except (ValueError, KeyError, AttributeError) as exc:
        raise ConfigError(
            f"{path} has a line that is no prompt: {exc!r}",
            hint='A line is {"prompt": "…"} or {"messages": […]}.',
            key="ab",
            source="argument",
        ) from exc


def _one_message(prompt: str) -> Messages:
    return [{"role": "user", "content": prompt}]


def compare(
    prompts: Iterable[Messages], params: SamplingParams, *, old: Side, new: Side
) -> Comparison:
    """Ask both sides, one after the other, so that neither slows the other down."""
    pairs = [
        Pair(
            prompt=str(messages[-1].get("content")),
            old=old.ask(messages, params),
            new=new.ask(messages, params),
        )
        for messages in prompts
    ]
    return Comparison(old=old.name, new=new.name, params=params, pairs=tuple(pairs))


def compare_with_served(
    session: Session,
    prompts: Path,
    old: str,
    params: SamplingParams,
    *,
    model: str | None = None,
    api_key: str | None = None,
) -> Comparison:
    """
    Compare a GGUF, or another server, with what the session's server answers.

    Args:
        old: A path that ends in ``.gguf``, or a URL with ``/v1``.

        model: The old server's, if it lists more than one.

        api_key: The old server's, if it asks for one.

    Raises:
        ConfigError: *old* or the prompts cannot be read.
    """
    asked = read_prompts(prompts)
    with _closing_client(old, model, api_key) as client:
        before: Side = ServerSide(client) if client else GgufSide(Path(old))
        return compare(asked, params, old=before, new=ServerSide(session.client))


def _closing_client(
    old: str, model: str | None, api_key: str | None
) -> AbstractContextManager[Client | None]:
    if old.startswith(("http://", "https://")):
        return Client(old, api_key=api_key, model=model)
    if old.endswith(".gguf") and Path(old).is_file():
        return nullcontext(None)
    raise ConfigError(
        f"The old side is a .gguf file or a URL, and {old!r} is neither.",
        hint="--old model.gguf, or --old http://127.0.0.1:8080/v1",
        key="old",
        source="argument",
    )
