"""
The ``docker compose`` command: what people type is what is run, in the project's folder.

The file, ``.env``, overrides and profiles are read by Compose itself, so that
a container started from here is the one that the same words start in a shell.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BackendUnavailableError, ConfigError
from .docker_facts import VLLM_PORT

FILE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")


NO_COMMAND = "There is no docker command on this machine."

NO_COMPOSE = ("is not a docker command", "unknown command: docker compose", "unknown flag: --ansi")
"""What a docker command without the plugin says, in its versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """
    One service, as Compose makes it of file, overrides and variables.

    Args:
        project: The name that Compose gives everything of this folder.

        port: Where it is published on this machine; 0 for any free one.

        needs: Paths of this machine that must exist: devices, and what is
            mounted without being made.
    """

    project: str
    image: str
    command: tuple[str, ...]
    port: int | None
    needs: tuple[str, ...]


def docker_command() -> str | None:
    """Find the ``docker`` command; a daemon may run without one."""
    return shutil.which("docker")


class CommandFailedError(Exception):
    """``docker compose`` ended with an error; *lines* are what it printed."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.lines = tuple(line for line in said.splitlines() if line.strip())


class ComposeCli:
    """
    ``docker compose`` in one project folder.

    Args:
        environment: Variables on top of this process's own; they win over ``.env``.

        project: The name that the containers to be ended were made under;
            ``None`` takes the one that the folder has by now.
    """

    def __init__(
        self,
        folder: Path,
        *,
        profile: str,
        environment: Mapping[str, str],
        project: str | None = None,
    ) -> None:
        self.folder = folder
        self.profile = profile
        self.environment = environment
        self.project = project

    def config(self) -> ServiceConfig:
        """
        Ask what would run.

        Raises:
            BackendUnavailableError: There is no Docker, or one without Compose.

            ConfigError: There is no compose file, it is wrong, or it has no such profile.
        """
        self._check_file()
        try:
            whole = json.loads(self._run("config", "--format", "json"))
            if self.profile not in whole.get("services", {}):
                raise self._no_such_service()
        except CommandFailedError as exc:
            raise ConfigError(
                f"docker compose refuses the compose file in {self.folder}: {_last(exc.lines)}",
                hint="What is wrong with it: workbench doctor",
                key="compose file",
                source=str(self.folder),
            ) from exc
        return _service(whole["name"], whole["services"][self.profile])

    def up(self) -> None:
        """
        Create and start the service's container, and return when its process runs.

        Raises:
            CommandFailedError: It could not be created or started.
        """
        self._run("up", "--detach", "--no-build", self.profile)

    def kill(self) -> None:
        """End the service's container at once and keep it, with its log and its exit status."""
        self._run("kill", self.profile)

    def remove(self) -> None:
        """Remove the service's container, which must not run any more."""
        self._run("rm", "--force", "--stop", self.profile)

    def down(self) -> None:
        """Stop and remove the service's container, and the network if nobody else has it."""
        self._run("down", self.profile)

    def _no_such_service(self) -> ConfigError:
        known = ", ".join(self._run("config", "--services", profile="*").split()) or "none"
        return ConfigError(
            f"The compose file has no service {self.profile!r}; it has: {known}.",
            hint="Choose one of them: --profile, or WORKBENCH_PROFILE in .env.",
            key="profile",
            source=str(self.folder),
        )

    def _check_file(self) -> None:
        if not any((self.folder / name).exists() for name in FILE_NAMES):
            raise ConfigError(
                f"There is no docker-compose.yml in {self.folder}.",
                hint="Run it in a clone of the project, or name its folder: WORKBENCH_HOME=/path.",
                key="compose file",
                source=str(self.folder),
            )

    def _run(self, *words: str, profile: str | None = None) -> str:
        """Run it and return what it printed on stdout."""
        docker = docker_command()
        if docker is None:
            raise _missing(NO_COMMAND)
        named = ["--project-name", self.project] if self.project else []
        options = ["--ansi", "never", *named, "--profile", profile or self.profile]
        argv = [docker, "compose", *options, *words]
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if any(text in done.stderr for text in NO_COMPOSE):
            raise _missing("This Docker has no `docker compose` (version 2).")
        if done.returncode:
            raise CommandFailedError(done.stderr)
        return done.stdout


def _service(project: str, service: Mapping[str, Any]) -> ServiceConfig:
    mounts = service.get("volumes") or ()
    needs = [
        mount["source"]
        for mount in mounts
        if mount["type"] == "bind" and not (mount.get("bind") or {}).get("create_host_path")
    ]
    # Compose 2.26 writes a device as a mapping, earlier ones as "source:target".
    devices = [
        device["source"] if isinstance(device, Mapping) else device.split(":")[0]
        for device in service.get("devices") or ()
    ]
    return ServiceConfig(
        project=project,
        image=service["image"],
        command=tuple(service.get("command") or ()),
        port=_published(service.get("ports") or ()),
        needs=(*devices, *needs),
    )


def _published(ports: Sequence[Mapping[str, Any]]) -> int | None:
    """Return where vLLM's port is published; that is the first where none has its number."""
    if not ports:
        return None
    ours = [entry for entry in ports if entry.get("target") == VLLM_PORT]
    published = str([*ours, *ports][0].get("published"))
    return int(published) if published.isdigit() else None


def _last(lines: tuple[str, ...]) -> str:
    return lines[-1] if lines else "it says nothing"


def _missing(what: str) -> BackendUnavailableError:
    return BackendUnavailableError(
        what,
        hint="Install Docker Engine with Compose in Ubuntu (https://docs.docker.com/engine/install/"
        "ubuntu/), or use the embedded server: workbench up --backend embedded",
        server="compose",
        state="stopped",
    )
