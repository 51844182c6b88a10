"""Whatever happens to a tune, the server runs as before; with a scripted engine."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import ctrl_c_when, eventually
from workbench.errors import ConfigError, ServerFailureError, ServerStateError
from workbench.records import ServerState
from workbench.session import Session
from workbench.switch.journal import Journal, Stage
from workbench.tune.kept import Kept, latest
from workbench.tune.trial import Finding

pytestmark = pytest.mark.processes

Typed = Callable[..., subprocess.Popen[str]]

SMALL = {"concurrency": 1, "num_prompts": 2, "repeats": 2, "only": (), "input_len": 4}
WORDS = ("--concurrency", "1", "--num-prompts", "2", "--repeats", "2", "--only", "none")
HANGS = "--hang-here"


@pytest.fixture
def up(session: Session) -> Session:
    """It runs with an option of its own, that must come back."""
    session = Session(max_model_len=512)
    session.up()
    return session


def stage(session: Session) -> Stage | None:
    found = Journal(session.settings.state_dir).read()
    return found.stage if found else None


def flags(session: Session) -> list[str]:
    recipe = session.server.recipe()
    return recipe["further_flags"] if recipe else []


def as_before(session: Session) -> bool:
    recipe = session.server.recipe()
    return recipe["max_model_len"] == 512 and recipe["further_flags"] == []


def test_a_tune_leaves_the_server_as_it_was(up: Session):
    """Whose it was, its address and its options; the journal is empty."""
    url = up.server.base_url

    tuned = up.tune(tries=("--one", "--two 2"), **SMALL)

    assert [each.trial.candidate and each.trial.candidate.name for each in tuned.found.judged] == [
        *(None, "--one", "--two 2", None)
    ]
    assert as_before(up)
    assert up.is_mine
    assert up.server.base_url == url
    assert stage(up) is None


def test_a_candidate_that_dies_is_a_finding(up: Session, monkeypatch: pytest.MonkeyPatch):
    """With the cause that its log has; the one behind it is tried."""
    monkeypatch.setenv("SCRIPT", "die --one")

    tuned = up.tune(tries=("--one", "--two"), **SMALL)

    _, first, second, _ = tuned.found.judged
    assert first.finding is Finding.REFUSED
    assert "KV cache" in first.trial.failure.cause
    assert second.trial.runs
    assert as_before(up)


def test_what_was_measured_is_kept_as_it_comes(up: Session, home: Path):
    """A file for each run, and the trials in their order."""
    tuned = up.tune(tries=("--one",), **SMALL)

    assert tuned.folder == latest(home / "results" / "tune")
    assert len(list(tuned.folder.glob("run*.json"))) == 6
    _, trials = Kept(tuned.folder).read()
    assert [len(each.runs) for each in trials] == [2, 2, 2]


def test_ctrl_c_goes_back_and_keeps_what_there_is(up: Session, monkeypatch: pytest.MonkeyPatch):
    """The table has what was measured until then."""
    monkeypatch.setenv("SCRIPT", f"hang {HANGS}")
    pressed = ctrl_c_when(lambda: eventually(lambda: HANGS in flags(up), within_s=100))

    tuned = up.tune(tries=("--one", HANGS), **SMALL)

    pressed.join()
    assert tuned.interrupted
    assert [len(each.trial.runs) for each in tuned.found.judged] == [2, 2]
    assert as_before(up)
    assert stage(up) is None


def test_after_a_kill_the_next_up_goes_back(up: Session, typed: Typed):
    """To the last option; a request in between is told to wait by the journal."""
    child = typed("tune", *WORDS, "--try", HANGS, SCRIPT=f"hang {HANGS}")
    assert eventually(lambda: HANGS in flags(up), within_s=60)
    assert Journal(up.settings.state_dir).going_on()
    child.kill()
    child.wait()

    assert "workbench tune" in up.status().detail
    with Session() as next_one:
        next_one.up()
        assert as_before(next_one)
        assert next_one.status().state is ServerState.READY
    assert stage(up) is None


def test_a_signal_goes_back_before_it_ends(up: Session, typed: Typed):
    """SIGTERM, as of a terminal that is closed."""
    child = typed("tune", *WORDS, "--try", HANGS, SCRIPT=f"hang {HANGS}")
    assert eventually(lambda: HANGS in flags(up), within_s=60)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=60)

    assert child.returncode == 128 + signal.SIGTERM
    assert as_before(up)
    assert stage(up) is None


def test_killed_while_it_measures_what_ran_nothing_is_restarted(up: Session, typed: Typed):
    """Nothing was touched yet."""
    pids = up.status().pids
    child = typed("tune", *WORDS, "--num-prompts", "100000", "--try", "--one")
    assert eventually(lambda: stage(up) is Stage.DRAIN, within_s=60)
    child.kill()
    child.wait()

    assert up.up().pids == pids
    assert stage(up) is None


def test_a_tune_goes_on_where_it_was_cut_off(up: Session, monkeypatch: pytest.MonkeyPatch):
    """What was measured is not measured again, unless it was with something else."""
    monkeypatch.setenv("SCRIPT", f"hang {HANGS}")
    pressed = ctrl_c_when(lambda: eventually(lambda: HANGS in flags(up), within_s=100))
    first = up.tune(tries=("--one", HANGS), **SMALL)
    pressed.join()
    monkeypatch.delenv("SCRIPT")

    second = up.tune(tries=("--one", HANGS), resume=first.folder, **SMALL)

    assert [(each.trial.role, each.trial.resumed) for each in second.found.judged] == [
        *(("as it runs", True), ("candidate", True), ("as it runs", False)),
        *(("candidate", False), ("as before, started anew", False)),
    ]
    with pytest.raises(ConfigError, match="concurrency: 1, and now 2"):
        up.tune(tries=("--one",), resume=first.folder, **SMALL | {"concurrency": 2})


def test_nothing_that_runs_is_nothing_to_tune(session: Session):
    """It says how to start one."""
    with pytest.raises(ServerStateError, match="no server to tune"):
        session.tune(**SMALL)


def test_flags_that_nobody_knows_the_name_of_are_a_mistake(up: Session):
    """Before anything is measured; the names are listed."""
    with pytest.raises(ConfigError, match="nope"):
        up.tune(**SMALL | {"only": ("nope",)})
    assert stage(up) is None


def test_a_load_that_nothing_answers_is_said_at_once(
    session: Session, monkeypatch: pytest.MonkeyPatch
):
    """Nothing is restarted for it."""
    monkeypatch.setenv("SCRIPT", "mute")
    pids = session.up().pids

    with pytest.raises(ServerFailureError, match="None of 2 requests"):
        session.tune(tries=("--one",), **SMALL)

    assert session.status().pids == pids
    assert stage(session) is None
