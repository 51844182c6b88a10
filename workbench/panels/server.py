"""
Server: whether it is up, how far its start is, what it does now, and what its log says.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from itertools import filterfalse, takewhile
from typing import Any

from .. import scrapes, units
from ..errors import ClientError, WorkbenchError
from ..records import Scrape, ServerState, ServerStatus
from ..session import Session
from ..views import status_view
from . import html
from .base import Panel

LOG_LINES = 400
"""So much of a log's end is read again each time; what is older is in the file."""

_WATCHING = re.compile(r'"GET /(health|metrics|version|v1/models) HTTP/[\d.]+" 200')
"""Who watches a server asks it each second, and the log would be of nothing else."""


class ServerPanel(Panel):
    """The session's server, with ``up``, ``down`` and ``restart``."""

    NAME, TITLE = "server", "Server"
    ACTS = frozenset({"up", "down", "restart", "search"})
    EVERY_S = 1.0

    def __init__(self, session: Callable[[], Session]) -> None:
        super().__init__(session)
        self._wanted = ""
        self._log: list[str] = []
        self._no_log = ""
        for part in ("head", "live", "acts", "error", "progress"):
            self.show(part, "")
        self.show("search", _search())
        self.show("log", "")

    def text(self) -> str:
        """Say what ``status`` says."""
        return str(status_view(self.session.status()))

    def look(self) -> None:
        """Look at the server, its metrics and the end of its log."""
        status = self.session.status()
        seen = self._scrape(status)
        busy = self.is_busy
        self.show("head", lambda: _head(status))
        self.show("live", lambda: _live(status, seen))
        self.show("acts", lambda: _acts(status, busy=busy))
        self._log = self._end_of_log()
        self._show_log()

    def do_up(self, _values: Mapping[str, Any]) -> None:
        """Start the server, or attach to the one that runs."""
        self._begin(lambda: self.session.up(on_progress=self.progress))

    def do_restart(self, _values: Mapping[str, Any]) -> None:
        """Stop it and start it again."""
        self._begin(lambda: self.session.restart(on_progress=self.progress))

    def do_down(self, _values: Mapping[str, Any]) -> None:
        """Stop it; a start that is under way ends too."""
        if self.is_busy:
            self.session.down()
            self.look()
        else:
            self._begin(self.session.down)

    def do_search(self, values: Mapping[str, Any]) -> None:
        """Show only the log's lines that have these words."""
        self._wanted = str(values.get("words", "")).strip()
        self._show_log()

    def _begin(self, verb: Callable[[], object]) -> None:
        def run() -> None:
            try:
                verb()
            finally:
                self.show("progress", "")

        if self.work(run, first=self.no_error, then=self.look):
            self.look()

    def _scrape(self, status: ServerStatus) -> Scrape | None:
        if status.state is not ServerState.READY:
            return None
        try:
            return self.session.scrape()
        except ClientError:  # some servers have no metrics, and are ready all the same
            return None

    def _end_of_log(self) -> list[str]:
        self._no_log = ""
        try:
            lines = takewhile(bool, self.session.logs())
            return list(deque(filterfalse(_WATCHING.search, lines), maxlen=LOG_LINES))
        except WorkbenchError as exc:
            self._no_log = exc.message
        except OSError as exc:
            self._no_log = f"The log cannot be read: {exc}"
        self._wanted = ""
        return []

    def _show_log(self) -> None:
        lines, wanted, no_log = self._log, self._wanted, self._no_log
        self.show("search", "" if no_log else _search())
        self.show("log", lambda: html.faint(no_log) if no_log else _log(lines, wanted))


def _head(status: ServerStatus) -> str:
    stopped = status.state is ServerState.STOPPED
    models = ", ".join(model.name for model in status.models)
    health = "healthy" if status.healthy else "not healthy"
    version = f"vLLM {status.version}" if status.version else ""
    known = () if stopped else (status.base_url, version, health)
    line = " · ".join(filter(None, (status.backend, *known)))
    return (
        f'<div class="wb-head"><span class="wb-dot wb-{status.state}"></span>'
        f"<strong>{html.text(status.state)}</strong><span>{html.text(models)}</span></div>"
        f"{html.faint(line)}{html.faint(status.detail or '')}"
    )


def _live(status: ServerStatus, seen: Scrape | None) -> str:
    if status.state is ServerState.STOPPED:
        return html.empty("No server runs.", "Press Up, or type: %wb up")
    if status.state is ServerState.FAILED:
        return html.empty("The server failed.", "The log below says why; Up tries again.")
    if status.state is not ServerState.READY:
        return ""
    if seen is None:
        return html.faint("The server has no metrics to show.")
    used = scrapes.now(seen, "kv_cache_usage")
    pairs = [
        ("Running, requests", _whole(scrapes.now(seen, "running"))),
        ("Waiting, requests", _whole(scrapes.now(seen, "waiting"))),
        ("KV cache", units.UNKNOWN if used is None else f"{used:.1%}"),
        ("Memory", units.size(status.rss_bytes)),
    ]
    return html.numbers(pairs) + html.bar(used, "KV cache used")


def _whole(value: float | None) -> str:
    return units.count(None if value is None else round(value))


def _acts(status: ServerStatus, *, busy: bool) -> str:
    if status.backend == "remote":
        return html.faint("A remote server is started and stopped where it runs.")
    stopped = status.state in (ServerState.STOPPED, ServerState.FAILED)
    return html.row(
        html.button("Up", "up", primary=stopped, enabled=stopped and not busy),
        html.button("Down", "down", enabled=not stopped),
        html.button("Restart", "restart", enabled=not stopped and not busy),
    )


def _search() -> str:
    return html.field("Search the log", "words", kind="search", rest='data-input="search"')


def _log(lines: list[str], wanted: str) -> str:
    found = [line for line in lines if wanted.lower() in line.lower()]
    if not found:
        return html.faint(f"No line has “{wanted}”." if wanted and lines else "The log is empty.")
    written = "\n".join(map(html.text, found))
    shown = f"{units.count(len(found))} of " if wanted else ""
    told = f"{shown}the last {units.count(len(lines), 'line')}, without GET /health, /metrics …"
    return (
        '<div class="wb-log" data-stick tabindex="0" role="log" aria-live="off"'
        f' aria-label="Server log"><pre>{written}</pre></div>'
        f"{html.faint(told)}"
    )
