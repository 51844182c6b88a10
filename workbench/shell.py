"""
``workbench VERB …`` in the shell: one verb, and what it came to as an exit status.

Exit status: 0 ok · 1 something failed or a check did not hold · 2 usage · 3 not possible
on this machine · 4 could not tell: a fact is missing · 5 a person must act: accept a licence,
make a token · 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys

import click

from .display import for_terminal
from .errors import (
    BackendUnavailableError,
    ConfigError,
    FetchInterruptedError,
    GatedModelError,
    HubTokenError,
    PlanError,
    WorkbenchError,
)
from .settings import cannot_be_used
from .terminal import Terminal
from .verbs import workbench

_STATUSES = {
    PlanError: 4,
    ConfigError: 2,
    BackendUnavailableError: 3,
    GatedModelError: 5,
    HubTokenError: 5,
    FetchInterruptedError: 130,
}


def run() -> int:
    """Run one verb and return its exit status."""
    for signum in (signal.SIGTERM, signal.SIGHUP):
        # As an exception, so that what was started is stopped on the way out.
        signal.signal(signum, lambda number, _frame: sys.exit(128 + number))
    terminal = Terminal()
    try:
        status = _run(terminal)
        sys.stdout.flush()
    except BrokenPipeError:
        # `workbench logs | head`: the reader has seen enough. Python would complain
        # once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    finally:
        terminal.close()
    return status


def _run(terminal: Terminal) -> int:
    try:
        shown = workbench.main(prog_name="workbench", obj=terminal, standalone_mode=False)
    except click.ClickException as exc:
        return _failed(f"workbench: {exc.format_message()} (workbench --help)", exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _failed("interrupted", 130)
    except WorkbenchError as exc:
        return _failed(str(exc), _exit_status(exc))
    except BrokenPipeError:
        raise
    except OSError as exc:
        # A folder that cannot be written, a disk that is full: the system's own sentence.
        wrong = cannot_be_used(terminal.session.settings, exc)
        return _failed(f"workbench: {wrong or exc}", 1)
    if shown is None or isinstance(shown, int):  # help brings click's own status
        return shown or 0
    click.echo(str(shown))
    return (4 if shown.unsure else 0) if shown.ok else 1


def _failed(said: str, status: int) -> int:
    click.echo(for_terminal(said), err=True)
    return status


def _exit_status(error: WorkbenchError) -> int:
    return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 1)
