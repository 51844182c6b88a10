"""
The verbs, written once for the shell and for IPython.

A command parses its arguments, calls one method of the session, and returns
what is to be shown. How long work and streamed answers are drawn is the
skin's: the terminal and the notebook cell each bring a :class:`Skin`.
"""

from __future__ import annotations

import click

from .base import Shown, Skin
from .bench import bench
from .chat import chat, chat_options
from .checks import doctor, probe, smoke
from .compare import compare
from .migrate import migrate
from .models import models, plan
from .notebooks import run
from .report import report
from .server import down, logs, restart, status, up, use
from .telemetry import last_options, last_requests, telemetry
from .tour import tour
from .tune import tune

__all__ = [
    "Shown",
    "Skin",
    "chat_options",
    "last_options",
    "last_requests",
    "telemetry",
    "workbench",
]

_VERBS = (
    *(up, down, restart, use, status, logs),
    *(models, plan),
    *(chat, smoke, probe, doctor),
    *(bench, compare, tune),
    *(telemetry, run, report, migrate),
    tour,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def workbench() -> None:
    """Start a vLLM, see that it is healthy, talk to it, and see what happened."""


for _verb in _VERBS:
    workbench.add_command(_verb)
