"""A scripted server, a session of it, and panels whose messages are counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scripted import ScriptedServer
from workbench.panels.base import Panel
from workbench.session import Session


class Browser:
    """What a panel sent, and when; and what a browser would say to it."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.sent: list[tuple[float, dict[str, Any]]] = []
        panel.surface.send = self._take  # type: ignore[method-assign]

    def _take(self, content: dict[str, Any], buffers: object = None) -> None:
        self.sent.append((time.monotonic(), content))

    def says(self, act: str, **values: Any) -> None:
        """Say what a click says."""
        message = {"do": act, "values": values}
        self.panel.surface._handle_custom_msg(message, [])

    @property
    def page(self) -> str:
        """All HTML that is on the page now."""
        return "\n".join(self.panel.surface.drawn().values())

    def told(self, key: str) -> Any:
        """What was last said beside parts: fill, copy, say."""
        return next(message[key] for _, message in reversed(self.sent) if key in message)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    running = ScriptedServer()
    yield running
    running.close()


@pytest.fixture
def session(server: ScriptedServer, tmp_path: Path) -> Iterator[Session]:
    made = Session(base_url=server.base_url, model="pocket", state_dir=str(tmp_path / "state"))
    with made:
        yield made


@pytest.fixture
def shown(session: Session) -> Iterator[Callable[..., Browser]]:
    """Makes a panel of the session, and watches it; it is disposed of in the end."""
    made: list[Panel] = []

    def show(kind: Callable[..., Panel], **options: Any) -> Browser:
        made.append(kind(lambda: session, **options))
        return Browser(made[-1])

    yield show
    for panel in made:
        panel.dispose()
