"""The container, broken on purpose in every way that people meet, and what is said of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.compose.project import Project
from tests.compose.scripted_registry import registry
from tests.helpers import eventually
from workbench.errors import ConfigError, ServerStartError, ServerStateError
from workbench.records import ServerState
from workbench.session import Session

pytestmark = pytest.mark.docker

Make = Callable[..., Project]


def failure(session: Session) -> ServerStartError:
    """Start it, and return why that failed."""
    with pytest.raises(ServerStartError) as caught:
        session.up()
    return caught.value


def test_a_missing_library_is_named_before_anything_is_pulled(make: Make, monkeypatch):
    """The Radeon profile on a machine without its libraries: the path, and which stack it is of."""
    project = make()
    with project.session(monkeypatch, profile="wsl-rocdxg") as session:
        error = failure(session)

    assert error.diagnosis.id.startswith(("device-missing", "mount-missing", "wsl-"))
    assert "/dev/dxg" in error.message or "libdxcore" in error.message
    assert project.compose("ps", "--all", "--quiet") == ""


def test_dockers_own_refusal_of_a_mount_is_read_too(make: Make, monkeypatch):
    """A mount that appears only in Docker's words, as with a daemon elsewhere."""
    project = make()
    mount = {
        "type": "bind",
        "source": "/opt/rocm/lib/librocdxg.so",
        "target": "/usr/lib/librocdxg.so",
        "bind": {"create_host_path": False},
    }
    project.override(volumes=[mount])
    with project.session(monkeypatch) as session:
        monkeypatch.setattr("workbench.servers.containers.Docker.is_local", lambda _self: False)
        error = failure(session)

    assert "/opt/rocm/lib/librocdxg.so" in error.message
    assert error.diagnosis.line
    assert project.compose("ps", "--all", "--quiet") == ""


def test_a_model_that_is_not_there(make: Make, monkeypatch):
    """A name of neither a folder nor a repository, in a container without the hub."""
    project = make(WORKBENCH_MODEL="nobody/nothing", HF_ENDPOINT="http://127.0.0.1:9")
    with project.session(monkeypatch) as session:
        error = failure(session)
        status = session.status()

    assert error.diagnosis.id in ("hub-unreachable", "model-not-found")
    assert error.exit_code == 1
    assert status.state is ServerState.FAILED
    assert error.diagnosis.cause in status.detail


def test_a_context_too_long_for_the_kv_cache_names_the_one_that_fits(make: Make, monkeypatch):
    """vLLM's numbers become a setting."""
    project = make(WORKBENCH_MAX_MODEL_LEN=TOO_LONG)
    project.override(environment=ALLOWED)
    with project.session(monkeypatch) as session:
        error = failure(session)

    assert error.diagnosis.id == "kv-cache-too-small"
    name, value = error.diagnosis.setting
    assert name == "max_model_len"
    assert 300_000 < int(value) < 500_000
    assert "1000000" in error.diagnosis.cause


