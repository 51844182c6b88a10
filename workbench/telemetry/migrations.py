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


def m003_outbox(execute: Execute) -> None:
    """
    Number the rows as they come, and keep what each sink has had.

    ``seq`` is never used twice (AUTOINCREMENT), also when all rows are deleted, and
    VACUUM leaves it alone; a hidden rowid promises neither. A table gets no such
    column later, so it is made anew. Its new columns stand last: ``prompt`` and
    ``answer`` may be long, and SQLite reads a row from its beginning.

    A segment is a run of rows once more, column by column, for reading many at once
    (``segments``). Rows that change take theirs with them.
    """
    execute("ALTER TABLE requests RENAME TO requests_before")
    execute("DROP INDEX requests_by_time")
    execute(
        """
        CREATE TABLE requests (
            seq                INTEGER PRIMARY KEY AUTOINCREMENT,
            id                 TEXT UNIQUE NOT NULL,
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
            request_id         TEXT,
            other_sampling     TEXT,
            attempts           INTEGER,
            served_model       TEXT,
            server_version     TEXT,
            n                  INTEGER,
            num_tool_calls     INTEGER,
            trace_id           TEXT,
            span_id            TEXT,
            tags               TEXT,
            prompt             TEXT,
            answer             TEXT
        ) STRICT
        """
    )
    execute(
        f"INSERT INTO requests ({_BEFORE_003}) SELECT {_BEFORE_003} FROM requests_before "
        "ORDER BY rowid"
    )
    execute("DROP TABLE requests_before")
    execute("CREATE INDEX requests_by_time ON requests (timestamp)")
    execute(
        """
        CREATE TABLE sinks (
            name          TEXT PRIMARY KEY NOT NULL,
            cursor        INTEGER NOT NULL,
            sent          INTEGER NOT NULL DEFAULT 0,
            rejected      INTEGER NOT NULL DEFAULT 0,
            lost          INTEGER NOT NULL DEFAULT 0,
            seen_at       TEXT NOT NULL,
            last_sent_at  TEXT,
            failing_since TEXT,
            last_error    TEXT,
            retry_at      TEXT,
            permanent     INTEGER NOT NULL DEFAULT 0
        ) STRICT
        """
    )
    execute(
        """
        CREATE TABLE rejected (
            sink        TEXT NOT NULL,
            id          TEXT NOT NULL,
            rejected_at TEXT NOT NULL,
            reason      TEXT NOT NULL,
            record      TEXT NOT NULL,
            PRIMARY KEY (sink, id)
        ) STRICT
        """
    )
    execute(
        """
        CREATE TABLE segments (
            first_seq       INTEGER PRIMARY KEY,
            last_seq        INTEGER NOT NULL,
            schema_version  INTEGER NOT NULL,
            num_rows        INTEGER NOT NULL,
            first_timestamp TEXT NOT NULL,
            last_timestamp  TEXT NOT NULL
        ) STRICT
        """
    )
    execute(
        """
        CREATE TABLE segment_columns (
            first_seq INTEGER NOT NULL,
            name      TEXT NOT NULL,
            data      BLOB,
            PRIMARY KEY (first_seq, name)
        ) STRICT
        """
    )
    for event in ("DELETE", "UPDATE"):
        execute(
            f"""
            CREATE TRIGGER requests_{event.lower()} AFTER {event} ON requests
            WHEN OLD.seq <= (
                SELECT last_seq FROM segments WHERE first_seq <= OLD.seq
                ORDER BY first_seq DESC LIMIT 1
            )
            BEGIN
                DELETE FROM segment_columns WHERE first_seq =
                    (SELECT max(first_seq) FROM segments WHERE first_seq <= OLD.seq);
                DELETE FROM segments WHERE first_seq =
                    (SELECT max(first_seq) FROM segments WHERE first_seq <= OLD.seq);
            END
            """
        )


def m004_sinks(execute: Execute) -> None:
    """
    Keep of a refused record its id and the reason: its row has the rest, and its size counts.

    OpenTelemetry's two signals have a cursor each, from where their common one was.
    """
    execute("ALTER TABLE rejected DROP COLUMN record")
    for signal in ("traces", "metrics"):
        execute(
            "INSERT INTO sinks (name, cursor, seen_at) "
            f"SELECT 'otel-{signal}', cursor, seen_at FROM sinks WHERE name = 'otel'"
        )
    execute("DELETE FROM sinks WHERE name = 'otel'")
    execute("DELETE FROM rejected WHERE sink = 'otel'")


_BEFORE_003 = (
    "id, schema_version, timestamp, session, user_hash, model, backend, base_url, streamed, "
    "temperature, top_p, top_k, min_p, max_tokens, seed, stop, presence_penalty, "
    "frequency_penalty, repetition_penalty, prompt_hash, input_tokens, output_tokens, "
    "cached_tokens, reasoning_tokens, ttft_s, tpot_s, e2e_latency_s, duration_s, num_chunks, "
    "status, error_type, http_status, finish_reason, request_id, other_sampling, attempts"
)

MIGRATIONS: tuple[Migration, ...] = (
    m001_initial,
    m002_other_sampling,
    m003_outbox,
    m004_sinks,
)
