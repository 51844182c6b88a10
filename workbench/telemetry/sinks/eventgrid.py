"""
Sink ``eventgrid``: a CloudEvent for each record, to an Azure Event Grid topic.

::

    {
        "specversion": "1.0",
        "id": "<the record's>",
        "type": "com.example.workbench.llm.request.completed.v1",
        "source": "/workbench/<host>",
        "subject": "sessions/<session>",
        "time": "…",
        "datacontenttype": "application/json",
        "traceparent": "00-…-…-01",
        "data": {…}
    }

The type ends with ``completed``, ``failed`` or ``interrupted``, and the version
of what ``data`` means. Event Grid delivers at least once, as this does: whoever
subscribes tells repeats by ``id``.

Source:
    CloudEvents 1.0.2 with its extension distributed-tracing; Event Grid's limits of 1 MB a
    request: https://learn.microsoft.com/azure/event-grid/quotas-limits
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ...settings import Settings
from ..record import TelemetryRecord
from . import azure_common
from .base import RefusedBatchError, Sink
from .document import compact, document_of
from .trace import traceparent

NAME = "eventgrid"
ENDPOINT = "AZURE_EVENTGRID_ENDPOINT"

MAX_BYTES = 900_000
"""Of a request, before Azure's library puts spaces into it; Event Grid takes 1 MB."""

ENDINGS = {"ok": "completed", "error": "failed", "interrupted": "interrupted"}

# The outbox waits and tries again; the library would do so ten times, for minutes. Its client
# takes no options, and its `send` takes these, but warns of each once an event.
ITS_WARNING = "is not a known attribute of class"
ITS_LOGGER = "azure.eventgrid._legacy._generated._serialization"
AT_ONCE = {
    "retry_total": 0,
    "permit_redirects": False,
    "connection_timeout": azure_common.CONNECT_S,
    "read_timeout": azure_common.ANSWER_S,
}


def is_on(settings: Settings) -> bool:
    """Tell whether a setting asks for it."""
    return settings.azure_eventgrid_endpoint is not None


def open_sink(settings: Settings) -> Sink:
    """
    Make the sink that the settings describe; nothing is sent yet.

    Raises:
        ConfigError: The address is none.
        MissingDependencyError: ``azure-eventgrid`` is not installed.
    """
    assert settings.azure_eventgrid_endpoint is not None  # is_on
    return EventGridSink(
        settings.azure_eventgrid_endpoint,
        key=azure_common.revealed(settings.azure_eventgrid_key),
        topic=settings.azure_eventgrid_topic,
        type_prefix=settings.azure_eventgrid_type_prefix,
    )


class EventGridSink:
    """
    Publishes to *endpoint*.

    Args:
        key: The topic's access key; ``None`` is whoever is signed in to Azure.

        topic: The topic of a namespace, if the endpoint is one.

        read_timeout_s: For each wait for bytes.
    """

    name = NAME
    max_batch = 200

    def __init__(
        self,
        endpoint: str,
        *,
        key: str | None = None,
        topic: str | None = None,
        type_prefix: str = "com.example.workbench",
        read_timeout_s: float = azure_common.ANSWER_S,
    ) -> None:
        try:
            from azure.core.credentials import AzureKeyCredential
            from azure.core.exceptions import AzureError
            from azure.eventgrid import EventGridPublisherClient
        except ImportError as exc:
            raise azure_common.missing("azure-eventgrid", ENDPOINT) from exc

        logging.getLogger(ITS_LOGGER).addFilter(_says_something)
        self._azure_error = AzureError
        self._place = azure_common.address(endpoint, ENDPOINT)
        self._source = f"/workbench/{quote(socket.gethostname(), safe='')}"
        self._type_prefix = type_prefix
        self._options = {**AT_ONCE, "read_timeout": read_timeout_s}
        credential = AzureKeyCredential(key) if key is not None else azure_common.identity(ENDPOINT)
        self._client = EventGridPublisherClient(endpoint, credential, namespace_topic=topic)
        self._publish: Callable[..., Any] = self._client.send

    def send(self, records: Sequence[TelemetryRecord]) -> None:
        """Publish as one batch."""
        events = [self._event(document_of(record)) for record in records]
        size = len(compact(events))
        if size > MAX_BYTES:
            why = f"{size} bytes are more than Event Grid takes at once."
            raise RefusedBatchError(why, too_large=True)
        try:
            self._publish(events, **self._options)
        except self._azure_error as exc:
            raise azure_common.meaning(self.name, self._place, exc) from exc

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _event(self, document: Mapping[str, Any]) -> dict[str, Any]:
        # Plain values, whose size is known; the library makes its own CloudEvent of them.
        return {
            "specversion": "1.0",
            "id": document["id"],
            "type": f"{self._type_prefix}.llm.request.{ENDINGS[document['status']]}.v1",
            "source": self._source,
            "subject": f"sessions/{quote(document['session'], safe='')}",
            "time": document["timestamp"],
            "datacontenttype": "application/json",
            "traceparent": traceparent(document),
            "data": document,
        }


def _says_something(record: logging.LogRecord) -> bool:
    return ITS_WARNING not in str(record.msg)
