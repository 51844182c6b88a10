"""
What Docker's answers about containers mean: read into records, and nobody is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..records import Death

VLLM_PORT = 8000
"""The one that it listens on in the container."""

LABEL = "com.docker.compose"
PROJECT, FOLDER, SERVICE = f"{LABEL}.project", f"{LABEL}.project.working_dir", f"{LABEL}.service"
COMPOSES = [PROJECT, FOLDER, SERVICE, f"{LABEL}.oneoff=False"]
"""What has them all; other programs write some of Compose's labels, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """
    A container of Compose's, as ``docker ps`` has it: enough to tell whose it is.

    Args:
        project_dir: The folder of the compose file that it was made from.
    """

    id: str
    name: str
    project: str
    project_dir: Path
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """
    A container of Compose's, as ``docker inspect`` has it.

    Args:
        state: Docker's word: ``created``, ``running``, ``restarting``,
            ``exited``, ``paused``, ``removing``, ``dead``.

        restarts: How often Docker started it again since somebody did.

        health: ``starting``, ``healthy``, ``unhealthy``; ``None`` without a check.

        health_said: What the last health check printed.

        host_port: Where vLLM's port is published on this machine, if it is.
    """

    id: str
    name: str
    project: str
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


ENDED_ON_REQUEST = (0, 143)
"""Exit statuses of a vLLM that was told to end: its own, and SIGTERM's."""

EVENTS = ("start", "kill", "oom", "health_status", "die")
"""The ones that :class:`Ended` reads."""


class Ended:
    """
    Reads a container's events, in their order, for how it ended.

    ``died_s`` is when it died, Unix time; ``before_s`` when it had ended the time
    before, ``None`` when it had not.
    """

    def __init__(self) -> None:
        self.known = False
        self.death: Death | None = None
        self.died_s = 0.0
        self.before_s: float | None = None
        self._asked_to = self._oom = False
        self._ended_s: float | None = None

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
                ended_s = event["timeNano"] / 1e9
                if not self._asked_to:
                    code = int(event["Actor"]["Attributes"]["exitCode"])
                    self.death = Death(code, oom_killed=self._oom)
                    self.died_s, self.before_s = ended_s, self._ended_s
                self._ended_s = ended_s


def death_of(container: Container, ended: Ended) -> Death | None:
    """
    Say how a container ended by itself.

    The daemon remembers a few minutes of events; before that its exit status
    has to do, which does not tell who asked for the end.
    """
    if ended.known or container.state != "exited":
        return ended.death
    asked_for = container.exit_code in ENDED_ON_REQUEST
    return None if asked_for else Death(container.exit_code, oom_killed=container.oom_killed)


def read_listed(short: Mapping[str, Any]) -> Listed:
    """Read an entry of ``docker ps``."""
    labels = short["Labels"]
    return Listed(
        id=short["Id"],
        name=short["Names"][0].lstrip("/"),
        project=labels[PROJECT],
        project_dir=Path(labels[FOLDER]),
        state=short["State"],
    )


def read_container(details: Mapping[str, Any]) -> Container:
    """Read what ``docker inspect`` says."""
    labels, state, config = details["Config"]["Labels"], details["State"], details["Config"]
    health = state.get("Health")
    checks = (health or {}).get("Log") or ()
    return Container(
        id=details["Id"],
        name=details["Name"].lstrip("/"),
        project=labels.get(PROJECT, ""),
        service=labels.get(SERVICE, ""),
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
        for binding in (ports or {}).get(f"{VLLM_PORT}/tcp") or ():
            if binding["HostPort"]:
                return int(binding["HostPort"])
    return None


def read_usage(stats: Mapping[str, Any]) -> Usage | None:
    """Read what ``docker stats`` says; ``None`` of one that does not run."""
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
