"""Lines in a file: whole, once each, from several processes, and never too many."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from tests.telemetry.sinks.conftest import MakeRecord, MakeRecords
from workbench.errors import SinkError
from workbench.telemetry import TelemetryRecord
from workbench.telemetry.sinks.jsonl import JsonlSink


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "requests.jsonl"


def ids_in(*paths: Path) -> list[str]:
    return [json.loads(line)["id"] for path in paths for line in path.read_text().splitlines()]


def test_each_record_is_a_line(path: Path, make_records: MakeRecords):
    """The folder is made, and only its owner may read the file."""
    records = make_records(3)
    JsonlSink(path).send(records)

    assert ids_in(path) == [each.id for each in records]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_stays_a_line(path: Path, make_record: MakeRecord):
    """Line ends of any script in a name do not cut it."""
    JsonlSink(path).send([make_record(model="a\nb\u2028c\x85d")])

    assert path.read_bytes().count(b"\n") == 1
    assert json.loads(path.read_bytes())["model"] == "a\nb\u2028c\x85d"


def test_a_batch_that_comes_again_is_not_written_again(path: Path, make_records: MakeRecords):
    """By the same sink, and by the one of a process that was restarted."""
    records = make_records(5)
    sink = JsonlSink(path)
    sink.send(records[:3])
    sink.send(records[:4])
    JsonlSink(path).send(records)

    assert ids_in(path) == [each.id for each in records]


def test_a_repeat_is_known_after_a_rotation_too(path: Path, make_records: MakeRecords):
    """The last lines may be in the file before."""
    records = make_records(4)
    first = JsonlSink(path, max_bytes=1)
    first.send(records[:2])
    first.send(records[2:3])
    JsonlSink(path, max_bytes=1).send(records)

    assert ids_in(Path(f"{path}.2"), Path(f"{path}.1"), path) == [each.id for each in records]


def test_a_full_file_is_put_aside(path: Path, make_records: MakeRecords):
    """Of the files before, as many are kept as is said."""
    records = make_records(6)
    sink = JsonlSink(path, max_bytes=1, kept=3)
    for each in records:
        sink.send([each])

    files = [path, *(Path(f"{path}.{number}") for number in (1, 2, 3))]
    assert [ids_in(each) for each in files] == [[each.id] for each in reversed(records[2:])]
    assert not Path(f"{path}.4").exists()


def test_a_line_that_was_cut_spoils_no_other(path: Path, make_records: MakeRecords):
    """After a power failure the next record begins on a line of its own."""
    records = make_records(2)
    JsonlSink(path).send(records[:1])
    with path.open("ab") as file:
        file.write(b'{"id": "cut')
    JsonlSink(path).send(records[1:])

    lines = path.read_text().splitlines()
    assert lines[1] == '{"id": "cut'
    assert [json.loads(lines[place])["id"] for place in (0, 2)] == [each.id for each in records]


def test_a_file_that_was_deleted_is_begun_anew(path: Path, make_records: MakeRecords):
    """Somebody else's log rotation moves it away, for example."""
    first, second = make_records(2)
    sink = JsonlSink(path)
    sink.send([first])
    path.unlink()
    sink.send([second])

    assert ids_in(path) == [second.id]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, make_records: MakeRecords):
    """With the file and the setting, and to be tried again."""
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="cannot be written: File exists") as caught:
        JsonlSink(tmp_path / "file" / "requests.jsonl").send(make_records(1))

    assert not caught.value.permanent
    assert "WORKBENCH_TELEMETRY_JSONL" in (caught.value.hint or "")


def _into_a_file_that_may_not_grow(path: Path, records: list[TelemetryRecord]) -> None:
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = path.stat().st_size + 100
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        JsonlSink(path).send(records)
    except SinkError:
        os._exit(7)
    os._exit(0)


@pytest.mark.processes
def test_a_batch_that_does_not_fit_leaves_no_part(path: Path, make_records: MakeRecords):
    """A file that may not grow takes the first bytes of a batch; they are taken back."""
    records = make_records(5)
    JsonlSink(path).send(records[:1])
    child = multiprocessing.get_context("spawn").Process(
        target=_into_a_file_that_may_not_grow, args=(path, records)
    )
    child.start()
    child.join(60)

    assert child.exitcode == 7
    assert ids_in(path) == [records[0].id]


def _write(path: Path, record: TelemetryRecord, who: int) -> None:
    sink = JsonlSink(path, max_bytes=20_000, kept=50)
    for number in range(40):
        sink.send([replace(record, id=f"{who}-{number}-{part}") for part in range(5)])


@pytest.mark.processes
def test_several_processes_share_a_file(path: Path, make_record: MakeRecord):
    """All lines of all of them are there, whole and once, over many rotations."""
    spawn = multiprocessing.get_context("spawn")
    children = [spawn.Process(target=_write, args=(path, make_record(), who)) for who in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)

    found = ids_in(path, *path.parent.glob("requests.jsonl.[0-9]*"))
    wanted = {f"{w}-{n}-{p}" for w in range(3) for n in range(40) for p in range(5)}
    assert len(found) == len(wanted)
    assert set(found) == wanted
