"""What can come next in a line of ``%wb``."""

from __future__ import annotations

import pytest

from workbench import verbs
from workbench.completion import candidates


def names() -> dict[str, list[str]]:
    return {"model": ["pocket", "pocket-mini", "qwen3-8b"], "panel": ["chat", "server"]}


@pytest.mark.parametrize(
    ("line", "word", "found"),
    [
        (" sta", "sta", ["status"]),
        (" telemetry su", "su", ["summary"]),
        (" models f", "f", ["fetch"]),
        (" use poc", "poc", ["pocket", "pocket-mini"]),
        (" up --model q", "q", ["qwen3-8b"]),
        (" up --base", "--base", ["--base-url"]),
        (" down poc", "poc", []),
    ],
)
def test_a_word_becomes_what_its_place_allows(line, word, found):
    """Verbs, their own verbs, options, and models where a model is meant."""
    assert candidates(verbs.workbench, line, word, names) == found


def test_nothing_typed_lists_every_verb():
    """Tab after ``%wb`` is a table of contents."""
    assert candidates(verbs.workbench, " ", "", names) == sorted(verbs.workbench.commands)


def test_models_are_looked_up_only_where_one_is_meant():
    """Completing a verb reads no folder."""

    def never() -> dict[str, list[str]]:
        raise AssertionError("looked up")

    assert candidates(verbs.workbench, " dow", "dow", never) == ["down"]
