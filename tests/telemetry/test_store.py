"""The telemetry file, as a real file."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.helpers import AN_HOUR_AGO
from workbench.errors import StoreError
from workbench.records import Generation, SamplingParams
from workbench.telemetry import Chosen, Store, TelemetryRecord
from workbench.telemetry import store as store_module
from workbench.telemetry.migrations import MIGRATIONS
from workbench.telemetry.record import COLUMNS, record_of

from_first_second = AN_HOUR_AGO + timedelta(seconds=1)


@pytest.fixture
def make_record(make_generation: Callable[..., Generation]) -> Callable[..., TelemetryRecord]:
    def make(**changes: Any) -> TelemetryRecord:
        record = record_of(make_generation(), session="tests", prompt_hash="h1:00")
        return replace(record, **changes)

    return make


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder whose parents another user may pass, unlike those of ``tmp_path``."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


def test_a_row_comes_back_as_it_was(path: Path, make_generation: Callable[..., Generation]) -> None:
    """
    Every value survives the file: text, numbers, zero and unknown.
    """
    params = SamplingParams(temperature=0.0, seed=2**63 - 1, stop=("é",))
    outcome = make_generation(params=params)
    record = record_of(outcome, session="tests", prompt_hash="h1:00", user_hash="h1:01")
    with Store(path) as store:
        store.append([record])
        row = store.frame().iloc[0]

    expected = asdict(record)
    assert row.pop("timestamp") == pd.Timestamp(expected.pop("timestamp"))
    assert {name: None if pd.isna(value) else value for name, value in row.items()} == expected


def test_the_same_row_is_there_once(
    path: Path, make_record: Callable[..., TelemetryRecord]
) -> None:
    """
    Writing again what was written already adds nothing and is no error.
    """
    first, second = make_record(), make_record()
    with Store(path) as store:
        assert store.append([first, first]) == 1
        assert store.append([first, second]) == 1
        assert len(store) == 2


def test_a_frame_has_the_documented_columns(
    path: Path, make_record: Callable[..., TelemetryRecord]
) -> None:
    """
    Record, table and frame have the same columns, the table ``seq`` before them; an empty
    frame has the same dtypes.
    """
    with Store(path) as store:
        empty = store.frame()
        store.append([make_record()])
        frame = store.frame()
    with closing(sqlite3.connect(path)) as connection, connection:
        table = [row[1] for row in connection.execute("PRAGMA table_info(requests)")]

    assert list(frame.columns) == list(COLUMNS) == table[1:]
    assert dict(frame.dtypes) == dict(empty.dtypes)
    assert len(empty) == 0


def test_a_frame_can_be_counted_with(
    path: Path, make_record: Callable[..., TelemetryRecord]
) -> None:
    """
    Times know their zone, unknown counts stay whole numbers, unknown seconds are NaN.
    """
    with Store(path) as store:
        store.append([make_record(), make_record(output_tokens=None, ttft_s=None, streamed=None)])
        frame = store.frame()

    assert str(frame["timestamp"].dt.tz) == "UTC"
    assert frame["output_tokens"].dtype == "Int64"
    assert frame["output_tokens"].sum() == 5
    assert frame["ttft_s"].dtype == "float64"
    assert frame["ttft_s"].mean() == pytest.approx(0.2)
    assert frame["streamed"].tolist() == [True, pd.NA]


def test_last_and_since_choose_the_latest(
    path: Path, make_record: Callable[..., TelemetryRecord]
) -> None:
    """
    Of five rows a second apart, in whatever order they were written, oldest first.
    """
    records = [make_record() for _ in range(5)]
    ids = [record.id for record in records]
    with Store(path) as store:
        store.append(records[::-1])

        assert store.frame()["id"].tolist() == ids
        assert store.frame(Chosen(last=2))["id"].tolist() == ids[-2:]
        assert store.frame(Chosen(last=0))["id"].tolist() == []
        assert store.frame(Chosen(since=from_first_second))["id"].tolist() == ids[1:]
        assert store.frame(Chosen(since=from_first_second, last=1))["id"].tolist() == ids[-1:]


def test_since_counts_back_from_now(
    path: Path, make_record: Callable[..., TelemetryRecord]
) -> None:
    """
    A duration finds what was sent a moment ago and not what was sent a day ago.
    """
    now = datetime.now(UTC)
    fresh = make_record(timestamp=now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    old = make_record(timestamp=(now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    with Store(path) as store:
        store.append([fresh, old])

        assert store.frame(Chosen(since=timedelta(hours=1)))["id"].tolist() == [fresh.id]


def test_migrations_are_applied_once_by_name(
    path: Path, make_record: Callable[..., TelemetryRecord]
) -> None:
    """
    The file lists what was applied; opening it again applies nothing and keeps the rows.
    """
    with Store(path) as store:
        store.append([make_record()])
    with Store(path) as store, closing(sqlite3.connect(path)) as connection, connection:
        applied = [name for (name,) in connection.execute("SELECT name FROM migrations")]
        assert applied == [migration.__name__ for migration in MIGRATIONS]
        assert len(store) == 1


def test_a_later_migration_is_applied_to_an_earlier_file(
    path: Path, make_record: Callable[..., TelemetryRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A file of today gets tomorrow's step, in which its rows are kept.
    """

    def m002_note(execute: Callable[[str], object]) -> None:
        execute("ALTER TABLE requests ADD COLUMN note TEXT")

    with Store(path) as store:
        store.append([make_record()])
    monkeypatch.setattr("workbench.telemetry.store.MIGRATIONS", (*MIGRATIONS, m002_note))
    with Store(path) as store, closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("SELECT note FROM requests").fetchall() == [(None,)]
        assert len(store) == 1


