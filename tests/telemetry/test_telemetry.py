"""Recording: what is promised to those who emit, and to those who read."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import eventually
from workbench.errors import RequestRejectedError, StoreError
from workbench.records import ChatMessage, Failure, Generation
from workbench.telemetry import Store, Telemetry
from workbench.telemetry import store as store_module
from workbench.telemetry import writer as writer_module
from workbench.telemetry.hashing import Hasher

MakeGeneration = Callable[..., Generation]
RunKernels = Callable[..., list[str]]


def rows(path: Path) -> int:
    with Store(path) as store:
        return len(store)


def test_what_is_emitted_can_be_read_at_once(
    telemetry: Telemetry, make_generation: MakeGeneration, make_failure: Callable[..., Failure]
) -> None:
    """
    An answer and a failure are two rows of this session, without waiting by hand.
    """
    telemetry.emit(make_generation())
    telemetry.emit(make_failure(KeyboardInterrupt()))
    frame = telemetry.frame()

    assert sorted(frame["status"]) == ["interrupted", "ok"]
    assert set(frame["session"]) == {"tests"}
    assert telemetry.status().written == 2


def test_rows_reach_the_file_unasked(
    telemetry: Telemetry, path: Path, make_generation: MakeGeneration
) -> None:
    """
    The writer writes without a flush.
    """
    telemetry.emit(make_generation())

    assert eventually(lambda: telemetry.status().written == 1)
    assert rows(path) == 1


def test_nothing_is_made_before_the_first_outcome(telemetry: Telemetry, path: Path) -> None:
    """
    A session that asks nothing leaves no folder behind.
    """
    assert telemetry.flush()
    assert not path.parent.exists()


def test_a_new_file_reads_as_an_empty_frame(telemetry: Telemetry) -> None:
    """
    Before the first request there is nothing to see, and that is no error.
    """
    assert len(telemetry.frame()) == 0


def test_no_prompt_or_answer_is_in_the_files(
    telemetry: Telemetry,
    path: Path,
    make_generation: MakeGeneration,
    make_failure: Callable[..., Failure],
) -> None:
    """
    Neither text, reasoning, prompt, user nor a server's message that quotes the
    prompt is in a byte of the state folder, while open or closed; the model's name is.
    """
    asked = (ChatMessage("user", "the lighthouse of Alexandria"),)
    refused = RequestRejectedError("bad: the lighthouse of Alexandria", status_code=400, body=asked)
    telemetry.emit(make_generation(messages=asked, text="a tall tower", reasoning="a riddle"))
    telemetry.emit(make_failure(refused, messages=asked))
    telemetry.emit(make_failure(KeyboardInterrupt(), partial=make_generation(text="a tall tower")))
    assert telemetry.flush()
    opened = b"".join(file.read_bytes() for file in path.parent.iterdir())
    telemetry.close()
    closed = b"".join(file.read_bytes() for file in path.parent.iterdir())

    for content in (opened, closed):
        assert b"pocket" in content
        for secret in (b"lighthouse", b"tall tower", b"riddle", b"ada\x00"):
            assert secret not in content


def test_equal_prompts_are_found_again(
    telemetry: Telemetry, path: Path, make_generation: MakeGeneration
) -> None:
    """
    The column holds the keyed hash of the messages, with the key beside the file.
    """
    other = (ChatMessage("user", "something else"),)
    for messages in (make_generation().messages, other, other):
        telemetry.emit(make_generation(messages=messages))
    hashes = telemetry.frame()["prompt_hash"]
    hasher = Hasher(path.with_suffix(".key").read_bytes())

    assert hashes.nunique() == 2
    assert hashes.iloc[-1] == hashes.iloc[-2] == hasher.prompt(other)
    assert telemetry.frame()["user_hash"].unique().tolist() == [hasher.user("ada")]


def test_emitting_twice_records_once(telemetry: Telemetry, make_generation: MakeGeneration) -> None:
    """
    The id of an outcome is derived, so a repetition is recognised.
    """
    outcome = make_generation()
    telemetry.emit(outcome)
    telemetry.emit(outcome)

    assert len(telemetry.frame()) == 1


def test_a_row_knows_the_backend_of_its_time(
    telemetry: Telemetry, make_generation: MakeGeneration
) -> None:
    """
    Attaching another server changes later rows only, also those still in the queue.
    """
    telemetry.backend = "embedded"
    telemetry.emit(make_generation())
    telemetry.backend = "compose"
    telemetry.emit(make_generation())

    assert telemetry.frame()["backend"].tolist() == ["embedded", "compose"]


def test_an_unwritable_place_is_counted_and_not_raised(
    path: Path, make_generation: MakeGeneration
) -> None:
    """
    With a file where the folder should be: emit is silent, status tells, reading raises.
    """
    path.parent.write_text("a file")
    telemetry = Telemetry(path, session="tests")
    for _ in range(3):
        telemetry.emit(make_generation())

    assert telemetry.flush() is False
    telemetry.close()
    status = telemetry.status()
    assert (status.written, status.queued, status.dropped) == (0, 0, 3)
    assert str(path.parent) in (status.last_error or "")
    with pytest.raises(StoreError):
        telemetry.frame()


def test_a_file_that_is_no_database_loses_nothing_once_moved_away(
    telemetry: Telemetry, path: Path, make_generation: MakeGeneration
) -> None:
    """
    The rows wait; when the owner follows the hint they are written.
    """
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 100)
    telemetry.emit(make_generation())

    assert telemetry.flush() is False
    assert telemetry.status().queued == 1
    assert "is not a SQLite database" in (telemetry.last_error or "")
    path.rename(path.with_suffix(".old"))
    assert telemetry.flush() is True
    assert (rows(path), telemetry.dropped) == (1, 0)


def test_a_full_disk_is_counted_and_not_raised(path: Path, run_kernels: RunKernels) -> None:
    """
    No file may grow past 200 kB: the process ends well and every outcome is
    either in the file or counted as lost.
    """
    written, queued, dropped, error = run_kernels(("fill", path, 3000, 200_000))[0].split("|")

    assert int(dropped) > 0
    assert (int(written) + int(dropped), int(queued)) == (3000, 0)
    assert str(path) in error
    assert rows(path) == int(written)


def test_a_locked_database_is_waited_for_by_the_writer_only(
    telemetry: Telemetry,
    path: Path,
    make_generation: MakeGeneration,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    While another program holds the file, emit returns at once; when it lets go, nothing is lost.
    """
    monkeypatch.setattr(store_module, "BUSY_TIMEOUT_S", 0.1)
    Store(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    before_s = time.monotonic()
    for _ in range(100):
        telemetry.emit(make_generation())
    took_s = time.monotonic() - before_s

    assert telemetry.flush() is False
    assert "locked by another program" in (telemetry.last_error or "")
    holder.close()
    assert telemetry.flush() is True
    assert (rows(path), telemetry.dropped) == (100, 0)
    assert took_s < 1.0


def test_a_locked_database_is_tried_again_unasked(
    telemetry: Telemetry,
    path: Path,
    make_generation: MakeGeneration,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    After a failure the writer comes back by itself.
    """
    monkeypatch.setattr(store_module, "BUSY_TIMEOUT_S", 0.02)
    monkeypatch.setattr(writer_module, "RETRY_S", 0.05)
    Store(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    telemetry.emit(make_generation())
    assert eventually(lambda: telemetry.last_error is not None)
    holder.close()

    assert eventually(lambda: telemetry.status().written == 1)


def test_the_queue_is_bounded(
    path: Path, make_generation: MakeGeneration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    With room for ten and a locked file, fifty outcomes cost at most twenty places
    (ten queued, ten in the writer's hands); the others are counted.
    """
    monkeypatch.setattr(store_module, "BUSY_TIMEOUT_S", 0.1)
    Store(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with Telemetry(path, session="tests", max_queued=10) as telemetry:
        for _ in range(50):
            telemetry.emit(make_generation())
        assert telemetry.status().queued <= 20
        telemetry.flush()

        assert telemetry.dropped >= 30
        assert telemetry.dropped + telemetry.status().queued == 50
        holder.close()
    assert rows(path) == 50 - telemetry.dropped


def test_an_odd_outcome_costs_no_other(
    telemetry: Telemetry, make_generation: MakeGeneration
) -> None:
    """
    What is no outcome, or can't be stored, is counted; what comes with it is recorded.
    """
    telemetry.emit(make_generation())
    telemetry.emit("no outcome")  # type: ignore[arg-type]  # that is the point
    telemetry.emit(make_generation(model="\ud83d"))
    telemetry.emit(make_generation())

    assert len(telemetry.frame()) == 2
    assert telemetry.dropped == 2
    assert telemetry.last_error


def test_closing_twice_is_fine(
    telemetry: Telemetry, path: Path, make_generation: MakeGeneration
) -> None:
    """
    Closing writes what is queued; later outcomes are counted as lost; reading still works.
    """
    telemetry.emit(make_generation())
    telemetry.close()
    telemetry.close()
    telemetry.emit(make_generation())

    assert rows(path) == 1
    assert telemetry.dropped == 1
    assert telemetry.flush() is True
    assert len(telemetry.frame()) == 1


def test_the_state_folder_can_be_deleted_any_time(
    telemetry: Telemetry, path: Path, make_generation: MakeGeneration
) -> None:
    """
    What is emitted after the deletion is in a new file.
    """
    telemetry.emit(make_generation())
    telemetry.flush()
    shutil.rmtree(path.parent, ignore_errors=True)  # SQLite may take its log away meanwhile
    telemetry.emit(make_generation())
    telemetry.flush()

    assert rows(path) == 1


def test_a_recorded_outcome_does_not_stay_in_memory(
    telemetry: Telemetry, make_failure: Callable[..., Failure]
) -> None:
    """
    Once written, the writer holds neither error nor prompt, although it waits for more.
    """

    class HeldError(Exception):
        """Unlike those built in it can be referenced weakly."""

    error = HeldError()
    gone = weakref.ref(error)
    telemetry.emit(make_failure(error))
    telemetry.flush()
    del error

    assert eventually(lambda: gone() is None)


def test_a_forgotten_telemetry_ends_its_thread(path: Path, make_generation: MakeGeneration) -> None:
    """
    Without a close, the last reference takes the thread with it, after the rows are written.
    """
    before = set(threading.enumerate())
    telemetry = Telemetry(path, session="tests")
    telemetry.emit(make_generation())
    assert len(set(threading.enumerate()) - before) >= 1
    del telemetry

    assert eventually(lambda: set(threading.enumerate()) <= before)
    assert rows(path) == 1


@pytest.mark.processes
def test_a_process_that_exits_has_written_everything(path: Path, run_kernels: RunKernels) -> None:
    """
    500 outcomes, no flush, no close: all are there when the process has ended, well or not.
    """
    commands = [("emit", path, "well", 500, 0), ("emit", path, "badly", 500, 3)]
    run_kernels(*commands, statuses=[0, 3])

    assert rows(path) == 1000


@pytest.mark.processes
def test_several_kernels_write_one_file(path: Path, run_kernels: RunKernels) -> None:
    """
    Four processes make key and file at the same moment and write 250 rows each:
    none is lost, and equal prompts have equal hashes across them.
    """
    run_kernels(*[("emit", path, f"kernel {n}", 250) for n in range(4)])
    with Store(path) as store:
        frame = store.frame()

    assert frame["session"].value_counts().to_dict() == {f"kernel {n}": 250 for n in range(4)}
    assert frame["prompt_hash"].value_counts().unique().tolist() == [4]
    assert not list(path.parent.glob(".*"))


@pytest.mark.processes
def test_importing_is_light(run_kernels: RunKernels) -> None:
    """
    pandas is for those who read a frame.
    """
    assert run_kernels(("imported", ""))[0] == "[]\n"
