"""Whole machines, each in a folder, and what the doctor says of them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.doctor.folder_machine import HOSTS, NAMES, FolderMachine, described
from workbench.doctor import examine
from workbench.doctor.checks import CHECKS
from workbench.records import Verdict


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_gets_the_findings_that_it_deserves(name: str, tmp_path: Path):
    """Those and no others, each with its evidence; and what the machine is ready for."""
    expected = tomllib.loads((HOSTS / name / "expected.toml").read_text())
    report = examine(FolderMachine(name, tmp_path))
    faults = {it.id: it for it in report.findings if it.verdict in (Verdict.FAIL, Verdict.WARN)}
    wanted = expected.get("findings", {})

    assert {id: str(it.verdict) for id, it in faults.items()} == {
        id: it["verdict"] for id, it in wanted.items()
    }
    assert {id: it["seen"] for id, it in wanted.items() if it["seen"] not in faults[id].seen} == {}
    assert list(report.ready_for) == expected["ready_for"]
    assert report.unsure is described(name).get("unsure", False)


@pytest.mark.parametrize("name", NAMES)
def test_every_fault_says_why_and_how_to_mend_it(name: str, tmp_path: Path):
    """What fails stops something; else it would be a warning."""
    report = examine(FolderMachine(name, tmp_path))
    stops = {it.id for it in CHECKS if it.blocks}

    for finding in report.findings:
        if finding.verdict in (Verdict.FAIL, Verdict.WARN):
            assert finding.why.endswith((".", ")"))
            assert finding.fix
        if finding.verdict is Verdict.FAIL:
            assert finding.id in stops
