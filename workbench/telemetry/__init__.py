"""
What happened: one row for every request, kept in a SQLite file and sent on from there.

``Telemetry.emit`` takes what the client hands over, ``Telemetry.frame`` gives
it back as a DataFrame. Prompts and answers are stored only when asked for; a
hash of the prompt always is. The parts, from the inside out::

    record      a row, and how an outcome becomes one (pure)
    contents    prompts and answers as text, redacted (pure)
    hashing     the key, and what is hashed with it; recorder: makes records with it
    migrations  the tables
    store       the file: the only importer of sqlite3
    columns     rows as arrays, and packed; frames: as a DataFrame
    segments    rows once more, column by column, for reading many
    reading     which rows are read, and by which way
    outbox      what each sink has had; retention: what is deleted
    writer      the queue and the thread between a caller and the file
    keeper      what is done to the file now and then
    sinks       where rows are sent to; destinations: which of them
    portion     how many at once, and who is to blame for a refusal (pure)
    courier     the thread that sends them to one sink; dispatcher: all of them
    export      rows as a file
    telemetry   the door
"""

from .contents import Contents, redacting
from .destinations import Configured, Destinations
from .outbox import SinkStatus
from .reading import Chosen
from .record import SCHEMA_VERSION, Status, TelemetryRecord
from .retention import Retention
from .sinks import Sink
from .store import Store
from .telemetry import StoreStatus, Telemetry, TelemetryStatus

__all__ = [
    "SCHEMA_VERSION",
    "Chosen",
    "Configured",
    "Contents",
    "Destinations",
    "Retention",
    "Sink",
    "SinkStatus",
    "Status",
    "Store",
    "StoreStatus",
    "Telemetry",
    "TelemetryRecord",
    "TelemetryStatus",
    "redacting",
]
