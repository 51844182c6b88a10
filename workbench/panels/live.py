"""
Live: what the server did over the last minutes, by its own metrics.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .. import scrapes, units
from ..errors import ClientError
from ..records import Scrape
from ..session import Session
from . import charts, html
from .base import Panel

KEPT_S = 300.0
WINDOW_S = 10.0
"""Rates and quantiles are of the last ten seconds: of one alone they jump about."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was true at a moment; unknown where nothing was counted in the window."""

    at_s: float
    tokens_in_tps: float | None
    tokens_out_tps: float | None
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    itl_p50_s: float | None
    itl_p95_s: float | None
    running: float | None
    waiting: float | None
    kv_share: float | None


def sample(before: Scrape, after: Scrape) -> Sample:
    """Work out rates and quantiles between two pages, and what the later one says is now."""
    window_s = after.at_s - before.at_s

    def rate(name: str) -> float | None:
        grown = scrapes.increase(before, after, name)
        return grown / window_s if grown is not None and window_s > 0 else None

    ttft, itl = (scrapes.observed(before, after, name) for name in ("ttft", "itl"))
    return Sample(
        after.at_s,
        rate("prompt_tokens"),
        rate("generation_tokens"),
        scrapes.quantile(ttft, 0.5),
        scrapes.quantile(ttft, 0.95),
        scrapes.quantile(itl, 0.5),
        scrapes.quantile(itl, 0.95),
        scrapes.now(after, "running"),
        scrapes.now(after, "waiting"),
        scrapes.now(after, "kv_cache_usage"),
    )


class LivePanel(Panel):
    """The server's metrics, read each second while the panel is seen."""

    NAME, TITLE = "live", "Live"
    EVERY_S = 1.0

    def __init__(self, session: Callable[[], Session]) -> None:
        super().__init__(session)
        self._pages: deque[Scrape] = deque()
        self.samples: deque[Sample] = deque()
        self.show("error", "")
        self.show("charts", html.empty("Nothing was read yet.", "It begins when this is seen."))

    def text(self) -> str:
        """Say what was seen last."""
        if not self.samples:
            return "Live panel: nothing was read yet; see: %wb telemetry server"
        lines = (f"{title}: {value}" for title, value in _titles(self.samples[-1]))
        return "\n".join(lines)

    def look(self) -> None:
        """Read the page once more, and draw."""
        try:
            page = self.session.scrape()
        except ClientError as exc:
            self.show("error", html.error(exc.message, exc.hint))
            return
        self.no_error()
        if self._pages and scrapes.began_anew(self._pages[-1], page):
            self._pages.clear()
        self._pages.append(page)
        while page.at_s - self._pages[0].at_s > WINDOW_S:
            self._pages.popleft()
        self.samples.append(sample(self._pages[0], page))
        while page.at_s - self.samples[0].at_s > KEPT_S:
            self.samples.popleft()
        kept = tuple(self.samples)
        self.show("charts", lambda: _drawn(kept))


def _titles(last: Sample) -> list[tuple[str, str]]:
    kv = units.UNKNOWN if last.kv_share is None else f"{last.kv_share:.1%}"
    return [
        ("Output", units.rate(last.tokens_out_tps)),
        ("Input", units.rate(last.tokens_in_tps)),
        ("TTFT p50 / p95", _two(last.ttft_p50_s, last.ttft_p95_s)),
        ("ITL p50 / p95", _two(last.itl_p50_s, last.itl_p95_s)),
        ("Running / waiting", f"{_whole(last.running)} / {_whole(last.waiting)}"),
        ("KV cache", kv),
    ]


def _drawn(samples: tuple[Sample, ...]) -> str:
    lines = [
        ([it.tokens_out_tps for it in samples],),
        ([it.tokens_in_tps for it in samples],),
        ([it.ttft_p50_s for it in samples], [it.ttft_p95_s for it in samples]),
        ([it.itl_p50_s for it in samples], [it.itl_p95_s for it in samples]),
        ([it.running for it in samples], [it.waiting for it in samples]),
        ([it.kv_share for it in samples],),
    ]
    tops: list[Callable[[float], str]] = [
        units.rate,
        units.rate,
        units.seconds,
        units.seconds,
        lambda value: f"{value:.0f} requests",
        lambda value: f"{value:.0%}",
    ]
    at_s = [it.at_s for it in samples]
    drawn = "".join(
        charts.lines(title, value, at_s, series, top=top, span_s=KEPT_S)
        for (title, value), series, top in zip(_titles(samples[-1]), lines, tops, strict=True)
    )
    note = f"Rates and quantiles are of the last {WINDOW_S:.0f} s. Dashed: p95, waiting."
    return f'<div class="wb-charts">{drawn}</div>{html.faint(note)}'


def _two(one: float | None, other: float | None) -> str:
    return f"{units.seconds(one)} / {units.seconds(other)}"


def _whole(value: float | None) -> str:
    return units.count(None if value is None else round(value))
