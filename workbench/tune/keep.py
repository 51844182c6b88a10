"""
How to keep flags: the lines to write, and the command that then starts with them.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from ..catalogue import find_entry
from ..catalogue.entries import FILE_NAME
from ..doctor.secrets import Secrets
from ..servers.base import Recipe
from .candidates import Candidate
from .flags import changed, with_flags

if TYPE_CHECKING:
    from ..settings import Settings


def how_to_keep(
    candidate: Candidate, before: Recipe, model: str, settings: Settings
) -> tuple[str, ...]:
    """Write the lines; a secret among the arguments from before is not shown."""
    if "further_flags" in before:
        lines = _of_catalogue(candidate, before, model, settings)
    else:
        lines = _of_dotenv(candidate, before)
    return tuple(Secrets(frozenset(Secrets.in_text(line))).hide(line) for line in lines)


def _of_dotenv(candidate: Candidate, before: Recipe) -> list[str]:
    """Write what differs of the compose file's variables."""
    old: dict[str, str] = before["variables"]
    new: dict[str, str] = with_flags(before, candidate.add, candidate.drop)["variables"]
    lines = [
        f"{name}={new.get(name, '')}"
        for name in sorted({*old, *new})
        if new.get(name, "") != old.get(name, "")
    ]
    return ["in .env:", *lines, "then: workbench restart"]


def _of_catalogue(
    candidate: Candidate, before: Recipe, model: str, settings: Settings
) -> list[str]:
    """Write an entry of the reader's own catalogue: the embedded engine has no variable."""
    name = settings.model or model
    entry = find_entry(name, models_dir=settings.models_dir)
    words = entry.extra_args if entry else tuple(before["further_flags"])
    args = changed(words, candidate.add, candidate.drop)
    own = settings.models_dir / FILE_NAME
    there = entry is not None and entry.file == own
    heading = [f"[{json.dumps(name)}]"]
    if not there:
        heading += [f"model = {json.dumps(entry.model if entry else name)}"]
        heading += [f"why = {json.dumps('as workbench tune found it')}"]
        if entry is not None and entry.max_model_len:
            heading.append(f"max_model_len = {entry.max_model_len}")
    return [
        f"in models/{FILE_NAME}:",
        *heading,
        f"extra_args = {json.dumps(list(args))}",
        f"then: workbench use {shlex.quote(name)}",
    ]
