"""The embedded server's lifecycle, with a scripted engine: states, orphans, errors."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import eventually, lives, scripted_engine
from workbench.errors import ServerStartError, ServerStateError, ServerTimeoutError
from workbench.records import ServerState
from workbench.servers.embedded import EmbeddedServer
from workbench.session import Session

pytestmark = pytest.mark.processes


@pytest.fixture
def session(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(project))
    monkeypatch.setenv("WORKBENCH_ENGINE_DIR", str(scripted_engine(project / ".engine")))
    monkeypatch.setenv("WORKBENCH_PORT", "0")
    with Session() as session:
        yield session
        session.down()


def test_up_makes_it_ready_and_down_leaves_no_process(session: Session):
    """Three processes are there when it is up, none when it is down, and status says both."""
    status = session.up()
    assert status.state is ServerState.READY
    assert len(status.pids) == 3
    assert [model.name for model in status.models] == ["pocket"]

    assert session.down() is True

    assert not any(map(lives, status.pids))
    assert session.status().state is ServerState.STOPPED


def test_up_twice_attaches(session: Session):
    """The second ``up`` finds the same processes and does not count as having started them."""
    first = session.up()

    with Session() as other:
        second = other.up()
        assert second.pids == first.pids
        assert other.started_server is False
        assert other.down(only_mine=True) is False
    assert session.status().state is ServerState.READY


def test_down_is_idempotent(session: Session):
    """Stopping what is not there is no error, and says that there was nothing."""
    assert session.down() is False
    session.up()

    assert [session.down(), session.down()] == [True, False]


def test_orphans_of_a_killed_server_are_found_and_ended(session: Session):
    """SIGKILL of the first process leaves two; they are seen as failed, and ``down`` ends them."""
    first, *rest = session.up().pids
    os.kill(first, signal.SIGKILL)

    assert eventually(lambda: session.status().state is ServerState.FAILED)
    assert session.status().pids == tuple(rest)
    assert session.down() is True
    assert not any(map(lives, rest))


def test_up_after_a_crash_clears_the_orphans_first(session: Session):
    """A new start does not leave the old one's memory behind."""
    first, *rest = session.up().pids
    os.kill(first, signal.SIGKILL)

    status = session.up()

    assert status.state is ServerState.READY
    assert set(rest).isdisjoint(status.pids)
    assert not any(map(lives, rest))


def test_children_that_ignore_sigterm_are_killed(session: Session, monkeypatch: pytest.MonkeyPatch):
    """Nobody outlives the grace period."""
    monkeypatch.setenv("SCRIPT", "stubborn")
    monkeypatch.setattr("workbench.servers.embedded.STOP_GRACE_S", 0.3)
    pids = session.up().pids

    session.down()

    assert not any(map(lives, pids))


def test_a_server_outlives_a_killed_kernel_and_is_found_again(session: Session, project: Path):
    """The process that started it dies by SIGKILL; another finds it running and can stop it."""
    code = (
        "import os, signal; from workbench import Session\n"
        "Session().up(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "WORKBENCH_HOME": str(project)}
    killed = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL

    status = session.status()

    assert status.state is ServerState.READY
    assert session.up().pids == status.pids
    assert session.down() is True


def test_an_engine_that_dies_says_why(session: Session, monkeypatch: pytest.MonkeyPatch):
    """The error has the exit status, the decisive line and what to do; nothing is left."""
    monkeypatch.setenv("SCRIPT", "die")

    with pytest.raises(ServerStartError) as caught:
        session.up()

    assert caught.value.exit_code == 1
    assert "16.00 GiB KV cache is needed" in caught.value.message
    assert "max-model-len" in str(caught.value.hint)
    assert session.status().pids == ()


def test_a_start_that_takes_too_long_is_given_up(session: Session, project: Path, monkeypatch):
    """After the time-out the processes are gone and the error says how long it waited."""
    monkeypatch.setenv("SCRIPT", "hang")
    monkeypatch.setenv("WORKBENCH_BOOT_TIMEOUT_S", "1")

    with Session() as impatient, pytest.raises(ServerTimeoutError) as caught:
        impatient.up()

    assert caught.value.waited_s >= 1
    assert session.status().pids == ()


def test_a_taken_port_is_named_with_its_owner(project: Path, session: Session, monkeypatch):
    """The error names the port and who has it, before anything is started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with Session(port=port) as unlucky, pytest.raises(ServerStartError) as caught:
            unlucky.up()

    assert str(port) in caught.value.message
    assert f"pid {os.getpid()}" in caught.value.message
    assert f"--port {port + 1}" in str(caught.value.hint)


def test_another_model_is_refused_while_one_runs(session: Session):
    """``up`` with another model changes nothing and says how to change over."""
    session.up()

    with Session(model="pocket-mini") as other, pytest.raises(ServerStateError) as caught:
        other.up()

    assert "pocket-mini" in caught.value.message
    assert "restart" in str(caught.value.hint)


def test_the_key_is_private_and_never_on_a_command_line(session: Session, project: Path):
    """The key file has mode 0600, and no process of the server shows the key to ``ps``."""
    pids = session.up().pids
    key = session.server.api_key
    assert key

    command_lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]

    assert (project / ".workbench" / "api-key").stat().st_mode & 0o777 == 0o600
    assert not any(key in line for line in command_lines)
    assert key not in (project / ".workbench" / "server.json").read_text()
    assert key not in "".join(session.logs())


def test_a_reused_process_id_is_not_taken_for_the_server(session: Session):
    """After a restart of the machine, or a wrap of ids, a stranger has the number."""
    server = session.server
    assert isinstance(server, EmbeddedServer)
    session.up()
    running = server.running()
    assert running
    stranger = type(running.group)(os.getpid(), running.group.started_ticks, running.group.boot_id)

    assert stranger.members() == ()


def test_two_processes_that_start_at_once_share_one_server(session: Session, project: Path):
    """Both end with the same ready server; one of them started it."""
    code = (
        "from workbench import Session; s = Session(); "
        "print(s.up().pids[0], s.started_server, flush=True)"
    )
    environment = {**os.environ, "WORKBENCH_HOME": str(project)}
    both = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
        for _ in range(2)
    ]

    said = [process.communicate(timeout=60)[0].split() for process in both]

    assert said[0][0] == said[1][0]
    assert sorted([said[0][1], said[1][1]]) == [b"False", b"True"]
