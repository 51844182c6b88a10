"""
Verbs about models: which there are, fetching one, and whether it fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .. import views
from ..session import Session

if TYPE_CHECKING:
    pass

from .base import Shown, Skin, json_option, shown


@click.group(invoke_without_command=True)
@click.option("--served", is_flag=True, help="List what the server serves instead.")
@click.option("--gpu", help="The card they are to fit. [default: where they would run]")
@click.option("--vram", "vram_gib", type=click.FloatRange(0, min_open=True), help="Its GiB.")
@json_option
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
        return shown(views.models_view(session.models()), as_json)
    return shown(views.inventory_view(session.inventory(gpu=gpu, vram_gib=vram_gib)), as_json)


@models.command()
@click.argument("name")
@click.option(
    "--revision",
    help="A branch, a tag or a commit. [default: what is here already, else main]",
)
@click.option("--verify", is_flag=True, help="Read every file that is here, and compare.")
@json_option
@click.pass_obj
def fetch(skin: Skin, /, name: str, revision: str | None, verify: bool, as_json: bool) -> Shown:
    """
    Fetch a model of the hub into models/.

    NAME is one of the catalogue (workbench models), or organisation/name.
    """
    with skin.progress() as on_progress:
        found = skin.session.fetch(name, revision=revision, verify=verify, on_progress=on_progress)
    return shown(views.fetched_view(found), as_json)


@click.command()
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
@json_option
@click.pass_obj
def plan(skin: Skin, /, model: str | None, history: bool, as_json: bool, **asked: Any) -> Shown:
    """Say whether MODEL fits on a card: a folder, a config.json or a hub name."""
    if history:
        return shown(views.predictions_view(skin.session.predictions()), as_json)
    if asked["gpu"] is not None and asked["vram_gib"] is not None:
        raise click.UsageError("--gpu and --vram both say what the card is; give one.")
    return shown(views.plan_view(skin.session.plan(model, **asked)), as_json)
