"""
What happened here lately: boots, errors and requests, without what anybody said.

A log quotes prompts once a server is ready, so from then on only what is *known* to go wrong is
taken from it, by its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bootlog import FIRST_TOKEN, BootReader
from ..failures import all_known

if TYPE_CHECKING:
    import pandas as pd

BOOTS = 3
ERRORS = 10

READ_LINES = 20_000
"""Of a log. A boot has some hundred, and a server that runs for days millions."""

LONGEST_LINE = 2000

# A log whose beginning was rotated away has requests in it before any sign of a start.
_SERVES = re.compile(r"Received request|Added request|prompt throughput|\"(?:GET|POST) /")

ERROR_COLUMNS = (
    *("timestamp", "model", "status", "error_type", "http_status", "finish_reason", "duration_s"),
    *("attempts", "server_version"),
)
"""Numbers and names of kinds; messages, prompts and answers are not among them."""


def last_boots(path: Path) -> list[dict[str, Any]]:
    """Read the times of the last boots that became ready; torn lines are passed over."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return list(filter(None, map(_boot, lines)))[-BOOTS:]


def _boot(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
        return {
            "at": str(entry["at"]),
            "of": str(entry["key"]),
            "total_s": float(entry["total_s"]),
            "phases": [_phase(**phase) for phase in entry["phases"]],
        }
    except (ValueError, KeyError, TypeError):
        return None


def _phase(*, name: str, began_s: float, ended_s: float | None) -> dict[str, Any]:
    took_s = None if ended_s is None else round(float(ended_s) - float(began_s), 3)
    return {"name": str(name), "took_s": took_s}


def last_log(lines: Iterable[str]) -> dict[str, Any]:
    """Say how far a log's boot came, and what is known to go wrong in it."""
    whole = iter(lines)
    reader, before, was_serving = BootReader(), list[str](), False
    for line in islice(whole, READ_LINES):
        reader.feed(line, at_s=0.0)
        was_serving = bool(_SERVES.search(line[:LONGEST_LINE]))
        if was_serving or reader.phases()[-1].name == FIRST_TOKEN:
            break
        before.append(line)
    names = [phase.name for phase in reader.phases()]
    return {
        "reached": names[-1],
        "was_ready": names[-1] == FIRST_TOKEN or was_serving,
        "while_starting": [
            {"id": known.id, "cause": known.cause, "line": known.line}
            for known in all_known(before)
        ],
        "since_ready": sorted({known.id for known in all_known(list(islice(whole, READ_LINES)))}),
    }


def last_errors(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """List the last requests that failed, as kinds and numbers."""
    failed = frame[frame["status"].eq("error").fillna(False)].tail(ERRORS)
    return _rows(failed[[name for name in ERROR_COLUMNS if name in failed]])


def requests_by_model(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Sum up the recorded requests."""
    from ..telemetry.summary import by_model

    return _rows(by_model(frame).reset_index()) if len(frame) else []


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", date_format="iso"))
    return rows
