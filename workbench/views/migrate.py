"""
How a migration looks: its places one by one, then the checklist; and two sides' answers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from textwrap import shorten
from typing import TYPE_CHECKING

from .. import units
from ..display import View
from .base import near, wrapped

if TYPE_CHECKING:
    from pathlib import Path

    from ..legacy import Place
    from ..migrate import Migration
    from ..migrate.compare import Comparison, Pair


@dataclass(frozen=True, kw_only=True)
class MigrationView(View):
    """The places, and the checklist below them as a table of its own."""

    checklist: View

    def __str__(self) -> str:
        return f"{View.__str__(self)}\n\n{self.checklist}"

    def html(self) -> str:
        """Write both tables."""
        return View.html(self) + self.checklist.html()


ENVIRONMENT = """\
What is written asks the server that the environment names, else http://localhost:8000/v1. For the
one of this folder:
  export OPENAI_BASE_URL=…    # its base URL: workbench status
  export OPENAI_API_KEY="$(cat .workbench/api-key)"
It needs the package openai (with LangChain langchain-openai), and not the workbench."""


def migration_view(migration: Migration, *, check: bool = False) -> View:
    """
    Show what talks to a model, what it becomes and what has to be decided.

    Args:
        check: What is left is a failure.
    """
    left = migration.left
    moved = len(migration.places) - len(left)
    unread = [f"not read: {near(file.path)}: {file.error}" for file in migration.unread]
    written = [f"written: {near(path)}" for path in migration.written]
    if written:
        written += ["", ENVIRONMENT]
    places = [_place_text(path, place) for path, place in left]
    return MigrationView(
        title=f"{near(migration.path)}: {units.count(len(left), 'place')} to move, {moved} moved",
        columns=("where", "to do", "what") if left else (),
        rows=tuple((_where(path, place), place.state, place.what) for path, place in left),
        note="\n\n".join([*places, *unread, *(["\n".join(written)] if written else [])]) or None,
        checklist=_checklist(migration),
        data=_data(migration),
        ok=not (check and left),
        unsure=bool(migration.unread),
    )


def _where(path: Path, place: Place) -> str:
    cell = f" cell {place.cell}," if place.cell else ""
    return f"{near(path)}:{cell}{' line ' if cell else ''}{place.line}"


def _place_text(path: Path, place: Place) -> str:
    lines = [f"{_where(path, place)}  {place.what}", wrapped(place.seen)]
    if place.becomes is not None:
        lines.append(wrapped(f"→ {place.becomes or 'nothing: it goes'}"))
    lines += [wrapped(f"changes: {change}") for change in place.changes]
    lines += [wrapped(f"decide: {question}") for question in place.decide]
    return "\n".join(lines)


def _checklist(migration: Migration) -> View:
    return View(
        title="The checklist:",
        columns=("", "point", "state", "left", "moved"),
        numeric=frozenset({"", "left", "moved"}),
        rows=tuple(
            (str(item.number), item.title, item.state, str(item.left), str(item.moved))
            for item in migration.checklist
        ),
    )


def _data(migration: Migration) -> dict[str, object]:
    return {
        "path": str(migration.path),
        "places": [asdict(place) | {"path": str(path)} for path, place in migration.places],
        "unread": [{"path": str(file.path), "error": file.error} for file in migration.unread],
        "written": [str(path) for path in migration.written],
        "checklist": [asdict(item) for item in migration.checklist],
    }


MAX_PROMPT = 40


def comparison_view(found: Comparison) -> View:
    """Show both sides' answers: a line each, then the texts that differ."""
    same = sum(pair.same for pair in found.pairs)
    failed = any(pair.failed for pair in found.pairs)
    return View(
        title=f"{same} of {len(found.pairs)} the same: {found.old} (old) and {found.new} (new), "
        f"temperature {found.params.temperature:g}, seed {found.params.seed}",
        columns=("prompt", "same", "words alike", "tokens", "finish reason", "time"),
        numeric=frozenset({"words alike"}),
        rows=tuple(map(_pair_row, found.pairs)),
        note="\n\n".join(_pair_text(pair) for pair in found.pairs if not pair.same) or None,
        data=asdict(found) | {"same": same},
        ok=not failed,
    )


def _pair_row(pair: Pair) -> tuple[str, ...]:
    old, new = pair.old, pair.new
    return (
        shorten(pair.prompt, MAX_PROMPT, placeholder=" …"),
        "yes" if pair.same else "no",
        str(pair.words_alike),
        f"{_known(old.output_tokens)} → {_known(new.output_tokens)}",
        f"{old.finish_reason or units.UNKNOWN} → {new.finish_reason or units.UNKNOWN}",
        f"{units.seconds(old.duration_s)} → {units.seconds(new.duration_s)}",
    )


def _known(count: int | None) -> str:
    return units.UNKNOWN if count is None else str(count)


def _pair_text(pair: Pair) -> str:
    lines = [pair.prompt.strip()]
    for side, answer in (("old", pair.old), ("new", pair.new)):
        said = answer.error and f"failed: {answer.error}"
        lines.append(wrapped(f"{side}: {said or answer.text.strip()}"))
    return "\n".join(lines)
