"""
``Llama`` of llama-cpp-python, over the served model.

Change one line, and code that was written for it runs as it is::

    from workbench.compat.llama_cpp import Llama

The model is the server's, whatever ``model_path`` says; what belongs to a
server (threads, layers, batches) is taken and not looked at. Sampling is
llama.cpp's, also where nothing is said: temperature 0.2 for a chat and 0.8 for
a completion, top_k 40, top_p 0.95, min_p 0.05. What cannot be had over HTTP
raises, with what to do instead. It is a first step: ``workbench migrate``
takes the others.

Source:
    llama-cpp-python 0.3.36, ``llama_cpp/llama.py``; its signatures are in
    ``tests/data/migrate/llama_cpp.json``, and a test compares.
"""

from __future__ import annotations

import math
import os
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NoReturn, Self

from ..legacy.parameters import parameter_map
from ..records import SamplingParams
from ..serving import remote_model
from ..session import Session
from . import answered, asked
from .answered import Json
from .grammar import LlamaGrammar

__all__ = ["Llama", "LlamaCache", "LlamaGrammar", "LlamaRAMCache", "LlamaTokenizer"]

UNSEEDED = 0xFFFFFFFF
"""llama.cpp's ``LLAMA_DEFAULT_SEED``: another seed each time."""

MUCH = 1024
"""Tokens of an answer from which on it is worth asking for the context's length."""

SPLIT_LAYER, UNSPECIFIED = 1, -1

Messages = Sequence[Any]
Answer = Json | Iterator[Json]

# What would change answers, and is the server's to say.
_SERVERS = (
    *("lora_path", "lora_base", "chat_handler", "tokenizer", "kv_overrides"),
    *("rope_freq_base", "rope_freq_scale", "rope_scaling_type"),
)


