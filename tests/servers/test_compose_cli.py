"""What is read from Compose's own idea of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.scripted_docker import docker_command
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
