"""
``workbench telemetry serve``: others' records into this folder's file, and on to its sinks.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .errors import ConfigError
from .setting_values import revealed
from .telemetry.receiver import PATH, Receiver
from .urls import is_loopback

if TYPE_CHECKING:
    from .session import Session
    from .settings import Settings

RECEIVED_LOG = "received.jsonl"


@contextmanager
def sidecar(session: Session, *, host: str, port: int) -> Iterator[Receiver]:
    """
    Receive in the background while this lasts; what was accepted by its end is in the file.

    Args:
        port: 0 for any free one; ``server_address`` says which.

    Raises:
        ConfigError: Anybody could write there, it would send to itself, or the
            port cannot be had.
    """
    settings = session.settings
    token = revealed(settings.logging_endpoint_token)
    _refuse_open_door(host, token)
    _refuse_circle(settings, host, port)
    log = settings.state_dir / "logs" / RECEIVED_LOG
    try:
        receiver = Receiver((host, port), session.telemetry.keep, log=log, token=token)
    except OSError as exc:
        raise ConfigError(
            f"{host}:{port} cannot be listened on: {exc.strerror}.",
            hint="Take another: workbench telemetry serve --port 5001",
            key="port",
            source="argument",
        ) from exc
    session.telemetry.start_sending()
    thread = threading.Thread(target=receiver.serve_forever, name="workbench-sidecar")
    thread.start()
    try:
        yield receiver
    finally:
        receiver.end()
        thread.join()


def counts(receiver: Receiver) -> dict[str, int]:
    """Count what was received so far."""
    return {
        "records": receiver.records,
        "log_lines": receiver.log_lines,
        "refused": receiver.refused,
        "unknown_fields": receiver.unknown_fields,
    }


def counted(receiver: Receiver) -> str:
    """Say what was received so far."""
    said = (
        f"{receiver.records:,} records, {receiver.log_lines:,} log lines, "
        f"{receiver.refused:,} requests refused"
    )
    unknown = receiver.unknown_fields
    return f"{said}, {unknown:,} unknown fields left out" if unknown else said


def _refuse_open_door(host: str, token: str | None) -> None:
    if token is None and not is_loopback(f"http://{_bracketed(host)}"):
        raise ConfigError(
            f"On {host} everybody who reaches this machine could write records.",
            hint="Set LOGGING_ENDPOINT_TOKEN here and where it is sent from, or take --host "
            "127.0.0.1.",
            key="logging_endpoint_token",
            source="default",
        )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _refuse_circle(settings: Settings, host: str, port: int) -> None:
    """What comes in would go out, and come in again."""
    if settings.logging_endpoint is None:
        return
    try:
        there = urlsplit(settings.logging_endpoint.reveal())
        its_port = there.port or (443 if there.scheme == "https" else 80)
    except ValueError:  # it is no address, as its sink will say
        return
    if its_port == port and there.path == PATH and _reaches(there.hostname or "", host):
        raise ConfigError(
            "LOGGING_ENDPOINT is this very address: what is received would be sent to itself.",
            hint="Unset it here, and set it where the records come from.",
            key="logging_endpoint",
            source=settings.origins["logging_endpoint"],
        )


def _reaches(name: str, host: str) -> bool:
    """Tell whether who sends to *name* comes to who listens on *host*."""
    if name == host or (is_loopback(f"http://{host}") and is_loopback(f"http://{name}")):
        return True
    theirs, ours = _addresses(name), _addresses(host)
    if ours & {"0.0.0.0", "::"}:
        return any(map(_is_of_this_machine, theirs))
    return bool(theirs & ours)


def _addresses(name: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(name, None)}
    except (OSError, UnicodeError):  # a name that nobody knows leads nowhere
        return set()


def _is_of_this_machine(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
