"""A boot that fails, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.boot import History, boot
from workbench.errors import ServerError, ServerStartError


class Stubborn:
    """A server that ends before it is ready, and cannot be cleared away."""

    backend = "compose"
    outlasts_waiting = True

    def start(self) -> bool:
        return True

    def log(self, *, follow: bool = False) -> Iterator[str]:
        yield "RuntimeError: UVA is not available"

    def death(self) -> None:
        return None

    def give_up(self) -> None:
        raise ServerError("docker compose could not stop the container")


def test_why_a_boot_failed_survives_the_clearing_away(tmp_path: Path, caplog):
    """What cannot be ended either is a remark in the log, and no other cause."""
    history = History(path=tmp_path / "boots.jsonl", key="compose")

    with pytest.raises(ServerStartError) as caught:
        boot(Stubborn(), history=history, on_progress=lambda _progress: None, timeout_s=10)

    assert caught.value.diagnosis.id == "uva-not-available"
    assert "could not stop the container" in caplog.text
