"""
Small questions about URLs. Pure.
"""

from __future__ import annotations

from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """
    Tell whether *url* names this machine by its loopback address.

    Such a server is never reached by a proxy: a proxy would look for the
    address on its own machine, and read the key on the way.
    """
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # it is no URL, and nobody's address
        return False
    return host in ("localhost", "::1") or host.startswith("127.")


def root_url(base_url: str) -> str:
    """Return *base_url* without ``/v1``: ``/health`` and ``/metrics`` hang there."""
    return base_url.removesuffix("/").removesuffix("/v1")


def bare_url(url: str) -> str | None:
    """Return *url* without user, password, query and fragment; ``None`` if it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl() or None
