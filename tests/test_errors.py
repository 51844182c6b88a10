"""
Errors keep their facts, and show themselves briefly.
"""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from workbench import errors
from workbench.errors import WorkbenchError

EVERY_ERROR = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, WorkbenchError)
]


def drawn_tree() -> dict[str, str | None]:
    """Read the docstring's drawing: each class and the one it hangs from."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ([│├└─ ]*)(\w+Error)\b", line):
            depth = len(found[1]) // 4
            above[depth:] = [found[2]]
            parents[found[2]] = above[depth - 1] if depth else None
    return parents


def test_the_drawing_is_the_tree() -> None:
    """
    Every class is drawn, under its parent, and nothing else is.
    """
    real = {kind.__name__: kind.__bases__[0].__name__ for kind in EVERY_ERROR}

    assert drawn_tree() == {**real, "WorkbenchError": None}


def test_every_error_is_public() -> None:
    """
    `__all__` is sorted and complete.
    """
    assert errors.__all__ == sorted(kind.__name__ for kind in EVERY_ERROR)


@pytest.mark.parametrize("kind", EVERY_ERROR)
def test_facts_survive_pickling(kind: type[WorkbenchError]) -> None:
    """
    An error that crosses a process border arrives with message, hint and facts.
    """
    error = kind("It failed.", hint="Try again.", status_code=404, served=("a",))
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is kind
    assert vars(copy) == vars(error)
    assert str(copy) == "It failed.\nTry again."


def test_a_time_out_is_caught_as_one() -> None:
    """
    `except TimeoutError` works for people who know only Python's.
    """
    assert issubclass(errors.RequestTimeoutError, TimeoutError)
    assert issubclass(errors.ServerTimeoutError, TimeoutError)


def test_a_message_without_a_hint_is_one_line() -> None:
    """
    Nothing is known to try: nothing is said.
    """
    assert str(WorkbenchError("It failed.")) == "It failed."


def test_a_fact_that_nobody_knew_has_a_default() -> None:
    """
    Unknown facts read as None or empty, and do not raise.
    """
    assert errors.ClientError("x").request_id is None
    assert errors.ClientError("x").partial is None
    assert errors.ContextLengthError("x").max_model_len is None
    assert errors.ModelNotServedError("x").served == ()


def test_a_notebook_shows_two_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The class, the message and the hint; no stack.
    """
    monkeypatch.delenv(errors.DEBUG_VARIABLE, raising=False)
    shown = errors.ConfigError("No port.", hint="Set WORKBENCH_PORT.")._render_traceback_()

    assert shown == ["ConfigError: No port.", "Set WORKBENCH_PORT."]


def test_debugging_brings_the_stack_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With the cause, which is what one debugs for.
    """
    monkeypatch.setenv(errors.DEBUG_VARIABLE, "1")
    try:
        try:
            raise KeyError("port")
        except KeyError as exc:
            raise errors.ConfigError("No port.") from exc
    except errors.ConfigError as error:
        shown = "".join(error._render_traceback_())

    assert "Traceback" in shown
    assert "KeyError: 'port'" in shown
    assert "test_errors.py" in shown
