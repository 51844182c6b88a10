"""
What Docker says of containers and images: looked at through its SDK, never changed.

Starting and stopping is ``docker compose``'s (:mod:`.compose_cli`); pulling an
image is the one thing that is done from here, because only the API says how
far each layer is.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import BackendUnavailableError
from ..records import Death

DOCKER_TIMEOUT_S = 10
"""The daemon answers in milliseconds; one that pulls or builds, in seconds."""

PULL_SILENCE_S = 120
"""How long a pull may say nothing; the daemon reports every 0.1 s while bytes come."""

VLLM_PORT = "8000/tcp"

LABEL = "com.docker.compose"
COMPOSES = [f"{LABEL}.service", f"{LABEL}.oneoff=False"]

EVENTS = ("start", "kill", "oom", "health_status", "die")

ENDED_ON_REQUEST = (0, 143)
"""Exit statuses of a vLLM that was told to end: its own, and SIGTERM's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """
    A container of Compose's, as ``docker inspect`` has it.

    Args:
        project_dir: The folder of the compose file that it was made from.

        state: Docker's word: ``created``, ``running``, ``restarting``,
            ``exited``, ``paused``, ``dead``.

        health: ``starting``, ``healthy``, ``unhealthy``; ``None`` without a check.

        health_said: What the last health check printed.

        host_port: Where vLLM's port is published on this machine, if it is.
    """

    id: str
    name: str
    project: str
    project_dir: Path
    service: str
    state: str
    health: str | None
    health_said: str | None
    exit_code: int
    oom_killed: bool
    error: str
    restarts: int
    created_at: datetime | None
    started_at: datetime | None
    image: str
    image_digest: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)  # keys and tokens are in it
    host_port: int | None

    @property
    def runs(self) -> bool:
        """Whether there is a process in it now, or will be again in a moment."""
        return self.state in ("running", "restarting", "paused")

    @property
    def api_key(self) -> str | None:
        """The key that the vLLM in it asks for, if it does."""
        return self.environment.get("VLLM_API_KEY") or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """
    What a container uses.

    Args:
        cpu_s: CPU seconds since it started, all cores together.

        read_s: When they were read, Unix time.

        memory_bytes: Without the page cache that would be given back.
    """

    cpu_s: float
    read_s: float
    memory_bytes: int | None
    memory_limit_bytes: int | None


class Ended:
    """Reads a container's events, in their order, for how it ended."""

    def __init__(self) -> None:
        self.known = False
        self.death: Death | None = None
        self._asked_to = self._oom = False

    def feed(self, event: Mapping[str, Any]) -> None:
        """Take one event; an end that was asked for leaves an earlier one standing."""
        match event["Action"]:
            case "start":
                self._asked_to = self._oom = False
            case "kill":
                self._asked_to = True
            case "oom":
                self._oom = True
            case "health_status: healthy":
                self.death = None
            case "die":
                self.known = True
                if not self._asked_to:
                    code = int(event["Actor"]["Attributes"]["exitCode"])
                    self.death = Death(code, oom_killed=self._oom)


