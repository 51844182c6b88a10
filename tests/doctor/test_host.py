"""How the checks of a machine are run, whatever they look at."""

from __future__ import annotations

import re
import threading
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.doctor.folder_machine import FolderMachine
from tests.helpers import eventually, lives
from workbench.doctor import chosen, examine, facts, host
from workbench.doctor.checks import CHECKS
from workbench.doctor.checks.base import Seen, check, failed, passed, warned
from workbench.doctor.machine import Machine
from workbench.doctor.support import applying, matrix, nearest
from workbench.errors import ConfigError
from workbench.records import Verdict
from workbench.views.doctor import explanation, host_view

PROJECT = Path(__file__).parent.parent.parent


@pytest.fixture
def laptop(tmp_path: Path) -> FolderMachine:
    return FolderMachine("plain-laptop", tmp_path)


def test_ids_are_unique_and_every_check_explains_itself():
    """A question, an empty line, a reason; and where it is known from."""
    assert len({it.id for it in CHECKS}) == len(CHECKS)
    for it in CHECKS:
        question, _, reason = it.about.partition("\n\n")
        assert question.endswith("?")
        assert reason.endswith(".")
        assert it.source
        assert str(explanation(it)).startswith(it.id)


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(laptop: FolderMachine):
    """It is said that the check broke, not that the machine did; the status is 4."""

    @check("broken", area="files", source="here")
    def broken(machine: Machine) -> Seen:
        """Is it broken?"""
        raise RuntimeError("oh")

    @check("sound", area="files", source="here")
    def sound(machine: Machine) -> Seen:
        """Is it sound?"""
        return passed("it is")

    report = examine(laptop, checks=(broken, sound))

    assert [(it.id, it.verdict) for it in report.findings] == [
        ("broken", Verdict.WARN),
        ("sound", Verdict.PASS),
    ]
    assert "the check itself broke: RuntimeError: oh" in report.findings[0].seen
    assert (report.ok, report.unsure, report.next_step) == (True, True, None)


def test_a_check_that_hangs_is_left_behind(laptop: FolderMachine, monkeypatch: pytest.MonkeyPatch):
    """A disk that does not answer does not keep the doctor."""
    monkeypatch.setattr(host, "WHOLE_RUN_S", 0.05)
    never = threading.Event()

    @check("hung", area="files", source="here")
    def hung(machine: Machine) -> Seen:
        """Does it hang?"""
        never.wait()
        return passed("it went on")

    report = examine(laptop, checks=(hung,))
    never.set()

    assert "no answer" in report.findings[0].seen
    assert report.unsure


def test_what_stops_something_is_mended_first_and_from_below(laptop: FolderMachine):
    """Failures before warnings; among alike ones the order of the list."""

    def made(id: str, seen: Seen, *blocks: str) -> host.HostCheck:
        return check(id, area="files", blocks=blocks, source="here")(lambda machine: seen)

    checks = (
        made("fine", passed("yes")),
        made("warned", warned("w", fix="x")),
        made("low", failed("f", fix="x"), "compose"),
        made("high", failed("f", fix="x"), "compose"),
    )
    report = examine(laptop, checks=checks)

    assert [it.id for it in report.findings] == ["low", "high", "warned", "fine"]
    assert not report.ok


@pytest.mark.parametrize(
    ("name", "ready", "next_step"),
    [
        ("plain-laptop", "embedded, compose/cpu", "workbench up"),
        ("serving", "embedded, compose/cpu", "workbench up"),
        ("wsl-rocdxg-image", "embedded, compose/wsl-rocdxg", "workbench up --backend compose"),
        ("native-rocm", "embedded, compose/rocm", "workbench up --backend compose"),
        ("cuda", "embedded, compose/cuda", "workbench up --backend compose"),
    ],
)
def test_a_healthy_machine_reads_well(name: str, ready: str, next_step: str, tmp_path: Path):
    """Only what is as it should be, how long it took, what it is ready for, what to type."""
    view = host_view(examine(FolderMachine(name, tmp_path)))
    lines = str(view).splitlines()

    assert re.fullmatch(r"\d+ PASS, \d+ SKIP in [\d.]+ \w+", lines[0])
    assert {line.split()[0] for line in lines[1:-2]} == {"PASS"}
    assert lines[-2:] == [f"ready for: {ready}", f"next: {next_step}"]


