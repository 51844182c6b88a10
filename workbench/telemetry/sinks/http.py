"""
Sink ``http``: POSTs batches as JSON to ``LOGGING_ENDPOINT``.

::

    {
        "schema": "vllm-workbench/telemetry/1",
        "records": [{"id": "…", "schema_version": 1, "timestamp": "…", "status": "ok", …}]
    }

vLLM's own log goes to the same address from the container
(``container/ship_logs.py``), as an array. So an object with ``schema`` is
records, and an array is log lines. Any status from 200 to 299 says that all
were taken. A record may come twice, with the same ``id``.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...settings import Settings
from ..record import TelemetryRecord
from .base import Sink
from .document import SCHEMA, compact, document_of
from .endpoint import TIMEOUT_S, Endpoint

NAME = "http"


def is_on(settings: Settings) -> bool:
    """Tell whether a setting asks for it."""
    return settings.logging_endpoint is not None


def open_sink(settings: Settings) -> Sink:
    """
    Make the sink that the settings describe; nothing is sent yet.

    Raises:
        ConfigError: The address is none.
    """
    assert settings.logging_endpoint is not None  # is_on
    token = settings.logging_endpoint_token
    return HttpSink(
        settings.logging_endpoint.reveal(), token=token.reveal() if token is not None else None
    )


class HttpSink:
    """
    Sends JSON to *url*.

    Args:
        token: Sent as a bearer token.

        timeout_s: For connecting, and for each wait for bytes.
    """

    name = NAME
    max_batch = 200

    def __init__(self, url: str, *, token: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._endpoint = Endpoint(
            NAME, url, key="LOGGING_ENDPOINT", headers=headers, timeout_s=timeout_s
        )

    def send(self, records: Sequence[TelemetryRecord]) -> None:
        """Send as one batch."""
        batch = {"schema": SCHEMA, "records": [document_of(record) for record in records]}
        self._endpoint.post(compact(batch), "application/json")

    def close(self) -> None:
        """Do nothing: no connection outlives its request."""
