"""
What Docker says of containers and images: looked at through its SDK, never changed.

Starting and stopping is ``docker compose``'s (:mod:`.compose_cli`); pulling an
image is the one thing that is done from here, because only the API says how
far each layer is.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import BackendUnavailableError
from ..records import Death
from .docker_facts import (
    COMPOSES,
    EVENTS,
    PROJECT,
    SERVICE,
    Container,
    Ended,
    Listed,
    Usage,
    death_of,
    read_container,
    read_listed,
    read_usage,
)

DOCKER_TIMEOUT_S = 10
"""The daemon answers in milliseconds; one that pulls or builds, in seconds."""

PULL_SILENCE_S = 120
"""How long a pull may say nothing; the daemon reports every 0.1 s while bytes come."""

STARTED_LATE_S = 0.1
"""
How much later than a process's first words Docker may say that it started.

Milliseconds with Engine 26.1; after a death Docker waits this long before it
starts it again (moby, ``restartmanager``), so that no earlier start's words come along.
"""

USUAL_ADDRESS = "unix:///var/run/docker.sock"

START_IT = (
    "Start it (sudo systemctl start docker, under WSL also: sudo service docker start), "
    "or use the embedded server: workbench up --backend embedded"
)
ELSEWHERE = (
    "DOCKER_HOST names that address, or the context does (docker context ls). For this machine's "
    "own engine: unset DOCKER_HOST, docker context use default"
)
"""Starting the engine here would not help who asks one elsewhere."""


class Docker:
    """
    The Docker Engine that the ``docker`` command talks to.

    Nothing is connected before the first question.

    Every method raises :class:`~workbench.errors.BackendUnavailableError` when
    the engine does not answer.
    """

    def __init__(self) -> None:
        self._connected: Any = None

    def listed(self, services: Iterable[str]) -> list[Listed]:
        """List Compose's containers of these services, of every project."""
        wanted = frozenset(services)
        shorts = self._ask("containers", all=True, filters={"label": COMPOSES}) or ()
        return [read_listed(short) for short in shorts if short["Labels"].get(SERVICE) in wanted]

    def containers(self, services: Iterable[str], *, folder: Path) -> list[Container]:
        """Look at the containers of these services that were made from *folder*, newest first."""
        ids = [each.id for each in self.listed(services) if each.project_dir.resolve() == folder]
        # Between the list and the look one may have gone.
        found = [container for id in ids if (container := self.inspect(id))]
        return sorted(found, key=_age, reverse=True)

    def inspect(self, container_id: str) -> Container | None:
        """Look at one container; ``None`` when it is gone."""
        details = self._ask("inspect_container", container_id)
        return read_container(details) if details else None

    def owner_of_port(self, port: int) -> str | None:
        """Name the container that publishes *port*, with its project."""
        for short in self._ask("containers") or ():
            if any(mapping.get("PublicPort") == port for mapping in short.get("Ports") or ()):
                project = short["Labels"].get(PROJECT)
                name = short["Names"][0].lstrip("/")
                return f"container {name}" + (f" of project {project}" if project else "")
        return None

    def usage(self, container_id: str) -> Usage | None:
        """Read what a container uses; ``None`` when it does not run."""
        stats = self._ask("stats", container_id, stream=False, one_shot=True)
        return read_usage(stats) if stats else None

    def has_image(self, image: str) -> bool:
        """Tell whether an image is on this machine."""
        return self._ask("inspect_image", image) is not None

    def pull(self, image: str, *, silence_s: float = PULL_SILENCE_S) -> Generator[dict[str, Any]]:
        """
        Pull an image, and yield what the daemon reports of each layer.

        Closing the iterator cancels the pull; whole layers stay.

        Raises:
            OSError: The daemon refused, hung up, or said nothing for *silence_s*;
                or the password store that Docker is told to ask is not there.
        """
        import docker.errors
        import requests
        import urllib3.exceptions

        api = self._connect()
        _limit_silence(api, silence_s)
        try:
            yield from api.pull(image, stream=True, decode=True)
        except docker.errors.APIError as exc:
            raise OSError(exc.explanation) from exc
        except (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError) as exc:
            raise OSError(f"Read timed out: nothing was said for {silence_s:.0f} s") from exc
        except (docker.errors.DockerException, urllib3.exceptions.HTTPError) as exc:
            raise OSError(str(exc)) from exc

    def log(self, container: Container, *, follow: bool) -> Any:
        """
        Stream the output of a container as bytes: of its last start, or since the one that died.

        With *follow* it ends when the container does. It has a ``close()``.
        """
        api = self._connect()  # the SDK waits for a stream without a time-out
        return api.logs(container.id, stream=True, follow=follow, since=self._since(container))

    def log_tail(
        self, container: Container, lines: int, *, ended: Ended | None = None
    ) -> list[str]:
        """
        Return the last lines of a container: of its last start, or since the one that died.

        Args:
            ended: How it ended, if that is known; else it is asked for.
        """
        since = self._since(container, ended)
        output = self._ask("logs", container.id, tail=lines, since=since) or b""
        return str(output.decode(errors="replace")).replace("\r", "\n").splitlines()

    def death(self, container: Container) -> Death | None:
        """
        Say how a container last ended by itself, also if it was started again since.

        ``None``: it has not, or it has been healthy since, or it was told to.
        """
        return death_of(container, self.ended(container))

    def ended(self, container: Container) -> Ended:
        """Read its events, as far as the daemon remembers them."""
        ended = Ended()
        events = self._ask(
            "events",
            since=_seconds(container.created_at),
            until=_seconds(datetime.now(UTC)),
            filters={"container": container.id, "event": [*EVENTS]},
            decode=True,
        )
        for event in events or ():
            ended.feed(event)
        return ended

    def _since(self, container: Container, ended: Ended | None = None) -> float | None:
        """
        Say from when on a log says how it is, or why it ended.

        That is its last start; but if Docker started it again after a death, and
        this one was ended on request, the start that died.
        """
        if container.started_at is None:
            return None
        began_s = container.started_at.timestamp()
        ended = None if container.runs else ended or self.ended(container)
        if ended and ended.death and ended.died_s < began_s:
            return ended.before_s
        return began_s - STARTED_LATE_S

    def is_local(self) -> bool:
        """Whether the daemon sees this machine's files; Docker Desktop's has its own root."""
        info = self._ask("info") or {}
        address = str(_address()["base_url"])
        return address.startswith("unix://") and info.get("OperatingSystem") != "Docker Desktop"

    def _ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Ask the daemon; ``None`` for what does not exist."""
        import docker.errors
        import requests
        import urllib3.exceptions

        if self._connected is None:
            self._connected = self._connect()
        try:
            answer = getattr(self._connected, method)(*arguments, **options)
            # What comes piece by piece is read here, where its breaking off is translated.
            return [*answer] if options.get("decode") else answer
        except docker.errors.NotFound:
            return None
        except docker.errors.APIError as exc:
            if exc.status_code == 409:  # not running
                return None
            raise _unavailable(exc) from exc
        except (
            docker.errors.DockerException,
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
        ) as exc:
            raise _unavailable(exc) from exc

    def _connect(self) -> Any:
        # Here: a tenth of a second that only who has containers should pay.
        import docker
        import docker.errors

        try:
            return docker.APIClient(version="auto", timeout=DOCKER_TIMEOUT_S, **_address())
        except docker.errors.DockerException as exc:
            raise _unavailable(exc) from exc


def _limit_silence(api: Any, limit_s: float) -> None:
    """Limit the wait for each piece: the SDK pulls without a limit, whatever its client has."""
    send = api.send
    api.send = lambda request, **options: send(request, **{**options, "timeout": limit_s})


def _address() -> dict[str, Any]:
    """
    Say where the daemon is, as the ``docker`` command finds it.

    ``DOCKER_HOST``, else the context in ``DOCKER_CONTEXT``, else the one that
    ``docker context use`` chose, with its certificates.

    Raises:
        BackendUnavailableError: There is no such context.
    """
    from docker.context import ContextAPI
    from docker.utils import kwargs_from_env

    told = kwargs_from_env()
    if "base_url" in told:
        return {**told}
    chosen = ContextAPI.kwargs_from_context()
    if not chosen:
        raise _no_context()
    return {**told, **chosen, "base_url": chosen["base_url"].replace("http+unix://", "unix://")}


def _no_context() -> BackendUnavailableError:
    return BackendUnavailableError(
        "Docker is told to use a context that does not exist.",
        hint="Its name is in DOCKER_CONTEXT, or else in ~/.docker/config.json as currentContext. "
        "Choose one that there is (docker context ls): docker context use default",
        server="compose",
        state="stopped",
    )


def _unavailable(exc: Exception) -> BackendUnavailableError:
    if said := _explanation(exc):
        return BackendUnavailableError(
            f'The Docker Engine refuses: "{said}"',
            hint="Its log may say more: journalctl -u docker",
            server="compose",
            state="stopped",
        )
    if "Permission denied" in str(exc):
        return BackendUnavailableError(
            "Docker's socket may not be used by this user.",
            hint="Add yourself to its group, and log in again: sudo usermod -aG docker $USER",
            server="compose",
            state="stopped",
        )
    address = _address()["base_url"]
    return BackendUnavailableError(
        f"No Docker Engine answers at {address or 'its usual place'}.",
        hint=START_IT if address in (None, USUAL_ADDRESS) else ELSEWHERE,
        server="compose",
        state="stopped",
    )


def _explanation(exc: Exception) -> str | None:
    """Return what the daemon itself said; ``None`` when it was not it who failed."""
    import docker.errors

    # While connecting the SDK wraps its answer once more.
    for each in (exc, exc.__cause__):
        if isinstance(each, docker.errors.APIError):
            return str(each.explanation or each)
    return None


def _seconds(moment: datetime | None) -> str:
    """Write a time as the API takes it; the SDK would cut it to whole seconds."""
    return f"{moment.timestamp() if moment else 0:.6f}"


def _age(container: Container) -> datetime:
    return container.created_at or datetime.min.replace(tzinfo=UTC)
