"""
``workbench probe`` and ``%wb probe``: a table by groups, data for programs, an exit status.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.scripted import ScriptedServer, reply
from tests.test_shell import workbench
from workbench.cells import Cell
from workbench.probe import Probe
from workbench.probe.matrix import QUESTIONS
from workbench.records import Check, Progress, Verdict
from workbench.views import probe_view


def check(id: str, verdict: Verdict, *, group: str = "tools", seen: str = "sent → came") -> Check:
    return Check(
        group=group, id=id, verdict=verdict, seen=seen, means=f"about {id}", duration_s=0.1
    )


def probe_of(*checks: Check) -> Probe:
    return Probe(
        at=datetime(2026, 1, 1, tzinfo=UTC),
        base_url="http://127.0.0.1:8000/v1",
        model="pocket",
        vllm_version="0.32.0",
        checks=checks,
    )


def test_the_table_names_a_group_once_and_explains_what_did_not_pass() -> None:
    """
    What passed is a line; the rest is told in full below.
    """
    view = probe_view(
        probe_of(
            check("auto", Verdict.PASS),
            check("named", Verdict.WARN, seen="said " * 40),
            check("n", Verdict.SKIP, group="sampling"),
        )
    )
    lines = str(view).splitlines()

    assert lines[0].endswith("(vLLM 0.32.0): 1 PASS, 1 WARN, 0 FAIL, 1 SKIP")
    assert [line.split()[0] for line in lines[2:5]] == ["tools", "named", "sampling"]
    assert lines[2].split()[1:3] == ["auto", "PASS"]
    assert "about auto" not in str(view)
    assert "WARN named" in lines
    assert str(view).count("said") > 40
    assert view.ok


def test_what_means_the_same_is_told_once() -> None:
    """
    A server without a tool parser refuses six kinds of calls for one reason.
    """
    both = [replace(check(id, Verdict.SKIP), means="no parser") for id in ("auto", "named")]
    said = str(probe_view(probe_of(*both, check("regex", Verdict.SKIP))))

    assert "SKIP auto, named\n  sent → came\n  no parser\nSKIP regex\n" in said


def test_one_failure_is_the_exit_status() -> None:
    """
    WARN and SKIP are facts about a server; FAIL is for CI to stop at.
    """
    assert not probe_view(probe_of(check("auto", Verdict.FAIL))).ok


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.close()


@pytest.mark.processes
def test_the_json_is_complete_and_a_failure_is_exit_1(
    server: ScriptedServer, project: Path
) -> None:
    """
    All checks, with evidence and meaning, on stdout; progress elsewhere; a line is kept.
    """
    server.answer(reply(404, {"detail": "Not Found"}))
    done = workbench("probe", "--json", home=project, WORKBENCH_BASE_URL=server.base_url)
    said = json.loads(done.stdout)

    assert done.returncode == 1
    assert not said["ok"]
    assert [each["id"] for each in said["checks"]] == [question.id for question in QUESTIONS]
    assert said["checks"][1].keys() == {"group", "id", "verdict", "seen", "means", "duration_s"}
    assert said["checks"][1]["verdict"] == "fail"
    assert f"models … (0 of {len(QUESTIONS)} checks)" in done.stderr
    kept = (project / ".workbench" / "probes.jsonl").read_text().splitlines()
    assert json.loads(kept[0])["verdicts"]["chat"] == "fail"


@pytest.mark.processes
def test_a_server_that_is_down_is_a_sentence(project: Path) -> None:
    """
    As with every other verb: no table, exit 1, the way to start one.
    """
    done = workbench("probe", home=project, WORKBENCH_PORT="9")

    assert (done.returncode, done.stdout) == (1, "")
    assert "Nothing answers at http://127.0.0.1:9/v1" in done.stderr
    assert "workbench up" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cell_ends_with_how_many_were_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Not with the name of the last one, as if that still went on.
    """
    with Cell().progress() as draw:
        draw(Progress(label="chat", done=1, total=2, unit="checks"))
        draw(Progress(label="probed", done=2, total=2, unit="checks"))
    shown = capsys.readouterr().out

    assert "chat … · 1 of 2 checks" in shown
    assert "✓ 2 checks" in shown


@pytest.mark.engine
def test_the_magic_returns_the_table(ip, served, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    In a notebook the same view, as HTML.
    """
    monkeypatch.setenv("WORKBENCH_BASE_URL", served.server.base_url)
    monkeypatch.setenv("WORKBENCH_API_KEY", served.server.api_key)
    monkeypatch.setenv("WORKBENCH_STATE_DIR", str(served.settings.state_dir))
    ip.run_line_magic("load_ext", "workbench")
    view = ip.run_line_magic("wb", "probe")

    assert view.ok
    assert "<td style='text-align:left'>tools-auto</td>" in view.html()
