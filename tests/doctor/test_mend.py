"""What the doctor mends by itself, and what it leaves to a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.doctor import Machine, mend
from workbench.doctor.checks import CHECKS
from workbench.doctor.mend import MENDS
from workbench.records import Verdict
from workbench.views.doctor import mended_view


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """This machine, with an empty project folder and nothing on PATH."""
    return Machine(tmp_path, {"PATH": ""})


def test_a_dry_run_changes_nothing(machine: Machine):
    """It says what would be done, and how to have it done."""
    env = machine.home / ".env"
    env.write_bytes(b"A=1\r\n")
    mended = mend("env-line-ends", machine, really=False)

    assert env.read_bytes() == b"A=1\r\n"
    assert (mended.steps, mended.after, mended.ok) == ((f"{env}: CRLF becomes LF",), None, True)
    assert "--fix env-line-ends --yes" in str(mended_view(mended))


def test_line_ends_are_mended_and_the_rest_stays(machine: Machine):
    """Bytes of any encoding, mode, and a link to the file; the check passes, and passes again."""
    kept = machine.home / "kept.env"
    kept.write_bytes(b"A=\xfc\r\n\r\nB=2\r\n")
    kept.chmod(0o640)
    (machine.home / ".env").symlink_to(kept)
    mended = mend("env-line-ends", machine, really=True)

    assert kept.read_bytes() == b"A=\xfc\n\nB=2\n"
    assert kept.stat().st_mode & 0o777 == 0o640
    assert (machine.home / ".env").is_symlink()
    assert mended.after is not None
    assert (mended.after.verdict, mended.ok) == (Verdict.PASS, True)
    assert mend("env-line-ends", machine, really=True).steps == ()
    assert sorted(path.name for path in machine.home.iterdir()) == [".env", "kept.env"]


def test_scripts_rights_and_a_missing_folder_are_mended(machine: Machine):
    """Each by its own name, and nothing else is touched."""
    (machine.home / "container").mkdir()
    (machine.home / "container/start.py").write_bytes(b"print()\r\n")
    (machine.home / "container/wsl.py").write_bytes(b"print()\n")
    (machine.home / ".env").write_text("HF_TOKEN=hf_notarealtoken")
    (machine.home / ".env").chmod(0o644)
    names = ("scripts-line-ends", "env-rights", "models-folder")
    mended = [mend(name, machine, really=True) for name in names]

    assert [len(each.steps) for each in mended] == [1, 1, 1]
    assert all(each.ok for each in mended)
    assert (machine.home / "container/start.py").read_bytes() == b"print()\n"
    assert (machine.home / ".env").stat().st_mode & 0o777 == 0o600
    assert (machine.home / "models").is_dir()


@pytest.mark.parametrize("form", ["a file", "a link that leads nowhere"])
def test_what_is_in_the_way_is_left_to_a_person(machine: Machine, form: str):
    """Where models/ should be; nothing is moved or overwritten."""
    models = machine.home / "models"
    if form == "a file":
        models.write_text("kept")
    else:
        models.symlink_to("/nowhere/at/all")
    mended = mend("models-folder", machine, really=True)

    assert (mended.can, mended.ok) == (False, False)
    assert form in mended.before.seen
    assert models.is_symlink() or models.read_text() == "kept"


def test_a_file_that_may_not_be_replaced_stays_and_leaves_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    """Somebody else's .env: no copy of its keys remains beside it."""
    env = machine.home / ".env"
    env.write_bytes(b"HF_TOKEN=x\r\n")

    def refused(*_: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr("workbench.doctor.machine.os.chown", refused)
    with pytest.raises(PermissionError):
        mend("env-line-ends", machine, really=True)

    assert env.read_bytes() == b"HF_TOKEN=x\r\n"
    assert [path.name for path in machine.home.iterdir()] == [".env"]


def test_what_needs_root_or_a_decision_is_left_to_a_person(machine: Machine):
    """The commands are shown, --yes or not; the status is 1."""
    mended = mend("docker-engine", machine, really=True)
    shown = mended_view(mended)

    assert (mended.can, shown.ok) == (False, False)
    assert "is mended by hand" in str(shown)
    assert "get.docker.com" in str(shown)


def test_where_nothing_is_wrong_nothing_is_done(machine: Machine):
    """No .env is no fault."""
    mended = mend("env-line-ends", machine, really=True)

    assert (mended.steps, mended.ok) == ((), True)
    assert "nothing to mend" in str(mended_view(mended))


def test_only_checks_are_mended():
    """Each name is a check's."""
    assert set(MENDS) <= {check.id for check in CHECKS}
