"""What is read from Compose's own idea of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.scripted_docker import docker_command
from workbench.errors import ConfigError
from workbench.servers.compose_cli import ComposeCli

METRICS = {"target": 9090, "published": "9091"}


@pytest.mark.parametrize(
    ("ports", "port"),
    [
        ([METRICS, {"target": 8000, "published": "8123"}], 8123),
        ([METRICS], 9091),
        ([{"target": 8000}], None),
        ([], None),
    ],
)
def test_vllms_port_is_the_one_behind_8000(tmp_path: Path, monkeypatch, ports, port):
    """Not the first, which may be a reader's own; where none has the number, the first."""
    (tmp_path / "compose.yml").touch()
    service = {"image": "vllm", "ports": ports}
    docker_command(tmp_path, monkeypatch, {"name": "desk", "services": {"cpu": service}})

    assert ComposeCli(tmp_path, profile="cpu", environment={}).config().port == port


def test_what_compose_refuses_sends_to_the_doctor(tmp_path: Path, monkeypatch):
    """By words that can be typed as they stand."""
    (tmp_path / "compose.yml").touch()
    docker_command(tmp_path, monkeypatch, **{"--format": "echo it is missing >&2; exit 15"})

    with pytest.raises(ConfigError, match="it is missing") as caught:
        ComposeCli(tmp_path, profile="cpu", environment={}).config()

    assert caught.value.hint.endswith(": workbench doctor")
