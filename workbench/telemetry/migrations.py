"""
The tables of ``telemetry.db``, as steps that are applied by name, in order.

A step that was released is never edited: files out there have it. New columns
must allow NULL, so that a kernel of an older workbench can go on writing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

Execute: TypeAlias = Callable[[str], object]


class Migration(Protocol):
    """One step, known by its function's name."""

    __name__: str

    def __call__(self, execute: Execute, /) -> None:
        """Change the tables by executing statements, inside one transaction."""


# "wbtm" in ASCII, in the file's header: tells our file from another program's.
APPLICATION_ID = 0x7762746D


def m001_initial(execute: Execute) -> None:
    """
    Make ``requests``. Its columns are documented at ``record.TelemetryRecord``.

    STRICT, so that no row can hold what a column's dtype could not read back.
    """
    execute(f"PRAGMA application_id = {APPLICATION_ID}")
    execute(
        """
        CREATE TABLE requests (
            id                 TEXT PRIMARY KEY NOT NULL,
            schema_version     INTEGER NOT NULL,
            timestamp          TEXT NOT NULL,
            session            TEXT NOT NULL,
            user_hash          TEXT,
            model              TEXT NOT NULL,
            backend            TEXT,
            base_url           TEXT,
            streamed           INTEGER,
            temperature        REAL,
            top_p              REAL,
            top_k              INTEGER,
            min_p              REAL,
            max_tokens         INTEGER,
            seed               INTEGER,
            stop               TEXT,
            presence_penalty   REAL,
            frequency_penalty  REAL,
            repetition_penalty REAL,
            prompt_hash        TEXT NOT NULL,
            input_tokens       INTEGER,
            output_tokens      INTEGER,
            cached_tokens      INTEGER,
            reasoning_tokens   INTEGER,
            ttft_s             REAL,
            tpot_s             REAL,
            e2e_latency_s      REAL,
            duration_s         REAL NOT NULL,
            num_chunks         INTEGER NOT NULL,
            status             TEXT NOT NULL,
            error_type         TEXT,
            http_status        INTEGER,
            finish_reason      TEXT,
            request_id         TEXT
        ) STRICT
        """
    )
    execute("CREATE INDEX requests_by_time ON requests (timestamp)")


def m002_other_sampling(execute: Execute) -> None:
    """Add what the client can say since: any sampling parameter, and sending again."""
    execute("ALTER TABLE requests ADD COLUMN other_sampling TEXT")
    execute("ALTER TABLE requests ADD COLUMN attempts INTEGER")


MIGRATIONS: tuple[Migration, ...] = (m001_initial, m002_other_sampling)
