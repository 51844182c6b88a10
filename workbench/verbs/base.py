"""
What verbs share: the skin they are typed in, and the options that several of them have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import click

from ..display import Json, View
from ..records import Generation, Progress, SamplingParams
from ..session import Session
from ..setting_values import BACKENDS

if TYPE_CHECKING:
    from ..client import Ask, Messages


Shown = View | Json | None

UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Skin(Protocol):
    """What a verb needs of the place it was typed in."""

    session: Session

    def configured(self, **arguments: Any) -> AbstractContextManager[Session]:
        """
        Try a session with these settings, and go on with it if what is tried succeeds.

        ``None`` and "" mean "not given".
        """
        ...

    def progress(self) -> AbstractContextManager[Callable[[Progress], None]]:
        """Draw long work while it goes on."""
        ...

    def answer(self, messages: Messages, params: SamplingParams, **ask: Unpack[Ask]) -> Generation:
        """Ask, draw the answer while it streams in, and return it."""
        ...

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines of text as they come."""
        ...

    def show(self, shown: object) -> None:
        """Show what a verb returned, where it is not the last thing that is shown."""
        ...


class Duration(click.ParamType[float]):
    """A time with its unit: ``90s``, ``20m``, ``1.5h``; a number alone is minutes."""

    name = "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|)", str(value).strip())
        if not found or not float(found[1]):
            self.fail(f"{value!r} is no time: 90s, 20m, 1.5h.", param, ctx)
        return float(found[1]) * UNITS_S[found[2] or "m"]


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that asks for JSON."""
    return click.option("--json", "as_json", is_flag=True, help="Print it for a program.")(command)


SERVER_OPTIONS = {
    "backend": click.option("--backend", help=f"{', '.join(BACKENDS)}. [default: embedded]"),
    "profile": click.option(
        "--profile", help="Service of docker-compose.yml. [default: what suits this machine]"
    ),
    "base_url": click.option("--base-url", help="A remote server's URL, with /v1."),
    "model": click.option(
        "--model",
        help="A name of the catalogue, a folder below models/, or a path; for compose a hub name "
        "too. [default: pocket]",
    ),
    "port": click.option(
        "--port",
        type=click.IntRange(0, 65535),
        help="Port on 127.0.0.1; 0 takes a free one. [default: 8000]",
    ),
    "max_model_len": click.option(
        "--max-model-len", type=click.IntRange(1), help="Context in tokens. [default: 2048]"
    ),
    "gpu_memory_utilization": click.option(
        "--gpu-memory-utilization",
        type=click.FloatRange(0, 1, min_open=True),
        help="Share of the GPU's memory. [default: 0.85]",
    ),
}


SWITCHED = ("backend", "profile", "max_model_len", "gpu_memory_utilization")
"""What can be said with another model; the address stays what applications know."""


def server_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options that say which server and how; all of them unless some are named."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names or tuple(SERVER_OPTIONS)):
            command = SERVER_OPTIONS[name](command)
        return command

    return add


def shown(view: View, as_json: bool) -> Shown:
    """Show a view, or its data for a program."""
    return Json(view.data, view.ok, view.unsure) if as_json else view
