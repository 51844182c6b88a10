"""
A server that somebody else runs: attached to, never started, never stopped.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import ServerStateError, ServerUnreachableError
from ..records import ServerState, ServerStatus
from . import base


class RemoteServer:
    """
    A URL with an OpenAI-compatible API behind it.

    Args:
        base_url: With ``/v1``.

        api_key: Sent as a bearer token, or ``None``.
    """

    backend = "remote"

    def __init__(self, base_url: str, *, api_key: str | None = None) -> None:
        self.base_url = base_url
        self.api_key = api_key

    def status(self) -> ServerStatus:
        """Look at it; a 401 on ``/v1/models`` is a detail, not a failure."""
        root = base.root_url(self.base_url)
        listing = base.ask(f"{self.base_url}/models", api_key=self.api_key)
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

    def start(self) -> bool:
        """Check that it answers; there is nothing to start."""
        listing = base.ask(f"{self.base_url}/models", api_key=self.api_key)
        if listing.status == 200:
            return False
        raise ServerUnreachableError(
            f"The remote server at {self.base_url} does not list its models: {_detail(listing)}.",
            hint="Check WORKBENCH_BASE_URL and WORKBENCH_API_KEY, "
            "or start one here: workbench up --backend embedded",
            base_url=self.base_url,
        )

    def stop(self) -> bool:
        """
        Refuse: it belongs to somebody else.

        Raises:
            ServerStateError: Always.
        """
        raise ServerStateError(
            f"The server at {self.base_url} is run by somebody else; the workbench never stops it.",
            hint="Stop it where it was started.",
            server=self.backend,
            state="ready",
        )

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


def _detail(listing: base.Answer) -> str | None:
    if listing.status == 200:
        return None
    if listing.status in (401, 403):
        return f"it answers {listing.status}: the API key is missing or wrong"
    if listing.status:
        return f"/models answers HTTP {listing.status}"
    return listing.error
