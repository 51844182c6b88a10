"""A model that a container fetches from a hub: how far it is, and what a refusal is called."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripted_hub import GATED, REPOSITORY, Hub, hub
from workbench.errors import ServerStartError
from workbench.records import Progress, ServerState

PROJECT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.docker


@pytest.fixture
def local_hub() -> Iterator[Hub]:
    """A hub that containers reach, and this machine too: on Docker's bridge."""
    ask = ["docker", "network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}"]
    address = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    with hub(PROJECT / "models" / "pocket", address, held=True) as server:
        yield server


def variables(hub: Hub, model: str) -> dict[str, str]:
    address = hub.server_address[0]
    return {
        "WORKBENCH_MODEL": model,
        "HF_ENDPOINT": f"http://{address}:{hub.port}",
        "WORKBENCH_MAX_MODEL_LEN": "2048",
    }


def test_a_download_is_shown_with_its_bytes_and_the_model_is_kept(make, local_hub, monkeypatch):
    """Half of the weights come, then the rest; a second start fetches nothing."""
    seen: list[Progress] = []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if progress.label == "download":
            local_hub.go_on.set()

    project = make(**variables(local_hub, REPOSITORY))
    with project.session(monkeypatch) as session:
        assert session.up(on_progress=watch).state is ServerState.READY
        container = session.server.container()
        assert "--tool-call-parser" not in container.argv  # nothing in the name says which
        session.down()

    downloads = [progress for progress in seen if progress.label == "download"]
    weights = (PROJECT / "models" / "pocket" / "model.safetensors").stat().st_size
    assert downloads
    assert all(progress.unit == "bytes" for progress in downloads)
    assert downloads[0].done < weights < downloads[0].total
    assert [*(project.folder / "models" / "hf" / "hub").glob("models--somebody--pocket/blobs/*")]


def test_a_model_with_a_licence_says_where_to_accept_it(make, local_hub, monkeypatch):
    """401 from the hub: the token, and the model's page."""
    project = make(**variables(local_hub, GATED))
    with project.session(monkeypatch) as session, pytest.raises(ServerStartError) as caught:
        session.up()

    assert caught.value.diagnosis.id == "model-gated"
    assert "HF_TOKEN" in caught.value.hint


def test_a_name_that_the_hub_does_not_know(make, local_hub, monkeypatch):
    """404 from the hub: look at the spelling."""
    project = make(**variables(local_hub, "somebody/nothing"))
    with project.session(monkeypatch) as session, pytest.raises(ServerStartError) as caught:
        session.up()

    assert caught.value.diagnosis.id == "model-not-found"
    assert "somebody/nothing" in str(caught.value)
