"""
The one page that is no JSON, which the client therefore does not read: ``/metrics``.
"""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from dataclasses import dataclass

from ..urls import is_loopback, root_url
from .base import Target

TIMEOUT_S = 10.0

_RUNNING = re.compile(r"^vllm:num_requests_running(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """An answer as text; status 0 where nobody answered, and the text says why."""

    status: int
    text: str


def page(url: str, *, api_key: str | None) -> Page:
    """Get a page that is no JSON; what the network does is an answer too."""
    request = urllib.request.Request(url)
    if api_key:
        request.add_header("Authorization", f"Bearer {api_key}")
    # As servers.base.ask: a proxy is never used for this machine.
    direct = (urllib.request.ProxyHandler({}),) if is_loopback(url) else ()
    try:
        with urllib.request.build_opener(*direct).open(request, timeout=TIMEOUT_S) as response:
            return Page(response.status, _text(response.read(), api_key))
    except urllib.error.HTTPError as exc:
        with exc:
            return Page(exc.code, _text(exc.read(), api_key))
    except (OSError, http.client.HTTPException, ValueError) as exc:
        # A header that cannot be sent is quoted in the message, key and all.
        return Page(0, _text((str(exc) or type(exc).__name__).encode(), api_key))


def _text(body: bytes, api_key: str | None) -> str:
    text = body.decode(errors="replace")
    return text.replace(api_key, "***") if api_key else text


def metrics_page(target: Target) -> Page:
    """Read ``/metrics``, with the key: a proxy may want it."""
    return page(f"{root_url(target.base_url)}/metrics", api_key=target.api_key)


def running_requests(metrics: str) -> float | None:
    """Add up ``vllm:num_requests_running`` over engines; ``None`` if the page has none."""
    values = [float(value) for value in _RUNNING.findall(metrics)]
    return sum(values) if values else None
