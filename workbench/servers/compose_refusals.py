"""
Why a container is not started, stopped or taken for the one that was asked for.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..errors import ServerError, ServerStartError, ServerStateError, WorkbenchError
from ..failures import diagnose
from ..records import ServerState
from . import variables
from .base import HINT_ANOTHER_RUNS
from .compose_cli import ServiceConfig
from .compose_status import BACKEND, paused
from .containers import Docker
from .docker_facts import Container
from .own_container import HOST
from .processes import port_owner


def check_needs(config: ServiceConfig, docker: Docker) -> None:
    """Look for what is mounted, before 20 GB are pulled for nothing."""
    missing = [path for path in config.needs if not Path(path).exists()]
    if missing and docker.is_local():
        # In Docker's own words, so that one table has the answer.
        said = [f"bind source path does not exist: {missing[0]}"]
        raise not_started(said, config, docker)


def check_goes_on(container: Container) -> None:
    """Refuse to wait for one that somebody paused: it does nothing until it goes on."""
    if container.state == "paused":
        raise ServerStateError(
            f"The container {container.name} runs already: {paused(container)}",
            hint="Or start it anew: workbench restart",
            server=BACKEND,
            state=ServerState.STARTING,
        )


def check_same(differing: Collection[str]) -> None:
    """Refuse to pass one server off as another."""
    if differing:
        raise ServerStateError(
            f"A container runs with {'; '.join(differing)}.",
            hint=HINT_ANOTHER_RUNS,
            server=BACKEND,
            state=ServerState.READY,
        )


def check_name_is_free(
    project: str, folder: Path, *, services: Collection[str], docker: Docker
) -> None:
    """Refuse another folder's name: Compose would take its container for ours."""
    for container in docker.listed(services):
        if container.project == project and container.project_dir.resolve() != folder:
            raise ServerStateError(
                f"Another folder has containers under the project name {project!r}: "
                f"{container.project_dir} ({container.name}, {container.state}).",
                hint="Give this folder a name of its own, in .env: "
                f"COMPOSE_PROJECT_NAME={project}-2",
                server=BACKEND,
                state=ServerState.STOPPED,
            )


def differing(
    container: Container, config: ServiceConfig, *, profile: str, explicit: Collection[str]
) -> list[str]:
    """
    Say in what a container is not the one asked for.

    Args:
        config: What was asked for, as Compose has it.

        explicit: The variables that somebody set; only these are compared.
    """
    runs, asked = variables.of_command(container.argv), variables.of_command(config.command)
    runs["WORKBENCH_IMAGE"], asked["WORKBENCH_IMAGE"] = container.image, config.image
    if config.port:
        runs["WORKBENCH_PORT"], asked["WORKBENCH_PORT"] = map(
            str, (container.host_port, config.port)
        )
    found = [
        _difference(name, runs.get(name, "–"), asked[name])
        for name in sorted(asked.keys() & explicit)
        if runs.get(name) != asked[name]
    ]
    if profile != container.service:
        found.insert(0, f"profile {container.service}, and {profile} was asked for")
    return found


def _difference(name: str, runs: str, asked: str) -> str:
    """Say what of a variable differs; the extra arguments are not shown, a key may be in them."""
    if name == variables.EXTRA_ARGS:
        return "other extra arguments than were asked for"
    shown = name.removeprefix("WORKBENCH_").lower().replace("_", " ")
    return f"{shown} {runs}, and {asked} was asked for"


def not_started(lines: Collection[str], config: ServiceConfig, docker: Docker) -> ServerStartError:
    """Say why Docker could not start it; whoever has its port is asked for."""
    said = [*lines]
    found = diagnose(said)
    cause = found.cause if found else "Docker could not start the container."
    if found and found.id == "port-in-use" and config.port:
        owner = _owner_of(config.port, docker)
        cause = f"Port {config.port} on {HOST} is taken{f' by {owner}' if owner else ''}."
    return ServerStartError(
        f'{cause}\nDocker says: "{said[-1].strip() if said else "nothing"}"',
        hint=found.fix if found else "What would run: docker compose config",
        server=BACKEND,
        state=ServerState.STOPPED,
        log_tail=tuple(said),
        diagnosis=found,
    )


def _owner_of(port: int, docker: Docker) -> str | None:
    """Name who has a port; Docker not answering any more is no reason not to say the rest."""
    try:
        container = docker.owner_of_port(port)
    except WorkbenchError:
        container = None
    return container or port_owner(port)


def not_stopped(said: str) -> ServerError:
    """Say that it may still run."""
    return ServerError(
        f"docker compose could not stop the container: {said}",
        hint="See what is there: docker compose ps --all",
        server=BACKEND,
        state=ServerState.READY,
    )
