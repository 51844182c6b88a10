"""
The verb ``tune``: which server flags are faster for a load.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .base import Duration, Shown, Skin, json_option, shown


def load_options(command: Any) -> Any:
    """Add the options that say what is measured."""
    options = (
        click.option("--concurrency", type=click.IntRange(1), default=8, help="Requests at once."),
        click.option("--input-len", type=click.IntRange(1), help="Tokens a prompt. [default: 512]"),
        click.option(
            "--output-len", type=click.IntRange(1), help="Tokens an answer. [default: 128]"
        ),
        click.option(
            "--preset",
            type=click.Choice(["chat", "rag", "code"]),
            help="Lengths and limits that are usual for this.",
        ),
        click.option("--slo", metavar="LIMITS", help="For goodput: ttft=200ms,tpot=50ms,e2el=3s."),
        click.option(
            "--shared-prefix",
            type=click.IntRange(1),
            help="Tokens that all prompts begin with; else prefix caching is not tried.",
        ),
        click.option("--turns", type=click.IntRange(1), help="Of a conversation."),
        click.option(
            "--prompts",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Your own: a line each, .jsonl with prompt, or ShareGPT's .json.",
        ),
        click.option(
            "--num-prompts",
            type=click.IntRange(2),
            help="Requests a run. [default: four times as many as at once, at least 20]",
        ),
        click.option(
            "--repeats",
            type=click.IntRange(2),
            default=3,
            help="Runs a start: their spread is the noise.",
        ),
        click.option("--seed", type=int, help="Of the prompts. [default: new ones each time]"),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(context_settings={"show_default": True})
@click.option(
    "--for",
    "goal",
    type=click.Choice(["throughput", "goodput", "ttft", "tpot", "e2el"]),
    help="What is to become better. [default: goodput with limits, else throughput]",
)
@click.option(
    "--budget", "budget_s", type=Duration(), default="20m", help="For all of it, the way back too."
)
@load_options
@click.option(
    "--try",
    "tries",
    metavar="FLAGS",
    multiple=True,
    help="Flags of your own to try, quoted; several times: '--kv-cache-dtype fp8'.",
)
@click.option(
    "--only",
    metavar="NAME[,NAME…]",
    help="batched-tokens, seqs, prefix-caching, chunked-prefill, graphs, async-scheduling, "
    "performance-mode, quantization; none: only what --try says. [default: all]",
)
@click.option("--dry-run", is_flag=True, help="Say what would be tried, and restart nothing.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value="latest",
    metavar="[FOLDER]",
    help="Go on with a tune that was cut off; without a folder the last one.",
)
@json_option
@click.pass_obj
def tune(
    skin: Skin,
    /,
    *,
    only: str | None,
    dry_run: bool,
    resume: str | None,
    as_json: bool,
    **said: Any,
) -> Shown:
    """
    Try server flags for your load, and say which are faster, with the evidence.

    The server that runs is measured as it is, then started anew with other flags, one factor at a
    time; the best is measured once more. Each time fixed prompts are asked, and what makes answers
    worse is never recommended. In the end, and on Ctrl-C, it runs as before; if this is killed, the
    next workbench up sees to that. Exit status 4: a recommendation that was not confirmed.
    """
    from ..views.tune import trial_line, tune_plan_view, tune_view

    wish = {name: value for name, value in said.items() if value is not None}
    if only is not None:
        wish["only"] = () if only == "none" else tuple(only.split(","))
    if dry_run:
        return shown(tune_plan_view(skin.session.plan_tune(**wish)), as_json)
    from ..tune import kept
    from ..tune.trial import Trial, goal_named

    goal = goal_named(wish.get("goal"), has_slo=bool(wish.get("slo") or wish.get("preset")))
    if resume is not None:
        results = skin.session.settings.home / "results" / "tune"
        wish["resume"] = kept.latest(results) if resume == "latest" else Path(resume)

    def tell(trial: Trial) -> None:
        click.echo(trial_line(trial, goal), err=True)

    with skin.progress() as on_progress:
        found = skin.session.tune(on_progress=on_progress, on_trial=tell, **wish)
    return shown(tune_view(found), as_json)
