"""The tour: one key a stop, and nothing hangs where nobody can press one."""

from __future__ import annotations

import builtins
import shlex
from collections.abc import Iterator

import pytest

from workbench import verbs
from workbench.terminal import Terminal
from workbench.verbs.tour import STOPS


@pytest.fixture
def keys(project, monkeypatch):
    """Answers each question with the next of these keys."""
    monkeypatch.setenv("WORKBENCH_HOME", str(project))
    monkeypatch.setenv("WORKBENCH_PORT", "9")  # nothing answers at "discard"

    def pressed(*answers: str) -> list[str]:
        asked: list[str] = []
        left: Iterator[str] = iter(answers)

        def answer(prompt: str) -> str:
            asked.append(prompt)
            try:
                return next(left)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr(builtins, "input", answer)
        return asked

    return pressed


def tour(*arguments: str):
    terminal = Terminal()
    try:
        return verbs.workbench.main(
            ["tour", *arguments], prog_name="workbench", obj=terminal, standalone_mode=False
        )
    finally:
        terminal.close()


def test_enter_runs_a_stop_and_q_ends(keys, capsys):
    """The first stop looks whether a server runs; what it says is printed before the next."""
    asked = keys("", "q")
    shown = tour()

    assert "stopped" in capsys.readouterr().out
    assert len(asked) == 2
    assert "1 of" in asked[0]
    assert "go" in str(shown)


def test_what_fails_is_told_and_the_tour_goes_on(keys, capsys):
    """Without a server nobody lists models; the next stop is asked for all the same."""
    asked = keys("s", "s", "", "q")
    tour()

    assert "Nothing answers" in capsys.readouterr().out
    assert len(asked) == 4


def test_where_nobody_can_answer_the_stops_are_listed(keys):
    """In a pipe, or a notebook that runs headless."""
    keys()
    assert [row["line"] for row in tour().data] == [stop.line for stop in STOPS]


def test_each_stop_is_a_line_that_can_be_typed():
    """A verb that was renamed would be noticed here."""
    for stop in STOPS:
        name, *arguments = shlex.split(stop.line)
        verbs.workbench.commands[name].make_context(name, arguments)