def test_a_file_of_the_first_schema_is_read(path: Path) -> None:
    """
    Its rows are there in their order, what they did not know is unknown, and an older
    kernel that has it open can go on writing.
    """
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as old, old:
        for migration in MIGRATIONS[:2]:
            migration(old.execute)
        old.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY NOT NULL, applied_at TEXT)")
        old.executemany(
            "INSERT INTO migrations VALUES (?, '')", [(m.__name__,) for m in MIGRATIONS[:2]]
        )
        insert = (
            "INSERT INTO requests (id, schema_version, timestamp, session, model, prompt_hash, "
            "duration_s, num_chunks, status, attempts) VALUES (?, 1, ?, 's', 'm', 'h', 1, 1, 'ok', "
            "1) ON CONFLICT(id) DO NOTHING"
        )
        moment = AN_HOUR_AGO.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        old.executemany(insert, [("b", moment), ("a", moment)])
        old.commit()
        with Store(path) as store:
            assert store.rows("SELECT seq, id FROM requests ORDER BY seq") == [(1, "b"), (2, "a")]
            old.execute(insert, ("c", moment))
            old.commit()
            frame = store.frame()

    assert frame["id"].tolist() == ["a", "b", "c"]
    assert frame["schema_version"].tolist() == [1, 1, 1]
    assert frame[["trace_id", "tags", "n"]].isna().all(axis=None)


def test_a_migration_that_breaks_leaves_no_trace(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A step that fails half way is undone, and the next opening starts it afresh.
    """

    def m002_broken(execute: Callable[[str], object]) -> None:
        execute("CREATE TABLE half (done INTEGER)")
        execute("not SQL")

    monkeypatch.setattr("workbench.telemetry.store.MIGRATIONS", (*MIGRATIONS, m002_broken))
    with pytest.raises(StoreError, match="syntax error"):
        Store(path)
    monkeypatch.undo()

    with Store(path) as store, closing(sqlite3.connect(path)) as connection, connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        assert "half" not in names
        assert len(store) == 0


def test_a_record_that_does_not_fit_is_refused_whole(
    path: Path, make_record: Callable[..., TelemetryRecord]
) -> None:
    """
    Of a batch with one bad record none is written: the caller decides what to leave out.
    """
    bad = [make_record(input_tokens=2**63), make_record(model="\ud83d"), make_record(top_k="many")]
    with Store(path) as store:
        for record in bad:
            with pytest.raises(ValueError, match=r"fit|surrogate"):
                store.append([make_record(), record])
        assert len(store) == 0


def test_reading_goes_on_while_another_writes(
    path: Path, make_record: Callable[..., TelemetryRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    While another program holds the write lock rows can be read, and writing says what to do.
    """
    monkeypatch.setattr(store_module, "BUSY_TIMEOUT_S", 0.05)
    with Store(path) as store:
        store.append([make_record()])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with Store(path) as store:
        assert len(store.frame()) == 1
        with pytest.raises(StoreError, match="locked by another program") as caught:
            store.append([make_record()])
        holder.close()
        assert store.append([make_record()]) == 1

    assert caught.value.hint


def test_a_first_opening_waits_for_another(path: Path) -> None:
    """
    Turning WAL on while another program reads fails at once in SQLite; opening waits it out.
    """
    Store(path).close()
    reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    reader.execute("PRAGMA journal_mode = DELETE")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM requests").fetchone()
    release = threading.Timer(0.1, reader.close)
    release.start()
    with Store(path) as store:
        assert len(store) == 0
    release.join()


@pytest.mark.parametrize(
    "content", [b"timestamp,model\n" * 100, b"\x00" * 5000], ids=["csv", "nul"]
)
def test_a_file_that_is_no_database_is_left_alone(path: Path, content: bytes) -> None:
    """
    The error names the path and what to do, and the file is as it was.
    """
    path.parent.mkdir()
    path.write_bytes(content)

    with pytest.raises(StoreError, match="is not a SQLite database") as caught:
        Store(path)
    assert str(path) in caught.value.message
    assert caught.value.path == path
    assert "Move it away" in (caught.value.hint or "")
    assert path.read_bytes() == content


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    """
    No table is added to a database that is not ours, and its journal stays as it is.
    """
    path = tmp_path / "history.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE history (line TEXT)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StoreError, match="another program's database"):
        Store(path)
    assert path.read_bytes() == before


def test_a_folder_in_the_place_of_the_file_is_a_store_error(tmp_path: Path) -> None:
    """
    What can't be opened is named, with what to look at.
    """
    with pytest.raises(StoreError, match="cannot be opened") as caught:
        Store(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint


def test_a_file_in_the_place_of_the_folder_is_a_store_error(path: Path) -> None:
    """
    The state folder can't be made where a file lies.
    """
    path.parent.write_text("a file")

    with pytest.raises(StoreError, match=r"folder of .* cannot be made"):
        Store(path)


def test_a_read_only_file_says_so(
    public_folder: Path, run_kernels: Callable[..., list[str]]
) -> None:
    """
    Someone without the right to write is told which file and what to do.
    """
    path = public_folder / "telemetry.db"
    Store(path).close()
    message, hint = run_kernels(("readonly", path))[0].split("|")

    assert str(path) in message
    assert "writable for you" in hint
