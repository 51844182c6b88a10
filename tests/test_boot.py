"""A boot that fails, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.boot import History, boot
from workbench.errors import BootInterruptedError, ServerError, ServerStartError
from workbench.records import ContainerStatus, Progress, ServerState, ServerStatus


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

    def status(self) -> ServerStatus:
        return ServerStatus(
            backend=self.backend, state=ServerState.FAILED, base_url="http://127.0.0.1:1/v1"
        )

    def give_up(self) -> None:
        raise ServerError("docker compose could not stop the container")


def test_why_a_boot_failed_survives_the_clearing_away(tmp_path: Path, caplog):
    """What cannot be ended either is a remark in the log, and no other cause."""
    history = History(path=tmp_path / "boots.jsonl", key="compose")

    with pytest.raises(ServerStartError) as caught:
        boot(Stubborn(), history=history, on_progress=lambda _progress: None, timeout_s=10)

    assert caught.value.diagnosis.id == "uva-not-available"
    assert "could not stop the container" in caplog.text


class Starting(Stubborn):
    """A server that says nothing yet, and remembers whether it was given up."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.outlasts_waiting = backend == "compose"
        self.given_up = False

    def log(self, *, follow: bool = False) -> Iterator[str]:
        yield ""

    def downloaded(self) -> None:
        return None

    def give_up(self) -> None:
        self.given_up = True


@pytest.mark.parametrize(
    ("interruption", "raised"),
    [
        (KeyboardInterrupt(), BootInterruptedError),
        (SystemExit(143), SystemExit),
        (OSError("the terminal is gone"), OSError),
    ],
    ids=["Ctrl-C", "SIGTERM", "terminal"],
)
@pytest.mark.parametrize("backend", ["compose", "embedded"])
def test_whatever_ends_the_waiting_leaves_a_container(
    tmp_path: Path, caplog, backend: str, interruption: BaseException, raised: type[BaseException]
):
    """It is Docker's, and one line says that it goes on; the embedded server is ours to end."""
    server = Starting(backend)
    history = History(path=tmp_path / "boots.jsonl", key="any")

    def breaks(_progress: Progress) -> None:
        raise interruption

    with pytest.raises(raised if backend == "compose" else type(interruption)) as caught:
        boot(server, history=history, on_progress=breaks, timeout_s=10)

    said = f"{caught.value} {caplog.text}"
    assert server.given_up == (backend == "embedded")
    assert said.count("the compose server goes on starting") == (backend == "compose")


CONTAINER = ContainerStatus(name="desk-cpu-1", profile="cpu", image="vllm", image_digest="sha256:1")


@pytest.mark.parametrize(
    ("backend", "container", "did", "has_log"),
    [
        ("compose", None, "removed the container of the compose server", False),
        ("compose", CONTAINER, "stopped the compose server", True),
        ("embedded", None, "stopped the embedded server", True),
    ],
)
def test_who_is_waiting_hears_that_somebody_ended_it(
    tmp_path: Path, backend: str, container: ContainerStatus | None, did: str, has_log: bool
):
    """It did not die, so there is no cause to look for; after a removal not even a log."""
    server = Starting(backend)
    stopped = replace(server.status(), state=ServerState.STOPPED, container=container)
    server.status = lambda: stopped
    server.log = lambda follow: iter(())
    history = History(path=tmp_path / "boots.jsonl", key="any")

    with pytest.raises(ServerStartError, match=f"Somebody {did} before it was ready") as caught:
        boot(server, history=history, on_progress=lambda _progress: None, timeout_s=10)

    assert ("workbench logs" in caught.value.hint) == has_log