# Longer than the model was made for, so that a GiB of KV cache does not do.
TOO_LONG = "1000000"
ALLOWED = {"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}


def test_apply_takes_the_setting_that_mends_it(make: Make, monkeypatch):
    """``workbench up --apply`` in a shell: once more, with the length that fits, and it is said."""
    project = make(WORKBENCH_MAX_MODEL_LEN=TOO_LONG)
    project.override(environment=ALLOWED)
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "up", "--apply", "--json"],
        cwd=project.folder,
        env={**os.environ, "WORKBENCH_HOME": str(project.folder), "WORKBENCH_STATE_DIR": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert status["models"][0]["max_model_len"] < int(TOO_LONG)
    assert "Trying max_model_len" in done.stderr
    assert f"WORKBENCH_MAX_MODEL_LEN={status['models'][0]['max_model_len']}" in status["detail"]


def test_a_port_that_is_taken_names_who_has_it(make: Make, monkeypatch):
    """A program of this machine."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        project = make(WORKBENCH_PORT=str(port))
        with project.session(monkeypatch) as session:
            error = failure(session)

    assert error.diagnosis.id == "port-in-use"
    assert str(port) in error.message
    assert project.compose("ps", "--all", "--quiet") == ""


def test_a_program_that_cannot_be_run_is_exit_126(make: Make, monkeypatch):
    """As a binary that a shell takes for a script, or a folder."""
    project = make()
    project.override(entrypoint=["/bin/sh", "-c", "exec /opt/vllm/lib"], command=[])
    with project.session(monkeypatch) as session:
        error = failure(session)

    assert error.exit_code == 126
    assert "126" in error.message
    assert error.hint


def test_killed_by_its_memory_limit_is_told_from_killed(make: Make, monkeypatch):
    """Exit status 137 means the kernel only if Docker says so."""
    project = make()
    project.override(mem_limit="300m", memswap_limit="300m")
    with project.session(monkeypatch) as session:
        error = failure(session)

    assert error.exit_code == 137
    assert error.diagnosis.id == "out-of-memory"


def test_it_is_the_last_start_that_is_explained(make: Make, monkeypatch):
    """Docker tried it twice; what the first one died of is no trouble any more."""
    dies = "echo OSError: No space left on device; touch /models/seen; exit 1"
    again = "echo RuntimeError: UVA is not available; exit 1"
    project = make()
    project.override(
        entrypoint=["/bin/sh", "-c", f"if test -e /models/seen; then {again}; else {dies}; fi"],
        command=[],
        restart="on-failure:1",
    )
    with project.session(monkeypatch) as session:
        session.server.start()
        assert eventually(lambda: session.server.container().state == "exited")
        status, log = session.status(), [*session.logs()]

    assert status.container.restarts == 1
    assert "pinned memory" in status.detail
    assert log == ["RuntimeError: UVA is not available"]


def test_unhealthy_is_a_failure_that_quotes_the_check(make: Make, monkeypatch):
    """A container that runs and never answers."""
    project = make()
    project.override(
        entrypoint=["/bin/sleep", "600"],
        command=[],
        healthcheck={"interval": "200ms", "retries": 1, "start_period": "0s"},
        stop_grace_period="1s",
    )
    with project.session(monkeypatch) as session:
        session.server.start()
        assert eventually(lambda: session.status().state is ServerState.FAILED)
        assert "health check" in session.status().detail
        assert session.down() is True


def test_a_start_that_takes_too_long_is_ended(make: Make, monkeypatch):
    """After its time is up nothing is left running."""
    project = make()
    project.override(entrypoint=["/bin/sleep", "600"], command=[], stop_grace_period="1s")
    with project.session(monkeypatch, boot_timeout_s=2) as session:
        with pytest.raises(TimeoutError):
            session.up()
        assert not session.server.container().runs


@pytest.fixture
def waiting(make: Make, monkeypatch) -> Iterator[tuple[Session, subprocess.Popen[str]]]:
    """A session, and a shell in which ``workbench up`` waits for its container."""
    project = make()
    project.override(entrypoint=["/bin/sleep", "600"], command=[], stop_grace_period="1s")
    with (
        project.session(monkeypatch) as session,
        subprocess.Popen(
            [sys.executable, "-m", "workbench", "up", "--backend", "compose"],
            stderr=subprocess.PIPE,
            text=True,
        ) as shell,
    ):
        try:
            assert " … (" in shell.stderr.readline()  # it has begun to wait
            yield session, shell
        finally:
            shell.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_waiting_and_not_the_container(waiting, number: signal.Signals):
    """As Ctrl-C does: of a time limit, or a terminal that was closed."""
    session, shell = waiting
    shell.send_signal(number)
    _, said = shell.communicate(timeout=30)

    assert shell.returncode == 128 + number
    assert said.count("goes on starting") == 1
    assert session.server.container().state == "running"


@pytest.mark.parametrize(
    ("words", "said"),
    [(("stop", "--time", "1"), "Somebody stopped"), (("rm", "--force"), "Somebody removed")],
    ids=["stop", "rm"],
)
def test_who_waits_hears_that_somebody_ended_it(waiting, words: tuple[str, ...], said: str):
    """Docker tells it from a death."""
    session, shell = waiting
    subprocess.run(["docker", *words, session.server.container().name], check=True)
    _, error = shell.communicate(timeout=30)

    assert shell.returncode == 1
    assert said in error


def test_a_paused_container_is_not_waited_for(waiting):
    """It says how it goes on, at once."""
    session, shell = waiting
    shell.send_signal(signal.SIGINT)
    shell.communicate(timeout=30)
    name = session.server.container().name
    subprocess.run(["docker", "pause", name], check=True)

    with pytest.raises(ServerStateError, match=f"it is paused; go on: docker unpause {name}"):
        session.up()
    assert session.down() is True


def test_a_compose_file_that_is_wrong_is_said_in_composes_words(make: Make, monkeypatch):
    """The line is Compose's; what to do next is ours."""
    project = make()
    (project.folder / "docker-compose.yml").write_text('a version: "3.8"\nservices: {}\n')
    with (
        project.session(monkeypatch) as session,
        pytest.raises(ConfigError, match="a version") as caught,
    ):
        session.up()

    assert caught.value.hint.endswith(": workbench doctor")


def test_a_slow_pull_shows_its_layers(make: Make, monkeypatch):
    """Bytes and layers while it comes; what is interrupted leaves nothing running."""
    seen = []
    with registry() as slow:
        project = make()
        project.override(image=slow.image)
        with project.session(monkeypatch) as session:
            session.server.prepare(seen.append)
    subprocess.run(["docker", "rmi", slow.image], capture_output=True, check=True)

    assert any("of 2 layers done" in progress.label for progress in seen)
    assert seen[-1].done == seen[-1].total > 5_000_000


def test_a_pull_that_is_cut_off_says_how_far_it_was(make: Make, monkeypatch):
    """The registry hangs up in the middle of each layer, again and again."""
    with registry() as cut:
        cut.cut = True
        project = make()
        project.override(image=cut.image)
        with project.session(monkeypatch) as session:
            error = failure(session)

    assert "could not be pulled" in error.message
    assert "MiB of it had come" in error.message
    assert project.compose("ps", "--all", "--quiet") == ""


def test_an_image_that_the_registry_does_not_have(make: Make, monkeypatch):
    """Its name is wrong, which trying again does not mend."""
    with registry() as there:
        project = make()
        project.override(image=there.image.replace(":test", ":nope"))
        with project.session(monkeypatch) as session:
            error = failure(session)

    assert error.diagnosis.id == "image-not-found"
