"""
The verb that asks the model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from .. import views
from ..display import Json, for_terminal
from ..errors import ClientError
from ..records import SamplingParams
from ..session import Session

if TYPE_CHECKING:
    from ..client import Ask

from .base import Shown, Skin, json_option


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


@click.command()
@click.argument("prompt", nargs=-1, required=True)
@chat_options
@click.option("--base-url", help="Another server's URL, with /v1. [default: the one that is up]")
@click.option("--model", help="A served model's name. [default: the first the server lists]")
@click.option("--no-stream", is_flag=True, help="Wait for the whole answer.")
@json_option
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
