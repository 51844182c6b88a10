"""Records to send."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.telemetry.sinks_for_tests import These
from workbench.telemetry import Sink, SinkStatus, Telemetry, TelemetryRecord
from workbench.telemetry.record import rfc3339

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

MakeRecord = Callable[..., TelemetryRecord]
MakeRecords = Callable[[int], list[TelemetryRecord]]
SendAll = Callable[[Sink, Sequence[TelemetryRecord]], SinkStatus]


@pytest.fixture
def make_record() -> MakeRecord:
    """Make records, each a second after the one before."""
    numbers = count(1)

    def make(**changes: Any) -> TelemetryRecord:
        number = next(numbers)
        given: dict[str, Any] = {
            "id": f"{number:032x}",
            "timestamp": rfc3339(START + timedelta(seconds=number)),
            "session": "lesson",
            "user_hash": "h1:user",
            "model": "pocket",
            "backend": "embedded",
            "base_url": "http://127.0.0.1:8000/v1",
            "streamed": True,
            "temperature": 0.5,
            "stop": '["\\n"]',
            "prompt_hash": "h1:prompt",
            "input_tokens": 7,
            "output_tokens": 5,
            "ttft_s": 0.25,
            "duration_s": 1.5,
            "num_chunks": 5,
            "status": "ok",
            "http_status": 200,
            "finish_reason": "stop",
            "request_id": f"chatcmpl-{number}",
        }
        return TelemetryRecord(**(given | changes))

    return make


@pytest.fixture
def make_records(make_record: MakeRecord) -> MakeRecords:
    """Make several."""
    return lambda number: [make_record() for _ in range(number)]


@pytest.fixture
def send_all(path: Path, quick_courier: None) -> SendAll:
    """Write records into the file, have its courier send them, and say how far it came."""

    def send(sink: Sink, records: Sequence[TelemetryRecord]) -> SinkStatus:
        with Telemetry(path, session="lesson", destinations=These(sink)) as telemetry:
            telemetry.keep(records)
            telemetry.deliver()
            [status] = telemetry.stored().sinks
            return status

    return send
