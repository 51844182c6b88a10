"""
``Session.bench``: a series of measurements of the session's server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..records import Progress
from .known import known_of
from .result import Result
from .series import Series, run_series
from .slo import read_slo

if TYPE_CHECKING:
    from ..session import Session


def bench(
    session: Session,
    *,
    slo: str | None,
    on_progress: Callable[[Progress], None],
    on_result: Callable[[Result], None],
    **load: Any,
) -> tuple[Result, ...]:
    """Measure what the session's server does; see :meth:`workbench.session.Session.bench`."""
    server = session.server
    concurrency = load.pop("concurrency", ())
    many = (concurrency,) if isinstance(concurrency, int) else tuple(concurrency or ())
    if (prompts := load.get("prompts")) is not None and not hasattr(prompts, "suffix"):
        load["prompts"] = tuple(map(str, prompts))
    return run_series(
        server.base_url,
        Series(concurrency=many, **load),
        api_key=server.api_key,
        slo=read_slo(slo) if slo else None,
        known=known_of(server),
        on_progress=on_progress,
        on_result=on_result,
    )
