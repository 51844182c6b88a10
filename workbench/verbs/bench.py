"""
The verb ``bench``: how fast a server is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .. import views
from ..display import View
from ..session import Session

if TYPE_CHECKING:
    from ..bench.beside import Power
    from ..bench.plan import Ramp
    from ..bench.result import Result

from .base import Shown, Skin, json_option, shown
from .types import Duration


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
        click.option(
            "--processes",
            type=click.IntRange(1),
            help="That send the load. [default: one for 250 at once, on half of the cores]",
        ),
        click.option(
            "--workers",
            metavar="ADDRESS",
            help="Send it from a Ray cluster's machines: ray://HOST:10001, or auto on one of them.",
        ),
        click.option("--temperature", type=click.FloatRange(0), help="[default: 0]"),
        click.option(
            "--extra-body", metavar="JSON", help="What each request says besides, as JSON."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def beside_options(command: Any) -> Any:
    """Add the options that say what is searched for, and what stands beside a result."""
    options = (
        click.option(
            "--slo",
            metavar="LIMITS",
            help="Count what keeps to all of them: ttft=200ms,tpot=50ms,e2el=3s.",
        ),
        click.option(
            "--goodput",
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            help="Find the highest request rate at which this share keeps to --slo: 0.99.",
        ),
        click.option(
            "--preset",
            type=click.Choice(["chat", "rag", "code"]),
            help="Find it for lengths and limits that are usual for this.",
        ),
        click.option(
            "--budget",
            "budget_s",
            type=Duration(),
            help="End the search after so long, with what is found: 90s, 10m. [default: no limit]",
        ),
        click.option(
            "--sweep", type=click.IntRange(4), help="Concurrencies 1, 2, 4 … up to this one."
        ),
        click.option("--gpu", help="The server's card, for what its memory allows: 7900xtx."),
        click.option("--watts", metavar="W|measured", help="What the server takes, or measure it."),
        click.option("--price", metavar="PRICE", help="Of a kilowatt-hour: 0.30EUR."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(context_settings={"show_default": True})
@click.option("--base-url", help="Another server's URL, with /v1. [default: the one that is up]")
@click.option("--model", help="A served model's name. [default: the first the server lists]")
@load_options
@beside_options
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
    goodput: float | None,
    preset: str | None,
    budget_s: float | None,
    sweep: int | None,
    gpu: str | None,
    watts: str | None,
    price: str | None,
    save: Path | None,
    save_detailed: bool,
    html: Path | None,
    as_json: bool,
    **load: Any,
) -> Shown:
    """
    Measure latency and throughput of a server that speaks OpenAI's API.

    Any will do, with a tokenizer or without. Ctrl-C keeps what came. With --goodput or --preset
    it finds the highest request rate that keeps to the limits, beginning with --request-rate.
    """
    if sweep:
        load["concurrency"] = _doubled(sweep)
    body = _body(extra_body) | ({} if temperature is None else {"temperature": temperature})
    from ..bench import files  # with all of a measurement, which a status has no time for

    several = len(load.get("concurrency") or ()) > 1

    def keep(result: Result) -> None:
        if save is not None:
            files.save(result, save, detailed=save_detailed, several=several)

    if goodput or preset:
        if ramp or load["trace"] or load["concurrency"]:
            raise click.UsageError("A search makes its own loads, by rates.")
        options = {"slo": slo, "goodput": goodput, "preset": preset, "body": body}
        if budget_s:
            options["budget_s"] = budget_s
        with _at(skin.session, base_url) as session:
            return shown(_search(skin, session, keep, options | load), as_json)
    if budget_s:
        raise click.UsageError("--budget is a search's: with --goodput or --preset.")
    from ..bench import beside

    power, metered = _power(watts, price)
    with _at(skin.session, base_url) as session, skin.progress() as on_progress, metered:
        results = session.bench(
            slo=slo, on_progress=on_progress, on_result=keep, ramp=_ramp(ramp), body=body, **load
        )
    more = beside.lines(results, models_dir=skin.session.settings.models_dir, gpu=gpu, power=power)
    view = views.bench_view(results)
    view = replace(view, note="\n".join([*more, view.note or ""]))
    if html is not None:
        files.write(html, view.report())
    return shown(view, as_json)


def _doubled(most: int) -> tuple[int, ...]:
    """Return 1, 2, 4 … and *most* itself."""
    return (*(1 << step for step in range((most - 1).bit_length())), most)


def _power(watts: str | None, price: str | None) -> tuple[Power, AbstractContextManager[object]]:
    """Read what is said of power; the second is to be open while something is measured."""
    from ..bench.beside import Power
    from ..bench.energy import read_price
    from ..bench.power import PowerMeter

    cost = read_price(price) if price else None
    if watts == "measured":
        meter = PowerMeter()
        return Power(meter=meter, price=cost), meter
    try:
        declared = None if watts is None else float(watts.lower().removesuffix("w"))
    except ValueError:
        message = f"{watts!r} is neither watts nor “measured”."
        raise click.BadParameter(message, param_hint="--watts") from None
    return Power(watts=declared, price=cost), nullcontext()


def _search(
    skin: Skin, session: Session, keep: Callable[[Result], None], options: dict[str, Any]
) -> View:
    """Find the highest rate; a preset's lengths hold unless others are said."""
    from ..bench.capacity import START_RPS, capacity
    from ..views.capacity import capacity_view

    said = click.get_current_context().get_parameter_source
    for name in ("input_len", "output_len"):
        if options["preset"] and said(name) is ParameterSource.DEFAULT:
            del options[name]
    for name in ("ramp", "trace", "concurrency"):
        options.pop(name, None)
    start_rps = options.pop("request_rate_rps") or START_RPS
    with skin.progress() as on_progress:
        found = capacity(session, start_rps=start_rps, on_progress=on_progress, **options)
    for result in found.results:
        keep(result)
    return capacity_view(found)


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
