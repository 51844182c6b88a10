"""
A command line's flags, and the same with some of them changed. Pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ..servers.base import Recipe
from ..servers.variables import EXTRA_ARGS, FLAGS

Words = tuple[str, ...]


def name_of(word: str) -> str:
    """
    Return what a flag sets: without its value, and the same for yes and no.

    ``--no-enable-x``, ``--enable_x`` and ``--enable-x=true`` are one flag.
    """
    name = word.partition("=")[0].replace("_", "-")
    return f"--{name.removeprefix('--no-')}" if name.startswith("--no-") else name


def grouped(words: Sequence[str]) -> list[Words]:
    """Put each flag together with the values behind it."""
    groups: list[list[str]] = []
    for word in words:
        if word.startswith("--") or not groups:
            groups.append([word])
        else:
            groups[-1].append(word)
    return [tuple(group) for group in groups]


def value_of(words: Sequence[str], flag: str) -> str | None:
    """Return the value that the last flag of this name has; "" if it stands alone."""
    for group in reversed(grouped(words)):
        if name_of(group[0]) == flag:
            return group[0].partition("=")[2] or " ".join(group[1:])
    return None


def changed(words: Sequence[str], add: Sequence[str], drop: Sequence[str] = ()) -> Words:
    """Write *words* without what *add* sets anew and what is to be dropped, then *add*."""
    gone = {name_of(group[0]) for group in (*grouped(add), *grouped(drop))}
    kept = [word for group in grouped(words) if name_of(group[0]) not in gone for word in group]
    return (*kept, *add)


def of_recipe(recipe: Recipe) -> Words:
    """Read the flags of a recipe that a candidate may change."""
    if "further_flags" in recipe:
        return tuple(recipe["further_flags"])
    said = recipe["variables"]
    own = [(flag, said[name]) for flag, name in FLAGS.items() if name in said]
    return (*(word for pair in own for word in pair), *shlex.split(said.get(EXTRA_ARGS, "")))


def with_flags(recipe: Recipe, add: Sequence[str], drop: Sequence[str] = ()) -> Recipe:
    """Write a recipe's like with other flags; where the compose file has a variable, in it."""
    if "further_flags" in recipe:
        return recipe | {"further_flags": list(changed(recipe["further_flags"], add, drop))}
    said = dict(recipe["variables"])
    extra = changed(shlex.split(said.pop(EXTRA_ARGS, "")), add, drop)
    for group in grouped(drop):
        said.pop(FLAGS.get(name_of(group[0]), ""), None)
    rest: list[str] = []
    for group in grouped(extra):
        if (variable := FLAGS.get(name_of(group[0]))) is not None:
            said[variable] = value_of(group, name_of(group[0])) or ""
        else:
            rest += group
    # Written also if it is empty: what .env says is not for this one.
    return recipe | {"variables": said | {EXTRA_ARGS: shlex.join(rest)}}