class Llama:
    """
    The served model, with llama-cpp-python's methods.

    Args:
        model_path: Not read. The name that answers give as their model.

        seed: For requests that have none of their own.

        chat_format: Not used: the server has the model's own template. Warned of.

        session: The workbench's session to ask through; default: one of the settings that
            the environment and ``.env`` say (``WORKBENCH_BASE_URL`` …).

    Raises:
        UnsupportedArgumentError: The model would be another one: an adapter, another
            tokenizer, other rope frequencies.
    """

    def __init__(
        self,
        model_path: str,
        *,
        n_gpu_layers: int = 0,
        split_mode: int = SPLIT_LAYER,
        main_gpu: int = 0,
        tensor_split: list[float] | None = None,
        vocab_only: bool = False,
        use_mmap: bool = True,
        use_mlock: bool = False,
        kv_overrides: dict[str, bool | int | float | str] | None = None,
        seed: int = UNSEEDED,
        n_ctx: int = 512,
        n_batch: int = 512,
        n_ubatch: int = 512,
        n_threads: int | None = None,
        n_threads_batch: int | None = None,
        rope_scaling_type: int | None = UNSPECIFIED,
        pooling_type: int = UNSPECIFIED,
        attention_type: int = UNSPECIFIED,
        rope_freq_base: float = 0.0,
        rope_freq_scale: float = 0.0,
        yarn_ext_factor: float = -1.0,
        yarn_attn_factor: float = 1.0,
        yarn_beta_fast: float = 32.0,
        yarn_beta_slow: float = 1.0,
        yarn_orig_ctx: int = 0,
        logits_all: bool = False,
        embedding: bool = False,
        offload_kqv: bool = True,
        flash_attn: bool = False,
        op_offload: bool | None = None,
        swa_full: bool | None = None,
        no_perf: bool = False,
        last_n_tokens_size: int = 64,
        lora_base: str | None = None,
        lora_scale: float = 1.0,
        lora_path: str | None = None,
        numa: bool | int = False,
        chat_format: str | None = None,
        chat_handler: Any = None,
        draft_model: Any = None,
        tokenizer: Any = None,
        type_k: int | None = None,
        type_v: int | None = None,
        spm_infill: bool = False,
        verbose: bool = True,
        session: Session | None = None,
        **kwargs: Any,
    ) -> None:
        asked.refuse(_changed(locals()), _SERVERS, "llama_cpp_server")
        if chat_format is not None:
            # Most code names the format that its model has anyway.
            warnings.warn(
                f"chat_format={chat_format!r} is not used: the server has the model's own "
                "template, or the one of its --chat-template",
                stacklevel=2,
            )
        self.model_path = model_path
        self.verbose = verbose
        self._is_own = session is None
        self._session = session or Session()
        self._seed = seed
        self._context: int | None = None

    def __repr__(self) -> str:
        return f"Llama({self.model_path!r} over {self._session.server.base_url})"

    def create_chat_completion(
        self,
        messages: Messages,
        functions: list[Any] | None = None,
        function_call: Any = None,
        tools: list[Any] | None = None,
        tool_choice: Any = None,
        temperature: float = 0.2,
        top_p: float = 0.95,
        top_k: int = 40,
        min_p: float = 0.05,
        typical_p: float = 1.0,
        stream: bool = False,
        stop: str | list[str] | None = [],  # noqa: B006  as it is there, and never changed
        seed: int | None = None,
        response_format: Any = None,
        max_tokens: int | None = None,
        presence_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
        repeat_penalty: float = 1.0,
        tfs_z: float = 1.0,
        mirostat_mode: int = 0,
        mirostat_tau: float = 5.0,
        mirostat_eta: float = 0.1,
        model: str | None = None,
        logits_processor: Any = None,
        grammar: LlamaGrammar | str | None = None,
        logit_bias: dict[int, float] | None = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
    ) -> Answer:
        """
        Ask in the model's chat template.

        Raises:
            UnsupportedArgumentError: A parameter has no counterpart.

            ClientError: The server did not answer, refused, or broke off.
        """
        said = _only(locals()) | {"max_tokens": self._what_fits(max_tokens)}
        params = asked.sampling(said, seed=self._next_seed(seed))
        output, fields = asked.grammar_of(grammar)
        extra = {**asked.format_of(response_format), **fields}
        params = _with(params, logprobs=logprobs, top_logprobs=top_logprobs, extra=extra or None)
        ask = {**asked.tools_of(said), "output": output}
        name = model or self.model_path
        if stream:
            return answered.chat_chunks(self._client.stream(messages, params, **ask), name)
        answer = self._client.chat(messages, params, **ask)
        return answered.chat(answer, name, functions=bool(functions))

    def create_completion(
        self,
        prompt: str | list[int],
        suffix: str | None = None,
        max_tokens: int | None = 16,
        temperature: float = 0.8,
        top_p: float = 0.95,
        min_p: float = 0.05,
        typical_p: float = 1.0,
        logprobs: int | None = None,
        echo: bool = False,
        stop: str | list[str] | None = [],  # noqa: B006  as it is there, and never changed
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        repeat_penalty: float = 1.0,
        top_k: int = 40,
        stream: bool = False,
        seed: int | None = None,
        tfs_z: float = 1.0,
        mirostat_mode: int = 0,
        mirostat_tau: float = 5.0,
        mirostat_eta: float = 0.1,
        model: str | None = None,
        stopping_criteria: Any = None,
        logits_processor: Any = None,
        grammar: LlamaGrammar | str | None = None,
        logit_bias: dict[int, float] | None = None,
    ) -> Answer:
        """
        Go on with a text, without the model's chat template.

        Raises:
            UnsupportedArgumentError: A parameter has no counterpart.

            ClientError: The server did not answer, refused, or broke off.
        """
        said = _only(locals()) | {"max_tokens": self._what_fits(max_tokens)}
        params = asked.sampling(said, seed=self._next_seed(seed))
        output, extra = asked.grammar_of(grammar)
        if params.max_tokens is None:
            extra["max_tokens"] = None  # left out it would be 16
        if echo and not stream:  # a stream of llama-cpp-python never had the prompt
            extra["echo"] = True
        text = prompt if isinstance(prompt, str) else self._client.detokenize(prompt)
        if not isinstance(prompt, str):
            extra["prompt"] = list(prompt)
        if logprobs is not None:
            params = _with(params, logprobs=True, top_logprobs=logprobs)
        params = _with(params, extra=extra or None)
        name, begins_at = model or self.model_path, len(text)
        if stream:
            streamed = self._client.stream(text, params, raw=True, output=output)
            return answered.completion_chunks(streamed, name, begins_at=begins_at)
        answer = self._client.chat(text, params, raw=True, output=output)
        return answered.completion(answer, name, begins_at=0 if echo else begins_at)

    def __call__(
        self,
        prompt: str,
        suffix: str | None = None,
        max_tokens: int | None = 16,
        temperature: float = 0.8,
        top_p: float = 0.95,
        min_p: float = 0.05,
        typical_p: float = 1.0,
        logprobs: int | None = None,
        echo: bool = False,
        stop: str | list[str] | None = [],  # noqa: B006  as it is there, and never changed
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        repeat_penalty: float = 1.0,
        top_k: int = 40,
        stream: bool = False,
        seed: int | None = None,
        tfs_z: float = 1.0,
        mirostat_mode: int = 0,
        mirostat_tau: float = 5.0,
        mirostat_eta: float = 0.1,
        model: str | None = None,
        stopping_criteria: Any = None,
        logits_processor: Any = None,
        grammar: LlamaGrammar | str | None = None,
        logit_bias: dict[int, float] | None = None,
    ) -> Answer:
        """Go on with a text: :meth:`create_completion`."""
        return self.create_completion(**_only(locals()))

    def create_chat_completion_openai_v1(self, *args: Any, **kwargs: Any) -> Any:
        """Ask, and return OpenAI's objects instead of dictionaries."""
        from openai.types.chat import ChatCompletion, ChatCompletionChunk

        answer = self.create_chat_completion(*args, **kwargs)
        if kwargs.get("stream"):
            return (ChatCompletionChunk.model_validate(chunk) for chunk in answer)
        return ChatCompletion.model_validate(answer)

    def create_embedding(self, input: str | list[str], model: str | None = None) -> Json:
        """
        Turn texts into vectors, where an embedding model is served.

        Raises:
            RequestRejectedError: The server's model writes and does not embed.
        """
        found = self._client.embed(input)
        counted = answered.usage(found.usage)
        lines = [
            {"object": "embedding", "embedding": list(vector), "index": index}
            for index, vector in enumerate(found.vectors)
        ]
        tokens = {name: counted[name] for name in ("prompt_tokens", "total_tokens")}
        name = model or self.model_path
        return {"object": "list", "data": lines, "model": name, "usage": tokens}

    def embed(
        self,
        input: str | list[str],
        normalize: bool = False,
        truncate: bool = True,
        return_count: bool = False,
    ) -> Any:
        """Turn texts into vectors alone; the server decides about their length."""
        found = self.create_embedding(input)
        vectors = [line["embedding"] for line in found["data"]]
        if normalize:
            vectors = [_of_length_one(vector) for vector in vectors]
        answer = vectors[0] if isinstance(input, str) else vectors
        return (answer, found["usage"]["prompt_tokens"]) if return_count else answer

    def tokenize(self, text: bytes, add_bos: bool = True, special: bool = False) -> list[int]:
        """Return a text's token ids. The server reads special tokens in it as such."""
        body = {
            "model": self._client_model(),
            "prompt": text.decode("utf-8", errors="replace"),
            "add_special_tokens": add_bos,
        }
        ids = self._client.fetch("/tokenize", body)["tokens"]
        assert isinstance(ids, list)
        return [int(each) for each in ids]

    def detokenize(
        self, tokens: list[int], prev_tokens: list[int] | None = None, special: bool = False
    ) -> bytes:
        """Write token ids as text, special tokens too."""
        text: str = self._client.detokenize(tokens)
        return text.encode()

    def tokenizer(self) -> LlamaTokenizer:
        """Return the served model's tokenizer, with ``encode`` and ``decode``."""
        return LlamaTokenizer(self)

    def token_nl(self) -> int:
        """Return the token of a new line."""
        return self.tokenize(b"\n", add_bos=False)[-1]

    def n_ctx(self) -> int:
        """Return the server's context in tokens, whatever was asked for."""
        name = self._client_model()
        served = {model.name: model.max_model_len for model in self._client.models()}
        return served.get(name) or 0

    def set_seed(self, seed: int) -> None:
        """Seed the requests that have no seed of their own."""
        self._seed = seed

    def set_cache(self, cache: Any) -> None:
        """Do nothing: the server caches prefixes by itself."""

    def reset(self) -> None:
        """Do nothing: each request stands alone."""

    def close(self) -> None:
        """Close the connections, if they are this object's own. The server goes on."""
        if self._is_own:
            self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @classmethod
    def from_pretrained(
        cls,
        repo_id: str,
        filename: str | None,
        additional_files: list[Any] | None = None,
        local_dir: str | os.PathLike[str] | None = None,
        local_dir_use_symlinks: bool | Literal["auto"] = "auto",
        cache_dir: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Take the served model; nothing is downloaded."""
        return cls(model_path=filename or repo_id, **kwargs)

    @staticmethod
    def longest_token_prefix(a: Sequence[int], b: Sequence[int]) -> int:
        """Count the tokens at the beginning of both."""
        same = 0
        for one, other in zip(a, b, strict=False):
            if one != other:
                break
            same += 1
        return same

    @staticmethod
    def logits_to_logprobs(logits: Any, axis: int = -1) -> Any:
        """Normalise logits to the logarithms of probabilities."""
        import numpy as np

        shifted = np.asarray(logits, dtype=np.single)
        shifted = shifted - shifted.max(axis=axis, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))

    def eval(self, tokens: Sequence[int]) -> NoReturn:
        """Raise: there are no single steps over HTTP."""
        _not_here("eval")

    def sample(
        self,
        top_k: int = 40,
        top_p: float = 0.95,
        min_p: float = 0.05,
        typical_p: float = 1.0,
        temp: float = 0.80,
        repeat_penalty: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        tfs_z: float = 1.0,
        mirostat_mode: int = 0,
        mirostat_eta: float = 0.1,
        mirostat_tau: float = 5.0,
        penalize_nl: bool = True,
        logits_processor: Any = None,
        grammar: Any = None,
        idx: int | None = None,
    ) -> NoReturn:
        """Raise: there are no single steps over HTTP."""
        _not_here("sample")

    def generate(
        self,
        tokens: Sequence[int],
        top_k: int = 40,
        top_p: float = 0.95,
        min_p: float = 0.05,
        typical_p: float = 1.0,
        temp: float = 0.80,
        repeat_penalty: float = 1.0,
        reset: bool = True,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        tfs_z: float = 1.0,
        mirostat_mode: int = 0,
        mirostat_tau: float = 5.0,
        mirostat_eta: float = 0.1,
        penalize_nl: bool = True,
        logits_processor: Any = None,
        stopping_criteria: Any = None,
        grammar: Any = None,
    ) -> NoReturn:
        """Raise: a stream gives text instead of token ids."""
        _not_here("generate")

    def save_state(self) -> NoReturn:
        """Raise: there is no state here."""
        _not_here("save_state")

    def load_state(self, state: Any) -> NoReturn:
        """Raise: there is no state here."""
        _not_here("load_state")

    def n_embd(self) -> NoReturn:
        """Raise: it is in the model's ``config.json``."""
        _not_here("n_embd")

    def n_vocab(self) -> NoReturn:
        """Raise: it is in the model's ``config.json``."""
        _not_here("n_vocab")

    def token_eos(self) -> NoReturn:
        """Raise: special tokens are in the model's tokenizer."""
        _not_here("token_eos")

    def token_bos(self) -> NoReturn:
        """Raise: special tokens are in the model's tokenizer."""
        _not_here("token_bos")

    def pooling_type(self) -> NoReturn:
        """Raise: the server pools."""
        _not_here("pooling_type")

    @property
    def ctx(self) -> NoReturn:
        """Raise: there is no context of this process."""
        _not_here("ctx")

    @property
    def model(self) -> NoReturn:
        """Raise: there is no model in this process."""
        _not_here("model")

    @property
    def eval_tokens(self) -> NoReturn:
        """Raise: there are no single steps over HTTP."""
        _not_here("eval_tokens")

    @property
    def eval_logits(self) -> NoReturn:
        """Raise: there are no single steps over HTTP."""
        _not_here("eval_logits")

    @property
    def _client(self) -> Any:
        return self._session.client

    def _client_model(self) -> str:
        return remote_model(self._session.settings) or str(self._client.models()[0].name)

    def _what_fits(self, max_tokens: int | None) -> int | None:
        """
        Return a limit that the server takes: no more than its context.

        llama.cpp cut what was too much; vLLM refuses it.
        """
        if max_tokens is None or max_tokens < MUCH:
            return max_tokens
        if self._context is None:
            self._context = self.n_ctx()
        return None if max_tokens >= self._context else max_tokens

    def _next_seed(self, said: int | None) -> int | None:
        """Derive a request's seed from the one before, as llama-cpp-python does."""
        if said is not None:
            self._seed = said if said >= 0 else UNSEEDED
        elif self._seed != UNSEEDED:
            self._seed = random.Random(self._seed).randint(0, 2**32)
        return None if self._seed == UNSEEDED else self._seed


class LlamaTokenizer:
    """The served model's tokenizer."""

    def __init__(self, llama: Llama) -> None:
        self._llama = llama

    def tokenize(self, text: bytes, add_bos: bool = True, special: bool = True) -> list[int]:
        """Return a text's token ids."""
        return self._llama.tokenize(text, add_bos, special)

    def detokenize(
        self, tokens: list[int], prev_tokens: list[int] | None = None, special: bool = False
    ) -> bytes:
        """Write token ids as text."""
        return self._llama.detokenize(tokens, prev_tokens, special)

    def encode(self, text: str, add_bos: bool = True, special: bool = True) -> list[int]:
        """Return a text's token ids."""
        return self.tokenize(text.encode(), add_bos, special)

    def decode(self, tokens: list[int]) -> str:
        """Write token ids as text."""
        return self.detokenize(tokens).decode()


class LlamaRAMCache:
    """Takes what a cache takes. The server's own cache does the work."""

    def __init__(self, capacity_bytes: int = 2 << 30) -> None:
        self.capacity_bytes = capacity_bytes


LlamaCache = LlamaRAMCache


def _of_length_one(vector: Sequence[float]) -> list[float]:
    length = math.hypot(*vector)
    return [value / length for value in vector] if length else list(vector)


def _only(named: dict[str, Any]) -> dict[str, Any]:
    """Return a method's arguments."""
    return {name: value for name, value in named.items() if name != "self"}


def _changed(named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the server's arguments that are not llama.cpp's defaults."""
    unset: dict[str, Any] = {"rope_freq_base": 0.0, "rope_freq_scale": 0.0}
    unset["rope_scaling_type"] = UNSPECIFIED
    return {name: value for name, value in named.items() if value != unset.get(name, _NEVER)}


_NEVER = object()


def _with(params: SamplingParams, **changes: Any) -> SamplingParams:
    return replace(params, **changes)


def _not_here(method: str) -> NoReturn:
    decide = parameter_map().method_decide
    raise asked.unsupported(method, decide.get(method, "the model is in the server's process"))
