"""
vLLM in a container, as ``docker-compose.yml`` describes it.

``docker compose`` starts and stops, with the file, ``.env`` and overrides that
the reader has; Docker is asked what became of it. The container is found by
the folder that its labels name, whoever started it: this kernel, another
one, or somebody in a shell. A container of another folder is never touched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path

from ..errors import WorkbenchError
from ..filelock import only_one
from ..hubfiles import is_hub_name
from ..records import Death, Progress, ServerStatus
from ..secretfile import api_key
from . import compose_refusals as refusals
from . import gpu, profiles, variables
from .base import Recipe
from .compose_cli import CommandFailedError, ComposeCli, ServiceConfig
from .compose_status import BACKEND
from .containers import Docker
from .docker_facts import Container
from .hub_download import HubDownload
from .own_container import OwnContainer
from .pull import pull
from .variables import CameWith, Wanted

logger = logging.getLogger(__name__)


class ComposeServer:
    """
    The vLLM in this folder's container.

    Args:
        folder: Where ``docker-compose.yml`` is.

        profile: The service to run; ``None`` takes the one that suits the machine.

        want: Says, for a profile, what is wanted besides ``.env``.

        came_with: Tells what a container has of its model's own; another model does not keep it.

        given: The variables that the environment or ``.env`` sets. Of what
            neither they nor anybody asks for, a container that runs keeps its own.

        port: Where it listens unless a container says otherwise.

        key: The key to start it with; ``None`` makes one for this folder.

        hub_token: For asking the hub how large a model is.
    """

    backend = BACKEND
    outlasts_waiting = True

    def __init__(
        self,
        folder: Path,
        *,
        profile: str | None,
        want: Callable[[str], Wanted],
        came_with: CameWith,
        given: Collection[str],
        port: int,
        key: str | None,
        hub_token: str | None,
        state_dir: Path,
        docker: Docker | None = None,
    ) -> None:
        self.folder = folder
        self.wanted_profile = profile
        self.want = want
        self.came_with = came_with
        self.given = frozenset(given)
        self.port = port
        self.state_dir = state_dir
        self._key = key
        self._hub_token = hub_token
        self._docker = docker or Docker()
        # A service of the reader's own can be ours, too.
        self._services = {*profiles.PROFILES, *filter(None, [profile])}
        self._own = OwnContainer(self._docker, folder, services=self._services, port=port)
        self._last: Container | None = None
        self._download: HubDownload | None = None
        self._start: tuple[str, datetime | None] | None = None

    @property
    def base_url(self) -> str:
        """Where the running server is, or the next one will be."""
        return self._own.url(self._own.lately())

    @property
    def api_key(self) -> str | None:
        """The key that the container asks for; before there is one, the key that it will get."""
        container = self._own.lately()
        return container.api_key if container else self._next_key()

    @property
    def kind(self) -> str:
        """What makes two boots comparable; see :class:`~workbench.servers.base.Server`."""
        config = self._cli(self._own.found()).config()
        return f"compose {config.image} {variables.model(config.command)}"

    @property
    def instance(self) -> object | None:
        """
        Tell this start of the server from every other one; ``None`` when none runs.

        One by Docker, after a death, counts as the start before it: Docker counts
        these, from zero since somebody's last.
        """
        container = self._own.found()
        if container is None or not container.runs:
            return None
        seen = self._start is not None and self._start[0] == container.id
        if not (seen and container.restarts):
            self._start = container.id, container.started_at
        return self._start

    def container(self) -> Container | None:
        """
        Find this folder's container; see :meth:`.own_container.OwnContainer.find`.

        Raises:
            BackendUnavailableError: Docker does not answer.
        """
        return self._own.find()

    def status(self) -> ServerStatus:
        """Look at it; see :class:`~workbench.servers.base.Server`."""
        return self._own.status()

    def death(self) -> Death | None:
        """Say how its process last ended by itself; see :meth:`.containers.Docker.death`."""
        return self._own.death()

    def log(self, *, follow: bool = False) -> Iterator[str]:
        """Yield the lines of the last start; see :class:`~workbench.servers.base.Server`."""
        return self._own.log(follow=follow)

    def obstacle(self) -> str | None:
        """
        Say what keeps the container from being started at once, in a sentence.

        ``None``: nothing does. An image that would have to be pulled first is an
        obstacle here, and none for :meth:`prepare`.
        """
        try:
            config = self._cli(self.container()).config()
            refusals.check_needs(config, self._docker)
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
        refusals.check_needs(config, self._docker)
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
                refusals.check_goes_on(container)
                refusals.check_same(self._differing(container, cli, config))
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
        refusals.check_name_is_free(
            config.project, self.folder, services=self._services, docker=self._docker
        )
        self._download = None
        self._own.forget()
        try:
            cli.up()
        except CommandFailedError as exc:
            self._remove_unstarted(cli)
            raise refusals.not_started(exc.lines, config, self._docker) from exc

    def stop(self) -> bool:
        """Remove the container; the models and the compile cache stay."""
        with only_one(self._lock_file):
            self._last = container = self.container()
            if container is None:
                return False
            try:
                self._cli_of(container).down()
            except CommandFailedError as exc:
                raise refusals.not_stopped(" ".join(exc.lines[-1:])) from exc
            if self._docker.inspect(container.id):
                raise refusals.not_stopped(f"{container.name} is still there.")
            return container.runs

    def give_up(self) -> None:
        """End a boot that failed; the container stays, for its log and its exit status."""
        container = self.container()
        if container and container.runs:
            try:
                self._cli_of(container).kill()
            except CommandFailedError as exc:
                raise refusals.not_stopped(" ".join(exc.lines[-1:])) from exc

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

    def _open_download(self) -> HubDownload | None:
        container, models = self._own.found(), self.folder / "models"
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
            kept = variables.kept(before.argv, wanted.asked, self.came_with)
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
        self._own.forget()
        return ComposeCli(
            self.folder, profile=container.service, environment={}, project=container.project
        )

    def _differing(self, container: Container, cli: ComposeCli, config: ServiceConfig) -> list[str]:
        """Say in what a container is not the one asked for."""
        explicit = self.given | self.want(cli.profile).asked.keys()
        return refusals.differing(container, config, profile=cli.profile, explicit=explicit)

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
