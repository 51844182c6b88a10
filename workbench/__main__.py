"""
``workbench VERB …`` in the shell; also ``python -m workbench``.

Exit status: 0 ok · 1 something failed or a check did not hold · 2 usage · 3 not possible
on this machine · 130 interrupted.
"""

from __future__ import annotations

import sys

import click

from .errors import BackendUnavailableError, ConfigError, WorkbenchError
from .terminal import Terminal
from .verbs import workbench


def main() -> None:
    """Run one verb and exit with its status."""
    terminal = Terminal()
    try:
        sys.exit(_run(terminal))
    finally:
        terminal.close()


def _run(terminal: Terminal) -> int:
    try:
        shown = workbench.main(prog_name="workbench", obj=terminal, standalone_mode=False)
    except click.ClickException as exc:
        click.echo(f"workbench: {exc.format_message()} (workbench --help)", err=True)
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except WorkbenchError as exc:
        click.echo(f"{click.style(exc.message, fg='red')}", err=True)
        if exc.hint:
            click.echo(exc.hint, err=True)
        return _exit_status(exc)
    except BrokenPipeError:
        # `workbench logs | head`: the reader has seen enough.
        sys.stderr.close()
        return 0
    if shown is None or isinstance(shown, int):  # help and --version bring click's own status
        return shown or 0
    click.echo(str(shown))
    return 0 if shown.ok else 1


def _exit_status(error: WorkbenchError) -> int:
    if isinstance(error, ConfigError):
        return 2
    return 3 if isinstance(error, BackendUnavailableError) else 1


if __name__ == "__main__":
    main()
