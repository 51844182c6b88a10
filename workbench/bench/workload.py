"""
What is asked: prompts and how many tokens each may bring. Seeded; no network.

There is no tokenizer here, since any server is measured. A caller that can ask
one (vLLM's ``/tokenize``) passes *count*; without it a word counts as one token
and four characters as one. Lengths are therefore aimed at; what a run reports
is what the server's ``usage`` counted.

A later turn of a conversation is sent with what was said before, and the answers
in that are not the server's own: a load's answers are not kept. They are the
file's, or random words as long as answers are to be. So the prefix cache can
hold a conversation up to its last question, and not the last answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeAlias, TypeVar

from ..errors import ConfigError

CountTokens = Callable[[str], int]

CHARS_PER_TOKEN = 4
"""A rule of thumb for English, where nobody can be asked."""

CALIBRATION_WORDS = 500
MIN_SHAREGPT_TOKENS = 4
"""Shorter turns are left out, as ``vllm bench serve`` does (``benchmarks/datasets``, 0.32)."""

_TEXT = (
    "the time of day is when people walk home from work and see how light falls on water "
    "some trees stand near old stone houses while birds turn above open fields before rain "
    "each year brings new snow then spring makes green hills soft again after long cold nights"
)
WORDS = tuple(_TEXT.split())


@dataclass(frozen=True, slots=True)
class Prompt:
    """
    One request's question.

    Args:
        output_tokens: The most that the answer may have.

        history: What was said before: user and assistant in turns, the user first.
    """

    text: str
    output_tokens: int
    history: tuple[str, ...] = ()


Talk: TypeAlias = tuple[Prompt, ...]
"""A conversation's questions, each with what was said before it."""

Drawn = TypeVar("Drawn", Prompt, Talk)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """
    How long synthetic prompts and answers are, in tokens.

    Args:
        spread: Uniform between ``n × (1 − spread)`` and ``n × (1 + spread)``:
            vLLM's ``--random-range-ratio``.

        shared_prefix: Tokens, before those of *input*, that all prompts begin with.
    """

    input: int
    output: int
    spread: float = 0.0
    shared_prefix: int = 0


def synthetic(
    number: int, lengths: Lengths, *, seed: int = 0, count: CountTokens | None = None
) -> tuple[Prompt, ...]:
    """
    Make *number* prompts of random words, alike in the shared prefix only.

    Raises:
        ConfigError: A length is below 1, or the spread is not in [0, 1).
    """
    _check(lengths)
    chance = Random(seed)
    per_word = _tokens_per_word(count)

    def text(tokens: int) -> str:
        return " ".join(chance.choices(WORDS, k=max(1, round(tokens / per_word))))

    prefix = text(lengths.shared_prefix) + "\n" if lengths.shared_prefix else ""
    return tuple(
        Prompt(
            prefix + text(_around(lengths.input, lengths.spread, chance)),
            _around(lengths.output, lengths.spread, chance),
        )
        for _ in range(number)
    )


def own(texts: Iterable[str], *, output_tokens: int) -> tuple[Prompt, ...]:
    """Take the user's own prompts: a list, or a DataFrame's column."""
    return tuple(Prompt(str(text), output_tokens) for text in texts)


def read(path: Path, *, output_tokens: int, count: CountTokens | None = None) -> tuple[Prompt, ...]:
    """
    Read prompts from a file.

    ``.json``: conversations in ShareGPT's form, of which the first question
    is asked and the first answer says how long answers are. ``.jsonl``: an
    object a line with ``prompt``, and ``output_tokens`` if it has its own.
    Anything else: a prompt a line.

    Raises:
        ConfigError: It cannot be read, is not of its form, or has no prompt.
    """
    forms = {".json": _sharegpt, ".jsonl": _objects}
    try:
        text = path.read_text(encoding="utf-8")
        form = forms.get(path.suffix, _lines)
        prompts = tuple(form(text, output_tokens, count or _guess))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigError(
            f"{path} cannot be read as prompts: {type(exc).__name__}: {exc}.",
            hint="Text with a prompt a line, JSON lines with `prompt`, or ShareGPT's JSON.",
            key="prompts",
        ) from exc
    if not prompts:
        raise ConfigError(f"{path} has no prompt.", key="prompts")
    return prompts


def drawn(given: Sequence[Drawn], number: int, *, seed: int = 0) -> tuple[Drawn, ...]:
    """Take *number* of what is given in random order; all come before one comes twice."""
    chance = Random(seed)
    taken: list[Drawn] = []
    while len(taken) < number:
        taken += chance.sample(given, k=min(len(given), number - len(taken)))
    return tuple(taken)


