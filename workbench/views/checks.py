"""
How checks look: of a compose file, of what a server can do, of what runs.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from textwrap import indent, shorten
from typing import TYPE_CHECKING

from .. import units
from ..display import View
from ..records import (
    Check,
    Finding,
    Verdict,
)

if TYPE_CHECKING:
    from ..doctor import Report, Shown
    from ..probe import Probe
    from ..smoke import SmokeReport

from .base import near, wrapped

MAX_SHOWN_EVIDENCE = 80
"""A table's line; what did not pass is told in full below it, and --json has all."""


def lint_view(report: Report) -> View:
    """Show what is wrong with a compose file, then what would run."""
    count = units.count(len(report.findings), "finding")
    return View(
        title=f"{near(report.path)}: {count if report.findings else 'nothing found'}",
        rows=tuple(
            (finding.verdict.upper(), finding.id, finding.seen.splitlines()[0])
            for finding in report.findings
        ),
        note="\n\n".join([*map(_finding_text, report.findings), *map(_would_run, report.services)]),
        data={
            "path": str(report.path),
            "findings": [asdict(finding) for finding in report.findings],
            "services": [asdict(service) for service in report.services],
        },
        ok=report.ok,
    )


def _finding_text(finding: Finding) -> str:
    parts = [
        f"{finding.verdict.upper()} {finding.id}",
        indent(finding.seen, "  "),
        wrapped(finding.why),
        "  write instead:",
        indent(finding.fix, "    "),
    ]
    return "\n".join([*parts, f"  source: {finding.source}"] if finding.source else parts)


def _would_run(service: Shown) -> str:
    """Write what Docker would start, a thing a line; it holds no secrets any more."""
    listed = {
        "mounts": service.mounts,
        "ports": service.ports,
        "devices": service.devices,
        "environment": service.environment,
    }
    lines = [
        f"would run: {service.name}",
        f"  image: {service.image}",
        wrapped(shlex.join(service.argv)),
        *(f"  {name}: {item}" for name, items in listed.items() for item in items),
        f"  restart: {service.restart}",
        f"  health: {service.health}",
    ]
    return "\n".join(lines)


def probe_view(probe: Probe) -> View:
    """Show what a server and its model can do, by groups; then what is not as it might be."""
    counts = Counter(check.verdict for check in probe.checks)
    summary = ", ".join(f"{counts[verdict]} {verdict.upper()}" for verdict in Verdict)
    version = f"vLLM {probe.vllm_version}" if probe.vllm_version else "no vLLM"
    asked = [check for check in probe.checks if check.verdict is not Verdict.PASS]
    return View(
        title=f"{probe.model} at {probe.base_url} ({version}): {summary}",
        columns=("group", "check", "verdict", "seen", "time"),
        numeric=frozenset({"time"}),
        rows=tuple(map(_check_row, probe.checks, _once(check.group for check in probe.checks))),
        note="\n".join(map(_checks_text, _alike(asked))) or None,
        data=asdict(probe) | {"ok": probe.ok},
        ok=probe.ok,
    )


def _once(names: Iterable[str]) -> Iterator[str]:
    """Leave a name out where it is the same as above."""
    above = None
    for name in names:
        yield "" if name == above else name
        above = name


def _check_row(check: Check, group: str) -> tuple[str, ...]:
    seen = shorten(check.seen, MAX_SHOWN_EVIDENCE, placeholder=" …")
    return (group, check.id, check.verdict.upper(), seen, units.seconds(check.duration_s))


def _alike(checks: Iterable[Check]) -> list[list[Check]]:
    """Put together what means the same: six kinds of tool calls need one setting."""
    alike: dict[tuple[Verdict, str], list[Check]] = {}
    for check in checks:
        alike.setdefault((check.verdict, check.means), []).append(check)
    return list(alike.values())


def _checks_text(checks: Sequence[Check]) -> str:
    first = checks[0]
    names = ", ".join(check.id for check in checks)
    evidence = dict.fromkeys(check.seen for check in checks)
    return "\n".join(
        [f"{first.verdict.upper()} {names}", *map(wrapped, evidence), wrapped(first.means)]
    )


def smoke_view(report: SmokeReport) -> View:
    """Show a line for each step, then what to try where one did not pass."""
    failed = sum(step.verdict is Verdict.FAIL for step in report.steps)
    result = f"{failed} of {len(report.steps)} failed" if failed else "nothing failed"
    took = units.seconds(report.duration_s)
    return View(
        title=f"{report.model or 'no model'} at {report.base_url}: {result}, {took}",
        columns=("step", "verdict", "time", "seen"),
        numeric=frozenset({"time"}),
        rows=tuple(
            (step.name, step.verdict.upper(), units.seconds(step.duration_s), step.seen)
            for step in report.steps
        ),
        note="\n".join(
            f"{step.verdict.upper()} {step.name}: {step.next_step}"
            for step in report.steps
            if step.next_step
        )
        or None,
        data=asdict(report),
        ok=report.ok,
    )
