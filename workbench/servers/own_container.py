"""
This folder's container: found by the folder that its labels name, whoever started it.

It is looked at, and nothing is changed; a container of another folder is not even looked into.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from pathlib import Path

from ..errors import ServerStateError, WorkbenchError
from ..failures import diagnose
from ..records import Death, Diagnosis, ServerState, ServerStatus
from . import container_log
from .compose_cli import NO_COMMAND, docker_command
from .compose_status import BACKEND, Watch
from .containers import Docker
from .docker_facts import Container, Ended, death_of

HOST = "127.0.0.1"

CHOSEN_AT_START = "chosen at start"
"""What a status has for the address of a server that is to take any free port."""

LOG_TAIL_LINES = 2000
"""Enough of a dead container's log to hold its cause; what follows the cause are tracebacks."""

END_SEEN_S = 2.0
END_POLL_S = 0.02

LATELY_S = 1.0
"""How long an address is believed: every request asks for it, and Docker takes milliseconds."""


class OwnContainer:
    """
    The container of one folder, if there is one.

    Args:
        services: The services that can be ours.

        port: Where it listens unless a container says otherwise.
    """

    def __init__(
        self, docker: Docker, folder: Path, *, services: Collection[str], port: int
    ) -> None:
        self.folder = folder
        self.services = services
        self.port = port
        self._docker = docker
        self._watch = Watch(docker)
        self._seen: tuple[float, Container | None] | None = None

    def find(self) -> Container | None:
        """
        Find it: the one that runs, else the latest.

        Raises:
            BackendUnavailableError: Docker does not answer.
        """
        mine = self._docker.containers(self.services, folder=self.folder)
        return next((each for each in mine if each.runs), mine[0] if mine else None)

    def found(self) -> Container | None:
        """Find the container; behind a Docker that does not answer there is none."""
        try:
            return self.find()
        except WorkbenchError:
            return None

    def lately(self) -> Container | None:
        """Find the container, or believe what was found a moment ago."""
        now_s = time.monotonic()
        if self._seen is None or now_s - self._seen[0] > LATELY_S:
            self._seen = now_s, self.found()
        return self._seen[1]

    def url(self, container: Container | None) -> str:
        """Say where a container's server is; without one, where the next will be."""
        port = container.host_port if container and container.host_port else self.port
        return f"http://{HOST}:{port}/v1"

    def _shown_url(self, container: Container | None) -> str:
        """Say where one that does not run will be; before it does, port 0 is no address."""
        asked = container.host_port if container else None
        return self.url(container) if asked or self.port else CHOSEN_AT_START

    def forget(self) -> None:
        """Believe nothing any more: it is about to be another one."""
        self._seen = None

    def status(self) -> ServerStatus:
        """Look at the container first, and ask over HTTP only when there is a process in it."""
        try:
            return self._look()
        except WorkbenchError as exc:
            return self._stopped(detail=exc.message)

    def _look(self) -> ServerStatus:
        container = self.find()
        if container is None:
            return self._stopped(detail=None if docker_command() else NO_COMMAND)
        if container.state in ("running", "paused"):
            return self._watch.running(container, self.url(container))
        ended = self._docker.ended(container)
        death = death_of(container, ended)
        why = self._why(container, death, ended)
        return self._watch.dead(container, self._shown_url(container), death=death, why=why)

    def death(self) -> Death | None:
        """Say how its process last ended by itself; see :meth:`.containers.Docker.death`."""
        container = self.find()
        return self._docker.death(container) if container else None

    def log(self, *, follow: bool = False) -> Iterator[str]:
        """Yield the lines of the last start; see :class:`~workbench.servers.base.Server`."""
        container = self.find()
        if container is None:
            raise ServerStateError(
                f"There is no container of {self.folder}, so there is no log.",
                hint="Start one: workbench up --backend compose",
                server=BACKEND,
                state=ServerState.STOPPED,
            )
        yield from container_log.lines(self._docker.log(container, follow=follow))
        if follow:
            self._wait_for_end(container)

    def _wait_for_end(self, container: Container) -> None:
        """Wait until Docker knows of an end that the log has shown; it comes a moment later."""
        deadline_s = time.monotonic() + END_SEEN_S
        while time.monotonic() < deadline_s:
            now = self._docker.inspect(container.id)
            if now is None or now.started_at != container.started_at:
                return
            # One that is being removed is gone in a moment, and its log with it.
            if now.state not in ("running", "removing"):
                return
            time.sleep(END_POLL_S)

    def _why(self, container: Container, death: Death | None, ended: Ended) -> Diagnosis | None:
        lines = self._docker.log_tail(container, LOG_TAIL_LINES, ended=ended)
        # The daemon's own word, when there was nothing to start.
        lines += [container.error] if container.error else []
        code, oom = (death.exit_code, death.oom_killed) if death else (None, False)
        return diagnose(lines, exit_code=code, oom_killed=oom)

    def _stopped(self, detail: str | None = None) -> ServerStatus:
        return ServerStatus(
            backend=BACKEND,
            state=ServerState.STOPPED,
            base_url=self._shown_url(None),
            detail=detail,
        )