def talks(
    number: int,
    lengths: Lengths,
    *,
    turns: int,
    seed: int = 0,
    count: CountTokens | None = None,
) -> tuple[Talk, ...]:
    """
    Make *number* conversations of *turns* questions, each as long as *lengths* has it.

    Raises:
        ConfigError: As :func:`synthetic`, or there is less than a turn.
    """
    if turns < 1:
        raise ConfigError(f"A conversation has at least one turn, not {turns}.", key="turns")
    asked = synthetic(number * turns, lengths, seed=seed, count=count)
    said = Lengths(input=lengths.output, output=1)
    answers = [each.text for each in synthetic(number * turns, said, seed=~seed, count=count)]
    prefix = asked[0].text.partition("\n")[0] + "\n" if lengths.shared_prefix and asked else ""

    def question(at: int, turn: int) -> Prompt:
        text = asked[at].text if turn == 0 else asked[at].text.removeprefix(prefix)
        return Prompt(text, asked[at].output_tokens)

    return tuple(
        _talk([question(first + turn, turn) for turn in range(turns)], answers[first:])
        for first in range(0, number * turns, turns)
    )


def read_talks(
    path: Path, *, turns: int, output_tokens: int, count: CountTokens | None = None
) -> tuple[Talk, ...]:
    """
    Read conversations of up to *turns* questions; as :func:`read`, but for ShareGPT's form.

    Raises:
        ConfigError: As :func:`read`.
    """
    if path.suffix != ".json" or turns == 1:
        return tuple((prompt,) for prompt in read(path, output_tokens=output_tokens, count=count))
    firsts = {prompt.text for prompt in read(path, output_tokens=output_tokens, count=count)}
    found = []
    for item in json.loads(path.read_text(encoding="utf-8")):
        said = [str(turn["value"]) for turn in item["conversations"][: 2 * turns]]
        if said and said[0] in firsts:
            pairs = list(zip(said[::2], said[1::2], strict=False))
            asked = [Prompt(text, max(1, (count or _guess)(answer))) for text, answer in pairs]
            found.append(_talk(asked, [answer for _, answer in pairs]))
    return tuple(found)


def by_turns(given: Iterable[Talk]) -> Talk:
    """
    Lay conversations out in the order in which they are asked: all first turns, then all second.

    So a turn has been answered when the next one comes, where there are more
    conversations than requests at once.
    """
    kept = list(given)
    last = max(map(len, kept), default=0)
    return tuple(talk[turn] for turn in range(last) for talk in kept if turn < len(talk))


def _talk(asked: Sequence[Prompt], answers: Sequence[str]) -> Talk:
    said: list[str] = []
    turns = []
    for prompt, answer in zip(asked, answers, strict=False):
        turns.append(Prompt(prompt.text, prompt.output_tokens, tuple(said)))
        said += [prompt.text, answer]
    return tuple(turns)


def _lines(text: str, output_tokens: int, _count: CountTokens) -> Iterator[Prompt]:
    return (Prompt(line, output_tokens) for line in text.splitlines() if line.strip())


def _objects(text: str, output_tokens: int, _count: CountTokens) -> Iterator[Prompt]:
    for line in filter(str.strip, text.splitlines()):
        item = json.loads(line)
        yield Prompt(str(item["prompt"]), int(item.get("output_tokens", output_tokens)))


def _sharegpt(text: str, _output_tokens: int, count: CountTokens) -> Iterator[Prompt]:
    for item in json.loads(text):
        turns = [str(turn["value"]) for turn in item["conversations"][:2]]
        if len(turns) == 2:
            answer_tokens = count(turns[1])
            if min(count(turns[0]), answer_tokens) >= MIN_SHAREGPT_TOKENS:
                yield Prompt(turns[0], answer_tokens)


def _guess(text: str) -> int:
    return -(-len(text) // CHARS_PER_TOKEN)


def _tokens_per_word(count: CountTokens | None) -> float:
    if count is None:
        return 1.0
    sample = Random(0).choices(WORDS, k=CALIBRATION_WORDS)
    return count(" ".join(sample)) / CALIBRATION_WORDS


def _around(tokens: int, spread: float, chance: Random) -> int:
    return max(1, chance.randint(round(tokens * (1 - spread)), round(tokens * (1 + spread))))


def _check(lengths: Lengths) -> None:
    if lengths.input < 1 or lengths.output < 1 or lengths.shared_prefix < 0:
        raise ConfigError("Prompts and answers have at least one token.", key="input_len")
    if not 0 <= lengths.spread < 1:
        raise ConfigError(f"A spread is in [0, 1), not {lengths.spread:g}.", key="spread")
