"""A machine captured into a folder, and what the doctor says of the one and of the other."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.doctor.folder_machine import NAMES, FolderMachine
from tests.test_shell import workbench
from workbench.doctor import HostReport, Machine
from workbench.doctor import folder_machine as folders
from workbench.errors import ConfigError
from workbench.report import capture, this_machine
from workbench.report.capture import shape
from workbench.report.toml import document
from workbench.session import Session


def _verdicts(report: HostReport) -> dict[str, str]:
    return {it.id: str(it.verdict) for it in report.findings}


@pytest.mark.parametrize("name", NAMES)
def test_a_captured_machine_gets_the_same_findings(name: str, tmp_path: Path):
    """Each of the machines that are known, every verdict, what it is ready for, and how sure."""
    captured = capture(FolderMachine(name, tmp_path / "is"), tmp_path / "captured")
    report = folders.examine_folder(tmp_path / "captured")

    assert captured.differing == ()
    assert _verdicts(report) == _verdicts(captured.report)
    assert (report.ready_for, report.unsure) == (captured.report.ready_for, captured.report.unsure)
    expected = tomllib.loads((tmp_path / "captured/expected.toml").read_text())
    assert expected["ready_for"] == list(report.ready_for)


def test_this_machine_can_be_captured(tmp_path: Path):
    """The one that the tests run on, whatever it is."""
    captured = capture(this_machine(Session().settings), tmp_path)

    assert captured.differing == ()


def test_a_capture_has_no_secret_and_nobody_in_it(tmp_path: Path):
    """Variables, .env, the hub's token, Docker's logins; what is wrong with them stays wrong."""
    root = tmp_path / "is"
    machine = FolderMachine("wsl-rocdxg", root)
    _plant(machine)
    captured = capture(machine, tmp_path / "captured")
    text = "".join(path.read_text() for path in (tmp_path / "captured").iterdir())

    assert [it for it in ("Qz8Wv3", "annabella", "zeus7", "corp.example") if it in text] == []
    assert captured.differing == ()
    findings = {it.id: it.verdict for it in captured.report.findings}
    assert (findings["hub-token"], findings["env-rights"], findings["env-line-ends"]) == (
        "pass",
        "pass",
        "warn",
    )


def _plant(machine: Machine) -> None:
    home = machine.at("/home/annabella")
    machine.home = Path("/home/annabella/wb")
    machine.variables |= {
        "HOME": "/home/annabella",
        "USER": "annabella",
        "HF_TOKEN": "hf_Qz8Wv3Qz8Wv3Qz8Wv3",
        "https_proxy": "http://annabella:Qz8Wv3Qz@proxy.corp.example:3128",
        "no_proxy": "localhost,127.0.0.1,zeus7.corp.example",
    }
    for path, text in {
        "wb/.env": "# of annabella\r\nHF_TOKEN=hf_Qz8Wv3Qz8Wv3Qz8Wv3\r\nTEAM='Qz8Wv3 Qz8Wv3'\r\n"
        "KEY='-----BEGIN\nQz8Wv3Qz8Wv3\n'\n",
        "wb/models/x": "",
        ".docker/config.json": '{"auths": {"zeus7": {"auth": "Qz8Wv3Qz8Wv3"}}}',
        ".cache/huggingface/token": "hf_Qz8Wv3Qz8Wv3Qz8Wv3",
    }.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(text.encode())
    host = machine.at("/proc/sys/kernel/hostname")
    host.parent.mkdir(parents=True)
    host.write_text("zeus7\n")


def test_a_shape_tells_only_the_form():
    """Letters, digits, and what is neither; a token of the hub begins like one."""
    assert shape("hf_Ab3-x") == "hf_Xx0-x"
    assert shape("sk-Ab3 ä") == "xx-Xx0 ä"


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.lists(st.text())))
def test_what_is_written_as_toml_is_read_back(told: dict[str, object]):
    """Any text: line ends of Windows, quotes, control characters, none of it changes."""
    moment = datetime(2026, 11, 25, 8, tzinfo=UTC)
    whole = {"at": moment, "table": told}

    assert tomllib.loads(document(whole)) == (
        {"at": moment, "table": told} if told else {"at": moment}
    )


def test_a_machine_that_is_none_is_said(tmp_path: Path):
    """No file, or one that is not TOML."""
    (tmp_path / "machine.toml").write_text("a b")
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigError, match="cannot be read as a machine"):
            folders.FolderMachine(folder, tmp_path / "root")


@pytest.mark.parametrize("path", ["/../../escaped", "/a/../../../escaped", "/a\\u0000b"])
@pytest.mark.parametrize("form", ['[files]\n"{}" = ""', 'folders = ["{}"]'])
def test_a_strangers_machine_writes_nowhere_else(path: str, form: str, tmp_path: Path):
    """Its files stay below the folder that they are laid into."""
    (tmp_path / "machine.toml").write_text(form.format(path))
    root = tmp_path / "a/b"
    root.mkdir(parents=True)
    with pytest.raises(ConfigError, match="No machine has a file"):
        folders.FolderMachine(tmp_path, root)

    assert not list(tmp_path.rglob("escaped"))


def test_a_strangers_machine_runs_nothing(tmp_path: Path):
    """Compose is not asked of it, whatever its PATH says; a table of another kind is a mistake."""
    (tmp_path / "machine.toml").write_text('[variables]\nPATH = "/tmp"\n')
    machine = folders.FolderMachine(tmp_path, tmp_path / "root")

    assert "PATH" not in machine.variables


@pytest.mark.parametrize(
    "text",
    [
        *("gone = 3", "folders = 3", "folders = [3]", "denied = 3", "files = 5"),
        *("[files]\na = 1", "[variables]\nA = 1", "like = 5", 'like = "."', 'like = "me"'),
    ],
)
def test_a_machine_of_another_form_is_said(text: str, tmp_path: Path):
    """With its file; one that is like itself, too."""
    (tmp_path / "me").mkdir()
    (tmp_path / "me/machine.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"machine\.toml cannot be read as a machine"):
        folders.examine_folder(tmp_path / "me")


@pytest.mark.parametrize(
    "text",
    [
        *("[owners]\n1 = 5", "now = 5", 'free_gib = "x"', "[modes]\na = 5", "[urls]\na = 5"),
        *("[streams]\na = 5", 'gone = ["/x"]', "[commands]\ndocker = 5"),
    ],
)
def test_odd_answers_in_a_folder_are_no_more_than_findings(text: str, tmp_path: Path):
    """A check that meets one says that it broke, and the others go on."""
    (tmp_path / "machine.toml").write_text(text)

    assert folders.examine_folder(tmp_path).findings


@pytest.mark.processes
def test_the_shell_captures_and_shows_a_machine(project: Path, tmp_path: Path):
    """The second doctor says what the first did; where both cannot be meant it is a mistake."""
    home = tmp_path / "somewhere"
    done = workbench("report", "--capture", str(home), home=project)
    again = workbench("doctor", "--machine", str(home), "--json", home=project)
    both = workbench("report", "--capture", str(home), "--out", "x", home=project)

    assert (done.returncode, "says the same" in done.stdout) == (0, True)
    assert json.loads(again.stdout)["ready_for"] == ["embedded"]
    assert both.returncode == 2
