"""
The client and the telemetry that the settings mean: a call of the one is a row of the other.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import TYPE_CHECKING

from .records import Outcome
from .serving import remote_model
from .setting_values import tags_of

if TYPE_CHECKING:
    from .client import Client
    from .servers.base import Server
    from .settings import Settings
    from .telemetry import Telemetry


def open_client(
    settings: Settings, server: Server, on_outcome: Callable[[Outcome], None]
) -> Client:
    """Make a client of *server* that waits, or does not, while models are switched."""
    from .client import Client
    from .switch import Gate, Journal

    base_url = server.base_url
    gate = Gate(
        Journal(settings.state_dir), waits=settings.during_switch == "wait", base_url=base_url
    )
    return Client(
        base_url,
        api_key=server.api_key,
        model=remote_model(settings),
        on_outcome=on_outcome,
        asks_version=settings.telemetry,
        gate=gate,
    )


def open_telemetry(settings: Settings, *, session: str, base_url: str | None) -> Telemetry:
    """Make the telemetry that the settings ask for; its sinks are opened when there are rows."""
    from .telemetry import Configured, Contents, Retention, Telemetry, redacting

    redact = redacting(settings.telemetry_redact) if settings.telemetry_redact else str
    return Telemetry(
        settings.state_dir / "telemetry.db",
        session=session,
        user=settings.user or _login_name(),
        backend=settings.backend,
        base_url=base_url,
        tags=tags_of(settings.telemetry_tags),
        plain_hash=settings.telemetry_hash == "sha256",
        contents=Contents(redact, kept=settings.telemetry_contents),
        retention=Retention(
            max_age_days=settings.telemetry_max_age_days,
            max_bytes=settings.telemetry_max_bytes,
        ),
        destinations=Configured(settings),
    )


def _login_name() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return None
