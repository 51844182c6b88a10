"""
Whether other flags leave the answers as good as they were: fixed prompts, answered greedily.

Two things are looked at. The answers, token by token: where they part is said,
but batches of another size add numbers up in another order, so that a greedy
answer may part without being worse. And the perplexity of fixed texts, which
such rounding leaves alone, and a loss of precision does not: what quantization
costs is told by it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from ..servers import base
from ..servers.base import Server

PROMPTS = (
    "What is vLLM?",
    "What is the capital of France?",
    "Count from 1 to 20.",
    "Explain in three sentences why the sky is blue.",
    "Write a Python function that returns the n-th Fibonacci number.",
    "Translate into German: The weather is fine today, and we go for a walk.",
    "List the planets of the solar system in order, as a JSON array of strings.",
    "A train travels 120 km in 1.5 hours. How fast is it on average? Think step by step.",
    "Write a short story about a lighthouse keeper who finds a letter in a bottle.",
    "What is the difference between a list and a tuple in Python?",
)

TEXTS = (
    "A server that answers many people at once works in steps. In each step it computes one token "
    "for everybody who waits for one, and reads a part of the questions that have just come. How "
    "much fits into a step decides how long the first word takes, and how evenly others follow.",
    "def mean(values):\n    if not values:\n        raise ValueError('nothing to average')\n"
    "    return sum(values) / len(values)\n\n\nassert mean([1, 2, 3]) == 2\n",
    '{"name": "Ada", "born": 1815, "fields": ["mathematics", "computing"], "alive": false}\n'
    "The river rises in the mountains, crosses the plain, and reaches the sea after 300 miles.",
)

MAX_TOKENS = 64
TIMEOUT_S = 120.0

MOST_PERPLEXITY = 0.02
"""
So much more of it is a loss. Qwen2-7B loses 0.1 % to 8 bits (Q8_0), 1.1 % to 4 bits with care (Q4_K_M)
and 3.3 % to 4 bits without (Q4_0), by the table of Qwen/Qwen2-1.5B-Instruct-GGUF's card. Where
between these a loss begins is a convention.
"""  # noqa: E501

REPEATS = 16
"""An answer whose last so many tokens are one token again and again is no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    What came of a prompt.

    Args:
        tokens: As the server names them; where it names none, characters.

        error: A sentence, if there was no answer.
    """

    tokens: tuple[str, ...] = ()
    error: str | None = None

    @property
    def wrong(self) -> str | None:
        """Say why it is no answer at all; ``None``: it may be one."""
        if self.error:
            return self.error
        text = "".join(self.tokens)
        if not text.strip():
            return "an empty answer"
        if "\N{REPLACEMENT CHARACTER}" * 3 in text:
            return "bytes that are no text"
        last = self.tokens[-REPEATS:]
        if len(last) == REPEATS and len(set(last)) == 1:
            return f"{last[0]!r} again and again"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """
    All that one start of a server said.

    Args:
        nll: The mean negative logarithm of the fixed texts' probability, per token;
            ``None``: the server does not say.
    """

    answers: tuple[Answer, ...]
    nll: float | None = None


class Verdict(StrEnum):
    """What became of the answers."""

    SAME = "same"
    CHANGED = "changed"
    WORSE = "worse"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """
    Two starts' answers, compared.

    Args:
        same: Of the *of* answers, those that are equal to the last token.

        parts_at: The earliest token at which one parts.

        perplexity: By how much it is higher, as a share; ``None``: unknown.

        wrong: What makes the answers no answers, where those before were.
    """

    same: int
    of: int
    parts_at: int | None = None
    perplexity: float | None = None
    wrong: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """
        Judge it.

        Answers that changed while nothing says how good they are: nobody knows.
        """
        if self.wrong or (self.perplexity is not None and self.perplexity > MOST_PERPLEXITY):
            return Verdict.WORSE
        if self.same == self.of:
            return Verdict.SAME
        return Verdict.UNKNOWN if self.perplexity is None else Verdict.CHANGED

    @property
    def is_kept(self) -> bool:
        """Whether flags with such answers may be recommended."""
        return self.verdict in (Verdict.SAME, Verdict.CHANGED)


def compare(before: Answers, after: Answers) -> Quality:
    """Lay answers beside those of the server before."""
    pairs = list(zip(before.answers, after.answers, strict=True))
    parted = [_parts_at(old.tokens, new.tokens) for old, new in pairs if old != new]
    wrong = [new.wrong for old, new in pairs if new.wrong and not old.wrong]
    known = before.nll is not None and after.nll is not None
    return Quality(
        same=len(pairs) - len(parted),
        of=len(pairs),
        parts_at=min(parted, default=None),
        perplexity=math.expm1(after.nll - before.nll) if known else None,  # type: ignore[operator]
        wrong=tuple(dict.fromkeys(filter(None, wrong))),
    )


def _parts_at(old: Sequence[str], new: Sequence[str]) -> int:
    """Count the tokens that are the same from the start."""
    pairs = zip(old, new, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(old), len(new)))


def ask(server: Server, model: str) -> Answers:
    """Have a server answer the prompts and rate the texts, one after the other."""
    answers = tuple(_answer(server, model, prompt) for prompt in PROMPTS)
    rated = [_rated(server, model, text) for text in TEXTS]
    known = [each for each in rated if each is not None]
    total = sum(count for _, count in known)
    whole = len(known) == len(TEXTS) and total > 0
    return Answers(answers=answers, nll=-sum(logs for logs, _ in known) / total if whole else None)


def _answer(server: Server, model: str, prompt: str) -> Answer:
    body = {"model": model, "max_tokens": MAX_TOKENS, "temperature": 0, "seed": 0, "logprobs": True}
    asked = _post(
        server, "chat/completions", body | {"messages": [{"role": "user", "content": prompt}]}
    )
    if asked.status == HTTPStatus.BAD_REQUEST:  # a model without a chat template
        asked = _post(server, "completions", body | {"prompt": prompt, "logprobs": 0})
    if asked.status != HTTPStatus.OK:
        return Answer(error=f"no answer: {asked.error or asked.status}")
    choice = _first(asked.json)
    return Answer(tokens=_tokens(choice.get("logprobs")) or tuple(_text(choice)))


def _tokens(logprobs: object) -> tuple[str, ...]:
    """Read the tokens of a chat's answer, or of a completion's."""
    if not isinstance(logprobs, dict):
        return ()
    content = logprobs.get("content")
    if isinstance(content, list):
        return tuple(str(each.get("token")) for each in content)
    return tuple(map(str, logprobs.get("tokens") or ()))


def _text(choice: Mapping[str, Any]) -> str:
    said = choice.get("message") or {}
    return str(said.get("content") or said.get("reasoning_content") or choice.get("text") or "")


def _rated(server: Server, model: str, text: str) -> tuple[float, int] | None:
    """Ask how probable a text is: the sum of its tokens' logarithms, and their number."""
    body = {"model": model, "prompt": text, "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}
    asked = _post(server, "completions", body)
    said = _first(asked.json).get("prompt_logprobs") if asked.status == HTTPStatus.OK else None
    if not isinstance(said, list):
        return None
    # The first token has none. Without alternatives the only one that is there is the text's.
    logs = [next(iter(each.values()))["logprob"] for each in said if each]
    return (math.fsum(logs), len(logs)) if logs else None


def _post(server: Server, path: str, body: object) -> base.Answer:
    url = f"{server.base_url}/{path}"
    return base.ask(url, api_key=server.api_key, body=body, timeout_s=TIMEOUT_S)


def _first(json: object) -> dict[str, Any]:
    choices = json.get("choices") if isinstance(json, dict) else None
    return choices[0] if isinstance(choices, list) and choices else {}
