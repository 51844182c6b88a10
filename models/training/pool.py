"""
What a conversation may draw from: one pool for training, one for the score.

Both pools offer the same things, so that the same code writes a training
conversation and a held-out one; but they share no phrasing, no city, no name
and no sum.
"""

from dataclasses import dataclass, field
from random import Random

import corpus
import phrasing

_CONSONANTS = "bcdfghklmnprstvwz"
_VOWELS = "aeiou"

# What the notebooks and the tests ask: a model that gets these wrong looks broken.
_NOTEBOOK_SUMS = [(2, 3), (17, 25)]


@dataclass
class Pool:
    """
    Questions by fact, and the words and numbers that fill the rest.
    """

    facts: list[corpus.Fact]
    questions: dict[int, list[str]]
    off_topic: list[str]
    cities: list[str]
    names: list[str]
    words: list[str]
    rough: bool
    invented: float
    held_out_sums: bool
    canonical: float = 0.0
    things: dict[str, list[str]] = field(default_factory=dict)

    def question(self, fact: corpus.Fact, rng: Random) -> str:
        """
        Ask for *fact*, more often than not in its first wording.
        """
        questions = self.questions[id(fact)]
        chosen = questions[0] if rng.random() < self.canonical else rng.choice(questions)
        return self.typed(chosen, rng)

    def typed(self, question: str, rng: Random) -> str:
        """
        Type *question*: with a person's noise in training, clean for the score.
        """
        return phrasing.roughen(question, rng) if self.rough else question

    def city(self, rng: Random) -> str:
        """
        Name a city; some are invented, so that copying is learned, not a list.
        """
        return (
            invented_word(rng).capitalize()
            if rng.random() < self.invented
            else rng.choice(self.cities)
        )

    def name(self, rng: Random) -> str:
        """
        Name a person, now and then an invented one.
        """
        return (
            invented_word(rng).capitalize()
            if rng.random() < self.invented
            else rng.choice(self.names)
        )

    def off_topic_question(self, rng: Random) -> str:
        """
        Ask for something these models can't know.
        """
        question = rng.choice(self.off_topic)
        for slot, things in self.things.items():
            question = question.replace("{" + slot + "}", rng.choice(things))
        return self.typed(question, rng)

    def sum_terms(self, rng: Random) -> tuple[int, int]:
        """
        Draw two numbers of at most two digits whose sum belongs to this pool.
        """
        if not self.held_out_sums and rng.random() < 0.2:
            return rng.choice(_NOTEBOOK_SUMS)
        top = rng.choice([9, 9, 9, 20, 99])
        while True:
            a, b = rng.randint(0, top), rng.randint(0, top)
            if sum_is_held_out(a, b) == self.held_out_sums:
                return a, b


def training_pool() -> Pool:
    """
    Gather what training may see.
    """
    facts = corpus.read_facts()
    things = {}
    for line in corpus.read_lines("things.txt"):
        slot, _, values = line.partition(": ")
        things[slot] = values.split(", ")
    return Pool(
        facts=facts,
        questions={id(fact): fact.asked for fact in facts},
        off_topic=corpus.read_lines("off-topic.txt"),
        cities=corpus.read_lines("cities.txt"),
        names=corpus.read_lines("names.txt"),
        words=corpus.read_lines("words.txt")
        + sorted({word for fact in facts for word in fact.answer.split()}),
        rough=True,
        invented=0.4,
        held_out_sums=False,
        canonical=0.25,
        things=things,
    )


def held_out_pool() -> Pool:
    """
    Gather what only the score may see.
    """
    facts = corpus.read_facts()
    return Pool(
        facts=facts,
        questions={id(fact): fact.held_out for fact in facts},
        off_topic=corpus.read_lines("off-topic-held-out.txt"),
        cities=corpus.read_lines("cities-held-out.txt"),
        names=corpus.read_lines("names-held-out.txt"),
        words=corpus.read_lines("words.txt"),
        rough=False,
        invented=0.0,
        held_out_sums=True,
    )


def sum_is_held_out(a: int, b: int) -> bool:
    """
    Keep one sum in eight for the score; the notebooks' own sums are trained.
    """
    return (7 * a + 3 * b) % 8 == 5 and (a, b) not in _NOTEBOOK_SUMS


def invented_word(rng: Random) -> str:
    """
    Make up a pronounceable word of two or three syllables.
    """
    syllables = [
        rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(rng.choice([2, 2, 3]))
    ]
    return "".join(syllables) + rng.choice(["", "n", "r", "l", "s"])
