"""
Waiting until a server has no request under way.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..records import Progress
from ..servers.base import Server
from ..servers.metrics_page import requests_under_way
from ..urls import root_url

LOOK_EVERY_S = 0.05


def drain(server: Server, *, within_s: float, on_progress: Callable[[Progress], None]) -> str:
    """
    Wait for the requests that run or wait there, but not longer than *within_s*.

    Returns:
        What was seen, as a sentence; what is not done by then is cut off.
    """
    root, deadline_s = root_url(server.base_url), time.monotonic() + within_s
    first = left = requests_under_way(root, api_key=server.api_key)
    while left and time.monotonic() < deadline_s:
        label = f"waiting for {left} requests"
        on_progress(Progress(label=label, done=0, total=left, unit="requests"))
        time.sleep(LOOK_EVERY_S)
        left = requests_under_way(root, api_key=server.api_key)
    if first is None:
        return "it does not say what it has under way"
    if left:
        return f"{left} requests were still under way after {within_s:g} s, and are cut off"
    return f"{first} requests were under way, and ended" if first else "no request was under way"
