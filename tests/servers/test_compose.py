"""What becomes of containers, told from a Docker that answers as it is told."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
import requests

from tests.servers.scripted_docker import Engine, details, docker_command, server_of
from workbench.errors import ServerError, ServerStartError, ServerStateError
from workbench.records import ServerState

CONFIG = {"name": "desk", "services": {"cpu": {"image": "vllm", "command": ["other"]}}}


def test_a_container_is_ended_under_the_name_it_was_made_with(tmp_path: Path, monkeypatch):
    """Another COMPOSE_PROJECT_NAME since then neither misses it nor ends a stranger's."""
    engine = Engine(details(tmp_path))
    said = docker_command(tmp_path, monkeypatch)
    server = server_of(tmp_path, engine)

    server.give_up()
    # The command does nothing, so that it is still there.
    with pytest.raises(ServerError, match="desk-cpu-1 is still there"):
        server.stop()

    assert said() == [
        "compose --ansi never --project-name desk --profile cpu kill cpu",
        "compose --ansi never --project-name desk --profile cpu down cpu",
    ]


def test_a_readers_own_service_has_a_free_name_too(tmp_path: Path, monkeypatch):
    """The profiles are not all the services that there are."""
    mine = {"name": "desk", "services": {"mine": {"image": "vllm"}}}
    docker_command(tmp_path, monkeypatch, mine)
    engine = Engine(details(tmp_path / "elsewhere", service="mine"))

    with pytest.raises(ServerStateError, match="Another folder"):
        server_of(tmp_path, engine, profile="mine").start()


def test_why_it_could_not_be_started_survives_the_clearing_away(tmp_path: Path, monkeypatch):
    """Docker's own word, and not that what it left could not be removed either."""
    docker_command(
        tmp_path,
        monkeypatch,
        CONFIG,
        up="echo 'no space left on device' >&2; exit 1",
        rm="echo 'and no' >&2; exit 1",
    )
    engine = Engine(details(tmp_path, Status="created"))

    with pytest.raises(ServerStartError) as caught:
        server_of(tmp_path, engine).start()

    assert caught.value.diagnosis.id == "disk-full"


def test_what_cannot_be_listed_is_a_word_about_the_file(tmp_path: Path, monkeypatch):
    """No service of that name, and Compose refuses to say which there are."""
    refuses = {"--services": "echo 'a variable is missing' >&2; exit 1"}
    docker_command(tmp_path, monkeypatch, CONFIG, **refuses)

    obstacle = server_of(tmp_path, Engine(), profile="cuda").obstacle()

    assert "refuses the compose file" in obstacle
    assert "a variable is missing" in obstacle


def test_other_extra_arguments_are_not_shown(tmp_path: Path, monkeypatch):
    """A key may be among them."""
    flags = ["--kv-cache-dtype", "auto"]
    config = {"image": "vllm", "command": ["pocket", *flags, "--api-key", "sk-asked"]}
    docker_command(tmp_path, monkeypatch, {"name": "desk", "services": {"cpu": config}})
    runs = ["vllm", "serve", "pocket", *flags, "--api-key", "sk-runs"]
    extra = {"WORKBENCH_EXTRA_ARGS": "--api-key sk-asked"}

    with pytest.raises(ServerStateError, match="other extra arguments than were") as caught:
        server_of(tmp_path, Engine(details(tmp_path, command=runs)), **extra).start()

    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("method", ["containers", "inspect_container", "events"])
def test_a_status_survives_a_docker_that_hangs_up(tmp_path: Path, monkeypatch, method: str):
    """In the middle of whatever was asked."""
    engine = Engine(details(tmp_path, Status="exited", ExitCode=1))

    def hangs_up(*_arguments: object, **_options: object):
        yield {"Action": "start"}
        raise requests.ConnectionError("it hung up")

    def breaks(*_arguments: object, **_options: object):
        raise requests.ConnectionError("it hung up")

    monkeypatch.setattr(engine, method, hangs_up if method == "events" else breaks)

    status = server_of(tmp_path, engine).status()

    assert status.state is ServerState.STOPPED
    assert "No Docker Engine answers" in status.detail


def test_a_status_asks_once_how_a_container_ended(tmp_path: Path):
    """What it died of, and from when on its log says why, are in the same events."""
    engine = Engine(details(tmp_path, Status="exited", ExitCode=1))

    assert server_of(tmp_path, engine).status().state is ServerState.FAILED
    assert [what for what, _ in engine.asked if what != "inspect"] == ["events", "logs"]


