"""
How a conversation looks, and how it reads as text.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import units
from ..records import ToolStep
from ..views import status_line, step_line
from . import html
from .branches import Turn, TurnState
from .markdown import rendered
from .sampling import Control


def bar() -> str:
    """Write the buttons that are about the whole conversation."""
    return html.row(
        html.button("New", "clear", title="Begin a new conversation"),
        html.button("Copy as cell", "as_code", title="Copy code that asks the same again"),
        html.button("Save as notebook", "save", title="Write the conversation as a notebook"),
    )


def controls(known: Sequence[Control]) -> str:
    """Write the system prompt and the sampling controls, closed until they are wanted."""
    fields = "".join(
        html.field(
            control.label,
            control.name,
            unit=control.unit,
            kind="number",
            rest=f'min="{control.low:g}" step="{control.step}" placeholder="server\'s default"',
        )
        for control in known
    )
    return (
        '<details class="wb-details"><summary>System prompt and sampling</summary>'
        '<label class="wb-field wb-wide"><span>System prompt</span>'
        '<textarea name="system" rows="2"></textarea></label>'
        f'<div class="wb-grid">{fields}</div></details>'
    )


def frame() -> str:
    """Write the place that turns are in."""
    return (
        '<div class="wb-turns" data-stick data-inside role="log" aria-label="Conversation"'
        ' tabindex="0"></div>'
    )


def nothing() -> str:
    """Write what to do with a conversation in which nothing was said."""
    return html.empty("Nothing was said yet.", "Write a question below; Shift+Enter sends it.")


def compose(*, coming: bool, editing: bool) -> str:
    """Write the field for the next question, with the button that sends or stops."""
    label = "Edit the question" if editing else "Message"
    if coming:
        act = (
            '<button type="button" class="wb-button wb-primary" data-do="stop" data-escape="stop"'
            ' title="Stop the answer (Esc)">Stop</button>'
        )
    else:
        act = (
            '<button type="button" class="wb-button wb-primary" data-do="send"'
            ' data-clears="prompt" title="Send (Shift+Enter)">Send</button>'
        )
    cancel = html.button("Cancel", "cancel", title="Do not edit") if editing else ""
    return (
        f'<div class="wb-result"><label class="wb-field"><span>{label}</span>'
        '<textarea name="prompt" rows="3" data-submit="send" data-clears="prompt"'
        ' placeholder="Ask the model …"></textarea></label>'
        f"{html.row(act, cancel, '<span class=wb-faint>Shift+Enter sends · Esc stops</span>')}"
        "</div>"
    )


def turn(turn: Turn, number: int) -> str:
    """Write a turn: the question, the steps of tools, the answer, and how it came."""
    coming = turn.state is TurnState.COMING
    parts = [
        f'<div class="wb-question"><span class="wb-spoken">You:</span>{html.text(turn.question)}'
        "</div>",
        *map(_step, turn.steps),
        _reasoning(turn),
        _answer(turn),
        html.error(*turn.error) if turn.error else "",
        "" if coming else _foot(turn, number),
    ]
    return f'<article class="wb-turn">{"".join(parts)}</article>'


def turn_text(turn: Turn) -> str:
    """Write a turn as text."""
    parts = [f"user: {turn.question}", *map(step_line, turn.steps), f"assistant: {turn.text}"]
    if turn.error:
        parts.append(f"failed: {turn.error[0]}")
    return "\n".join([*parts, _how(turn)]).strip()


def _answer(turn: Turn) -> str:
    coming = turn.state is TurnState.COMING
    if not turn.text and not coming:
        return ""
    written = turn.growing.html(turn.text) if coming else rendered(turn.text)
    return (
        f'<div class="wb-answer" aria-busy="{str(coming).lower()}">'
        f'<span class="wb-spoken">Model:</span>{written}</div>'
    )


def _how(turn: Turn) -> str:
    if turn.generation is None or (turn.error and not turn.text):
        return ""
    line = status_line(turn.generation, interrupted=turn.state is TurnState.STOPPED)
    usage = turn.generation.usage
    sent = f"{units.count(usage.input_tokens, 'token')} in" if usage else ""
    return " · ".join(filter(None, (turn.generation.model, sent, line)))


def _step(step: ToolStep) -> str:
    failed = " ✗" if step.error else ""
    head = f"{step.call.name} · {units.seconds(step.duration_s)}{failed}"
    return (
        f'<details class="wb-details wb-step"><summary>{html.text(head)}</summary>'
        f"{html.code(step.call.arguments, 'arguments')}{html.code(step.result, 'result')}</details>"
    )


def _reasoning(turn: Turn) -> str:
    if not turn.reasoning:
        return ""
    return (
        '<details class="wb-details"><summary>Reasoning</summary>'
        f'<div class="wb-reasoning">{html.text(turn.reasoning)}</div></details>'
    )


def _foot(turn: Turn, number: int) -> str:
    which = {"turn": number}
    beside = len(turn.others)
    others = ""
    if beside > 1:
        others = (
            html.button("‹", "branch", title="The version before", says=which | {"by": -1})
            + f'<span class="wb-faint">{turn.number + 1} of {beside}</span>'
            + html.button("›", "branch", title="The next version", says=which | {"by": 1})
        )
    return (
        f'<div class="wb-foot">{html.faint(_how(turn))}<span class="wb-row">{others}'
        f"{html.button('Again', 'again', title='Ask the same once more', says=which)}"
        f"{html.button('Edit', 'edit', title='Edit the question', says=which)}</span></div>"
    )
