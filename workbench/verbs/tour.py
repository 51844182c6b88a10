"""
The verb that shows the others, one after the other.

It is read and answered with the keyboard alone, in a terminal and in a cell.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import click

from ..display import View
from ..errors import WorkbenchError
from .base import Shown, Skin


@dataclass(frozen=True, slots=True)
class Stop:
    """A place where the tour stops: what is to be seen, and the line that shows it."""

    tells: str
    line: str


STOPS = (
    Stop(
        "Does a server run? Each verb asks the same folder, from any shell or notebook.", "status"
    ),
    Stop(
        "Start a real vLLM, or find the one that runs. Ready means: it has decoded a token. "
        "The first time the engine is installed, 0.4 GB.",
        "up",
    ),
    Stop("Under which names is it asked? Its own, and `default`.", "models --served"),
    Stop(
        "Ask it. Below the answer: the time to the first token, tokens, their rate.",
        'chat -t 0 "What is vLLM?"',
    ),
    Stop("Each request became a row, without its prompt.", "telemetry -n 3"),
    Stop("What else can be served here, and does it fit?", "models"),
)

KEYS = "Enter runs it, s skips it, q ends the tour: "
END = "The server goes on running until you type: down. All verbs: --help"


@click.command()
@click.option("--list", "listed", is_flag=True, help="Show the stops and run nothing.")
@click.pass_context
def tour(context: click.Context, /, listed: bool) -> Shown:
    """Go through the verbs that matter first, one key at a time."""
    name = context.find_root().info_name or "workbench"
    for number, stop in enumerate(() if listed else STOPS, 1):
        try:
            key = input(f"\n{number} of {len(STOPS)} · {stop.tells}\n  {name} {stop.line}\n{KEYS}")
        except (EOFError, NotImplementedError):  # nobody is there: a pipe, a notebook run headless
            return stops_view(name)
        if key.strip().lower().startswith("q"):
            break
        if not key.strip().lower().startswith("s"):
            _run(context, stop.line)
    return stops_view(name) if listed else View(note=END)


def stops_view(name: str) -> View:
    """List the stops, for a reader who runs them one by one."""
    rows = tuple((f"{name} {stop.line}", stop.tells) for stop in STOPS)
    return View(
        columns=("type", "what is to be seen"),
        rows=rows,
        note=END,
        data=[{"line": stop.line, "tells": stop.tells} for stop in STOPS],
    )


def _run(context: click.Context, line: str) -> None:
    """Run a line as if it had been typed; what fails is told, and the tour goes on."""
    root = context.find_root()
    skin: Skin = context.obj
    assert isinstance(root.command, click.Group)  # whose verb this is
    try:
        shown = root.command.main(
            shlex.split(line), prog_name=root.info_name, obj=skin, standalone_mode=False
        )
    except WorkbenchError as exc:
        shown = View(note=str(exc))
    if shown is not None and not isinstance(shown, int):  # of click, where it has printed help
        skin.show(shown)