def test_a_docker_too_busy_to_count_leaves_only_the_numbers_unknown(tmp_path: Path, monkeypatch):
    """The server itself is there all the same."""
    engine = Engine(details(tmp_path))

    def stats(*_arguments: object, **_options: object):
        raise requests.ReadTimeout("10 s")

    monkeypatch.setattr(engine, "stats", stats, raising=False)

    status = server_of(tmp_path, engine).status()

    assert status.state is ServerState.STARTING
    assert status.container.memory_bytes is None


def test_one_that_is_being_removed_has_not_failed(tmp_path: Path):
    """``docker compose down`` of a large one takes a moment."""
    status = server_of(tmp_path, Engine(details(tmp_path, Status="removing"))).status()

    assert (status.state, status.detail) == (ServerState.STOPPED, "it is being removed")


def test_a_paused_one_is_said_to_be_paused(tmp_path: Path):
    """Its health check fails too, but that is not what is to be mended."""
    health = {"Status": "unhealthy", "Log": []}
    engine = Engine(details(tmp_path, Status="paused", Health=health))
    engine.stats = lambda *_arguments, **_options: None

    status = server_of(tmp_path, engine).status()

    assert status.state is ServerState.STARTING
    assert status.detail == "it is paused; go on: docker unpause desk-cpu-1"


def test_a_paused_one_is_not_waited_for(tmp_path: Path, monkeypatch):
    """It does nothing until somebody lets it go on."""
    config = {"name": "desk", "services": {"cpu": {"image": "vllm"}}}
    docker_command(tmp_path, monkeypatch, config)

    with pytest.raises(ServerStateError, match="go on: docker unpause desk-cpu-1"):
        server_of(tmp_path, Engine(details(tmp_path, Status="paused"))).start()


def test_one_that_was_stopped_on_request_needs_no_explanation(tmp_path: Path):
    """Nor has it any health left, although Docker keeps the last word of its check."""
    health = {"Status": "unhealthy", "Log": []}
    engine = Engine(details(tmp_path, Status="exited", ExitCode=143, Health=health))

    status = server_of(tmp_path, engine).status()

    assert (status.state, status.detail) == (ServerState.STOPPED, None)
    assert status.container.health is None


def test_a_daemon_without_its_command_is_said_so(tmp_path: Path, monkeypatch):
    """It could not be started from here, so that "stopped" is not all there is to say."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert server_of(tmp_path, Engine()).status().detail == (
        "There is no docker command on this machine."
    )


def test_a_port_that_is_not_chosen_yet_is_no_address(tmp_path: Path):
    """Nothing listens on port 0."""
    server = server_of(tmp_path, Engine(), port=0)

    assert server.status().base_url == "chosen at start"


def test_a_removal_is_waited_for_until_it_is_one(tmp_path: Path):
    """Its log ends a moment before, and what is said then should not be that it was stopped."""
    engine = Engine(details(tmp_path, Status="removing"))
    server = server_of(tmp_path, engine)
    server._docker.log = lambda _container, follow: BytesIO()
    looks = iter([engine.there["1"], engine.there["1"], None])
    engine.inspect_container = lambda _id: next(looks)

    [*server.log(follow=True)]

    assert next(looks, "asked until it was gone") == "asked until it was gone"


def test_a_start_by_somebody_is_another_and_one_by_docker_is_not(tmp_path: Path):
    """``docker compose stop`` and ``up`` keep the container, and make it somebody else's."""
    engine = Engine(details(tmp_path))
    server = server_of(tmp_path, engine)
    mine = server.instance

    later = "2026-11-24T10:05:00Z"
    engine.there["1"] = details(tmp_path, StartedAt=later, restarts=1)
    assert server.instance == mine

    engine.there["1"] = details(tmp_path, StartedAt=later)
    assert server.instance != mine

    engine.there["1"] = details(tmp_path, StartedAt=later, Status="exited")
    assert server.instance is None


def test_a_model_by_its_path_in_the_container_is_not_asked_of_the_hub(tmp_path: Path):
    """There is nothing to download."""
    engine = Engine(details(tmp_path, command=["vllm", "serve", "/models/pocket"]))

    assert server_of(tmp_path, engine).downloaded() is None
