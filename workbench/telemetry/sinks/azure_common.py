"""
What both Azure sinks share: who they are to Azure, and what its errors mean.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ...errors import ConfigError, MissingDependencyError, SinkError
from ...setting_values import Secret
from .answers import raise_for, seconds_of
from .base import RefusedBatchError

CONNECT_S = 5.0
ANSWER_S = 10.0
SIGN_IN_S = 60.0
"""Looking for who is signed in asks half a dozen places."""

PIP = "pip install 'vllm-workbench[azure]'"


def missing(package: str, setting: str) -> MissingDependencyError:
    """Say that a library is not installed, and how it is."""
    return MissingDependencyError(
        f"{setting} is set, and {package} is not installed.",
        hint=PIP,
        package=package,
        key=setting,
        source=setting,
    )


def address(text: str, setting: str) -> str:
    """
    Check an address before a library makes a riddle of it.

    Raises:
        ConfigError: It is none.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ConfigError(
            f"{setting} is not an address like https://NAME.….azure.com.",
            hint="The resource's page in Azure's portal has it.",
            key=setting,
            source=setting,
        )
    return text


def identity(setting: str) -> Any:
    """
    Return whoever is signed in: environment, managed identity, ``az login``, in Azure's order.

    Raises:
        MissingDependencyError: ``azure-identity`` is not installed.
    """
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError as exc:
        raise missing("azure-identity", setting) from exc
    return DefaultAzureCredential()


def revealed(key: Secret | None) -> str | None:
    """Return the key, if there is one."""
    return None if key is None else key.reveal()


def meaning(name: str, place: str, exc: Exception) -> Exception:
    """
    Say what an exception of ``azure.core`` means to a sink.

    Returns:
        A ``SinkError`` or ``RefusedBatchError``.
    """
    from azure.core.exceptions import ClientAuthenticationError

    exc = _with_status(exc)
    status = getattr(exc, "status_code", None)
    if not status and isinstance(exc, ClientAuthenticationError):
        return SinkError(
            f"Nobody is signed in to Azure for {place}: {_first_line(exc)}",
            hint="Sign in (az login), or set the key. It is tried again.",
            sink=name,
            retry_after_s=SIGN_IN_S,
        )
    if not status:
        return SinkError(
            f"{place} cannot be reached: {_first_line(exc)}",
            hint="It is tried again. Check address and network.",
            sink=name,
        )
    try:
        raise_for(name, place, status, retry_after_s=_wait_s(exc), said=_first_line(exc))
    except (SinkError, RefusedBatchError) as found:
        return found
    return SinkError(f"{place} answered HTTP {status}, which is no answer.", sink=name)


def _with_status(exc: Exception) -> Exception:
    """Event Grid's library raises a 404 anew, without its status."""
    cause = exc.__cause__
    if getattr(exc, "status_code", None) is None and getattr(cause, "status_code", None):
        assert isinstance(cause, Exception)  # it has a status
        return cause
    return exc


def _wait_s(exc: Exception) -> float | None:
    response = getattr(exc, "response", None)
    headers = getattr(response, "headers", None) or {}
    # Cosmos DB has milliseconds in a header of its own.
    in_ms = seconds_of(headers.get("x-ms-retry-after-ms"))
    return seconds_of(headers.get("Retry-After")) if in_ms is None else in_ms / 1000


def _first_line(exc: Exception) -> str:
    lines = [line.strip() for line in str(exc).splitlines()]
    # Cosmos DB's own begin with a line that repeats the status.
    told = [line for line in lines if line and not line.startswith("Status code:")]
    return told[0] if told else type(exc).__name__
