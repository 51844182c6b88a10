"""
The verbs, written once for the shell and for IPython.

A command parses its arguments, calls one method of the session, and returns
what is to be shown. How long work and streamed answers are drawn is the
skin's: the terminal and the notebook cell each bring a :class:`Skin`.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import click

from . import telemetry_verbs, views
from .display import Json, View, for_terminal
from .errors import ClientError, ServerError, SwitchError
from .records import Diagnosis, Generation, Progress, SamplingParams, ServerState
from .session import Session
from .settings import BACKENDS

if TYPE_CHECKING:
    from .client import Ask, Messages

Shown = View | Json | None


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


def _json_option(command: Callable[..., Any]) -> Callable[..., Any]:
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


def _server_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options that say which server and how; all of them unless some are named."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names or tuple(SERVER_OPTIONS)):
            command = SERVER_OPTIONS[name](command)
        return command

    return add


def _shown(view: View, as_json: bool) -> Shown:
    return Json(view.data, view.ok, view.unsure) if as_json else view


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def workbench() -> None:
    """Start a vLLM, see that it is healthy, talk to it, and see what happened."""


@workbench.command()
@click.option(
    "--apply", is_flag=True, help="If a setting would mend a start that fails, try once with it."
)
@_server_options()
@_json_option
@click.pass_obj
def up(skin: Skin, /, apply: bool, as_json: bool, **settings: Any) -> Shown:
    """Make the server ready: install, pull, start."""
    with skin.configured(**settings) as session, skin.progress() as on_progress:
        try:
            status = session.up(on_progress=on_progress)
        except ServerError as exc:
            if not apply or exc.diagnosis is None or exc.diagnosis.setting is None:
                raise
            failed = exc.diagnosis
        else:
            return _shown(views.status_view(status), as_json)
    return _up_again(skin, failed, settings, as_json=as_json)


def _up_again(skin: Skin, failed: Diagnosis, settings: dict[str, Any], *, as_json: bool) -> Shown:
    """Start once more, with the setting that a failed start was said to need."""
    assert failed.setting is not None
    name, value = failed.setting
    click.echo(f"{failed.cause} Trying {name} = {value} …", err=True)
    with skin.configured(**settings | {name: value}) as session, skin.progress() as on_progress:
        status = session.up(on_progress=on_progress)
    kept = f"It runs with {name} = {value}; to keep it, in .env: WORKBENCH_{name.upper()}={value}"
    return _shown(views.status_view(replace(status, detail=kept)), as_json)


@workbench.command()
@click.option(
    "--if-mine", is_flag=True, help="Only if it was started from here, in this notebook or process."
)
@click.pass_obj
def down(skin: Skin, /, if_mine: bool) -> Shown:
    """Stop the server and every process of it."""
    if skin.session.down(only_mine=if_mine):
        return View(title="The server is stopped.")
    if skin.session.status().state is ServerState.STOPPED:
        return View(title="No server was running.")
    return View(title="The server was not started from here, so it goes on.")


@workbench.command()
@_server_options()
@_json_option
@click.pass_obj
def restart(skin: Skin, /, as_json: bool, **settings: Any) -> Shown:
    """Stop the server, and start it again."""
    with skin.configured(**settings) as session, skin.progress() as on_progress:
        status = session.restart(on_progress=on_progress)
    return _shown(views.status_view(status), as_json)


@workbench.command()
@click.argument("model")
@click.option(
    "--drain-timeout",
    "drain_timeout_s",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Seconds that requests under way may take before they are cut off.",
)
@click.option("--force", is_flag=True, help="Try it although the plan says that it does not fit.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and touch nothing.")
@_server_options(*SWITCHED)
@_json_option
@click.pass_obj
def use(  # click passes all but the skin by name
    skin: Skin,
    /,
    *,
    model: str,
    drain_timeout_s: float,
    force: bool,
    dry_run: bool,
    as_json: bool,
    **settings: Any,
) -> Shown:
    """
    Serve MODEL instead of the one that runs, and go back if that fails.

    MODEL is a name of the catalogue (workbench models), a folder below models/,
    or a name of the hub.
    """
    if dry_run:
        given = {name: value for name, value in settings.items() if value is not None}
        found = skin.session.plan_use(model, drain_timeout_s=drain_timeout_s, force=force, **given)
        return _shown(views.switch_plan_view(found), as_json)
    of_server, of_model = _split(settings)
    with skin.configured(**of_server) as session, skin.progress() as on_progress:
        try:
            report = session.use(
                model,
                drain_timeout_s=drain_timeout_s,
                force=force,
                on_progress=on_progress,
                **of_model,
            )
        except SwitchError as exc:
            return _shown(views.switch_view(exc.report, exc), as_json)
    return _shown(views.switch_view(report), as_json)


def _split(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell the settings that say which server from those that say how to serve a model."""
    of_server: dict[str, Any] = {name: settings.pop(name) for name in ("backend", "profile")}
    return of_server, settings


