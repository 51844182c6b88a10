"""
The project's compose file, read as `doctor --compose` does.
"""

from __future__ import annotations

from ... import units
from ...errors import ConfigError
from ...records import Verdict
from ...servers.compose_cli import FILE_NAMES
from ..compose_lint import lint
from ..machine import Machine
from .base import COMPOSE, Seen, check, failed, passed, skipped, warned


@check(
    "compose-file",
    area="compose",
    blocks=(COMPOSE,),
    source="https://docs.docker.com/reference/compose-file/",
)
def compose_file(machine: Machine) -> Seen:
    """
    Will the project's compose file do?

    What it has wrong keeps the container from starting, or from working; the details are in
    `workbench doctor --compose FILE`.
    """
    paths = [machine.home / name for name in FILE_NAMES]
    path = next((path for path in paths if machine.exists(path)), None)
    if path is None:
        return skipped(f"{machine.home} has no compose file")
    fix = f"workbench doctor --compose {path}"
    try:
        report = lint(machine.at(path), machine.variables)
    except ConfigError as exc:
        return failed(exc.message, fix=fix)
    ids = ", ".join(finding.id for finding in report.findings)
    if not report.ok:
        return failed(f"{path.name}: {ids}", fix=fix)
    worse = [it for it in report.findings if it.verdict is Verdict.WARN]
    if worse:
        return warned(f"{path.name}: {ids}", fix=fix)
    return passed(f"{path.name}: {units.count(len(report.services), 'service')}, nothing found")


CHECKS = (compose_file,)
