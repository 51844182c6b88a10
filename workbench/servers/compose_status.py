"""
What can be said about a container that runs vLLM, or did.
"""

from __future__ import annotations

import time
from dataclasses import replace

from ..errors import BackendUnavailableError
from ..records import ContainerStatus, Death, Diagnosis, ServerState, ServerStatus
from ..urls import root_url
from . import base, gpu
from .containers import Docker
from .docker_facts import Container, Usage

CPU_SAMPLE_S = 0.1
"""The shortest time over which a CPU percentage says something."""

BACKEND = "compose"


class Watch:
    """
    Makes statuses of one container after the other.

    It remembers what the last one had used: a share of a CPU is the difference
    between two readings.
    """

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self._before: dict[str, Usage] = {}

    def running(self, container: Container, base_url: str) -> ServerStatus:
        """Ask the server in a running container how it is; see ``Server.status``."""
        earlier = self._before.get(container.id) or self._usage(container)
        root = root_url(base_url)
        key = container.api_key
        # A paused process takes the question and never answers.
        asked = container.state != "paused"
        healthy = asked and base.ask(f"{root}/health").status == 200
        models = base.served_models(base.ask(f"{root}/v1/models", api_key=key)) if healthy else ()
        version = base.version(root, key) if healthy else None
        return ServerStatus(
            backend=BACKEND,
            state=_state(container, serves=bool(models)),
            base_url=base_url,
            healthy=healthy,
            models=models,
            version=version,
            started_at=container.started_at,
            detail=_trouble(container),
            container=self._container_status(container, earlier),
            gpus=() if container.service == "cpu" else gpu.gpus(),
        )

    def dead(
        self, container: Container, base_url: str, *, death: Death | None, why: Diagnosis | None
    ) -> ServerStatus:
        """Say how a container ended, or that Docker is about to start it again."""
        leaves = container.state == "removing"
        asked_to = leaves or (container.state == "exited" and death is None)
        code = "" if death is None else f" (exit status {death.exit_code})"
        how = f"it ended{code}"
        if container.state == "restarting":
            how = f"it dies and Docker starts it again, {container.restarts} times so far{code}"
        elif container.state == "created":
            how = "it was created and could not be started"
        elif leaves:
            how = "it is being removed"
        return ServerStatus(
            backend=BACKEND,
            state=ServerState.STOPPED if asked_to else ServerState.FAILED,
            base_url=base_url,
            started_at=container.started_at,
            detail=_how_it_ended(how, why, leaves=leaves, asked_to=asked_to),
            # Docker keeps the last word of its health check; nobody is there to be healthy.
            container=replace(self._container_status(container, None), health=None),
        )

    def _container_status(self, container: Container, earlier: Usage | None) -> ContainerStatus:
        latest = self._sample(container, earlier) if earlier else None
        return ContainerStatus(
            name=container.name,
            profile=container.service,
            health=container.health,
            image=container.image,
            image_digest=container.image_digest,
            restarts=container.restarts,
            cpu_percent=_cpu_percent(earlier, latest) if earlier and latest else None,
            memory_bytes=latest.memory_bytes if latest else None,
            memory_limit_bytes=latest.memory_limit_bytes if latest else None,
        )

    def _sample(self, container: Container, earlier: Usage) -> Usage | None:
        time.sleep(max(0.0, earlier.read_s + CPU_SAMPLE_S - time.time()))
        latest = self._usage(container)
        if latest:
            self._before = {container.id: latest}
        return latest

    def _usage(self, container: Container) -> Usage | None:
        """Read what it uses; a Docker that is too busy to say so leaves it unknown."""
        try:
            return self._docker.usage(container.id)
        except BackendUnavailableError:
            return None


def _how_it_ended(how: str, why: Diagnosis | None, *, leaves: bool, asked_to: bool) -> str | None:
    """Explain an end; one that was asked for needs no explanation."""
    if asked_to:
        return how if leaves else None
    return f"{how}: {why.cause}" if why else how


def _cpu_percent(earlier: Usage, latest: Usage) -> float | None:
    elapsed_s, used_s = latest.read_s - earlier.read_s, latest.cpu_s - earlier.cpu_s
    # Less than before: it was started again meanwhile.
    return round(100 * used_s / elapsed_s, 1) if elapsed_s > 0 and used_s >= 0 else None


def _state(container: Container, *, serves: bool) -> ServerState:
    if container.health == "unhealthy" and container.state != "paused":
        return ServerState.FAILED
    return ServerState.READY if serves else ServerState.STARTING


def paused(container: Container) -> str:
    """Say that a container is paused, and how it goes on."""
    return f"it is paused; go on: docker unpause {container.name}"


def _trouble(container: Container) -> str | None:
    # Nor does it answer Docker's health check: that it is paused says why.
    if container.state == "paused":
        return paused(container)
    if container.health == "unhealthy":
        said = (container.health_said or "nothing").splitlines()[-1]
        return f'Docker\'s health check fails; its last word: "{said}"'
    if container.restarts:
        return f"Docker started it again after it had died ({container.restarts} times)"
    return None
