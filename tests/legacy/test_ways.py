"""Small programs in the ways people write them: what holds for all of them."""

from __future__ import annotations

import ast
import tokenize
from io import StringIO
from pathlib import Path

import pytest

from workbench.legacy import read

WAYS = sorted((Path(__file__).parents[1] / "data/migrate/ways").glob("*.py"))


def comments(text: str) -> list[str]:
    tokens = tokenize.generate_tokens(StringIO(text).readline)
    said = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return [each for each in said if "type: ignore" not in each]


@pytest.mark.parametrize("program", WAYS, ids=lambda path: path.stem)
def test_a_program_stays_one_and_keeps_its_comments(program: Path):
    """It is Python still, something of it was found, and no comment of it is gone."""
    old = program.read_text()
    reading = read(program, old)

    ast.parse(reading.text)
    assert reading.places
    for comment in comments(old):
        assert comment in comments(reading.text)


@pytest.mark.parametrize("program", WAYS, ids=lambda path: path.stem)
def test_a_second_look_changes_nothing(program: Path):
    """What is certain is written, and what is asked is asked once."""
    once = read(program, program.read_text()).text

    assert read(program, once).text == once


@pytest.mark.parametrize("program", WAYS, ids=lambda path: path.stem)
def test_what_is_asked_of_a_person_is_the_same_afterwards(program: Path):
    """Each question that was reported stands in the file, and is reported of it again."""
    before = read(program, program.read_text())
    after = read(program, before.text)

    asked = {note for place in before.places for note in place.decide}
    assert asked <= {note for place in after.places for note in place.decide}