class Docker:
    """
    The Docker Engine that the ``docker`` command talks to.

    Nothing is connected before the first question.

    Every method raises :class:`~workbench.errors.BackendUnavailableError` when
    the engine does not answer.
    """

    def __init__(self) -> None:
        self._connected: Any = None

    def containers(self, services: Iterable[str]) -> list[Container]:
        """List Compose's containers of these services, of every project, newest first."""
        wanted = frozenset(services)
        listed = self._ask("containers", all=True, filters={"label": COMPOSES}) or ()
        ids = [each["Id"] for each in listed if each["Labels"][f"{LABEL}.service"] in wanted]
        # Between the list and the look one may have gone.
        found = [container for id in ids if (container := self.inspect(id))]
        return sorted(found, key=_age, reverse=True)

    def inspect(self, container_id: str) -> Container | None:
        """Look at one container; ``None`` when it is gone."""
        details = self._ask("inspect_container", container_id)
        return _container(details) if details else None

    def owner_of_port(self, port: int) -> str | None:
        """Name the container that publishes *port*, with its project."""
        for short in self._ask("containers") or ():
            if any(mapping.get("PublicPort") == port for mapping in short.get("Ports") or ()):
                project = short["Labels"].get(f"{LABEL}.project")
                name = short["Names"][0].lstrip("/")
                return f"container {name}" + (f" of project {project}" if project else "")
        return None

    def usage(self, container_id: str) -> Usage | None:
        """Read what a container uses; ``None`` when it does not run."""
        stats = self._ask("stats", container_id, stream=False, one_shot=True)
        return _usage(stats) if stats else None

    def has_image(self, image: str) -> bool:
        """Tell whether an image is on this machine."""
        return self._ask("inspect_image", image) is not None

    def pull(self, image: str) -> Generator[dict[str, Any]]:
        """
        Pull an image, and yield what the daemon reports of each layer.

        Closing the iterator cancels the pull; whole layers stay.

        Raises:
            OSError: The daemon refused; or it hung up, or said nothing for two minutes.
        """
        import docker.errors
        import urllib3.exceptions

        api = self._connect(timeout_s=PULL_SILENCE_S)
        try:
            yield from api.pull(image, stream=True, decode=True)
        except docker.errors.APIError as exc:
            raise OSError(exc.explanation) from exc
        except urllib3.exceptions.HTTPError as exc:
            raise OSError(str(exc)) from exc

    def log(self, container: Container, *, follow: bool) -> Any:
        """
        Stream the output of a container as bytes: since its last start, or all if it has ended.

        With *follow* it ends when the container does. It has a ``close()``.
        """
        since = container.started_at.timestamp() if container.started_at else None
        since = since if container.runs else None
        api = self._connect()  # the SDK waits for a stream without a time-out
        return api.logs(container.id, stream=True, follow=follow, since=since)

    def log_tail(self, container: Container, lines: int) -> list[str]:
        """Return the last lines of a container, of all its starts."""
        output = self._ask("logs", container.id, tail=lines) or b""
        return str(output.decode(errors="replace")).replace("\r", "\n").splitlines()

    def death(self, container: Container) -> Death | None:
        """
        Say how a container last ended by itself, also if it was started again since.

        ``None``: it has not, or it has been healthy since, or it was told to.
        The daemon remembers a few minutes of events; before that its exit
        status has to do, which does not tell who asked for the end.
        """
        events = self._ask(
            "events",
            since=_seconds(container.created_at),
            until=_seconds(datetime.now(UTC)),
            filters={"container": container.id, "event": [*EVENTS]},
            decode=True,
        )
        ended = Ended()
        for event in events or ():
            ended.feed(event)
        if ended.known or container.state != "exited":
            return ended.death
        asked_for = container.exit_code in ENDED_ON_REQUEST
        return None if asked_for else Death(container.exit_code, oom_killed=container.oom_killed)

    def is_local(self) -> bool:
        """Whether the daemon sees this machine's files; Docker Desktop's has its own root."""
        info = self._ask("info") or {}
        address = str(_address()["base_url"])
        return address.startswith("unix://") and info.get("OperatingSystem") != "Docker Desktop"

    def _ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Ask the daemon; ``None`` for what does not exist."""
        import docker.errors
        import requests

        if self._connected is None:
            self._connected = self._connect()
        try:
            return getattr(self._connected, method)(*arguments, **options)
        except docker.errors.NotFound:
            return None
        except docker.errors.APIError as exc:
            if exc.status_code == 409:  # not running
                return None
            raise _unavailable(exc) from exc
        except (docker.errors.DockerException, requests.RequestException, OSError) as exc:
            raise _unavailable(exc) from exc

    def _connect(self, *, timeout_s: int = DOCKER_TIMEOUT_S) -> Any:
        # Here: a tenth of a second that only who has containers should pay.
        import docker
        import docker.errors

        try:
            return docker.APIClient(version="auto", timeout=timeout_s, **_address())
        except docker.errors.DockerException as exc:
            raise _unavailable(exc) from exc


def _address() -> dict[str, Any]:
    """Say where the daemon is: by ``DOCKER_HOST``, else by what ``docker context use`` chose."""
    from docker.context import ContextAPI
    from docker.utils import kwargs_from_env

    host = ContextAPI.get_current_context().Host
    chosen = host.replace("http+unix://", "unix://") if host else None
    return {"base_url": chosen, **kwargs_from_env()}


def _unavailable(exc: Exception) -> BackendUnavailableError:
    said = str(exc)
    if "Permission denied" in said:
        return BackendUnavailableError(
            "Docker's socket may not be used by this user.",
            hint="Add yourself to its group, and log in again: sudo usermod -aG docker $USER",
            server="compose",
            state="stopped",
        )
    return BackendUnavailableError(
        f"No Docker Engine answers at {_address()['base_url'] or 'its usual place'}.",
        hint="Start it (sudo systemctl start docker, under WSL also: sudo service docker start), "
        "or use the embedded server: workbench up --backend embedded",
        server="compose",
        state="stopped",
    )


def _container(details: Mapping[str, Any]) -> Container:
    labels, state, config = details["Config"]["Labels"], details["State"], details["Config"]
    health = state.get("Health")
    checks = (health or {}).get("Log") or ()
    return Container(
        id=details["Id"],
        name=details["Name"].lstrip("/"),
        project=labels[f"{LABEL}.project"],
        project_dir=Path(labels[f"{LABEL}.project.working_dir"]),
        service=labels[f"{LABEL}.service"],
        state=state["Status"],
        health=health["Status"] if health else None,
        health_said=checks[-1]["Output"].strip() or None if checks else None,
        exit_code=state["ExitCode"],
        oom_killed=state["OOMKilled"],
        error=state["Error"],
        restarts=details["RestartCount"],
        created_at=_moment(details["Created"]),
        started_at=_moment(state["StartedAt"]),
        image=config["Image"],
        image_digest=details["Image"],
        argv=(*(config["Entrypoint"] or ()), *(config["Cmd"] or ())),
        environment=dict(entry.split("=", 1) for entry in config["Env"] or () if "=" in entry),
        host_port=_host_port(details),
    )


def _host_port(details: Mapping[str, Any]) -> int | None:
    """Return the published port: as it is while it runs, else as it was asked for."""
    for ports in (details["NetworkSettings"]["Ports"], details["HostConfig"]["PortBindings"]):
        for binding in (ports or {}).get(VLLM_PORT) or ():
            if binding["HostPort"]:
                return int(binding["HostPort"])
    return None


def _usage(stats: Mapping[str, Any]) -> Usage | None:
    memory, read = stats.get("memory_stats") or {}, _moment(stats["read"])
    if not memory or read is None:
        return None
    # As `docker stats` does it: what the kernel would drop first is not counted.
    cache = (memory.get("stats") or {}).get("inactive_file", 0)
    return Usage(
        cpu_s=stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        read_s=read.timestamp(),
        memory_bytes=memory["usage"] - cache,
        memory_limit_bytes=memory.get("limit"),
    )


def _moment(text: str) -> datetime | None:
    """Read Docker's time; year 1 is its way of saying never."""
    if text.startswith("0001"):
        return None
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def _seconds(moment: datetime | None) -> str:
    """Write a time as the API takes it; the SDK would cut it to whole seconds."""
    return f"{moment.timestamp() if moment else 0:.6f}"


def _age(container: Container) -> datetime:
    return container.created_at or datetime.min.replace(tzinfo=UTC)
