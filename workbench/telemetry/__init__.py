"""
What happened: one row for every request, kept in a SQLite file.

``Telemetry.emit`` takes what the client hands over, ``Telemetry.frame`` gives
it back as a DataFrame. Prompts and answers are never stored, only a keyed
hash of the prompt. The parts, from the inside out::

    record      a row, and how an outcome becomes one (pure)
    hashing     the key, and what is hashed with it
    migrations  the tables
    store       the file: the only importer of sqlite3
    frames      rows as a DataFrame
    writer      the queue and the thread between a caller and the file
    telemetry   the door
"""

from .record import SCHEMA_VERSION, Status, TelemetryRecord
from .store import Store
from .telemetry import Telemetry, TelemetryStatus

__all__ = [
    "SCHEMA_VERSION",
    "Status",
    "Store",
    "Telemetry",
    "TelemetryRecord",
    "TelemetryStatus",
]
