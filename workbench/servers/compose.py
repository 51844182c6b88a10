"""
vLLM in a container, as ``docker-compose.yml`` describes it.

``docker compose`` starts and stops, with the file, ``.env`` and overrides that
the reader has; Docker is asked what became of it. The container is found by
the folder that its labels name, whoever started it: this kernel, another
one, or somebody in a shell. A container of another folder is never touched.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path

from ..errors import ServerError, ServerStartError, ServerStateError, WorkbenchError
from ..failures import diagnose
from ..filelock import only_one
from ..hubfiles import is_hub_name
from ..records import Death, Diagnosis, Progress, ServerState, ServerStatus
from ..secretfile import api_key
from . import container_log, gpu, profiles, variables
from .base import Recipe
from .compose_cli import NO_COMMAND, CommandFailedError, ComposeCli, ServiceConfig, docker_command
from .compose_status import Watch, paused
from .containers import Docker
from .docker_facts import Container
from .hub_download import HubDownload
from .processes import port_owner
from .pull import pull
from .variables import Wanted

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"

CHOSEN_AT_START = "chosen at start"
"""What a status has for the address of a server that is to take any free port."""

LOG_TAIL_LINES = 2000
"""Enough of a dead container's log to hold its cause; what follows the cause are tracebacks."""

END_SEEN_S = 2.0
END_POLL_S = 0.02

LATELY_S = 1.0
"""How long an address is believed: every request asks for it, and Docker takes milliseconds."""


