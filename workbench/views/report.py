"""
A report as Markdown: short first, the long parts folded, as issues on the web take it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import units
from ..display import View

if TYPE_CHECKING:
    from ..report import Bundle, Captured

FAULTS = ("fail", "warn")


def report_view(bundle: Bundle) -> View:
    """Show it as Markdown, or as data for a program."""
    return View(note=markdown(bundle), data=dict(bundle.sections))


def captured_view(captured: Captured) -> View:
    """Say where the machine is, and whether the doctor says the same of it."""
    folder, differing = captured.folder, captured.differing
    same = "The doctor says the same of it as of this machine."
    other = f"The doctor says something else of it than of this machine: {', '.join(differing)}."
    return View(
        title=f"{folder} has this machine's answers. {other if differing else same}",
        note=f"Read machine.toml before you give it to anybody.\n"
        f"look at it: workbench doctor --machine {shlex.quote(str(folder))}",
        data={"folder": str(folder), "differing": list(differing), "ok": not differing},
        ok=not differing,
    )


def markdown(bundle: Bundle) -> str:
    """Write a bundle as Markdown."""
    told = bundle.sections
    parts = [
        f"## workbench report ({told['made_at']})",
        _section("Versions", told["versions"], _facts),
        _section("Doctor", told["doctor"], _doctor),
        _section("Settings", told["settings"], _table),
        _section("Compose", told["compose"], _compose),
        _section("Server", told["server"], _facts),
        _section("Last boots", told["boots"], _boots),
        _section("The server's log", told["log"], _log),
        _section("Last errors", told["errors"], _table),
        _section("Requests by model", told["requests"], _table),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, told: Any, write: Any) -> str:
    if isinstance(told, Mapping) and "not_told" in told:
        text = f"It could not be told: {_inline(told['not_told'])}"
    else:
        text = write(told) if told else "Nothing."
    return f"### {title}\n\n{text}"


def _facts(told: Mapping[str, Any]) -> str:
    known = [(name, value) for name, value in told.items() if value not in (None, [])]
    return _rows(("what", "is"), known)


def _doctor(told: Mapping[str, Any]) -> str:
    findings = told["findings"]
    faults = [it for it in findings if it["verdict"] in FAULTS]
    ready = ", ".join(told["ready_for"]) or "nothing yet"
    others = [(it["verdict"].upper(), it["id"], it["seen"]) for it in findings if it not in faults]
    return "\n\n".join(
        [
            f"Ready for: {ready}",
            *(f"**{it['verdict'].upper()} {it['id']}**: {_inline(it['seen'])}" for it in faults),
            _folded(
                units.count(len(others), "other check"), _rows(("verdict", "check", "seen"), others)
            ),
        ]
    )


def _compose(told: Mapping[str, Any]) -> str:
    rows = [(it["verdict"].upper(), it["id"], it["seen"]) for it in told["findings"]]
    services = "\n\n".join(map(_service, told["would_run"]))
    found = (
        _rows(("verdict", "finding", "seen"), rows) if rows else f"{told['file']}: nothing found"
    )
    return f"{found}\n\n{_folded('what would run', services)}"


def _service(service: Mapping[str, Any]) -> str:
    listed = [
        f"{name}: {item}"
        for name in ("mounts", "ports", "devices", "environment")
        for item in service[name]
    ]
    lines = [f"{service['name']}: {service['image']}", shlex.join(service["argv"]), *listed]
    return _fenced([*lines, f"restart: {service['restart']}", f"health: {service['health']}"])


def _boots(told: Sequence[Mapping[str, Any]]) -> str:
    return _fenced(
        f"{boot['at']}  {boot['of']}: {units.seconds(boot['total_s'])} = "
        + " + ".join(f"{it['name']} {units.seconds(it['took_s'])}" for it in boot["phases"])
        for boot in told
    )


def _log(told: Mapping[str, Any]) -> str:
    state = "it became ready" if told["was_ready"] else f"it came as far as: {told['reached']}"
    lines = [f"The last start: {state}."]
    lines += [
        f"- **{it['id']}**: {_inline(it['cause'])}\n  `{_inline(it['line'] or units.UNKNOWN)}`"
        for it in told["while_starting"]
    ]
    if told["since_ready"]:
        lines.append(f"Since it was ready its log has: {', '.join(told['since_ready'])}.")
    return "\n".join(lines)


def _table(told: Sequence[Mapping[str, Any]]) -> str:
    return _rows(tuple(told[0]), [[_cell(value) for value in row.values()] for row in told])


def _cell(value: Any) -> str:
    if value is None:
        return units.UNKNOWN
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rows(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    written = [_row(columns), _row(["---"] * len(columns)), *map(_row, rows)]
    return "\n".join(written)


def _row(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(_inline(str(cell)).replace("|", "\\|") for cell in cells) + " |"


def _inline(text: str) -> str:
    """Keep a text on its line, and from being read as Markdown's or HTML's own."""
    return " ".join(text.split()).replace("`", "'").replace("<", "&lt;")


def _fenced(lines: Iterable[str]) -> str:
    return "\n".join(["```", *(line.replace("```", "'''") for line in lines), "```"])


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def report_json(bundle: Bundle) -> str:
    """Write a bundle for a program."""
    return json.dumps(bundle.sections, indent=2, default=str) + "\n"
