"""
``%wb VERB …`` and ``%%chat``: the verbs of the shell, in a notebook.

A magic parses, calls, and returns what is to be shown. State lives on the
instance that the shell holds: one session for each notebook.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from . import verbs
from .cells import Cell, generation_html
from .records import Generation, SamplingParams
from .session import Session

if TYPE_CHECKING:
    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell


TELEMETRY_COLUMNS = (
    *("timestamp", "model", "temperature", "input_tokens", "output_tokens"),
    *("ttft_s", "tpot_s", "e2e_latency_s", "status", "error_type", "finish_reason"),
)
"""What people look for first; a notebook's line holds no thirty columns."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@verbs.chat_options
@click.option("--into", metavar="NAME", help="Keep the answer in this variable.")
def _chat_cell(into: str | None, system: str | None, **sampling: Any) -> tuple[Any, ...]:
    """Ask the model what the cell says, and watch the answer come."""
    if into is not None and not into.isidentifier():
        raise click.BadParameter(f"{into!r} is not a variable's name.", param_hint="--into")
    return into, system, SamplingParams(**sampling)


class _NotebookVerbs(click.Group):
    """The shell's verbs, and one that only a notebook has a use for."""

    def __init__(self) -> None:
        super().__init__("%wb", dict(verbs.workbench.commands), help=verbs.workbench.help)
        self.context_settings = verbs.workbench.context_settings
        self.add_command(_session)
        self.add_command(_telemetry)


@click.command("session")
@click.pass_obj
def _session(skin: Cell) -> Session:
    """Return the Session that the magics work with: session = %wb session"""
    return skin.session


@click.command("telemetry")
@click.option("-n", "--last", type=click.IntRange(1), default=20, show_default=True)
@click.pass_obj
def _telemetry(skin: Cell, last: int) -> pd.DataFrame:
    """Return the last requests as a DataFrame; session.telemetry.frame() has all columns."""
    return skin.session.telemetry.frame(last=last)[list(TELEMETRY_COLUMNS)]


@magics_class
class WorkbenchMagics(Magics):
    """
    The workbench's magics, and the session that they share.

    Args:
        shell: The IPython shell they are registered with.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.cell = Cell()

    @line_magic
    def wb(self, line: str) -> Any:
        """
        Type a verb: %wb up, %wb status, %wb chat, %wb telemetry … (%wb --help lists them).
        """
        return _call(_NotebookVerbs(), line, name="%wb", skin=self.cell)

    @cell_magic
    def chat(self, line: str, cell: str) -> None:
        """
        Ask the model what stands in the cell: %%chat -t 0.2 --max-tokens 100 --into answer
        """
        parsed = _call(_chat_cell, line, name="%%chat", skin=self.cell)
        if not isinstance(parsed, tuple):
            return  # --help was asked for, and shown
        into, system, params = parsed
        try:
            self.cell.answer(cell.strip(), params, system=system)
        finally:
            if into is not None and self.cell.last is not None and self.shell is not None:
                self.shell.user_ns[into] = self.cell.last


def _call(command: click.Command, line: str, *, name: str, skin: Cell) -> Any:
    """Run a click command in this process; wrong arguments are one line, with a suggestion."""
    try:
        arguments = shlex.split(line)
        shown = command.main(arguments, prog_name=name, obj=skin, standalone_mode=False)
    except ValueError as exc:
        hint = "Put the words in double quotes, or ask in a cell with %%chat."
        raise UsageError(f"{name}: {exc}. {hint}") from None
    except click.ClickException as exc:
        raise UsageError(f"{name}: {exc.format_message()}") from None
    # click returns an exit status where it has only printed help.
    return None if isinstance(shown, int) else shown


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics; loading again keeps the session that is there."""
    if not isinstance(shell.magics_manager.registry.get("WorkbenchMagics"), WorkbenchMagics):
        shell.register_magics(WorkbenchMagics(shell))
        # Records are plain values and know no HTML; the notebook does.
        _html_formatter(shell).for_type(Generation, generation_html)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away and release their session; a server goes on."""
    _html_formatter(shell).type_printers.pop(Generation, None)
    found = shell.magics_manager.registry.pop("WorkbenchMagics", None)
    if isinstance(found, WorkbenchMagics):
        found.cell.session.close()
    for kind, name in (("line", "wb"), ("cell", "chat")):
        shell.magics_manager.magics[kind].pop(name, None)


def _html_formatter(shell: InteractiveShell) -> Any:
    assert shell.display_formatter is not None  # only while a shell is being made
    return shell.display_formatter.formatters["text/html"]
