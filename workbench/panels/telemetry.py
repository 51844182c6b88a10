"""
Telemetry: the requests of this folder as a table to filter, one in detail, and pictures.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .. import units
from ..display import View
from ..session import Session
from ..views import telemetry_view
from . import html
from .base import Panel

if TYPE_CHECKING:
    import pandas as pd

LAST = 2000
PAGE = 50
"""Rows on a page: two thousand at once are slow to draw and never read."""

STATUSES = (("", "all"), ("ok", "ok"), ("error", "error"), ("interrupted", "interrupted"))
PICTURES = {"latency": "Latency", "ttft": "TTFT", "tokens": "Tokens", "errors": "Errors"}


class TelemetryPanel(Panel):
    """The last requests that were recorded, the newest first."""

    NAME, TITLE = "telemetry", "Telemetry"
    ACTS = frozenset({"refresh", "filter", "page", "details", "close", "picture"})

    def __init__(self, session: Callable[[], Session]) -> None:
        super().__init__(session)
        self._frame: pd.DataFrame | None = None
        self._words = self._status = ""
        self._page = 0
        self.show("filters", _filters())
        for part in ("error", "details", "picture"):
            self.show(part, "")
        self.show("rows", html.empty("Nothing was read yet.", "Press Refresh."))

    def text(self) -> str:
        """Show the last requests as ``telemetry`` does."""
        return str(telemetry_view(self.session.telemetry.frame(last=20)))

    def first_seen(self) -> None:
        """Read the rows when somebody looks."""
        self.work(self.look)

    def look(self) -> None:
        """Read the rows again."""
        self._frame = self.session.telemetry.frame(last=LAST)[::-1].reset_index(drop=True)
        self._show_rows()

    def do_refresh(self, _values: Mapping[str, Any]) -> None:
        """Read the rows again."""
        self.no_error()
        self.work(self.look)

    def do_filter(self, values: Mapping[str, Any]) -> None:
        """Show only rows that ended so, and have these words in a text column."""
        self._words = str(values.get("words", "")).strip()
        self._status = str(values.get("status", ""))
        self._page = 0
        self._show_rows()

    def do_page(self, values: Mapping[str, Any]) -> None:
        """Show other rows."""
        self._page = max(0, self._page + int(values.get("by", 1)))
        self._show_rows()

    def do_details(self, values: Mapping[str, Any]) -> None:
        """Show all that is known of a request."""
        frame = self._frame
        number = int(values["row"])
        if frame is not None and 0 <= number < len(frame):
            known = {name: value for name, value in frame.iloc[number].items() if _known(value)}
            self.show("details", lambda: _details(known))

    def do_close(self, _values: Mapping[str, Any]) -> None:
        """Show no details, and no picture."""
        self.show("details", "")
        self.show("picture", "")

    def do_picture(self, values: Mapping[str, Any]) -> None:
        """Draw the rows that are chosen."""
        if (kind := str(values["kind"])) in PICTURES:
            self.work(lambda: self._draw(kind))

    @property
    def chosen(self) -> pd.DataFrame | None:
        """The rows that the filters leave, the newest first."""
        import pandas as pd  # slower to import than all of the workbench

        frame = self._frame
        if frame is None or not len(frame):
            return frame
        if self._status:
            frame = frame[frame["status"] == self._status]
        if self._words:
            names = [it for it in frame.columns if pd.api.types.is_string_dtype(frame[it])]
            texts = [frame[name].fillna("") for name in names]
            has = [it.str.contains(self._words, case=False, regex=False) for it in texts]
            frame = frame[pd.concat(has, axis=1).any(axis=1)]
        return frame

    def _draw(self, kind: str) -> None:
        from ..plots import telemetry as plots

        if (frame := self.chosen) is not None:
            figure: Any = getattr(plots, kind)(frame[::-1])
            png = base64.b64encode(figure._repr_png_()[0]).decode()
            self.show("picture", _picture(kind, png))

    def _show_rows(self) -> None:
        frame = self.chosen
        if frame is not None:
            self._page = min(self._page, max(0, (len(frame) - 1) // PAGE))
            page, total = self._page, len(frame)
            shown = frame.iloc[page * PAGE : (page + 1) * PAGE]
            self.show("rows", lambda: _rows(shown, page, total))


def _filters() -> str:
    pictures = [
        html.button(label, "picture", title=f"A picture of {label}", says={"kind": kind})
        for kind, label in PICTURES.items()
    ]
    return '<div class="wb-result">' + (
        html.row(
            html.field("Filter", "words", kind="search", rest='data-input="filter"'),
            html.choice("Ended", "status", STATUSES, "", "filter"),
        )
        + html.row(
            html.button("Refresh", "refresh", title="Read the rows again"),
            '<span class="wb-faint">Pictures</span>',
            *pictures,
        )
        + "</div>"
    )


def _rows(frame: pd.DataFrame, page: int, total: int) -> str:
    if not total:
        return html.empty("No request is recorded, or none is like this.", "Ask: %%chat")
    view = View(
        columns=("sent (UTC)", "model", "ended", "in", "out", "TTFT", "latency"),
        numeric=frozenset({"in", "out", "TTFT", "latency"}),
        rows=tuple(_row(row) for row in frame.to_dict("records")),
    )
    acts = [
        html.button(
            "Details", "details", title=f"Details of request {number + 1}", says={"row": number}
        )
        for number in frame.index
    ]
    first = page * PAGE
    pages = html.row(
        html.button("‹ Newer", "page", enabled=page > 0, says={"by": -1}),
        html.button("Older ›", "page", enabled=first + PAGE < total, says={"by": 1}),
        html.faint(f"{first + 1:,}–{first + len(frame):,} of {total:,}"),
    )
    return f'<div class="wb-result">{html.table(view, acts=acts, label="Requests")}{pages}</div>'


def _row(row: Mapping[Any, Any]) -> tuple[str, ...]:
    def of(name: str) -> Any:
        return row[name] if _known(row[name]) else None

    # What stopped it has a name of Python's, which tells a reader nothing.
    stopped = of("status") == "interrupted"
    ended = "interrupted" if stopped else of("error_type") or of("finish_reason") or of("status")
    return (
        f"{row['timestamp']:%m-%d %H:%M:%S}",
        str(of("model") or units.UNKNOWN),
        str(ended or units.UNKNOWN),
        units.count(of("input_tokens")),
        units.count(of("output_tokens")),
        units.seconds(of("ttft_s")),
        units.seconds(of("e2e_latency_s") or of("duration_s")),
    )


def _known(value: Any) -> bool:
    import pandas as pd

    return not (pd.api.types.is_scalar(value) and pd.isna(value))


def _details(known: Mapping[Any, Any]) -> str:
    view = View(rows=tuple((str(name), str(value)) for name, value in known.items()))
    close = html.row(html.button("Close", "close", title="Close the details"))
    return f'<div class="wb-result">{html.table(view, label="Details")}{close}</div>'


def _picture(kind: str, png: str) -> str:
    close = html.row(html.button("Close", "close", title="Close the picture"))
    return (
        f'<div class="wb-result"><img alt="{PICTURES[kind]} of the requests"'
        f' src="data:image/png;base64,{png}">{close}</div>'
    )
