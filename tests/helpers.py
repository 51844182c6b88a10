"""What several test modules need and no fixture should hide."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from workbench.servers.engine import Engine

AN_HOUR_AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
"""Telemetry deletes what is old, so its tests' requests are of today."""


def eventually(holds: Callable[[], object], *, within_s: float = 10.0) -> bool:
    """Wait for something that is about to become true."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return bool(holds())


def ctrl_c_when(is_true: Callable[[], object]) -> threading.Thread:
    """Send this process what Ctrl-C sends, as soon as *is_true*."""

    def press() -> None:
        assert eventually(is_true)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    return thread


def lives(pid: int) -> bool:
    """Tell whether a process runs; a zombie that its parent has not asked after does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def scripted_engine(folder: Path) -> Path:
    """Make an engine folder whose Python runs tests/scripted_engine.py, whatever it is asked."""
    script = Path(__file__).with_name("scripted_engine.py")
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    python.chmod(0o755)
    digest = Engine(folder).lock.digest
    (folder / "installed.json").write_text(json.dumps({"lock_sha256": digest}))
    return folder