@workbench.command()
@click.option("--settings", "show_settings", is_flag=True, help="List the settings instead.")
@_json_option
@click.pass_obj
def status(skin: Skin, /, show_settings: bool, as_json: bool) -> Shown:
    """Say whether the server is up, and what it uses."""
    if show_settings:
        return _shown(views.settings_view(skin.session.settings), as_json)
    return _shown(views.status_view(skin.session.status()), as_json)


@workbench.command()
@click.option("-f", "--follow", is_flag=True, help="Go on while the server writes.")
@click.option("-n", "--lines", type=click.IntRange(1), default=40, show_default=True)
@click.pass_obj
def logs(skin: Skin, /, follow: bool, lines: int) -> None:
    """Show the end of the server's log."""
    log = skin.session.logs(follow=follow)
    # Up to the first pause it is what was there before; then it is what comes.
    skin.lines(deque(itertools.takewhile(bool, log), maxlen=lines))
    skin.lines(filter(None, log))


@workbench.group(invoke_without_command=True)
@click.option("--served", is_flag=True, help="List what the server serves instead.")
@click.option("--gpu", help="The card they are to fit. [default: where they would run]")
@click.option("--vram", "vram_gib", type=click.FloatRange(0, min_open=True), help="Its GiB.")
@_json_option
@click.pass_context
def models(
    context: click.Context,
    /,
    served: bool,
    gpu: str | None,
    vram_gib: float | None,
    as_json: bool,
) -> Shown:
    """List the models one can serve: on disk or not, fits or not."""
    if context.invoked_subcommand:
        return None
    session: Session = context.obj.session
    if served or session.settings.backend == "remote":
        return _shown(views.models_view(session.models()), as_json)
    return _shown(views.inventory_view(session.inventory(gpu=gpu, vram_gib=vram_gib)), as_json)


@models.command()
@click.argument("name")
@click.option(
    "--revision",
    help="A branch, a tag or a commit. [default: what is here already, else main]",
)
@click.option("--verify", is_flag=True, help="Read every file that is here, and compare.")
@_json_option
@click.pass_obj
def fetch(skin: Skin, /, name: str, revision: str | None, verify: bool, as_json: bool) -> Shown:
    """Fetch a model of the hub into models/. NAME is organisation/name."""
    with skin.progress() as on_progress:
        found = skin.session.fetch(name, revision=revision, verify=verify, on_progress=on_progress)
    return _shown(views.fetched_view(found), as_json)


@workbench.command()
@click.argument("model", required=False)
@click.option("--gpu", help="A card by its name: 7900xtx, h100 … [default: this machine's]")
@click.option("--vram", "vram_gib", type=float, help="A card by its memory, GiB.")
@click.option(
    "--gpu-memory-utilization", type=float, help="Share of it that vLLM may use. [default: 0.85]"
)
@click.option("--max-model-len", type=int, help="Context in tokens. [default: the model's]")
@click.option("--max-num-batched-tokens", type=int, help="Largest batch. [default: vLLM's]")
@click.option("--max-num-seqs", type=int, help="Requests at once. [default: vLLM's]")
@click.option("--kv-cache-dtype", default="auto", show_default=True, help="auto or fp8.")
@click.option("--enforce-eager", is_flag=True, help="Without torch.compile and graphs.")
@click.option("--vllm-version", help="Of the vLLM that is to run. [default: 0.25, as measured]")
@click.option("--history", is_flag=True, help="Show earlier boots: predicted and measured.")
@_json_option
@click.pass_obj
def plan(skin: Skin, /, model: str | None, history: bool, as_json: bool, **asked: Any) -> Shown:
    """Say whether MODEL fits on a card: a folder, a config.json or a hub name."""
    if history:
        return _shown(views.predictions_view(skin.session.predictions()), as_json)
    if asked["gpu"] is not None and asked["vram_gib"] is not None:
        raise click.UsageError("--gpu and --vram both say what the card is; give one.")
    return _shown(views.plan_view(skin.session.plan(model, **asked)), as_json)


@workbench.command()
@_json_option
@click.pass_obj
def smoke(skin: Skin, /, as_json: bool) -> Shown:
    """Ask what runs by Python, TypeScript and curl, and compare the answers."""
    return _shown(views.smoke_view(skin.session.smoke()), as_json)


@workbench.command()
@_json_option
@click.pass_obj
def probe(skin: Skin, /, as_json: bool) -> Shown:
    """Ask the running server what it and its model can do."""
    with skin.progress() as on_progress:
        found = skin.session.probe(on_progress=on_progress)
    return _shown(views.probe_view(found), as_json)


