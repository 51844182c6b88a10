"""
What can be said about a server and its start.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal


class ServerState(StrEnum):
    """Where a server is: ``stopped → starting → ready → stopping → stopped``; or failed."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A line of ``/v1/models``."""

    name: str
    root: str | None = None
    max_model_len: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStatus:
    """
    The container that a server runs in.

    Args:
        profile: The service of the compose file, which is also the profile's name.

        health: What Docker's health check says: ``starting``, ``healthy``, ``unhealthy``.

        image_digest: The id of the image that it was made from, ``sha256:…``.

        restarts: How often Docker started it again after it had died.

        cpu_percent: Of one core: 200 are two cores at work.

        memory_bytes: Without the page cache; ``memory_limit_bytes`` is the
            machine's memory if the container has no limit of its own.
    """

    name: str
    profile: str
    image: str
    image_digest: str
    health: str | None = None
    restarts: int = 0
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuStatus:
    """What a GPU of this machine has in use, by all programs together."""

    name: str
    memory_used_bytes: int
    memory_total_bytes: int
    busy_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """
    What can be said about a server now. Made without raising, whatever its state.

    Args:
        healthy: ``/health`` answered 200 just now.

        pids: The server's own processes on this machine; empty for a remote
            one and for one in a container.

        rss_bytes: Their resident memory, summed.

        detail: A sentence for the states that need one (why failed, who holds the port).

        container: For a server in a container.

        gpus: For a server that may use them; empty where they cannot be asked,
            as AMD's under WSL.
    """

    backend: str
    state: ServerState
    base_url: str
    healthy: bool = False
    models: tuple[ServedModel, ...] = ()
    version: str | None = None
    started_at: datetime | None = None
    pids: tuple[int, ...] = ()
    rss_bytes: int | None = None
    log_path: Path | None = None
    detail: str | None = None
    container: ContainerStatus | None = None
    gpus: tuple[GpuStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class Death:
    """
    How a server's first process ended.

    Args:
        exit_code: As its parent was told: Python writes a signal as a negative
            number, Docker as 128 and the number.

        oom_killed: The kernel ended it because its container's memory was used up.
    """

    exit_code: int
    oom_killed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """
    Why a server did not start, or ended.

    Args:
        id: Of the fingerprint that was found, in kebab-case; stable.

        cause: A sentence, with the numbers that the log has.

        line: The decisive line of the log, without its prefixes; ``None`` when
            only the exit status says it.

        fix: The next thing to try.

        source: Where the text is known from.

        setting: A setting of the workbench that mends it, and its value.
    """

    id: str
    cause: str
    line: str | None
    fix: str
    source: str | None = None
    setting: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BootPhase:
    """
    A stretch of a server's start.

    Args:
        began_s: Seconds after the start of the boot.

        ended_s: Likewise; ``None`` while it goes on.
    """

    name: str
    began_s: float
    ended_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """
    How far long work is, for whoever draws it.

    Args:
        label: What is being done now, in the words of a person.

        total: ``None`` when nobody knows.

        eta_s: Seconds to the end, learnt from earlier times; ``None`` the first time.

        fraction: How much of *label* alone is done, where that is known.

        phases: For a boot, what is behind it and what it is in.

        detail: Figures that change all the time, beside the label.
    """

    label: str
    done: float
    total: float | None
    unit: Literal["bytes", "packages", "requests", "checks", "files", "s"]
    eta_s: float | None = None
    fraction: float | None = None
    phases: tuple[BootPhase, ...] = ()
    detail: str | None = None
