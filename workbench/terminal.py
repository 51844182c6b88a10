"""
The shell's way of showing: progress and answers in a terminal, plain lines in a log.

Results go to stdout, everything that moves goes to stderr, so that
``workbench status --json | jq`` sees only the result.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Unpack

import click

from . import units
from .display import for_terminal
from .records import Generation, Progress, SamplingParams
from .session import Session
from .views import phase_line, status_line

if TYPE_CHECKING:
    from rich.progress import Task

    from .client import Ask, Messages

PLAIN_INTERVAL_S = 30.0
"""A download of an hour should not look like a hang in CI's log, nor fill it."""


class Terminal:
    """The shell as a skin of the verbs; see :class:`workbench.verbs.Skin`."""

    def __init__(self) -> None:
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The session of this one command, made when it is first needed."""
        if self._session is None:
            self._session = Session()
        return self._session

    @contextmanager
    def configured(self, **arguments: Any) -> Iterator[Session]:
        """Make the session with these settings; a shell's command has only one at a time."""
        self.close()
        self._session = Session(**arguments)
        yield self._session

    def close(self) -> None:
        """Release the session, if there is one."""
        if self._session is not None:
            self._session.close()

    def show(self, shown: object) -> None:
        """Print it."""
        print(shown)  # noqa: T201  # a terminal's way

    @contextmanager
    def progress(self) -> Iterator[Callable[[Progress], None]]:
        """Draw a bar in a terminal; elsewhere write a line whenever something new begins."""
        if not sys.stderr.isatty():
            yield PlainProgress()
            return
        from rich.console import Console
        from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, TextColumn
        from rich.progress import Progress as Bars
        from rich.text import Text

        class Amount(ProgressColumn):
            def render(self, task: Task) -> Text:
                return Text(_amount(task.fields["latest"]))

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), Amount())
        first = Progress(label="looking", done=0, total=None, unit="s")
        with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(first.label, total=None, latest=first)

            def draw(latest: Progress) -> None:
                bars.update(
                    task,
                    description=latest.label,
                    completed=latest.done,
                    total=latest.total,
                    latest=latest,
                )

            yield draw

    def answer(self, messages: Messages, params: SamplingParams, **ask: Unpack[Ask]) -> Generation:
        """Write the answer as it comes, then how it came."""
        with self.session.stream(messages, params, **ask) as stream:
            for piece in stream:
                click.echo(for_terminal(piece), nl=False)
        click.echo()
        click.echo(click.style(status_line(stream.generation), dim=True), err=True)
        return stream.generation

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines as they come."""
        for line in lines:
            click.echo(line)


class PlainProgress:
    """Progress for a log: a line for each new label, and now and then for one that lasts."""

    def __init__(self) -> None:
        self._label: str | None = None
        self._written_s = 0.0

    def __call__(self, latest: Progress) -> None:
        """Write a line if something new has begun, or the last one is old."""
        now_s = time.monotonic()
        # Checks take a moment each, and their table comes.
        new = latest.label != self._label and latest.unit != "checks"
        if new or now_s - self._written_s >= PLAIN_INTERVAL_S:
            begun = latest.label != self._label
            before = "".join(f"{phase_line(phase)}, " for phase in latest.phases[-2:-1])
            click.echo(f"{before if begun else ''}{latest.label} … ({_amount(latest)})", err=True)
            self._label, self._written_s = latest.label, now_s


def _amount(latest: Progress) -> str:
    """Write how far it is in the unit it is counted in, and how long it may take."""
    if latest.unit in ("packages", "checks", "files"):
        return f"{latest.done:.0f} of {latest.total or 0:.0f} {latest.unit}"
    if latest.detail is not None:
        of = "" if latest.total is None else f" of {latest.total:.0f}"
        return f"{latest.done:.0f}{of} {latest.unit}, {latest.detail}"
    parts = [f"{latest.done:.0f} s"]
    if latest.unit == "bytes":
        total = None if latest.total is None else int(latest.total)
        parts = [f"{units.size(int(latest.done))} of {units.size(total)}"]
    if latest.fraction is not None:
        parts.append(f"{latest.fraction:.0%} of this")
    if latest.eta_s is not None:
        parts.append(f"about {latest.eta_s:.0f} s left")
    return ", ".join(parts)
