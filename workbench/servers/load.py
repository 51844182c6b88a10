"""
How many requests a vLLM has under way, as it says itself.
"""

from __future__ import annotations

import re

from . import base

# Engines of a data-parallel server have a line each.
_REQUESTS = re.compile(r"^vllm:num_requests_(?:running|waiting)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


def requests_under_way(root: str, *, api_key: str | None) -> int | None:
    """
    Count the requests that run or wait.

    Args:
        root: The server's root URL.

    Returns:
        Their number, or ``None`` where ``/metrics`` does not have it.
    """
    page = base.ask(f"{root}/metrics", api_key=api_key).body.decode(errors="replace")
    values = _REQUESTS.findall(page)
    return round(sum(map(float, values))) if values else None
