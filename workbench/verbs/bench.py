"""
The verb ``bench``: how fast a server is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import views
from ..session import Session

if TYPE_CHECKING:
    from ..bench.plan import Ramp
    from ..bench.result import Result

from .base import Shown, Skin, json_option, shown


class Numbers(click.ParamType[tuple[int, ...]]):
    """One number, or several with commas between."""

    name = "N[,N…]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Read them."""
        try:
            found = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            found = ()
        if not found or min(found) < 1:
            self.fail(f"{value!r} is not a number from 1 on, or several: 1,2,4,8.", param, ctx)
        return found


class RampOf(click.ParamType[tuple[float, float, str]]):
    """Two rates and perhaps a shape: ``1:20`` or ``1:20:exponential``."""

    name = "FROM:TO[:SHAPE]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, str]:
        """Read it."""
        start, _, rest = str(value).partition(":")
        end, _, shape = rest.partition(":")
        try:
            if shape not in ("", "linear", "exponential"):
                raise ValueError
            return float(start), float(end), shape or "linear"
        except ValueError:
            self.fail(f"{value!r} is neither 1:20 nor 1:20:exponential.", param, ctx)


def load_options(command: Any) -> Any:
    """Add the options that say what is asked, when and how often."""
    options = (
        click.option(
            "--concurrency",
            type=Numbers(),
            help="Requests under way at once; several: a measurement for each. [default: 1]",
        ),
        click.option(
            "--request-rate",
            "request_rate_rps",
            type=click.FloatRange(0, min_open=True),
            help="Arrivals a second instead, however long answers take.",
        ),
        click.option(
            "--burstiness",
            type=click.FloatRange(0, min_open=True),
            default=1.0,
            help="Of the arrivals: 1 is by chance (Poisson), less in bursts, inf evenly spaced.",
        ),
        click.option("--ramp", type=RampOf(), help="A rate that changes: 1:20."),
        click.option(
            "--trace",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Replay: JSON lines with timestamp (ms), input_length, output_length.",
        ),
        click.option("--num-prompts", type=click.IntRange(1), help="[default: 100]"),
        click.option("--input-len", type=click.IntRange(1), default=512, help="Tokens a prompt."),
        click.option("--output-len", type=click.IntRange(1), default=128, help="Tokens an answer."),
        click.option(
            "--spread",
            type=click.FloatRange(0, 1, max_open=True),
            default=0.0,
            help="Lengths vary by this share either way (vLLM's --random-range-ratio).",
        ),
        click.option(
            "--shared-prefix",
            type=click.IntRange(0),
            default=0,
            help="Tokens that all prompts begin with, before --input-len.",
        ),
        click.option("--turns", type=click.IntRange(1), default=1, help="Of a conversation."),
        click.option(
            "--prompts",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Your own: a line each, .jsonl with prompt, or ShareGPT's .json.",
        ),
        click.option(
            "--duration",
            "duration_s",
            type=click.FloatRange(0, min_open=True),
            help="Send nothing more after so many seconds.",
        ),
        click.option(
            "--warmup",
            type=click.IntRange(0),
            help="Requests before, left out. [default: as many as are under way at once]",
        ),
        click.option("--seed", type=int, default=0, help="Of prompts and arrivals."),
        click.option("--temperature", type=click.FloatRange(0), help="[default: 0]"),
        click.option(
            "--extra-body", metavar="JSON", help="What each request says besides, as JSON."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(context_settings={"show_default": True})
@click.option("--base-url", help="Another server's URL, with /v1. [default: the one that is up]")
@click.option("--model", help="A served model's name. [default: the first the server lists]")
@load_options
@click.option(
    "--goodput",
    "slo",
    metavar="LIMITS",
    help="Count what keeps to all of them: ttft=200ms,tpot=50ms,e2el=3s.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    help="Write results as vllm bench serve does; in a folder under its names.",
)
@click.option("--save-detailed", is_flag=True, help="With a value for each request and token.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a report: one file.")
@json_option
@click.pass_obj
def bench(
    skin: Skin,
    /,
    *,
    base_url: str | None,
    ramp: tuple[float, float, str] | None,
    temperature: float | None,
    extra_body: str | None,
    slo: str | None,
    save: Path | None,
    save_detailed: bool,
    html: Path | None,
    as_json: bool,
    **load: Any,
) -> Shown:
    """
    Measure latency and throughput of a server that speaks OpenAI's API.

    Any will do, with a tokenizer or without. Ctrl-C keeps what came.
    """
    body = _body(extra_body) | ({} if temperature is None else {"temperature": temperature})
    from ..bench import files  # with all of a measurement, which a status has no time for

    several = len(load.get("concurrency") or ()) > 1

    def keep(result: Result) -> None:
        if save is not None:
            files.save(result, save, detailed=save_detailed, several=several)

    with _at(skin.session, base_url) as session, skin.progress() as on_progress:
        results = session.bench(
            slo=slo, on_progress=on_progress, on_result=keep, ramp=_ramp(ramp), body=body, **load
        )
    view = views.bench_view(results)
    if html is not None:
        files.write(html, view.report())
    return shown(view, as_json)


@contextmanager
def _at(session: Session, base_url: str | None) -> Iterator[Session]:
    """Measure another server with the same settings; the skin's session stays where it is."""
    if base_url is None:
        yield session
        return
    with session.like_this(base_url=base_url) as other:
        yield other


def _ramp(given: tuple[float, float, str] | None) -> Ramp | None:
    if given is None:
        return None
    from ..bench.plan import Ramp

    start_rps, end_rps, shape = given
    linear = shape == "linear"
    return Ramp(
        start_rps=start_rps, end_rps=end_rps, shape="linear" if linear else "exponential"
    )  # fmt: skip


def _body(text: str | None) -> dict[str, object]:
    try:
        found = json.loads(text or "{}")
    except ValueError as exc:
        raise click.BadParameter(f"it is no JSON: {exc}.", param_hint="--extra-body") from None
    if not isinstance(found, dict):
        raise click.BadParameter("it is no JSON object.", param_hint="--extra-body")
    return found
