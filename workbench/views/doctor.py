"""
What the doctor found on a machine, as text, HTML and data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from textwrap import fill, indent
from typing import TYPE_CHECKING

from .. import units
from ..display import View
from ..records import Finding, Verdict

if TYPE_CHECKING:
    from ..doctor import Cause, HostReport, Mended
    from ..doctor.checks.base import HostCheck

WIDEST_SEEN = 88

QUIET = (Verdict.PASS, Verdict.SKIP)
"""Verdicts that nothing has to be done about; a skipped check has nothing to look at here."""


def host_view(report: HostReport, *, every: bool = False) -> View:
    """
    Show the findings, each fault with its reason and its fix, and what to type next.

    Args:
        every: Show what was skipped too; without it, it is counted.
    """
    counts = Counter(finding.verdict for finding in report.findings)
    told = (f"{counts[verdict]} {verdict.upper()}" for verdict in Verdict if counts[verdict])
    faults = [finding for finding in report.findings if finding.verdict not in QUIET]
    listed = [it for it in report.findings if every or it.verdict is not Verdict.SKIP]
    return View(
        title=f"{', '.join(told)} in {units.seconds(report.took_s)}",
        rows=tuple((it.verdict.upper(), it.id, _short(it.seen)) for it in listed),
        note="\n\n".join(filter(None, [*map(_fault, faults), _closing(report)])),
        data=asdict(report) | {"ok": report.ok},
        ok=report.ok,
        unsure=report.unsure,
    )


def explanation(check: HostCheck) -> View:
    """Show what a check looks at, and why."""
    stops = ", ".join(sorted(check.blocks)) or "nothing: it works all the same, but not well"
    return View(
        title=f"{check.id} ({check.area})",
        note=f"{check.about}\n\nA failure stops: {stops}\nsource: {check.source}",
        data={
            "id": check.id,
            "area": check.area,
            "about": check.about,
            "blocks": sorted(check.blocks),
            "source": check.source,
        },
    )


def causes_view(causes: Sequence[Cause]) -> View:
    """Show what may be behind a text, the likeliest first, with what speaks for it."""
    if not causes:
        return View(
            title="Nothing that is known is like this.",
            note="Look at the whole machine: workbench doctor",
            data=[],
            ok=False,
        )
    known = sum(cause.is_known for cause in causes)
    return View(
        title=f"{units.count(len(causes), 'possible cause')}, {known} known by its text",
        note="\n\n".join(_cause(number, cause) for number, cause in enumerate(causes, 1)),
        data=[asdict(cause) for cause in causes],
    )


def mended_view(mended: Mended) -> View:
    """Show what was done about a fault, or would be; or the commands for doing it by hand."""
    before, after = mended.before, mended.after
    if before.verdict in QUIET:
        title, note = f"{before.id}: nothing to mend", before.seen
    elif not mended.can:
        title, note = f"{before.id} is mended by hand", _fault(before)
    elif after is None:
        title = f"{before.id} would be mended"
        note = f"do it: workbench doctor --fix {before.id} --yes"
    else:
        title, note = f"{before.id}: {after.verdict.upper()}", after.seen
    return View(
        title=title,
        rows=tuple((step,) for step in mended.steps),
        note=note,
        data=asdict(mended) | {"ok": mended.ok},
        ok=mended.ok,
    )


def _cause(number: int, cause: Cause) -> str:
    evidence = "it says" if cause.is_known else "words in common"
    parts = [
        f"{number}. {cause.id}",
        fill(cause.cause, 96, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False),
        f"  {evidence}: {cause.because[:160]}",
        indent(cause.fix, "    "),
        f"  source: {cause.source}" if cause.source else "",
    ]
    return "\n".join(part for part in parts if part)


def _fault(finding: Finding) -> str:
    parts = [
        f"{finding.verdict.upper()} {finding.id}: {finding.seen}",
        fill(finding.why, 96, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False),
        indent(finding.fix, "    "),
        f"  source: {finding.source}" if finding.source else "",
    ]
    return "\n".join(part for part in parts if part)


def _closing(report: HostReport) -> str:
    if report.next_step is None:
        return ""
    ready = ", ".join(report.ready_for) or "nothing yet"
    return f"ready for: {ready}\nnext: {report.next_step}"


def _short(seen: str) -> str:
    line = seen.splitlines()[0] if seen else units.UNKNOWN
    return line if len(line) <= WIDEST_SEEN else f"{line[: WIDEST_SEEN - 1]}…"
