"""An engine that answers what it is told, and a ``docker`` that keeps the words of its calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.servers.compose import ComposeServer
from workbench.servers.containers import Docker
from workbench.servers.docker_facts import FOLDER, PROJECT, SERVICE
from workbench.servers.variables import Wanted

STARTED = "2026-11-24T10:00:00.500000000Z"


def details(folder: Path, *, id: str = "1", service: str = "cpu", **changes: Any) -> dict[str, Any]:
    """Describe a container as the engine does; *changes* are of its state, or of what is below."""
    command = changes.pop("command", ["vllm", "serve", "pocket", "--kv-cache-dtype", "auto"])
    restarts = changes.pop("restarts", 0)
    labels = {PROJECT: "desk", FOLDER: str(folder), SERVICE: service}
    state = {"Status": "running", "ExitCode": 0, "OOMKilled": False, "Error": ""}
    return {
        "Id": id,
        "Name": f"/desk-{service}-{id}",
        "Created": "2026-11-24T09:59:00Z",
        "Image": "sha256:1",
        "RestartCount": restarts,
        "State": {**state, "StartedAt": STARTED, **changes},
        "Config": {"Labels": labels, "Image": "vllm", "Entrypoint": [], "Cmd": command, "Env": []},
        "NetworkSettings": {"Ports": {}},
        "HostConfig": {"PortBindings": {}},
    }


class Engine:
    """
    The SDK's client, as far as it is used.

    Args:
        there: The containers; a test adds and removes them.
    """

    def __init__(self, *there: dict[str, Any]) -> None:
        self.there = {each["Id"]: each for each in there}
        self.asked: list[tuple[str, Any]] = []
        self.told: list[dict[str, Any]] = []

    def containers(self, **_options: Any) -> list[dict[str, Any]]:
        return [
            {
                "Id": each["Id"],
                "Names": [each["Name"]],
                "Labels": each["Config"]["Labels"],
                "State": each["State"]["Status"],
            }
            for each in self.there.values()
        ]

    def inspect_container(self, id: str) -> dict[str, Any] | None:
        self.asked.append(("inspect", id))
        return self.there.get(id)

    def logs(self, id: str, **options: Any) -> bytes:
        self.asked.append(("logs", options))
        return b"one\n"

    def events(self, **_options: Any) -> list[dict[str, Any]]:
        self.asked.append(("events", None))
        return self.told


def docker_of(engine: object) -> Docker:
    """Make the workbench's Docker ask *engine*."""
    docker = Docker()
    docker._connected = engine
    return docker


def server_of(
    folder: Path, engine: object, *, profile: str | None = "cpu", port: int = 8000, **asked: str
) -> ComposeServer:
    """Make the server of *folder*, whose containers are *engine*'s."""
    (folder / "docker-compose.yml").touch()
    return ComposeServer(
        folder,
        profile=profile,
        want=lambda _profile: Wanted(asked=asked, otherwise={}),
        came_with=lambda _model, _name, _value: False,
        given=asked.keys(),
        port=port,
        key="sk-1",
        hub_token=None,
        state_dir=folder / ".workbench",
        docker=docker_of(engine),
    )


def docker_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, config: object = None, **scripts: str
) -> Callable[[], list[str]]:
    """
    Put a ``docker`` on PATH; what is returned reads the words of its calls, a line each.

    Args:
        config: What Compose makes of the file.

        scripts: Lines of shell, by a word of the call.
    """
    said = folder / "said"
    (folder / "config.json").write_text(json.dumps(config))
    scripts |= {"config": f"cat {folder}/config.json"}
    cases = "\n".join(f'  *" {word} "*) {script} ;;' for word, script in scripts.items())
    command = folder / "bin" / "docker"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$*" >> {said}\ncase "$* " in\n{cases}\nesac\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")
    return lambda: said.read_text().splitlines() if said.exists() else []
