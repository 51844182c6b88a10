"""A hub on this machine, and a way to fetch from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scripted_hub import REPOSITORY, Hub, hub
from workbench.hub import Fetched, api, fetch

WEIGHTS_BYTES = 2_500_000
"""Enough for several pieces of the scripted hub; nobody loads them."""

Fetch = Callable[..., Fetched]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What the hub has: a model's files, and one that vLLM does not take."""
    folder = tmp_path / "on-the-hub"
    folder.mkdir()
    (folder / "config.json").write_text('{"max_position_embeddings": 512}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text("# A model")
    (folder / "model.safetensors").write_bytes(bytes(range(250)) * (WEIGHTS_BYTES // 250))
    return folder


@pytest.fixture
def local_hub(source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with that model, for which nobody waits long."""
    monkeypatch.setattr(api, "WAITS_S", (0.0, 0.0, 0.0))
    with hub(source) as server:
        yield server


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """Where it is to go."""
    return tmp_path / "models" / "pocket"


@pytest.fixture
def fetched(local_hub: Hub, into: Path) -> Fetch:
    """Fetch the hub's model into that folder."""

    def call(repo: str = REPOSITORY, **how: Any) -> Fetched:
        return fetch(repo, **{"into": into, "endpoint": local_hub.endpoint} | how)

    return call