def chat_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what ``chat`` and ``%%chat`` have in common."""
    options = (
        click.option("-t", "--temperature", type=click.FloatRange(0), help="0 is greedy."),
        click.option("--top-p", type=click.FloatRange(0, 1, min_open=True)),
        click.option("--max-tokens", type=click.IntRange(1), help="Stop after this many."),
        click.option("--seed", type=int, help="Makes sampling repeatable."),
        click.option("--system", help="A system prompt."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@workbench.command()
@click.argument("prompt", nargs=-1, required=True)
@chat_options
@click.option("--base-url", help="Another server's URL, with /v1. [default: the one that is up]")
@click.option("--model", help="A served model's name. [default: the first the server lists]")
@click.option("--no-stream", is_flag=True, help="Wait for the whole answer.")
@_json_option
@click.pass_obj
def chat(
    skin: Skin,
    /,
    *,
    prompt: tuple[str, ...],
    system: str | None,
    base_url: str | None,
    model: str | None,
    no_stream: bool,
    as_json: bool,
    **sampling: Any,
) -> Shown:
    """Ask the model, and watch the answer come. PROMPT - reads it from standard input."""
    text = " ".join(prompt)
    if text == "-":
        text = sys.stdin.read()
    params = SamplingParams(**sampling)
    ask: Ask = {"system": system, "model": model}
    with skin.configured(base_url=base_url) as session:
        if as_json:
            return _answer_as_json(session, text, params, ask, streamed=not no_stream)
        if no_stream:
            skin.lines([for_terminal(session.chat(text, params, **ask).text)])
        else:
            skin.answer(text, params, **ask)
    return None


def _answer_as_json(
    session: Session, prompt: str, params: SamplingParams, ask: Ask, *, streamed: bool
) -> Json:
    try:
        if streamed:
            answer = session.stream(prompt, params, **ask).read()
        else:
            answer = session.chat(prompt, params, **ask)
    except ClientError as exc:
        return Json(views.refusal_data(exc), ok=False)
    return Json(views.generation_data(answer))


class Moment(click.ParamType[datetime | timedelta]):
    """A time ago, such as ``90s``, ``30m``, ``6h``, ``7d``; or a date and time, ISO 8601."""

    name = "when"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime | timedelta:
        """Read it."""
        if found := re.fullmatch(r"(\d{1,6})([smhd])", str(value)):
            seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]
            return timedelta(seconds=int(found[1]) * seconds)
        try:
            return datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is neither 30m, 6h, 7d nor 2026-03-01T12:00.", param, ctx)


STATUSES = ("ok", "error", "interrupted")


def chosen_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which requests."""
    options = (
        click.option("--model", help="Only those of this model."),
        click.option("--status", type=click.Choice(STATUSES), help="Only those that ended so."),
        click.option("--since", type=Moment(), help="Only later ones: 30m, 6h, 7d, or a date."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@workbench.group(invoke_without_command=True)
@click.option("-n", "--last", type=click.IntRange(1), default=20, show_default=True)
@chosen_options
@_json_option
@click.pass_context
def telemetry(context: click.Context, /, last: int, as_json: bool, **chosen: Any) -> Shown:
    """Show the last requests of this folder, or what becomes of them."""
    if context.invoked_subcommand:
        return None
    skin: Skin = context.obj
    return _shown(views.telemetry_view(skin.session.telemetry.frame(last=last, **chosen)), as_json)


@telemetry.command("status")
@_json_option
@click.pass_obj
def telemetry_status(skin: Skin, /, as_json: bool) -> Shown:
    """Say what is recorded, and how far each sink is."""
    return _shown(views.telemetry_status_view(skin.session.telemetry.stored()), as_json)


@telemetry.command()
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Seconds that it may take.",
)
@click.option(
    "--from-start", is_flag=True, help="Send all that is recorded, also from before a sink was on."
)
@_json_option
@click.pass_obj
def flush(skin: Skin, /, timeout_s: float, from_start: bool, as_json: bool) -> Shown:
    """Send what waits to the sinks now, and wait for it; 1 if something is left."""
    recorded = skin.session.telemetry
    done = recorded.deliver(timeout_s, from_start=from_start)
    view = views.telemetry_status_view(recorded.stored())
    return _shown(replace(view, ok=done), as_json)


@telemetry.command()
@click.option("-n", "--last", type=click.IntRange(0), default=10, show_default=True)
@click.option("-f", "--follow", is_flag=True, help="Go on with those that come.")
@_json_option
@click.pass_obj
def tail(skin: Skin, /, last: int, follow: bool, as_json: bool) -> None:
    """Write the last requests, a line each."""
    line = views.record_json if as_json else views.record_line
    skin.lines(map(line, skin.session.telemetry.tail(last=last, follow=follow)))


@telemetry.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@chosen_options
@click.pass_obj
def export(skin: Skin, /, file: Path, **chosen: Any) -> Shown:
    """Write requests into FILE.jsonl, FILE.csv or FILE.parquet (with pyarrow)."""
    from .telemetry import Chosen

    count = skin.session.telemetry.export(file, Chosen(**chosen))
    return View(title=f"{file} has {count:,} requests.")


for _command in telemetry_verbs.COMMANDS:
    telemetry.add_command(_command)


@workbench.command()
@click.option(
    "--compose",
    "compose_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Say what is wrong with this compose file, and nothing else.",
)
@click.option("--profile", help="Say what is wrong with this service of the compose file.")
@click.option("--only", multiple=True, metavar="ID", help="Make this check only.")
@click.option("--backend", help="Leave out what only others need: embedded, compose.")
@click.option("--explain", metavar="ID", help="Say what a check looks at, and why.")
@click.option(
    "--symptom", metavar="TEXT|FILE", help="Say what may be behind an error, a log, a sentence."
)
@click.option("--fix", metavar="ID", help="Say what would mend a fault, and with --yes do it.")
@click.option(
    "--yes", is_flag=True, help="With --fix: do it, if it needs no root and risks nothing."
)
@click.option("--dry-run", is_flag=True, help="With --fix: only say what would be done.")
@_json_option
@click.pass_obj
def doctor(
    skin: Skin,
    /,
    *,
    compose_file: Path | None,
    profile: str | None,
    only: tuple[str, ...],
    backend: str | None,
    explain: str | None,
    symptom: str | None,
    fix: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> Shown:
    """Say what is wrong with this machine or a compose file, what to mend first, and how."""
    from . import doctor_views
    from .doctor import (  # with YAML, for this verb only
        Machine,
        causes,
        chosen,
        examine,
        lint,
        mend,
    )

    if (yes or dry_run) and not fix:
        raise click.UsageError("--yes and --dry-run go with --fix ID.")
    settings = skin.session.settings
    if compose_file or profile:
        path = compose_file or _compose_file_in(settings.home)
        report = lint(path, settings.variables_beside(path), profile=profile)
        return _shown(views.lint_view(report), as_json)
    if explain:
        return _shown(doctor_views.explanation(*chosen([explain])), as_json)
    if symptom:
        return _shown(doctor_views.causes_view(causes(_text_or_file(symptom))), as_json)
    machine = Machine(settings.home, settings.variables_beside(settings.home / ".env"))
    if fix:
        mended = mend(fix, machine, really=yes and not dry_run)
        return _shown(doctor_views.mended_view(mended), as_json)
    examined = examine(machine, checks=chosen(only, backend=backend))
    return _shown(doctor_views.host_view(examined, every=bool(only)), as_json)


def _text_or_file(given: str) -> str:
    """Read a file of that name, if there is one; a log may be longer than a file's name can be."""
    try:
        is_file = Path(given).is_file()
    except (OSError, ValueError):
        is_file = False
    return Path(given).read_text(encoding="utf-8", errors="replace") if is_file else given


def _compose_file_in(folder: Path) -> Path:
    """Find the file that `docker compose` reads there; name the usual one if there is none."""
    from .servers.compose_cli import FILE_NAMES

    paths = [folder / name for name in FILE_NAMES]
    return next((path for path in paths if path.exists()), folder / "docker-compose.yml")


@workbench.command()
@click.argument("notebooks", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-p",
    "--parameter",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="A value for the notebooks' parameters cell.",
)
@click.option("--html", is_flag=True, help="Write an HTML page of each as well.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="JUnit XML for CI.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the executed copies. [default: results/notebooks]",
)
@click.option("--cell-timeout", type=click.IntRange(1), default=600, show_default=True)
@_server_options()
@_json_option
@click.pass_obj
def run(  # click passes all but the skin by name
    skin: Skin,
    /,
    *,
    notebooks: tuple[Path, ...],
    parameters: tuple[tuple[str, str], ...],
    html: bool,
    junit: Path | None,
    out: Path | None,
    cell_timeout: int,
    as_json: bool,
    **settings: Any,
) -> Shown:
    """Execute notebooks: all numbered, or those named."""
    from . import headless  # papermill takes seconds to import

    with skin.configured(**settings) as session:
        home = session.settings.home
        batch = headless.Batch(
            notebooks=tuple(notebooks) or headless.numbered_notebooks(home / "notebooks"),
            out=out or home / "results" / "notebooks",
            parameters=headless.typed_parameters(parameters),
            html=html,
            cell_timeout_s=cell_timeout,
        )
        batch.check()
        try:
            with skin.progress() as on_progress:
                session.up(on_progress=on_progress)
            runs = batch.run(headless.environment_for(session))
        finally:
            session.down(only_mine=True)
    if junit:
        headless.write_junit(runs, junit)
    return _shown(views.runs_view(runs), as_json)
