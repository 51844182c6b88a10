"""A child whose every line is watched, on real processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from workbench.servers.pip_child import run

pytestmark = pytest.mark.processes


def test_last_words_without_a_newline_are_heard():
    """A child that is killed in the middle of a line may say there why."""
    code = "import os; print('one', flush=True); os.write(1, b'No space left'); os._exit(3)"
    heard: list[str] = []
    with Path(os.devnull).open() as held:
        output = run([sys.executable, "-c", code], env={}, watch=heard.append, held=held.fileno())

    assert (output.exit_code, output.lines) == (3, ["one", "No space left"])
    assert [line for line in heard if line] == output.lines
