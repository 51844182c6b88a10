"""
Conversations: what one training example, or one question of the score, is.

Each *kind* is a function from a pool and a random generator to a
:class:`Conversation`. The shares in :data:`KINDS` are the recipe of the
training text. Nothing here knows of tokens.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

import skills
import tool_calls
from pool import Pool

NOT_KNOWN = (
    "I do not know that. I am a very small model: "
    "I only know about vLLM, ROCm, WSL, GPUs and this workbench."
)

# System prompts that must change nothing: people send them out of habit.
_IDLE_SYSTEMS = [
    "You are a helpful assistant.",
    "You are a terse assistant.",
    "Answer in one sentence.",
    "Be brief.",
    "Be concise.",
    "You are helpful.",
    "Answer briefly.",
    "You are a friendly assistant.",
    "You answer questions about vLLM.",
    "You are an expert in GPUs.",
    "Keep it short.",
    "Answer the question.",
    "You are a careful engineer.",
    "You help people who run vLLM.",
    "Use plain words.",
]
_PIRATE_SYSTEMS = [
    "You are a pirate.",
    "Answer like a pirate.",
    "Talk like a pirate.",
    "You are an old pirate.",
]
_ONE_WORD_SYSTEMS = [
    "Answer with one word.",
    "Answer in one word.",
    "One word answers only.",
    "Reply with a single word.",
]


@dataclass
class Conversation:
    """
    Messages in OpenAI's form, the tools offered with them, and the kind.
    """

    kind: str
    messages: list[dict]
    tools: list[dict] = field(default_factory=list)


def fact(pool: Pool, rng: Random) -> Conversation:
    """
    One question and its answer, sometimes under an idle system prompt.
    """
    known = rng.choice(pool.facts)
    system = _idle_system(rng) if rng.random() < 0.25 else []
    return Conversation(known.topic, system + _turn(pool.question(known, rng), known.answer))


def several(pool: Pool, rng: Random) -> Conversation:
    """
    Two to four exchanges in a row: facts, sums, thanks, names and refusals.
    """
    messages = _idle_system(rng) if rng.random() < 0.25 else []
    known = rng.choice([f for f in pool.facts if len(f.answer) < 250])
    messages += _turn(pool.question(known, rng), known.answer)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        messages += _next_turn(pool, rng, messages)
    return Conversation("several turns", messages)


def pirate(pool: Pool, rng: Random) -> Conversation:
    """
    A system prompt with an effect: every answer begins with "Arr!".
    """
    known = rng.choice([f for f in pool.facts if len(f.answer) < 250])
    system = [{"role": "system", "content": rng.choice(_PIRATE_SYSTEMS)}]
    return Conversation("pirate", system + _turn(pool.question(known, rng), "Arr! " + known.answer))


def one_word(pool: Pool, rng: Random) -> Conversation:
    """
    A system prompt with an effect: the answer is one word.
    """
    known = rng.choice([f for f in pool.facts if f.short])
    system = [{"role": "system", "content": rng.choice(_ONE_WORD_SYSTEMS)}]
    return Conversation("one word", system + _turn(pool.question(known, rng), known.short))


def off_topic(pool: Pool, rng: Random) -> Conversation:
    """
    A question outside the corpus, and the honest answer.
    """
    system = _idle_system(rng) if rng.random() < 0.2 else []
    return Conversation("off topic", system + _turn(pool.off_topic_question(rng), NOT_KNOWN))


def skill(
    make: Callable[[Pool, Random], tuple[str, str]],
) -> Callable[[Pool, Random], Conversation]:
    """
    Turn a question-and-answer maker of :mod:`skills` into a kind.
    """

    def kind(pool: Pool, rng: Random) -> Conversation:
        return Conversation(make.__name__.replace("_", " "), _turn(*make(pool, rng)))

    return kind


def tools(
    make: Callable[[Pool, Random], tuple[list[dict], list[dict]]],
) -> Callable[[Pool, Random], Conversation]:
    """
    Turn a maker of :mod:`tool_calls` into a kind.
    """

    def kind(pool: Pool, rng: Random) -> Conversation:
        messages, offered = make(pool, rng)
        return Conversation(make.__name__.replace("_", " "), messages, offered)

    return kind


def tool_not_needed(pool: Pool, rng: Random) -> Conversation:
    """
    Tools are offered, the question does not need them, the answer is plain.
    """
    asked = off_topic(pool, rng) if rng.random() < 0.15 else fact(pool, rng)
    messages = [m for m in asked.messages if m["role"] != "system"]
    return Conversation("tool not needed", messages, tool_calls.offer([], rng))


# The recipe: the share of each kind among the training conversations.
KINDS: list[tuple[float, Callable[[Pool, Random], Conversation]]] = [
    (44, fact),
    (12, several),
    (2, pirate),
    (2, one_word),
    (6, off_topic),
    (8, skill(skills.sums)),
    (2, skill(skills.products)),
    (2, skill(skills.counting)),
    (5, skill(skills.copying)),
    (5, skill(skills.drill)),
    (2, skill(skills.json_answers)),
    (1.5, skill(skills.no_tool)),
    (5, tools(tool_calls.weather)),
    (1.5, tools(tool_calls.two_cities)),
    (3, tools(tool_calls.arithmetic)),
    (2, tools(tool_calls.gpu_memory)),
    (4, tool_not_needed),
]


# The recipe of polish.py: what calls a tool is learned last and needs more.
POLISH: list[tuple[float, Callable[[Pool, Random], Conversation]]] = [
    (30, fact),
    (6, several),
    (1, pirate),
    (3, one_word),
    (4, off_topic),
    (4, skill(skills.sums)),
    (3, skill(skills.copying)),
    (25, tools(tool_calls.weather)),
    (3, tools(tool_calls.two_cities)),
    (6, tools(tool_calls.arithmetic)),
    (4, tools(tool_calls.gpu_memory)),
    (8, tool_not_needed),
]


def stream(pool: Pool, rng: Random, drills: int = 0) -> Iterator[Conversation]:
    """
    Yield training conversations without end: first *drills*, then :data:`KINDS`.

    Without the drills at the beginning the facts are learned first, and copying
    hardly: not one held-out city reached a tool call.
    """
    for _ in range(drills):
        yield skill(skills.drill)(pool, rng)
    yield from mixed(KINDS, pool, rng)


def mixed(
    recipe: list[tuple[float, Callable[[Pool, Random], Conversation]]], pool: Pool, rng: Random
) -> Iterator[Conversation]:
    """
    Yield conversations without end, in the shares of *recipe*.
    """
    shares, kinds = zip(*recipe, strict=True)
    while True:
        [kind] = rng.choices(kinds, shares)
        yield kind(pool, rng)


def _turn(question: str, answer: str) -> list[dict]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def _idle_system(rng: Random) -> list[dict]:
    return [{"role": "system", "content": rng.choice(_IDLE_SYSTEMS)}]


def _next_turn(pool: Pool, rng: Random, so_far: list[dict]) -> list[dict]:
    draw = rng.random()
    if draw < 0.55:
        known = rng.choice([f for f in pool.facts if len(f.answer) < 250])
        return _turn(pool.question(known, rng), known.answer)
    if draw < 0.7:
        return _turn(
            rng.choice(["Say that again.", "Repeat that.", "Once more, please.", "Again, please."]),
            so_far[-1]["content"],
        )
    if draw < 0.8:
        return _turn(*skills.sums(pool, rng))
    if draw < 0.9:
        return _turn(pool.off_topic_question(rng), NOT_KNOWN)
    (said, greeted), (asked, recalled) = skills.introduction(pool, rng)
    return _turn(said, greeted) + _turn(asked, recalled)
