"""Switching, with a scripted engine: what happens when it works, fails, and is cut off."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.helpers import eventually, lives
from tests.scripted_hub import REPOSITORY, hub
from workbench.errors import ConfigError, FetchError, ServerStateError, SwitchError
from workbench.records import ServerState, Verdict
from workbench.session import Session
from workbench.switch.journal import Journal, Stage, Underway, now

pytestmark = pytest.mark.processes

Typed = Callable[..., subprocess.Popen[str]]


def names(session: Session) -> list[str]:
    return [model.name for model in session.status().models]


def journal(session: Session) -> Path:
    return session.settings.state_dir / "switch.json"


def test_another_model_serves_at_the_same_address(session: Session):
    """The alias goes on, the key too, and the old processes are gone."""
    before = session.up()
    url = session.server.base_url

    report = session.use("pocket-mini")

    assert (report.before, report.model, report.switched) == ("pocket", "pocket-mini", True)
    assert [step.name for step in report.steps] == ["plan", "drain", "ready", "check", "commit"]
    assert names(session) == ["pocket-mini", "default"]
    assert session.server.base_url == url
    assert not any(map(lives, before.pids))
    assert not journal(session).exists()
    assert 0 < report.unavailable_s < report.duration_s


def test_later_commands_mean_the_model_that_was_switched_to(session: Session):
    """Also after the server was stopped; nothing has to be edited."""
    session.up()
    session.use("pocket-mini")
    session.down()

    with Session() as later:
        assert later.settings.origins["model"] == "workbench use"
        later.up()
        assert names(later) == ["pocket-mini", "default"]


def test_a_dotenv_says_less_than_use_and_the_environment_more(
    session: Session, home: Path, monkeypatch: pytest.MonkeyPatch
):
    """What was said last counts; a variable that would undo it later is named."""
    (home / ".env").write_text("WORKBENCH_MODEL=pocket\n")
    session.use("pocket-mini")
    assert Session().settings.model == "pocket-mini"

    monkeypatch.setenv("WORKBENCH_MODEL", "pocket")
    commit = session.use("pocket-mini").steps[-1]

    assert commit.verdict is Verdict.WARN
    assert commit.seen.startswith("WORKBENCH_MODEL says pocket")


def test_with_nothing_running_it_starts(session: Session):
    """There is nothing to drain, and nobody who was served before."""
    report = session.use("pocket-mini")

    assert [step.name for step in report.steps] == ["plan", "ready", "check", "commit"]
    assert (report.before, report.unavailable_s) == (None, None)
    assert session.is_mine


def test_what_runs_already_is_left_alone(session: Session):
    """No restart for nothing."""
    pids = session.up().pids

    report = session.use("pocket")

    assert [step.name for step in report.steps] == ["plan", "commit"]
    assert session.status().pids == pids


def test_who_found_a_server_does_not_own_it_after_a_switch(session: Session):
    """A notebook that switches and stops "only what is mine" leaves somebody's server up."""
    session.up()
    with Session() as guest:
        guest.up()
        guest.use("pocket-mini")

        assert guest.down(only_mine=True) is False
        assert guest.status().state is ServerState.READY


@pytest.mark.parametrize(
    ("script", "at", "cause"),
    [
        ("die pocket-mini", "ready", "KV cache"),
        ("mute pocket-mini", "check", "does not answer a chat"),
    ],
)
def test_a_switch_that_fails_goes_back(
    session: Session, monkeypatch: pytest.MonkeyPatch, script: str, at: str, cause: str
):
    """The old model serves again, with what it was started with; the cause is the boot's."""
    session = Session(max_model_len=512)
    session.up()
    monkeypatch.setenv("SCRIPT", script)

    with pytest.raises(SwitchError, match=cause) as caught:
        session.use("pocket-mini")

    failed, back = caught.value.report.steps[-2:]
    assert (failed.name, failed.verdict) == (at, Verdict.FAIL)
    assert (back.name, back.verdict) == ("back", Verdict.PASS)
    assert "pocket serves, as before" in str(caught.value)
    assert names(session) == ["pocket", "default"]
    assert session.server.recipe()["max_model_len"] == 512
    assert session.is_mine
    assert Session().settings.model == "pocket"
    assert not journal(session).exists()


def test_a_model_that_is_not_there_costs_nothing(session: Session, monkeypatch: pytest.MonkeyPatch):
    """Said before anything is touched."""
    pids = session.up().pids

    with pytest.raises(ConfigError, match="no model"):
        session.use("no-such")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with Session() as offline, pytest.raises(FetchError):
        offline.use("smollm2-135m")

    assert session.status().pids == pids


