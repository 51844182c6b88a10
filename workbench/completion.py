"""
What can come next in a line of ``%wb``: verbs, options, names of models and panels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import click

WANT_A_MODEL = frozenset({"use", "plan", "fetch", "show", "probe"})
"""Verbs whose argument is a model's name."""


def candidates(
    group: click.Group, line: str, word: str, names: Callable[[], Mapping[str, Iterable[str]]]
) -> list[str]:
    """
    List what *word*, the last of *line*, may become.

    Args:
        group: Of all verbs.

        line: What stands behind ``%wb``, up to the cursor.

        names: Finds names by what they are of: ``model``, ``panel``.
    """
    before = line[: len(line) - len(word)].split()
    command = _command(group, before)
    found: Iterable[str] = ()
    if word.startswith("-"):
        found = _options(command)
    elif before and before[-1] == "--model":
        found = names().get("model", ())
    elif isinstance(command, click.Group):
        found = command.commands
    elif command.name in WANT_A_MODEL:
        found = names().get("model", ())
    else:
        found = names().get(command.name or "", ())
    return sorted(each for each in found if each.startswith(word))


def _command(group: click.Group, words: Iterable[str]) -> click.Command:
    """Follow the words as far as they name verbs."""
    command: click.Command = group
    for word in words:
        if isinstance(command, click.Group) and word in command.commands:
            command = command.commands[word]
    return command


def _options(command: click.Command) -> list[str]:
    declared = [
        option for it in command.params if isinstance(it, click.Option) for option in it.opts
    ]
    return [option for option in (*declared, "--help") if option.startswith("--")]