def test_secrets_of_the_environment_are_not_shown(tmp_path: Path):
    """What a program repeats of a token is starred."""
    machine = FolderMachine("plain-laptop", tmp_path)
    machine.variables["HF_TOKEN"] = "hf_planted_secret"

    leaky = check("leaky", area="hub", source="here")(
        lambda machine: warned("it said hf_planted_secret", fix="echo hf_planted_secret")
    )
    shown = str(host_view(examine(machine, checks=(leaky,))))

    assert "hf_planted_secret" not in shown
    assert "it said ***" in shown


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path):
    """A child that holds the output open does not hold us."""
    machine = Machine(tmp_path, {"PATH": "/usr/bin:/bin"})
    ran = machine.run("sh", "-c", "sleep 60 & wait", timeout_s=0.1)

    assert (ran.hung, ran.missing, ran.ok) == (True, False, False)
    assert machine.run("no-such-program-here").missing
    assert machine.run("sh", "-c", "echo out; echo err >&2").said == "out\n\nerr"


def test_a_command_that_never_stops_talking_is_ended(tmp_path: Path):
    """Nobody would read it all, and memory is not for it."""
    machine = Machine(tmp_path, {"PATH": "/usr/bin:/bin"})
    ran = machine.run("sh", "-c", "while :; do echo yes yes yes yes yes; done", timeout_s=30)

    assert (ran.hung, ran.out) == (True, "")


def test_what_still_runs_at_the_end_is_ended(tmp_path: Path):
    """A program that a check waits for does not outlive the doctor, nor do its children."""
    machine = Machine(tmp_path, {"PATH": "/usr/bin:/bin"})
    script = f"sleep 600 & echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; wait"
    waits = threading.Thread(
        target=machine.run, args=("sh", "-c", script), kwargs={"timeout_s": 60}
    )
    waits.start()
    assert eventually((tmp_path / "pid").exists)
    machine.end_commands()
    waits.join(10)
    pid = int((tmp_path / "pid").read_text())

    assert not waits.is_alive()
    assert eventually(lambda: not lives(pid))


def test_a_command_is_run_once_whoever_asks(tmp_path: Path):
    """Windows is slow to ask, and four checks want to know."""
    machine = Machine(tmp_path, {"PATH": "/usr/bin:/bin"})
    again = ("sh", "-c", f"echo x >> {tmp_path}/count")
    threads = [threading.Thread(target=machine.run, args=again) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (tmp_path / "count").read_text() == "x\n"


def test_what_is_not_there_is_none(tmp_path: Path):
    """A missing file, a folder read as a file, an address where nothing listens."""
    machine = Machine(Path("/home"), {}, root=tmp_path)

    assert machine.read("/nothing") is machine.read("/") is machine.mode("/nothing") is None
    assert machine.glob("/proc/*") == ()
    assert machine.get("http://127.0.0.1:9/") is None
    assert machine.get("no address") is None


def test_a_backend_leaves_out_what_only_others_need():
    """Who wants the embedded server need not have Docker."""
    ids = {it.id for it in chosen(backend="embedded")}

    assert "cpu-features" in ids
    assert "docker-engine" not in ids


def test_a_check_that_does_not_exist_is_said_with_the_one_that_was_meant():
    """As everywhere: what was meant, and what there is."""
    with pytest.raises(ConfigError, match="Did you mean rocminfo"):
        chosen(["rocmifno"])
    with pytest.raises(ConfigError, match="embedded, compose"):
        chosen(backend="remote")


def test_the_images_are_the_compose_files():
    """What the doctor takes for the default is what would run."""
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    named = {
        name: services[name]["image"].removeprefix("${WORKBENCH_IMAGE:-").removesuffix("}")
        for name in facts.DEFAULT_IMAGES
    }

    assert named == facts.DEFAULT_IMAGES


def test_every_row_of_the_matrix_has_a_source_and_a_date():
    """And rows of one stack do not overlap."""
    table = tomllib.loads((PROJECT / "workbench/doctor/support_matrix.toml").read_text())

    assert len(table["row"]) == len(matrix())
    for row in matrix():
        assert row.source.startswith("https://")
        assert row.date.year >= 2026
        assert [
            other for other in matrix() if other.stack == row.stack and other.has(row.rocm[0])
        ] == [row]


def test_the_nearest_row_is_of_the_same_stack():
    """7.9 was never said to work under WSL; 7.14 is nearer to it than 10 is, 7.2 further."""
    assert applying("wsl-rocdxg", (7, 9)) is None
    near = nearest("wsl-rocdxg", (7, 9))
    assert near is not None
    assert near.name == "ROCm 7.14 and 10 with librocdxg"
