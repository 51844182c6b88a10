"""
Sink ``cosmos``: an item for each record, in a container of Azure Cosmos DB.

The item is the record with ``session`` as ``session_id``, which is the
partition key, and ``id`` is the record's, so that writing it again replaces it.
Database and container are made if they are missing and the credential may;
whoever is signed in to Azure usually may not, and then they are to be there.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from threading import Event
from typing import Any

from ...errors import ConfigError, SinkError
from ...settings import Settings
from ..record import TelemetryRecord
from . import azure_common
from .base import RefusedBatchError, Sink
from .document import document_of

NAME = "cosmos"
ENDPOINT = "AZURE_COSMOS_ENDPOINT"
PARTITION_KEY = "/session_id"

AT_ONCE = 8
"""Requests in flight: an item takes about 10 ms, mostly on the way."""

NO_EXPIRY = -1
"""The container's time to live: items may have their own, and else stay."""

# The outbox waits and tries again. Zero would mean the library's own nine times.
ONE_TRY = {
    "retry_throttle_total": 1,
    "retry_throttle_backoff_max": 1,
    "retry_total": 1,
    "retry_connect": 0,
    "retry_read": 0,
    "retry_status": 0,
}


class NotAskedError(Exception):
    """An item was not sent, because another one was asked to wait."""


def is_on(settings: Settings) -> bool:
    """Tell whether a setting asks for it."""
    return settings.azure_cosmos_endpoint is not None


def open_sink(settings: Settings) -> Sink:
    """
    Make the sink that the settings describe; nothing is sent yet.

    Raises:
        ConfigError: The address is none.
        MissingDependencyError: ``azure-cosmos`` is not installed.
    """
    assert settings.azure_cosmos_endpoint is not None  # is_on
    return CosmosSink(
        settings.azure_cosmos_endpoint,
        key=azure_common.revealed(settings.azure_cosmos_key),
        database=settings.azure_cosmos_database,
        container=settings.azure_cosmos_container,
        ttl_s=settings.azure_cosmos_ttl_s,
    )


class CosmosSink:
    """
    Upserts into *container* of *database*.

    Args:
        key: The account's key; ``None`` is whoever is signed in to Azure.

        ttl_s: How long an item stays; ``None`` for ever, or as the container says.

        client_options: For ``azure.cosmos.CosmosClient``; an emulator needs some.
    """

    name = NAME
    max_batch = 100

    def __init__(
        self,
        endpoint: str,
        *,
        key: str | None = None,
        database: str = "workbench",
        container: str = "requests",
        ttl_s: int | None = None,
        client_options: dict[str, Any] | None = None,
    ) -> None:
        try:
            import azure.cosmos as library
            from azure.core.exceptions import AzureError
        except ImportError as exc:
            raise azure_common.missing("azure-cosmos", ENDPOINT) from exc

        self._library, self._azure_error = library, AzureError
        self._place = azure_common.address(endpoint, ENDPOINT)
        self._credential = _key(key) if key is not None else azure_common.identity(ENDPOINT)
        self._database, self._container_name = database, container
        self._ttl_s = ttl_s
        self._options = {
            "connection_timeout": azure_common.CONNECT_S,
            "read_timeout": azure_common.ANSWER_S,
            "no_response_on_write": True,
            **ONE_TRY,
            **(client_options or {}),
        }
        self._client: Any = None
        self._container: Any = None
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="workbench-cosmos")

    def send(self, records: Sequence[TelemetryRecord]) -> None:
        """Upsert all, several at once; the first that asks to wait stops those after it."""
        self._connect()
        stop = Event()
        problems = list(self._pool.map(lambda record: self._upsert(record, stop), records))
        if found := self._outcome(records, problems):
            raise found

    def close(self) -> None:
        """Close the connections."""
        self._pool.shutdown()
        if self._client is not None:
            self._client.close()
            self._client = self._container = None

    def _outcome(
        self, records: Sequence[TelemetryRecord], problems: Sequence[Exception | None]
    ) -> Exception | None:
        """Say what came of all, given what came of each."""
        trouble = next((each for each in problems if isinstance(each, SinkError)), None)
        if trouble:
            self._container = None  # looked for again: it may have been deleted meanwhile
        refusal = next((each for each in problems if isinstance(each, RefusedBatchError)), None)
        if trouble is None and refusal is None:
            return None
        if None not in problems:  # it may not be the records that are wrong
            return trouble or refusal
        judged = takewhile(lambda each: not isinstance(each, SinkError | NotAskedError), problems)
        done = len(list(judged))
        rejected = tuple(
            record.id for record, each in zip(records[:done], problems, strict=False) if each
        )
        return SinkError(
            trouble.message if trouble else str(refusal),
            hint=trouble.hint if trouble else None,
            sink=self.name,
            done=done,
            rejected=rejected,
            num_rejected=len(rejected),
            retry_after_s=trouble.retry_after_s if trouble else None,
            permanent=trouble.permanent if trouble else False,
        )

    def _upsert(self, record: TelemetryRecord, stop: Event) -> Exception | None:
        if stop.is_set():
            return NotAskedError()
        try:
            self._container.upsert_item(self._item(record))
        except self._azure_error as exc:
            problem = azure_common.meaning(self.name, self._place, exc)
            if isinstance(problem, SinkError):
                stop.set()
            return problem
        return None

    def _item(self, record: TelemetryRecord) -> dict[str, Any]:
        item = document_of(record)
        item["session_id"] = item.pop("session")
        return item if self._ttl_s is None else {**item, "ttl": self._ttl_s}

    def _connect(self) -> None:
        """Find the container at the first batch: the library asks the account at once."""
        if self._container is not None:
            return
        try:
            if self._client is None:
                self._client = self._library.CosmosClient(
                    self._place, self._credential, **self._options
                )
            self._container = self._found_or_made()
        except self._azure_error as exc:
            problem = azure_common.meaning(self.name, self._place, exc)
            if isinstance(problem, RefusedBatchError):
                raise SinkError(problem.why, sink=self.name, permanent=True) from exc
            raise problem from exc

    def _found_or_made(self) -> Any:
        try:
            database = self._client.create_database_if_not_exists(self._database)
            return database.create_container_if_not_exists(
                self._container_name,
                self._library.PartitionKey(path=PARTITION_KEY),
                default_ttl=NO_EXPIRY,
            )
        except self._azure_error as exc:
            if getattr(exc, "status_code", None) != 403:
                raise
            # May write, and may not make: Azure's built-in role for data.
            database = self._client.get_database_client(self._database)
            return database.get_container_client(self._container_name)


def _key(text: str) -> str:
    """Check a key before the first request, which would be a riddle."""
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ConfigError(
            "AZURE_COSMOS_KEY is not a key: it is not base64.",
            hint="The account's page in Azure's portal has it, under Keys.",
            key="AZURE_COSMOS_KEY",
            source="AZURE_COSMOS_KEY",
        ) from exc
    return text