def test_what_does_not_fit_is_not_tried_unless_somebody_insists(session: Session):
    """Nothing is touched; the error has the longest context that fits, and the report the plan."""
    with Session(kv_cache_gib=0.002) as small:
        pids = small.up().pids

        with pytest.raises(SwitchError, match="does not fit, and nothing was touched") as caught:
            small.use("pocket-mini")

        assert "--max-model-len 1920" in caught.value.hint  # 16 blocks of 128, one is kept empty
        assert [step.verdict for step in caught.value.report.steps] == [Verdict.FAIL]
        assert small.status().pids == pids
        plan = small.use("pocket-mini", force=True).steps[0]
        assert (plan.name, plan.verdict) == ("plan", Verdict.WARN)


def test_a_model_of_the_hub_is_fetched_while_the_old_one_serves(
    session: Session, home: Path, monkeypatch: pytest.MonkeyPatch
):
    """A step of its own, before anything is drained; the entry's name is the folder's."""
    entry = f'[new]\nmodel = "{REPOSITORY}"\nwhy = "on the hub only"\n'
    (home / "models" / "catalogue.toml").write_text(entry)
    session.up()
    with hub(PROJECT / "models" / "pocket-mini") as local:
        monkeypatch.setenv("HF_ENDPOINT", local.endpoint)
        with Session() as online:
            report = online.use("new")

    assert [step.name for step in report.steps] == [
        "plan",
        "fetch",
        "drain",
        "ready",
        "check",
        "commit",
    ]
    assert report.unavailable_s < report.duration_s - report.steps[1].duration_s
    assert names(session) == ["new", REPOSITORY, "default"]
    assert (home / "models" / "new" / "model.safetensors").is_file()


def test_when_the_way_back_is_barred_too_both_causes_are_said(
    session: Session, monkeypatch: pytest.MonkeyPatch
):
    """And the next `up` tries once more."""
    session.up()
    monkeypatch.setenv("SCRIPT", "die")

    with pytest.raises(SwitchError, match="did not start again either"):
        session.use("pocket-mini")
    assert "was cut off" in session.status().detail

    monkeypatch.delenv("SCRIPT")
    session.up()
    assert names(session) == ["pocket", "default"]


def test_requests_under_way_get_their_time_and_no_more(
    session: Session, monkeypatch: pytest.MonkeyPatch
):
    """What is not done by then is cut off, and the report says so."""
    monkeypatch.setenv("SCRIPT", "busy pocket")
    session.up()

    drain = session.use("pocket-mini", drain_timeout_s=0.2).steps[1]

    assert drain.seen == "2 requests were still under way after 0.2 s, and are cut off"
    assert 0.2 <= drain.duration_s < 5


