"""
Doctor: what is wrong with this machine, why it matters, what to type, and what a click mends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..display import View
from ..records import Finding, Verdict
from ..session import Session
from ..views.doctor import QUIET, host_view, mended_view
from . import html
from .base import Panel

if TYPE_CHECKING:
    from ..doctor import HostReport, Machine


class DoctorPanel(Panel):
    """The doctor's findings, what to mend first on top."""

    NAME, TITLE = "doctor", "Doctor"
    ACTS = frozenset({"examine", "apply"})

    def __init__(self, session: Callable[[], Session]) -> None:
        super().__init__(session)
        self.report: HostReport | None = None
        self.show("bar", _bar(busy=False))
        self.show("error", "")
        self.show("done", "")
        self.show("found", html.empty("Nothing was looked at yet.", "Press Examine."))

    def text(self) -> str:
        """Say what was found."""
        if self.report is None:
            return "Doctor panel: nothing was looked at yet; see: %wb doctor"
        return str(host_view(self.report))

    def do_examine(self, _values: Mapping[str, Any]) -> None:
        """Look at the machine, as the verb does."""
        self.work(self.look, first=self._clear, then=lambda: self.show("bar", _bar(busy=False)))

    def do_apply(self, values: Mapping[str, Any]) -> None:
        """Mend a fault, as ``--fix ID --yes`` does, and look again."""
        id = str(values["id"])
        self.work(
            lambda: self._apply(id),
            first=self._clear,
            then=lambda: self.show("bar", _bar(busy=False)),
        )

    def look(self) -> None:
        """Make every check, and ask what could be mended from here."""
        from ..doctor import chosen, examine

        machine = self._machine()
        self.report = report = examine(machine, checks=chosen((), backend=None))
        mends = {it.id: _steps(it, machine) for it in report.findings if it.verdict not in QUIET}
        self.show("found", lambda: _found(report, mends))

    def _clear(self) -> None:
        self.no_error()
        self.show("done", "")
        self.show("bar", _bar(busy=True))

    def _apply(self, id: str) -> None:
        from ..doctor import mend

        try:
            done = mended_view(mend(id, self._machine(), really=True))
        except OSError as exc:
            self.show("error", html.error(f"{id} could not be mended: {exc}", "By hand: see below"))
        else:
            self.show("done", lambda: _done(done))
        self.look()

    def _machine(self) -> Machine:
        from ..doctor import Machine

        settings = self.session.settings
        return Machine(settings.home, settings.variables_beside(settings.home / ".env"))


def _bar(*, busy: bool) -> str:
    label = "Looking …" if busy else "Examine"
    return html.row(html.button(label, "examine", primary=True, enabled=not busy))


def _steps(finding: Finding, machine: Machine) -> tuple[str, ...]:
    """Ask what would mend a fault without root and without risk; of most nothing."""
    from ..doctor.mend import MENDS, mend

    return mend(finding.id, machine, really=False).steps if finding.id in MENDS else ()


def _done(done: View) -> str:
    said = " · ".join(filter(None, (done.title, done.note)))
    rows = "".join(html.faint(" ".join(row)) for row in done.rows)
    return f'<div role="status">{html.text(said)}{rows}</div>'


def _found(report: HostReport, mends: Mapping[str, tuple[str, ...]]) -> str:
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
        f'<div class="wb-list">{"".join(_fault(it, mends[it.id]) for it in faults)}</div>'
        f'<details class="wb-details"><summary>{len(rest)} without a fault</summary>'
        f'<div class="wb-list">{passed}</div></details>'
    )


def _fault(finding: Finding, steps: tuple[str, ...]) -> str:
    fix = html.code(finding.fix, "fix") if finding.fix else ""
    return (
        f'<div class="wb-item"><div>{_head(finding)}<div class="wb-note">{html.text(finding.seen)}'
        f"</div>{html.faint(finding.why)}{fix}{_apply(finding, steps)}"
        f"{html.faint(finding.source or '')}</div></div>"
    )


def _apply(finding: Finding, steps: tuple[str, ...]) -> str:
    """Offer to mend it, with what would be done: nobody presses what may do anything."""
    if not steps:
        return ""
    title = f"Apply the fix of {finding.id}"
    button = html.button("Apply", "apply", title=title, says={"id": finding.id})
    return html.row(button, html.faint(" · ".join(steps)))


def _line(finding: Finding) -> str:
    return f'<div class="wb-item"><div>{_head(finding)}{html.faint(finding.seen)}</div></div>'


def _head(finding: Finding) -> str:
    return (
        f'<div class="wb-head"><span class="wb-dot wb-{finding.verdict}"></span>'
        f'<span class="wb-title">{html.text(finding.id)}</span>'
        f'<span class="wb-faint">{html.text(finding.verdict.upper())}</span></div>'
    )
