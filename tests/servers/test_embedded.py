"""The embedded server's lifecycle, with a scripted engine: states, orphans, errors."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.helpers import eventually, lives, scripted_engine
from workbench.errors import ConfigError, ServerStartError, ServerStateError, ServerTimeoutError
from workbench.records import ServerState
from workbench.servers.embedded import EmbeddedServer
from workbench.servers.running import Running
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
    assert [model.name for model in status.models] == ["pocket", "default"]

    assert session.down() is True

    assert not any(map(lives, status.pids))
    assert session.status().state is ServerState.STOPPED


def test_up_twice_attaches(session: Session):
    """The second ``up`` finds the same processes and does not count as having started them."""
    first = session.up()

    with Session() as other:
        second = other.up()
        assert second.pids == first.pids
        assert other.is_mine is False
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
    # Or `up` may find it while it dies, and follow a log that ends.
    assert eventually(lambda: session.status().state is ServerState.FAILED)

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
    assert "--port 0" in str(caught.value.hint)


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
        "from workbench import Session; s = Session(); print(s.up().pids[0], s.is_mine, flush=True)"
    )
    environment = {**os.environ, "WORKBENCH_HOME": str(project)}
    both = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
        for _ in range(2)
    ]

    said = [process.communicate(timeout=60)[0].split() for process in both]

    assert said[0][0] == said[1][0]
    assert sorted([said[0][1], said[1][1]]) == [b"False", b"True"]


def test_restart_keeps_what_runs_unless_told_otherwise(
    session: Session, monkeypatch: pytest.MonkeyPatch
):
    """The model, port and length of the running server stay; what is named changes."""
    monkeypatch.delenv("WORKBENCH_PORT")
    with Session(model="pocket-mini", max_model_len=512, port=0) as other:
        first = other.up()

    with Session() as unspecific:
        plain = unspecific.restart()
    with Session(max_model_len=256) as changing:
        changed = changing.restart()

    assert plain.pids != first.pids
    assert plain.base_url == first.base_url == changed.base_url
    assert [model.name for model in changed.models] == ["pocket-mini", "default"]
    running = session.server.running()
    assert running
    assert running.spec.max_model_len == 256


def test_a_plain_up_attaches_to_whatever_runs_and_says_so(session: Session):
    """A restarted kernel does not know which model was chosen, and need not."""
    with Session(model="pocket-mini") as other:
        first = other.up()

    status = session.up()

    assert status.pids == first.pids
    assert "running already" in str(status.detail)


def test_other_settings_than_the_running_ones_are_refused(session: Session):
    """Attaching with another length would pass one server off as another."""
    session.up()

    with Session(max_model_len=128) as other, pytest.raises(ServerStateError) as caught:
        other.up()

    assert "max model len 2048, and 128 was asked for" in caught.value.message


def test_a_restart_that_cannot_work_leaves_the_server_alone(session: Session):
    """A wrong model is said before the good one is stopped."""
    pids = session.up().pids

    with Session(model="poket") as other, pytest.raises(ConfigError):
        other.restart()

    assert session.status().pids == pids


def test_only_mine_does_not_stop_what_somebody_else_started_since(session: Session):
    """A's clean-up leaves B's restarted server running."""
    session.up()
    with Session(model="pocket-mini") as other:
        other.restart()

    assert session.down(only_mine=True) is False
    assert session.status().state is ServerState.READY


def test_nothing_is_left_when_the_record_cannot_be_written(session: Session, monkeypatch):
    """What server.json does not name, nobody would find: it is ended at once."""
    seen = []

    def fails(running: Running, _path: Path) -> None:
        seen.extend(running.group.members())
        raise KeyboardInterrupt

    monkeypatch.setattr(Running, "write", fails)
    with pytest.raises(KeyboardInterrupt):
        session.up()

    assert seen
    assert not any(map(lives, seen))


def test_its_files_in_tmp_go_with_it(session: Session):
    """vLLM leaves sockets behind; they are in a folder that is removed."""
    session.up()
    running = session.server.running()
    assert running
    assert running.tmp.is_dir()

    session.down()

    assert not running.tmp.exists()


def test_a_torn_record_is_no_record(session: Session, project: Path):
    """A state file that is damaged, or a folder, means that nothing is known to run."""
    state = project / ".workbench" / "server.json"
    state.parent.mkdir(exist_ok=True)
    state.write_text("{")
    torn = session.status().state
    state.unlink()
    state.mkdir()

    assert (torn, session.status().state) == (ServerState.STOPPED, ServerState.STOPPED)
    state.rmdir()


def test_the_log_is_followed_until_the_server_ends(session: Session):
    """Lines come as they are written, pauses as empty ones, and the end is the server's."""
    session.up()
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(session.logs(follow=True)))
    reader.start()
    assert eventually(lambda: any("startup complete" in line for line in lines))

    session.down()
    reader.join(timeout=10)

    assert not reader.is_alive()
    assert "" in lines


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signalled_up_leaves_no_server(
    session: Session, project: Path, monkeypatch: pytest.MonkeyPatch, signum: int
):
    """Who ends ``workbench up`` in the middle does not want the boot to go on."""
    monkeypatch.setenv("SCRIPT", "hang")
    booting = subprocess.Popen(
        [sys.executable, "-m", "workbench", "up"],
        env={**os.environ, "WORKBENCH_HOME": str(project)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert eventually(lambda: session.status().pids)
    pids = session.status().pids

    booting.send_signal(signum)
    booting.communicate(timeout=30)

    assert booting.returncode in (128 + signum, 130)
    assert session.status().state is ServerState.STOPPED
    assert not any(map(lives, pids))
