"""A real vLLM in a real container, through the project's own compose file."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from tests.compose.project import Project
from tests.helpers import eventually
from workbench.errors import BootInterruptedError, ServerStateError
from workbench.records import SamplingParams, ServerState
from workbench.session import Session

pytestmark = pytest.mark.docker

GREEDY = SamplingParams(temperature=0, max_tokens=60)


def test_it_becomes_ready_and_says_what_it_is(contained: Session, desk: Project):
    """Container, health, memory, image and model, in one status."""
    assert eventually(lambda: contained.status().container.health == "healthy", within_s=60)
    status = contained.status()

    assert status.state is ServerState.READY
    assert [model.name for model in status.models] == ["pocket", "default"]
    assert status.version.startswith("0.32")
    container = status.container
    assert container.profile == "cpu"
    assert container.image_digest.startswith("sha256:")
    assert 2**28 < container.memory_bytes < container.memory_limit_bytes
    assert container.cpu_percent >= 0
    assert container.name in desk.compose("ps", "--format", "{{.Name}}")


def test_it_answers_and_streams(contained: Session):
    """The same answer in one piece and in many."""
    whole = contained.chat("What is a KV cache?", GREEDY)
    with contained.stream("What is a KV cache?", GREEDY) as stream:
        pieces = [*stream]

    assert len(pieces) > 1
    assert "".join(pieces) == whole.text
    assert "keys and values" in whole.text


def test_a_second_up_attaches(contained: Session, desk: Project, monkeypatch):
    """Another kernel finds it by its labels, and does not own it."""
    with desk.session(monkeypatch) as other:
        assert "attached" in other.up().detail
        assert other.down(only_mine=True) is False
        assert other.server.api_key == contained.server.api_key


def test_what_was_typed_in_a_shell_is_found_too(make, monkeypatch):
    """
    ``docker compose up`` by hand: attached to, and ended by nobody who only found it.

    That it is no vLLM which runs in there makes the test a quick one.
    """
    project = make()
    project.override(entrypoint=["/bin/sleep", "600"], command=[], stop_grace_period="1s")
    said = project.compose("up", "--detach", "cpu")

    with project.session(monkeypatch) as session:
        assert session.status().container, said
        assert session.status().container.name in said
        assert session.server.start() is False
        assert session.server.api_key is None  # nobody has set one
        assert session.down(only_mine=True) is False
        assert session.down() is True
    assert project.compose("ps", "--all", "--quiet") == ""


def test_a_stop_and_an_up_by_hand_make_it_somebody_elses(make, monkeypatch):
    """The container is the same one, and who started it has changed."""
    project = make()
    project.override(entrypoint=["/bin/sleep", "600"], command=[], stop_grace_period="1s")

    with project.session(monkeypatch) as session:
        assert session.server.start() is True
        before, container = session.server.instance, session.server.container()
        project.compose("stop", "cpu")
        project.compose("start", "cpu")

        assert session.server.container().id == container.id
        assert session.server.instance not in (None, before)


def test_a_folder_that_has_another_name_since_ends_its_own(make, monkeypatch):
    """The container goes by the name that it was made under."""
    project = make()
    project.override(entrypoint=["/bin/sleep", "600"], command=[], stop_grace_period="1s")

    with project.session(monkeypatch) as session:
        session.server.start()
        with (project.folder / ".env").open("a") as file:
            file.write(f"COMPOSE_PROJECT_NAME={project.folder.name}-renamed\n")

        assert session.down() is True
        assert session.server.container() is None


def test_another_model_is_not_passed_off_as_the_one_that_runs(
    contained: Session, desk: Project, monkeypatch
):
    """The difference is said, and how to change over."""
    with (
        desk.session(monkeypatch, max_model_len=1024) as other,
        pytest.raises(ServerStateError, match=r"max model len 2048, and 1024 was asked") as caught,
    ):
        other.up()

    assert "restart" in caught.value.hint


def test_the_log_is_the_containers(contained: Session):
    """From its first line of this start to the last."""
    log = [*contained.logs()]

    assert any("start.py" in line for line in log[:3])
    assert any("Application startup complete" in line for line in log)


def test_the_key_is_asked_for_and_on_no_command_line(contained: Session, desk: Project):
    """``ps`` and the log do not show it; Docker's own administrators can."""
    key = contained.server.api_key

    assert len(key) > 20
    assert key not in " ".join(contained.server.container().argv)
    assert key not in desk.compose("top")
    assert not any(key in line for line in contained.logs())


def test_ctrl_c_stops_waiting_and_not_the_server(contained: Session, desk: Project, monkeypatch):
    """The interrupt says that it goes on; nothing is stopped."""
    before = contained.server.container().id
    with desk.session(monkeypatch) as other:
        monkeypatch.setattr(type(other.server), "start", lambda _self: True)
        with pytest.raises(BootInterruptedError) as caught:
            other.up(on_progress=lambda _progress: signal.raise_signal(signal.SIGINT))

    assert "goes on" in caught.value.message
    assert contained.server.container().id == before
    assert contained.status().state is ServerState.READY


def test_the_shell_has_the_same_verbs(contained: Session, desk: Project):
    """``workbench status --json`` in that folder, without any option."""
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "status", "--json"],
        cwd=desk.folder,
        env={"PATH": subprocess.os.environ["PATH"], "WORKBENCH_HOME": str(desk.folder)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout)["container"]["name"] == contained.server.container().name


def test_a_strangers_project_of_the_same_name_is_left_alone(
    contained: Session, desk: Project, make, monkeypatch
):
    """Compose would take its container over; here the next step is said."""
    name = contained.server.container().project
    stranger = make("stranger", COMPOSE_PROJECT_NAME=name)
    try:
        with (
            stranger.session(monkeypatch) as session,
            pytest.raises(ServerStateError, match="Another folder") as caught,
        ):
            session.up()
        assert f"COMPOSE_PROJECT_NAME={name}-2" in caught.value.hint
        assert contained.status().state is ServerState.READY
    finally:
        # Its clearing away must not take the shared one along.
        (stranger.folder / ".env").write_text("COMPOSE_PROJECT_NAME=nobody\n")


def test_killed_inside_it_comes_back_and_down_leaves_nothing(
    contained: Session, desk: Project, monkeypatch
):
    """SIGKILL of vLLM's first process: Docker's restart policy, the same key, the next answer."""
    container = contained.server.container()
    kill = "import os,signal,glob; " + (
        "[os.kill(int(p.split('/')[2]), signal.SIGKILL) for p in glob.glob('/proc/[0-9]*/cmdline')"
        " if b'cli.main' in open(p,'rb').read()]"
    )
    subprocess.run(
        ["docker", "exec", container.name, "/opt/vllm/bin/python3", "-c", kill],
        capture_output=True,
        check=False,
    )

    assert eventually(lambda: contained.server.container().restarts == 1)
    assert "died" in contained.status().detail
    contained.up()
    assert contained.chat("What is vLLM?", GREEDY).text
    assert contained.server.container().id == container.id

    contained.restart()
    assert contained.server.container().id != container.id
    assert contained.chat("What is vLLM?", GREEDY).text

    assert contained.down() is True
    assert contained.status().state is ServerState.STOPPED
    assert desk.compose("ps", "--all", "--quiet") == ""
    assert contained.down() is False
