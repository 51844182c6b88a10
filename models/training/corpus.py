"""
The written corpus: facts with their phrasings, read from ``corpus/*.txt``.

Reading only. Which phrasing a conversation uses, and how often, is decided in
:mod:`conversations`. A phrasing marked as held out never reaches training: it is
kept apart here, at the source, so that nothing later can mix the two.

The files are written by hand, one block per fact, blocks apart by a blank line::

    is: a KV cache                      a subject; templates make questions of it
    ? Why are keys and values kept?     a question for training
    ! What does the KV cache hold?      a held-out question, for the score only
    = It holds the keys and values ...  the answer; several lines join
    - memory                            the answer in one word, where there is one
"""

from dataclasses import dataclass, field
from pathlib import Path

import phrasing

FOLDER = Path(__file__).parent / "corpus"

_MARKS = {"?": "asked", "!": "held_out", "=": "answer", "-": "short"}


@dataclass
class Fact:
    """
    One answer, the questions that train it, and the questions that test it.
    """

    topic: str
    asked: list[str] = field(default_factory=list)
    held_out: list[str] = field(default_factory=list)
    answer: str = ""
    short: str = ""


def read_facts(folder: Path = FOLDER) -> list[Fact]:
    """
    Read every ``facts-*.txt`` of *folder*; the topic is the rest of the name.
    """
    facts = []
    for path in sorted(folder.glob("facts-*.txt")):
        topic = path.stem.removeprefix("facts-")
        facts += [_fact(topic, block) for block in read_blocks(path)]
    return facts


def read_blocks(path: Path) -> list[list[str]]:
    """
    Split a file at its blank lines, leaving out lines that start with ``#``.
    """
    blocks: list[list[str]] = [[]]
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        if line.strip():
            blocks[-1].append(line.rstrip())
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def read_lines(name: str, folder: Path = FOLDER) -> list[str]:
    """
    Read a plain list (cities, names, off-topic questions), one entry a line.
    """
    return [line for block in read_blocks(folder / name) for line in block]


def _fact(topic: str, block: list[str]) -> Fact:
    fact = Fact(topic)
    answer = []
    for line in block:
        mark, _, text = line.partition(" ")
        if mark == "=":
            answer.append(text)
        elif mark == "-":
            fact.short = text
        elif mark in _MARKS:
            getattr(fact, _MARKS[mark]).append(text)
        elif mark.rstrip(":") in phrasing.TEMPLATES and mark.endswith(":"):
            asked, held_out = phrasing.fill(mark.rstrip(":"), text)
            fact.asked += asked
            fact.held_out += held_out
        else:
            raise ValueError(f"corpus: cannot read the line {line!r} in topic {topic!r}")
    fact.answer = "\n".join(answer)
    return fact
