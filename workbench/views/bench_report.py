"""
Measurements as one HTML page: tables, pictures, what was measured and how. Opens without a network.

Everything that a server said is escaped, and the page may load and run nothing:
its policy says so to the browser.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import asdict
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

from .. import units
from ..display import View
from .bench import NAMES, load_of, one_view, server_lines, several_view

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..bench.result import Result
    from .bench import BenchView

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0 }
th, td { padding: .15rem .8rem .15rem 0; vertical-align: top; border-bottom: 1px solid #8884 }
.loud { border-left: 4px solid #d55e00; padding: .3rem .8rem; white-space: pre-wrap }
img { max-width: 100% }
"""


def report(view: BenchView) -> str:
    """Write the page."""
    results = view.results
    title = f"{results[0].fingerprint.model}: {', '.join(load_of(each) for each in results)}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        *(_loud(result) for result in results),
        several_view(results).html() if len(results) > 1 else "",
        *(_figure(name, figure) for name, figure in view.pictures().items()),
        *(part for result in results for part in _one(result)),
        "<h2>What was measured</h2>",
        *(part for result in results for part in _told(result)),
    ]
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _loud(result: Result) -> str:
    """Say first what makes the numbers doubtful."""
    said = []
    if result.interrupted:
        said.append("It was interrupted: this is what came until then.")
    if result.lag.is_loud:
        share = f"{result.lag.share:.1%}"
        said.append(f"The client's own lag may be {share} of what is measured.")
    if result.metrics.failed:
        share = f"{result.metrics.error_rate:.1%}"
        said.append(f"{result.metrics.failed} requests failed ({share}); no average has them.")
    if not said:
        return ""
    return f"<p class='loud'>{escape(load_of(result))}: {escape(' '.join(said))}</p>"


def _one(result: Result) -> Iterator[str]:
    yield f"<h2>{escape(load_of(result))}</h2>"
    yield one_view(result).html()
    if result.server:
        yield "<h3>Where time went</h3>"
        yield _sides(result).html()
    if result.cold and result.cold.sent:
        yield "<h3>Cold: the requests before</h3>"
        yield _cold(result).html()


def _sides(result: Result) -> View:
    assert result.server is not None
    return View(
        columns=("", "until the first token", "until the last"),
        numeric=frozenset({"until the first token", "until the last"}),
        rows=tuple(
            (part.name, units.seconds(part.ttft_s), units.seconds(part.e2e_s))
            for part in result.server.sides.parts
        ),
        note="\n".join(server_lines(result)),
    )


def _cold(result: Result) -> View:
    assert result.cold is not None
    rows = []
    for key, name in NAMES.items():
        cold, warm = getattr(result.cold, key), getattr(result.metrics, key)
        means = [units.seconds(each.mean.value if each else None) for each in (cold, warm)]
        rows.append((name, *means))
    return View(
        columns=("mean", "cold", "warm"), numeric=frozenset({"cold", "warm"}), rows=tuple(rows)
    )


def _told(result: Result) -> Iterator[str]:
    told = asdict(result.fingerprint) | {
        "started_at": f"{result.started_at:%Y-%m-%d %H:%M:%S} UTC",
        "load": {name: value for name, value in asdict(result.settings).items() if value},
    }
    rows = [(name, _text(value)) for name, value in told.items()]
    yield View(title=load_of(result), rows=tuple(rows)).html()


def _text(value: object) -> str:
    if value is None:
        return units.UNKNOWN
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _figure(name: str, figure: Figure) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=144)
    source = b64encode(buffer.getvalue()).decode()
    return f"<p><img alt='{escape(name, quote=True)}' src='data:image/png;base64,{source}'></p>"
