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
SPANS_S = (60.0, 120.0, KEPT_S)
"""What is drawn is as long as what is known, so that a start is no stroke at the right edge."""

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
        last = self.samples[-1]
        return "\n".join(f"{it.title}: {_now(it, last)}" for it in _CHARTS)

    def look(self) -> None:
        """Read the page once more, and draw."""
        try:
            page = self.session.scrape()
        except ClientError as exc:
            self.show("error", html.error(exc.message, exc.hint))
            if not self.samples:
                self.show("charts", "")
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


@dataclass(frozen=True, slots=True)
class _Chart:
    """
    A chart: what is drawn of each sample, and how a value is written, with its unit.

    Args:
        lines: One or two, by the fields of :class:`Sample`; each with the label beside its value.
    """

    title: str
    lines: tuple[tuple[str, str], ...]
    write: Callable[[float | None], str]


def _share(value: float | None) -> str:
    if value is None:
        return units.UNKNOWN
    return f"{value:.1%}" if value >= 0.01 or not value else f"{value:.2%}"


def _requests(value: float | None) -> str:
    return units.count(None if value is None else round(value))


_CHARTS = (
    _Chart("Output", (("tokens_out_tps", ""),), units.rate),
    _Chart("TTFT", (("ttft_p50_s", "p50"), ("ttft_p95_s", "p95")), units.seconds),
    _Chart("Requests", (("running", "running"), ("waiting", "waiting")), _requests),
    _Chart("Input", (("tokens_in_tps", ""),), units.rate),
    _Chart("ITL", (("itl_p50_s", "p50"), ("itl_p95_s", "p95")), units.seconds),
    _Chart("KV cache used", (("kv_share", ""),), _share),
)
"""Three beside each other, as they are in a wide notebook: rates, latencies, what is under way."""


def _now(chart: _Chart, last: Sample) -> str:
    values = ((label, chart.write(getattr(last, name))) for name, label in chart.lines)
    return ", ".join(f"{label} {value}".strip() for label, value in values)


def _drawn(samples: tuple[Sample, ...]) -> str:
    at_s = [it.at_s for it in samples]
    known_s = at_s[-1] - at_s[0]
    span_s = next((it for it in SPANS_S if it >= known_s), KEPT_S)
    drawn = "".join(
        charts.lines(
            chart.title,
            at_s,
            [
                charts.Line(label, [getattr(it, name) for it in samples])
                for name, label in chart.lines
            ],
            write=chart.write,
            span_s=span_s,
        )
        for chart in _CHARTS
    )
    note = f"Rates and quantiles are of the last {WINDOW_S:.0f} s; – is nothing in that time."
    return f'<div class="wb-charts">{drawn}</div>{html.faint(note)}'
