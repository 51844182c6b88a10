"""
Doctor: what is wrong with this machine, why it matters, and what to type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..records import Finding, Verdict
from ..session import Session
from ..views.doctor import QUIET, host_view
from . import html
from .base import Panel

if TYPE_CHECKING:
    from ..doctor import HostReport


class DoctorPanel(Panel):
    """The doctor's findings, what to mend first on top."""

    NAME, TITLE = "doctor", "Doctor"
    ACTS = frozenset({"examine"})

    def __init__(self, session: Callable[[], Session]) -> None:
        super().__init__(session)
        self.report: HostReport | None = None
        self.show("bar", _bar(busy=False))
        self.show("error", "")
        self.show("found", html.empty("Nothing was looked at yet.", "Press Examine."))

    def text(self) -> str:
        """Say what was found."""
        if self.report is None:
            return "Doctor panel: nothing was looked at yet; see: %wb doctor"
        return str(host_view(self.report))

    def do_examine(self, _values: Mapping[str, Any]) -> None:
        """Look at the machine, as the verb does."""
        self.work(self.look, first=self._clear, then=lambda: self.show("bar", _bar(busy=False)))

    def _clear(self) -> None:
        self.no_error()
        self.show("bar", _bar(busy=True))

    def look(self) -> None:
        """Make every check."""
        from ..doctor import Machine, chosen, examine

        settings = self.session.settings
        machine = Machine(settings.home, settings.variables_beside(settings.home / ".env"))
        self.report = report = examine(machine, checks=chosen((), backend=None))
        self.show("found", lambda: _found(report))


def _bar(*, busy: bool) -> str:
    label = "Looking …" if busy else "Examine"
    return html.row(html.button(label, "examine", primary=True, enabled=not busy))


def _found(report: HostReport) -> str:
    counts = Counter(finding.verdict for finding in report.findings)
    told = ", ".join(f"{counts[it]} {it.upper()}" for it in Verdict if counts[it])
    faults = [finding for finding in report.findings if finding.verdict not in QUIET]
    rest = [finding for finding in report.findings if finding.verdict in QUIET]
    ready = ", ".join(report.ready_for) or "nothing yet"
    lines = [f"Ready for: {ready}"]
    if report.next_step:
        lines.append(f"Next: {report.next_step}")
    passed = "".join(map(_line, rest))
    return (
        f"<strong>{html.text(told)}</strong>{''.join(map(html.faint, lines))}"
        f'<div class="wb-list">{"".join(map(_fault, faults))}</div>'
        f'<details class="wb-details"><summary>{len(rest)} without a fault</summary>'
        f'<div class="wb-list">{passed}</div></details>'
    )


def _fault(finding: Finding) -> str:
    fix = html.code(finding.fix, "fix") if finding.fix else ""
    return (
        f'<div class="wb-item"><div>{_head(finding)}<div class="wb-note">{html.text(finding.seen)}'
        f"</div>{html.faint(finding.why)}{fix}{html.faint(finding.source or '')}</div></div>"
    )


def _line(finding: Finding) -> str:
    return f'<div class="wb-item"><div>{_head(finding)}{html.faint(finding.seen)}</div></div>'


def _head(finding: Finding) -> str:
    return (
        f'<div class="wb-head"><span class="wb-dot wb-{finding.verdict}"></span>'
        f'<span class="wb-title">{html.text(finding.id)}</span>'
        f'<span class="wb-faint">{html.text(finding.verdict.upper())}</span></div>'
    )