class ComposeServer:
    """
    The vLLM in this folder's container.

    Args:
        folder: Where ``docker-compose.yml`` is.

        profile: The service to run; ``None`` takes the one that suits the machine.

        want: Says, for a profile, what is wanted besides ``.env``.

        given: The variables that the environment or ``.env`` sets. Of what
            neither they nor anybody asks for, a container that runs keeps its own.

        port: Where it listens unless a container says otherwise.

        key: The key to start it with; ``None`` makes one for this folder.

        hub_token: For asking the hub how large a model is.
    """

    backend = "compose"
    outlasts_waiting = True

    def __init__(
        self,
        folder: Path,
        *,
        profile: str | None,
        want: Callable[[str], Wanted],
        given: Collection[str],
        port: int,
        key: str | None,
        hub_token: str | None,
        state_dir: Path,
    ) -> None:
        self.folder = folder
        self.wanted_profile = profile
        self.want = want
        self.given = frozenset(given)
        self.port = port
        self.state_dir = state_dir
        self._key = key
        self._hub_token = hub_token
        self._docker = Docker()
        self._watch = Watch(self._docker)
        self._last: Container | None = None
        self._seen: tuple[float, Container | None] | None = None
        self._download: HubDownload | None = None
        self._start: tuple[str, datetime | None] | None = None

    @property
    def base_url(self) -> str:
        """Where the running server is, or the next one will be."""
        return self._url(self._lately())

    @property
    def api_key(self) -> str | None:
        """The key that the container asks for; before there is one, the key that it will get."""
        container = self._lately()
        return container.api_key if container else self._next_key()

    @property
    def kind(self) -> str:
        """What makes two boots comparable; see :class:`~workbench.servers.base.Server`."""
        config = self._cli(self._found()).config()
        return f"compose {config.image} {variables.model(config.command)}"

    @property
    def instance(self) -> object | None:
        """
        Tell this start of the server from every other one; ``None`` when none runs.

        One by Docker, after a death, counts as the start before it: Docker counts
        these, from zero since somebody's last.
        """
        container = self._found()
        if container is None or not container.runs:
            return None
        seen = self._start is not None and self._start[0] == container.id
        if not (seen and container.restarts):
            self._start = container.id, container.started_at
        return self._start

    def container(self) -> Container | None:
        """
        Find this folder's container: the one that runs, else the latest.

        Raises:
            BackendUnavailableError: Docker does not answer.
        """
        mine = self._docker.containers(self._services, folder=self.folder)
        return next((each for each in mine if each.runs), mine[0] if mine else None)

    def status(self) -> ServerStatus:
        """Look at the container first, and ask over HTTP only when there is a process in it."""
        try:
            return self._look()
        except WorkbenchError as exc:
            return self._stopped(detail=exc.message)

    def _look(self) -> ServerStatus:
        container = self.container()
        if container is None:
            return self._stopped(detail=None if docker_command() else NO_COMMAND)
        if container.state in ("running", "paused"):
            return self._watch.running(container, self._url(container))
        death = self._docker.death(container)
        why = self._why(container, death)
        return self._watch.dead(container, self._shown_url(container), death=death, why=why)

    def obstacle(self) -> str | None:
        """
        Say what keeps the container from being started at once, in a sentence.

        ``None``: nothing does. An image that would have to be pulled first is an
        obstacle here, and none for :meth:`prepare`.
        """
        try:
            config = self._cli(self.container()).config()
            self._check_needs(config)
            pulled = self._docker.has_image(config.image)
        except WorkbenchError as exc:
            return exc.message
        return None if pulled else f"The image {config.image} is not on this machine yet."

    def prepare(self, on_progress: Callable[[Progress], None]) -> None:
        """
        Check the file, the daemon and what is mounted, and pull the image if it is missing.

        Raises:
            BackendUnavailableError: There is no Docker, or it does not answer.

            ConfigError: The compose file cannot be used.

            ServerStartError: Something to mount is missing, or the image cannot be pulled.
        """
        config = self._cli(self.container()).config()
        self._check_needs(config)
        if not self._docker.has_image(config.image):
            pull(self._docker, config.image, on_progress)

    def start(self) -> bool:
        """
        Create and start the container; see :class:`~workbench.servers.base.Server`.

        Raises:
            ServerStartError: Docker could not create or start it.

            ServerStateError: One runs that is not the one asked for, or
                another folder has the same project name.
        """
        with only_one(self._lock_file):
            container = self.container()
            cli = self._cli(container)
            config = cli.config()
            if container and container.runs:
                self._check_goes_on(container)
                self._check_same(container, cli, config)
                return False
            self._create(cli, config)
            return True

    def is_as_asked(self) -> bool:
        """Whether one runs, and is the one that the settings mean."""
        container = self.container()
        if container is None or container.state != "running":
            return False
        cli = self._cli(container)
        return not self._differing(container, cli, cli.config())

    def would_run(self) -> tuple[str, ...]:
        """Ask Compose which command the container would get."""
        return self._cli(self.container()).config().command

    def recipe(self) -> Recipe | None:
        """Say what runs, so that it can be started again; see ``servers.base.Server``."""
        container = self.container()
        if container is None or not container.runs:
            return None
        found = variables.of_command(container.argv) | {"WORKBENCH_IMAGE": container.image}
        if container.host_port:
            found["WORKBENCH_PORT"] = str(container.host_port)
        return {
            "profile": container.service,
            "variables": found,
            "asks_for_key": container.api_key is not None,
        }

    def replace(self, recipe: Recipe | None = None) -> bool:
        """Create another in the place of what runs; see :class:`.base.Server`."""
        container = self.container()
        on_gpu = container is not None and container.service != "cpu"
        before = gpu.used_bytes() if on_gpu else None
        self.stop()
        gpu.wait_released(before)
        if recipe is None:
            return self.start()
        with only_one(self._lock_file):
            profile = recipe["profile"]
            environment = profiles.told_for(profile) | recipe["variables"]
            environment["VLLM_API_KEY"] = self._next_key() if recipe["asks_for_key"] else ""
            cli = ComposeCli(self.folder, profile=profile, environment=environment)
            self._create(cli, cli.config())
            return True

    def _create(self, cli: ComposeCli, config: ServiceConfig) -> None:
        self._check_name_is_free(config.project)
        self._download = self._seen = None
        try:
            cli.up()
        except CommandFailedError as exc:
            self._remove_unstarted(cli)
            raise self._not_started(exc.lines, config) from exc

    def stop(self) -> bool:
        """Remove the container; the models and the compile cache stay."""
        with only_one(self._lock_file):
            self._last = container = self.container()
            if container is None:
                return False
            try:
                self._cli_of(container).down()
            except CommandFailedError as exc:
                raise self._not_stopped(" ".join(exc.lines[-1:])) from exc
            if self._docker.inspect(container.id):
                raise self._not_stopped(f"{container.name} is still there.")
            return container.runs

    def give_up(self) -> None:
        """End a boot that failed; the container stays, for its log and its exit status."""
        container = self.container()
        if container and container.runs:
            try:
                self._cli_of(container).kill()
            except CommandFailedError as exc:
                raise self._not_stopped(" ".join(exc.lines[-1:])) from exc

    def death(self) -> Death | None:
        """Say how its process last ended by itself; see :meth:`.containers.Docker.death`."""
        container = self.container()
        return self._docker.death(container) if container else None

    def log(self, *, follow: bool = False) -> Iterator[str]:
        """Yield the lines of the last start; see :class:`~workbench.servers.base.Server`."""
        container = self.container()
        if container is None:
            raise ServerStateError(
                f"There is no container of {self.folder}, so there is no log.",
                hint="Start one: workbench up --backend compose",
                server=self.backend,
                state=ServerState.STOPPED,
            )
        yield from container_log.lines(self._docker.log(container, follow=follow))
        if follow:
            self._wait_for_end(container)

    def downloaded(self) -> Progress | None:
        """Say how much of the model has come from the hub; ``None`` when it is a local folder."""
        if self._download is None:
            self._download = self._open_download()
        if self._download is None:
            return None
        return Progress(
            label="download",
            done=self._download.done_bytes(),
            total=self._download.total_bytes(),
            unit="bytes",
        )

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

    def _open_download(self) -> HubDownload | None:
        container, models = self._found(), self.folder / "models"
        model = variables.model(container.argv) if container else None
        if not container or not model or not is_hub_name(model) or (models / model).exists():
            return None
        return HubDownload(
            models / "hf",
            model,
            revision=variables.of_command(container.argv).get("WORKBENCH_REVISION", "main"),
            endpoint=container.environment.get("HF_ENDPOINT") or "https://huggingface.co",
            token=self._hub_token,
        )

    def _found(self) -> Container | None:
        """Find the container; behind a Docker that does not answer there is none."""
        try:
            return self.container()
        except WorkbenchError:
            return None

    def _lately(self) -> Container | None:
        """Find the container, or believe what was found a moment ago."""
        now_s = time.monotonic()
        if self._seen is None or now_s - self._seen[0] > LATELY_S:
            self._seen = now_s, self._found()
        return self._seen[1]

    def _url(self, container: Container | None) -> str:
        port = container.host_port if container and container.host_port else self.port
        return f"http://{HOST}:{port}/v1"

    def _shown_url(self, container: Container | None) -> str:
        """Say where one that does not run will be; before it does, port 0 is no address."""
        asked = container.host_port if container else None
        return self._url(container) if asked or self.port else CHOSEN_AT_START

    @property
    def _services(self) -> set[str]:
        """The services that can be ours: the project's, and one of the reader's own."""
        return {*profiles.PROFILES, *filter(None, [self.wanted_profile])}

    @property
    def _lock_file(self) -> Path:
        return self.state_dir / "compose.lock"

    def _next_key(self) -> str:
        return self._key or api_key(self.state_dir)

    def _cli(self, container: Container | None) -> ComposeCli:
        """
        Make the command: with what was asked for, else what runs or ran last, else the file's own.
        """
        container = container if container and container.runs else None
        profile = self.wanted_profile or (container and container.service)
        profile = profile or profiles.choose().profile
        wanted, kept = self.want(profile), {}
        before = container or self._last
        if before and before.service == profile:
            kept = variables.kept(before.argv, wanted.asked)
            kept |= {"WORKBENCH_PORT": str(before.host_port)} if before.host_port else {}
        unsaid = {**profiles.told_for(profile), **wanted.otherwise, **kept}
        environment = {name: unsaid[name] for name in unsaid.keys() - self.given}
        environment |= wanted.asked
        if before and before.host_port and not self.port:
            # Any free port will do, and the one that clients know is free for the next server.
            environment["WORKBENCH_PORT"] = str(before.host_port)
        environment["VLLM_API_KEY"] = (
            container.environment.get("VLLM_API_KEY", "") if container else self._next_key()
        )
        return ComposeCli(self.folder, profile=profile, environment=environment)

    def _cli_of(self, container: Container) -> ComposeCli:
        """Make the command that ends a container, whatever is wanted by now."""
        self._seen = None
        return ComposeCli(
            self.folder, profile=container.service, environment={}, project=container.project
        )

    def _check_needs(self, config: ServiceConfig) -> None:
        """Look for what is mounted, before 20 GB are pulled for nothing."""
        missing = [path for path in config.needs if not Path(path).exists()]
        if missing and self._docker.is_local():
            # In Docker's own words, so that one table has the answer.
            raise self._not_started([f"bind source path does not exist: {missing[0]}"], config)

    def _check_goes_on(self, container: Container) -> None:
        """Refuse to wait for one that somebody paused: it does nothing until it goes on."""
        if container.state == "paused":
            raise ServerStateError(
                f"The container {container.name} runs already: {paused(container)}",
                hint="Or start it anew: workbench restart",
                server=self.backend,
                state=ServerState.STARTING,
            )

    def _differing(self, container: Container, cli: ComposeCli, config: ServiceConfig) -> list[str]:
        """Say in what a container is not the one asked for; only that is compared."""
        explicit = self.given | self.want(cli.profile).asked.keys()
        runs, asked = variables.of_command(container.argv), variables.of_command(config.command)
        runs["WORKBENCH_IMAGE"], asked["WORKBENCH_IMAGE"] = container.image, config.image
        if config.port:
            runs["WORKBENCH_PORT"], asked["WORKBENCH_PORT"] = map(
                str, (container.host_port, config.port)
            )
        differing = [
            _difference(name, runs.get(name, "–"), asked[name])
            for name in sorted(explicit & asked.keys())
            if runs.get(name) != asked[name]
        ]
        if cli.profile != container.service:
            differing.insert(0, f"profile {container.service}, and {cli.profile} was asked for")
        return differing

    def _check_same(self, container: Container, cli: ComposeCli, config: ServiceConfig) -> None:
        """Refuse to pass one server off as another."""
        if differing := self._differing(container, cli, config):
            raise ServerStateError(
                f"A container runs with {'; '.join(differing)}.",
                hint="Change over with `workbench use MODEL`, or `workbench restart` and the same "
                "options, or stop it: workbench down",
                server=self.backend,
                state=ServerState.READY,
            )

    def _check_name_is_free(self, project: str) -> None:
        """Refuse another folder's name: Compose would take its container for ours."""
        for container in self._docker.listed(self._services):
            if container.project == project and container.project_dir.resolve() != self.folder:
                raise ServerStateError(
                    f"Another folder has containers under the project name {project!r}: "
                    f"{container.project_dir} ({container.name}, {container.state}).",
                    hint="Give this folder a name of its own, in .env: "
                    f"COMPOSE_PROJECT_NAME={project}-2",
                    server=self.backend,
                    state=ServerState.STOPPED,
                )

    def _remove_unstarted(self, cli: ComposeCli) -> None:
        """
        Clear away what was created and could not be started: the next try is a fresh one.

        Why it could not be started is being said; a failure here must not take its place.
        """
        try:
            container = self.container()
            if container and container.state == "created":
                cli.remove()
        except (CommandFailedError, WorkbenchError) as exc:
            logger.warning("What could not be started was not cleared away: %s", exc)

    def _why(self, container: Container, death: Death | None) -> Diagnosis | None:
        lines = self._docker.log_tail(container, LOG_TAIL_LINES)
        # The daemon's own word, when there was nothing to start.
        lines += [container.error] if container.error else []
        code, oom = (death.exit_code, death.oom_killed) if death else (None, False)
        return diagnose(lines, exit_code=code, oom_killed=oom)

    def _stopped(self, detail: str | None = None) -> ServerStatus:
        return ServerStatus(
            backend=self.backend,
            state=ServerState.STOPPED,
            base_url=self._shown_url(None),
            detail=detail,
        )

    def _not_started(self, lines: Collection[str], config: ServiceConfig) -> ServerStartError:
        said = [*lines]
        found = diagnose(said)
        cause = found.cause if found else "Docker could not start the container."
        if found and found.id == "port-in-use" and config.port:
            owner = self._owner_of(config.port)
            cause = f"Port {config.port} on {HOST} is taken{f' by {owner}' if owner else ''}."
        return ServerStartError(
            f'{cause}\nDocker says: "{said[-1].strip() if said else "nothing"}"',
            hint=found.fix if found else "What would run: docker compose config",
            server=self.backend,
            state=ServerState.STOPPED,
            log_tail=tuple(said),
            diagnosis=found,
        )

    def _owner_of(self, port: int) -> str | None:
        """Name who has a port; Docker not answering any more is no reason not to say the rest."""
        try:
            container = self._docker.owner_of_port(port)
        except WorkbenchError:
            container = None
        return container or port_owner(port)

    def _not_stopped(self, said: str) -> ServerError:
        return ServerError(
            f"docker compose could not stop the container: {said}",
            hint="See what is there: docker compose ps --all",
            server=self.backend,
            state=ServerState.READY,
        )


def _difference(name: str, runs: str, asked: str) -> str:
    """Say what of a variable differs; the extra arguments are not shown, a key may be in them."""
    if name == variables.EXTRA_ARGS:
        return "other extra arguments than were asked for"
    shown = name.removeprefix("WORKBENCH_").lower().replace("_", " ")
    return f"{shown} {runs}, and {asked} was asked for"
