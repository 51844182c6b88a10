"""
A server that somebody else runs: attached to, never started, never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..errors import (
    AuthenticationError,
    ModelNotServedError,
    ServerStateError,
    ServerUnreachableError,
)
from ..records import Death, Progress, ServerState, ServerStatus
from ..urls import root_url
from . import base
from .base import Recipe

REMOTE_TIMEOUT_S = 5.0
"""A name to look up, TLS and a VPN take longer than this machine's own loopback."""


class RemoteServer:
    """
    A URL with an OpenAI-compatible API behind it.

    Args:
        base_url: With ``/v1``.

        api_key: Sent as a bearer token, or ``None``.

        model: The served model name that is wanted; ``None`` takes what is there.
    """

    backend = "remote"
    instance = None
    outlasts_waiting = True

    def __init__(
        self, base_url: str, *, api_key: str | None = None, model: str | None = None
    ) -> None:
        self.base_url = base_url
        self.api_key = api_key
        self.model = model

    @property
    def kind(self) -> str:
        """What makes two boots comparable; a remote server is never booted."""
        return f"remote {self.base_url}"

    def status(self) -> ServerStatus:
        """Look at it; a server that wants another key is up, and its detail says so."""
        root = root_url(self.base_url)
        listing = self._listing()
        healthy = listing.status == 200 or base.ask(f"{root}/health").status == 200
        return ServerStatus(
            backend=self.backend,
            state=ServerState.READY if listing.status == 200 else ServerState.STOPPED,
            base_url=self.base_url,
            healthy=healthy,
            models=base.served_models(listing),
            version=base.version(root, self.api_key) if healthy else None,
            detail=_detail(listing),
        )

    def prepare(self, on_progress: Callable[[Progress], None]) -> None:
        """Nothing has to be fetched for a server that runs elsewhere."""

    def start(self) -> bool:
        """
        Check that it answers and serves what is wanted; there is nothing to start.

        Raises:
            AuthenticationError: It wants another key.

            ModelNotServedError: It does not serve the wanted model.

            ServerUnreachableError: It does not answer.
        """
        listing = self._listing()
        facts = {"base_url": self.base_url}
        if listing.status in (401, 403):
            raise AuthenticationError(
                f"The remote server at {self.base_url} refuses the API key ({listing.status}).",
                hint="Set WORKBENCH_API_KEY to the key of that server.",
                status_code=listing.status,
                **facts,
            )
        if listing.status != 200:
            raise ServerUnreachableError(
                f"The remote server at {self.base_url} does not list its models: "
                f"{_detail(listing)}.",
                hint="Check WORKBENCH_BASE_URL, or start one here: workbench up --backend embedded",
                **facts,
            )
        served = tuple(model.name for model in base.served_models(listing))
        if self.model and self.model not in served:
            raise ModelNotServedError(
                f"The remote server at {self.base_url} does not serve {self.model!r}. "
                f"It serves: {', '.join(served)}.",
                hint="Name one of these: WORKBENCH_MODEL, or --model.",
                status_code=404,
                requested=self.model,
                served=served,
                **facts,
            )
        return False

    def is_as_asked(self) -> bool:
        """Nothing is chosen here: what is there is what is asked for."""
        return True

    def would_run(self) -> tuple[str, ...]:
        """Nothing is started here."""
        return ()

    def recipe(self) -> Recipe | None:
        """It is not ours to start."""
        return None

    def replace(self, recipe: Recipe | None = None) -> bool:
        """
        Refuse: it belongs to somebody else.

        Raises:
            ServerStateError: Always.
        """
        raise self._not_ours()

    def stop(self) -> bool:
        """
        Refuse: it belongs to somebody else.

        Raises:
            ServerStateError: Always.
        """
        raise self._not_ours()

    def give_up(self) -> None:
        """Leave it alone: it was not started here."""

    def death(self) -> Death | None:
        """Nobody here is told."""
        return None

    def downloaded(self) -> Progress | None:
        """Nobody here is told."""
        return None

    def log(self, *, follow: bool = False) -> Iterator[str]:
        """
        Refuse: a remote server's log is on its own machine.

        Raises:
            ServerStateError: Always.
        """
        raise ServerStateError(
            f"The log of {self.base_url} is on its own machine.",
            hint="Ask whoever runs it.",
            server=self.backend,
            state="ready",
        )

    def _not_ours(self) -> ServerStateError:
        return ServerStateError(
            f"The server at {self.base_url} is run by somebody else; the workbench never stops it.",
            hint="Stop it where it was started.",
            server=self.backend,
            state="ready",
        )

    def _listing(self) -> base.Answer:
        return base.ask(f"{self.base_url}/models", api_key=self.api_key, timeout_s=REMOTE_TIMEOUT_S)


def _detail(listing: base.Answer) -> str | None:
    if listing.status == 200:
        return None
    if listing.status in (401, 403):
        return f"it answers {listing.status}: the API key is missing or wrong"
    if listing.status:
        return f"/models answers HTTP {listing.status}"
    return listing.error
