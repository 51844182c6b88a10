"""
``%wb VERB …``, ``%%chat`` and ``%%ts``: the verbs of the shell, and TypeScript, in a notebook.

A magic parses, calls, and returns what is to be shown. State lives on the
instance that the shell holds: one session for each notebook.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import click
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from . import completion, verbs
from .cells import Cell, generation_html
from .conversation import Conversation
from .records import Generation, SamplingParams
from .session import Session

if TYPE_CHECKING:
    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

    from .panels import Panel, Tabs


TELEMETRY_COLUMNS = (
    *("timestamp", "model", "status", "finish_reason", "error_type"),
    *("input_tokens", "output_tokens", "ttft_s", "tpot_s", "e2e_latency_s", "duration_s"),
)
"""
What people look for first, how it ended before how long it took; a line holds no forty columns.

``duration_s`` is there for failures: they have no other time.
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@verbs.chat_options
@click.option("--into", metavar="NAME", help="Keep the answer in this variable.")
@click.option(
    "-c",
    "--conversation",
    metavar="NAME",
    help="Go on with the conversation in this variable; the first time, begin one.",
)
@click.option(
    "--tools",
    metavar="NAMES",
    help="Functions of this notebook that the model may call, with commas between.",
)
def _chat_cell(
    into: str | None,
    conversation: str | None,
    tools: str | None,
    system: str | None,
    **sampling: Any,
) -> _ChatLine:
    """Ask the model what the cell says, and watch the answer come."""
    for option, name in (("--into", into), ("--conversation", conversation)):
        if name is not None and not name.isidentifier():
            raise click.BadParameter(f"{name!r} is not a variable's name.", param_hint=option)
    return _ChatLine(
        into=into,
        conversation=conversation,
        tools=tuple(name.strip() for name in (tools or "").split(",") if name.strip()),
        system=system,
        params=SamplingParams(**sampling),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ChatLine:
    """What stands behind ``%%chat``."""

    into: str | None
    conversation: str | None
    tools: tuple[str, ...]
    system: str | None
    params: SamplingParams


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def _ts_cell() -> tuple[()]:
    """
    Run the cell's TypeScript against this session's server.

    Node runs it in notebooks/typescript. Begin with
    import { client, model } from "./server.ts"; and address, key and model
    are those of the session: they are in the program's environment.
    """
    return ()


class _NotebookVerbs(click.Group):
    """The shell's verbs, and those that only a notebook has a use for."""

    def __init__(self) -> None:
        super().__init__("%wb", dict(verbs.workbench.commands), help=verbs.workbench.help)
        self.context_settings = verbs.workbench.context_settings
        self.add_command(_session)
        self.add_command(_telemetry)
        self.add_command(_panel)


@click.command("session")
@click.pass_obj
def _session(skin: Cell) -> Session:
    """Return the Session that the magics work with: session = %wb session"""
    return skin.session


@click.command("panel")
@click.argument("name", required=False)
@click.pass_obj
def _panel(skin: Cell, /, name: str | None) -> Panel | Tabs:
    """Show a panel: server, chat, models, live, telemetry, doctor; without a name all, in tabs."""
    from .panels import PANELS, panel

    if name is not None and name not in PANELS:
        raise click.BadParameter(f"{name!r} is none of: {', '.join(PANELS)}.", param_hint="NAME")
    # The session of then: %wb goes on with another one after %wb up --port.
    return panel(name, lambda: skin.session)


@click.group("telemetry", invoke_without_command=True, commands=verbs.telemetry.commands)
@verbs.last_options
@click.pass_context
def _telemetry(context: click.Context, /, **chosen: Any) -> pd.DataFrame | None:
    """Return the last requests as a DataFrame; session.telemetry.frame() has all columns."""
    if context.invoked_subcommand:
        return None
    return verbs.last_requests(context.obj, **chosen)[list(TELEMETRY_COLUMNS)]


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

    def complete(self, _shell: InteractiveShell, event: Any) -> list[str]:
        """List what the word at the cursor of a line of ``%wb`` may become."""
        _, _, line = event.line.lstrip().partition("%wb")
        return completion.candidates(_NotebookVerbs(), line, event.symbol, self._known_names)

    def _known_names(self) -> dict[str, Iterable[str]]:
        from .catalogue import entries, local_models
        from .panels import PANELS

        models_dir = self.cell.session.settings.models_dir
        return {"model": {*local_models(models_dir), *entries(models_dir)}, "panel": PANELS}

    @cell_magic
    def chat(self, line: str, cell: str) -> None:
        """
        Ask the model what stands in the cell: %%chat -t 0.2 --max-tokens 100 --into answer
        """
        line_said = _call(_chat_cell, line, name="%%chat", skin=self.cell)
        if not isinstance(line_said, _ChatLine):
            return  # --help was asked for, and shown
        self.cell.forget()  # an earlier answer is not this cell's, if this one fails
        try:
            self._say(line_said, cell.strip())
        finally:
            if line_said.into and self.cell.last is not None:
                self._names[line_said.into] = self.cell.last

    def _say(self, said: _ChatLine, prompt: str) -> None:
        talk = self._conversation(said)
        functions = [self._function(name) for name in said.tools]
        sent = talk.asking(prompt)
        if functions:
            answered = self.cell.answer_with_tools(sent, said.params, functions).messages
            talk.keep(sent, answered[len(sent) :])
        else:
            talk.keep(sent, (self.cell.answer(sent, said.params).message,))

    def _conversation(self, said: _ChatLine) -> Conversation:
        if said.conversation is None:
            return self.cell.session.conversation(system=said.system)
        talk = self._names.get(said.conversation)
        if talk is None:
            talk = self.cell.session.conversation(system=said.system)
            self._names[said.conversation] = talk
        elif not isinstance(talk, Conversation):
            raise UsageError(f"%%chat: {said.conversation} is a {type(talk).__name__}.")
        elif said.system is not None:
            talk.system = said.system
        return talk

    def _function(self, name: str) -> Callable[..., object]:
        function = self._names.get(name)
        if not callable(function):
            raise UsageError(f"%%chat: there is no function {name!r} in this notebook.")
        return cast(Callable[..., object], function)

    @property
    def _names(self) -> dict[str, Any]:
        assert self.shell is not None  # a magic is called by the shell it is registered with
        return cast(dict[str, Any], self.shell.user_ns)

    @cell_magic
    def ts(self, line: str, cell: str) -> None:
        """
        Run the cell's TypeScript against the session's server: %%ts (%%ts --help says more)
        """
        if isinstance(_call(_ts_cell, line, name="%%ts", skin=self.cell), tuple):
            self.cell.program(cell)


def _help() -> str:
    """Write what ``%wb --help`` shows, for ``%wb?``."""
    group = _NotebookVerbs()
    return group.get_help(click.Context(group, info_name="%wb"))


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


WorkbenchMagics.wb.__doc__ = f"{WorkbenchMagics.wb.__doc__}\n\n{_help()}"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics; loading again keeps the session that is there."""
    if not isinstance(shell.magics_manager.registry.get("WorkbenchMagics"), WorkbenchMagics):
        magics = WorkbenchMagics(shell)
        shell.register_magics(magics)
        shell.set_hook("complete_command", magics.complete, str_key="%wb")
        # Records are plain values and know no HTML; the notebook does.
        _html_formatter(shell).for_type(Generation, generation_html)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away and release their session; a server goes on."""
    _html_formatter(shell).type_printers.pop(Generation, None)
    found = shell.magics_manager.registry.pop("WorkbenchMagics", None)
    if isinstance(found, WorkbenchMagics):
        found.cell.session.close()
    shell.strdispatchers["complete_command"].strs.pop("%wb", None)
    for kind, name in (("line", "wb"), ("cell", "chat"), ("cell", "ts")):
        shell.magics_manager.magics[kind].pop(name, None)


def _html_formatter(shell: InteractiveShell) -> Any:
    assert shell.display_formatter is not None  # only while a shell is being made
    return shell.display_formatter.formatters["text/html"]
