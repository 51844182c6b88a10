"""
HTML of what panels are made of. Pure. Everything that is passed as text is escaped here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from .. import units
from ..display import View, for_terminal
from ..records import Progress
from ..views import phase_line


def text(value: object) -> str:
    """Escape a text, whoever wrote it, without what only a terminal would obey."""
    return escape(for_terminal(str(value)))


def button(
    label: str,
    act: str,
    *,
    primary: bool = False,
    enabled: bool = True,
    title: str = "",
    says: Mapping[str, object] | None = None,
) -> str:
    """
    Write a button of an act.

    Args:
        title: What it does, for a pointer that rests and for screen readers, who hear the
            label first: it is what people say to press it.

        says: Goes with the act, beside the values of the fields.
    """
    data = "".join(f' data-{key}="{text(value)}"' for key, value in (says or {}).items())
    named = f' title="{text(title)}" aria-label="{text(_named(label, title))}"' if title else ""
    look = "wb-button wb-primary" if primary else "wb-button"
    return (
        f'<button type="button" class="{look}" data-do="{act}"{data}{named}'
        f"{'' if enabled else ' disabled'}>{text(label)}</button>"
    )


def _named(label: str, title: str) -> str:
    """Begin with the label, unless the title has it or it is a sign and no word."""
    is_word = any(map(str.isalpha, label))
    return f"{label}: {title}" if is_word and label.lower() not in title.lower() else title


def field(
    label: str, name: str, value: object = "", *, unit: str = "", kind: str = "text", rest: str = ""
) -> str:
    """
    Write an input with its label and its unit.

    Args:
        rest: Further attributes, already HTML.
    """
    shown = f"{text(label)} <small>{text(unit)}</small>" if unit else text(label)
    return (
        f'<label class="wb-field"><span>{shown}</span>'
        f'<input type="{kind}" name="{name}" value="{text(value)}" autocomplete="off" {rest}>'
        "</label>"
    )


def choice(label: str, name: str, options: Sequence[tuple[str, str]], chosen: str, act: str) -> str:
    """Write a list to choose from; an option is its value and its label."""
    listed = "".join(
        f'<option value="{text(value)}"{" selected" if value == chosen else ""}>{text(shown)}'
        "</option>"
        for value, shown in options
    )
    return (
        f'<label class="wb-field"><span>{text(label)}</span>'
        f'<select name="{name}" data-change="{act}">{listed}</select></label>'
    )


def row(*parts: str) -> str:
    """Put parts beside each other; they wrap where it is narrow."""
    return f'<div class="wb-row">{"".join(parts)}</div>'


def numbers(pairs: Sequence[tuple[str, str]]) -> str:
    """Write numbers with what they are."""
    cells = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in pairs
    )
    return f'<dl class="wb-numbers">{cells}</dl>'


def faint(line: str) -> str:
    """Write a line that is read second."""
    return f'<div class="wb-faint">{text(line)}</div>' if line else ""


def error(message: str, hint: str | None) -> str:
    """Write what failed, and the next thing to try."""
    tried = f'<div class="wb-hint">{text(hint)}</div>' if hint else ""
    return f'<div class="wb-error" role="alert"><div>{text(message)}</div>{tried}</div>'


def empty(what: str, do: str) -> str:
    """Write that there is nothing yet, and what to do about it."""
    return f'<div class="wb-empty"><div>{text(what)}</div><div>{text(do)}</div></div>'


def code(source: str, language: str = "") -> str:
    """Write code with a button that copies it."""
    return (
        '<div class="wb-code" data-code><div class="wb-codehead">'
        f"<span>{text(language)}</span>"
        '<button type="button" class="wb-button wb-small" data-copy aria-label="Copy the code">'
        f'Copy</button></div><pre tabindex="0"><code>{text(source)}</code></pre></div>'
    )


def bar(share: float | None, label: str, *, over: bool = False) -> str:
    """Write a bar for a share from 0 to 1, red if *over*; of an unknown one nothing is filled."""
    width = 0.0 if share is None else min(1.0, max(0.0, share))
    told = units.UNKNOWN if share is None else f"{share:.0%}"
    look = "wb-bar wb-over" if over else "wb-bar"
    return (
        f'<div class="{look}" role="img" aria-label="{text(label)} {told}">'
        f'<i style="width:{width:.1%}"></i></div>'
    )


def _working(label: str) -> str:
    return f'<div class="wb-bar wb-unknown" role="img" aria-label="{text(label)}"><i></i></div>'


def progress(progress: Progress) -> str:
    """Write what is behind, what is at work, how far, and how long it may take."""
    done = "".join(f"<li>✓ {text(phase_line(phase))}</li>" for phase in progress.phases[:-1])
    share = progress.fraction
    if share is None and progress.total:
        share = progress.done / progress.total
    meter = bar(share, progress.label) if share is not None else _working(progress.label)
    left = "" if progress.eta_s is None else f", about {units.seconds(progress.eta_s)} left"
    amount = ""
    if progress.unit == "bytes":
        total = int(progress.total) if progress.total else None
        amount = f", {units.size(int(progress.done))} of {units.size(total)}"
    line = f"{progress.label}{amount}{left}"
    return f'<ol class="wb-phases">{done}<li class="wb-now">{text(line)} …</li></ol>{meter}'


def table(
    view: View,
    *,
    acts: Sequence[str] = (),
    label: str = "",
) -> str:
    """
    Write a view's rows as a table.

    Args:
        acts: HTML for a last cell of each row.
    """
    head = "".join(
        f"<th scope='col'{' class=wb-number' if _is_numeric(view, at) else ''}>{text(name)}</th>"
        for at, name in enumerate(view.columns)
    )
    if view.columns and acts:
        head += "<th scope='col'><span class='wb-spoken'>actions</span></th>"
    body = []
    for index, cells in enumerate(view.rows):
        written = "".join(
            f"<td{' class=wb-number' if _is_numeric(view, at) else ''}>{text(cell)}</td>"
            for at, cell in enumerate(cells)
        )
        written += f"<td class=wb-acts>{acts[index]}</td>" if acts else ""
        body.append(f"<tr>{written}</tr>")
    return (
        f'<div class="wb-scroll" tabindex="0" role="group" aria-label="{text(label)}">'
        f'<table class="wb-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _is_numeric(view: View, index: int) -> bool:
    return bool(view.columns) and view.columns[index] in view.numeric