def test_what_the_next_model_failed_when_probed_is_told(session: Session):
    """A step that warns, after a switch that succeeded."""
    session.up()
    for model, verdict in (("pocket", "pass"), ("pocket-mini", "fail")):
        line = {
            "at": "2026-11-24T10:00:00+00:00",
            "base_url": session.server.base_url,
            "model": model,
            "vllm_version": "0.32.0",
            "verdicts": {"tools-auto": verdict},
        }
        with (session.settings.state_dir / "probes.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    report = session.use("pocket-mini")

    assert report.switched
    assert report.steps[-1].verdict is Verdict.WARN
    assert "tools-auto failed when pocket-mini was last probed" in report.steps[-1].seen


def test_a_remote_server_is_not_ours_to_switch():
    """Said with the way out."""
    with (
        Session(base_url="http://127.0.0.1:9/v1") as remote,
        pytest.raises(ServerStateError, match="somebody else") as caught,
    ):
        remote.use("pocket")

    assert "--backend embedded" in caught.value.hint


def kill_at(session: Session, child: subprocess.Popen[str], stage: Stage) -> None:
    """Kill a switch when it has come to a stage."""
    kept = Journal(session.settings.state_dir)

    def there() -> bool:
        underway = kept.read()
        return underway is not None and underway.stage is stage

    assert eventually(there)
    child.kill()
    child.wait()


def test_killed_while_draining_the_old_one_serves_on(
    session: Session, typed: Typed, monkeypatch: pytest.MonkeyPatch
):
    """Nothing was touched yet; the next command finds it so."""
    monkeypatch.setenv("SCRIPT", "busy pocket")
    pids = session.up().pids
    kill_at(session, typed("use", "pocket-mini"), Stage.DRAIN)

    assert "was cut off" in session.status().detail
    assert session.up().pids == pids
    assert not journal(session).exists()


def test_killed_while_the_new_one_starts_it_is_finished(session: Session, typed: Typed):
    """The new server lives on without who started it: it is waited for, checked and kept."""
    session.up()
    child = typed("use", "pocket-mini")
    recipe = session.server.recipe()
    assert eventually(lambda: session.server.recipe() not in (None, recipe))
    child.kill()
    child.wait()

    with Session() as next_one:
        next_one.up()
        assert names(next_one) == ["pocket-mini", "default"]
        assert next_one.settings.model == "pocket-mini"
    assert not journal(session).exists()


def test_killed_with_the_new_one_dead_the_old_one_comes_back(session: Session, typed: Typed):
    """What ran before is in the journal, to the last option."""
    session = Session(max_model_len=512)
    session.up()
    kill_at(session, typed("use", "pocket-mini", SCRIPT="hang pocket-mini"), Stage.REPLACE)
    session.server.stop()

    with Session() as next_one:
        next_one.up()
        assert names(next_one) == ["pocket", "default"]
        assert next_one.server.recipe()["max_model_len"] == 512
    assert not journal(session).exists()


def test_a_switch_that_waited_for_another_begins_with_what_that_left(
    session: Session, home: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
):
    """If it fails it goes back to that, and not to what ran when it was typed."""
    (home / "models" / "third").symlink_to(PROJECT / "models" / "pocket")
    session.up()
    with Journal(session.settings.state_dir).held():
        second = typed("use", "third", "--json", SCRIPT="die third")
        assert not eventually(lambda: second.poll() is not None, within_s=2)
        session.like_this(model="pocket-mini").server.replace()
        assert eventually(lambda: names(session) == ["pocket-mini", "default"])
    out, _ = second.communicate(timeout=60)

    assert json.loads(out)["before"] == "pocket-mini"
    assert names(session) == ["pocket-mini", "default"]


def test_a_disk_that_is_full_does_not_undo_a_switch(
    session: Session, monkeypatch: pytest.MonkeyPatch
):
    """The new model serves; that it could not be noted is said."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    session.up()
    monkeypatch.setattr("workbench.chosen.remember_model", full)

    commit = session.use("pocket-mini").steps[-1]

    assert (commit.name, commit.verdict) == ("commit", Verdict.WARN)
    assert "No space left" in commit.seen
    assert names(session) == ["pocket-mini", "default"]


def test_the_journal_holds_no_secret(session: Session):
    """It is for the owner alone, and the token that a model was fetched with is not in it."""
    with Session(hf_token="hf_secret", vllm_api_key="key-secret") as told:
        told.up()
        seen = []
        told.use("pocket-mini", on_progress=lambda _: seen.append(journal(session).read_text()))

    assert seen
    assert not any("secret" in text for text in seen)
    assert "hf_secret" not in "".join(
        path.read_text(errors="replace") for path in session.settings.state_dir.rglob("*.json")
    )


def test_killed_before_the_old_one_was_told_to_end_it_is_not_taken_for_the_new_one(
    session: Session,
):
    """What the journal has and what lives are the same: the switch goes back."""
    session.up()
    kept, before = Journal(session.settings.state_dir), session.server.recipe()
    with kept.held():
        kept.begin(
            Underway(
                model="pocket-mini",
                arguments={"model": "pocket-mini", "backend": "embedded"},
                before=before,
                name="pocket",
                stage=Stage.REPLACE,
                at=now(),
            )
        )

    with Session() as next_one:
        next_one.up()
        assert names(next_one) == ["pocket", "default"]
        assert next_one.settings.origins["model"] == "default"
    assert not journal(session).exists()


def test_down_leaves_a_switch_that_was_cut_off(session: Session, typed: Typed):
    """Nothing is to run any more."""
    session.up()
    kill_at(session, typed("use", "pocket-mini", SCRIPT="hang pocket-mini"), Stage.REPLACE)

    session.down()

    assert not journal(session).exists()
    assert session.status().state is ServerState.STOPPED
    assert session.status().detail is None


def test_ctrl_c_goes_back(session: Session, typed: Typed):
    """Whoever has enough has the old model again."""
    session.up()
    child = typed("use", "pocket-mini", SCRIPT="hang pocket-mini")
    recipe = session.server.recipe()
    assert eventually(lambda: session.server.recipe() not in (None, recipe))
    child.send_signal(signal.SIGINT)

    assert child.wait(timeout=30) == 130
    assert names(session) == ["pocket", "default"]
    assert not journal(session).exists()


def test_two_switches_at_once_are_one(session: Session, typed: Typed):
    """The second is told of the first, and status too."""
    session.up()
    child = typed("use", "pocket-mini", SCRIPT="hang pocket-mini")
    assert eventually(lambda: Journal(session.settings.state_dir).going_on())

    for verb in (session.up, session.down, session.restart, lambda: session.use("pocket")):
        with pytest.raises(ServerStateError, match="is under way"):
            verb()
    assert "a switch from pocket to pocket-mini is under way" in session.status().detail
    child.send_signal(signal.SIGINT)
    child.wait(timeout=30)


def test_the_shell_shows_the_steps_and_exits_with_1_if_it_went_back(session: Session, typed: Typed):
    """As JSON for a program."""
    session.up()

    out, _ = typed("use", "pocket-mini", "--json").communicate(timeout=60)
    assert json.loads(out)["switched"] is True

    child = typed("use", "pocket", "--json", SCRIPT="die pocket")
    out, _ = child.communicate(timeout=60)
    told = json.loads(out)
    assert (child.returncode, told["switched"]) == (1, False)
    assert "KV cache" in told["error"]
    assert [step["name"] for step in told["steps"]][-1] == "back"
    assert names(session) == ["pocket-mini", "default"]
