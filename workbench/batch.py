"""
A batch as people look at it: a bar while it runs, a DataFrame when it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Unpack

from .client.batch import Keep, Row
from .records import Progress, SamplingParams

if TYPE_CHECKING:
    import pandas as pd

    from .client import Ask, Client, Messages


def map_prompts(
    client: Client,
    prompts: Iterable[Messages],
    params: SamplingParams,
    *,
    concurrency: int,
    keep: Keep | None,
    progress: bool,
    **ask: Unpack[Ask],
) -> pd.DataFrame:
    """Ask many prompts and return a row for each; see :meth:`workbench.Session.map`."""
    with _bar(shown=progress) as draw:
        rows = client.map(
            prompts, params, concurrency=concurrency, keep=keep, on_progress=draw, **ask
        )
    return frame_of(rows, with_parsed=ask.get("output") is not None)


def frame_of(rows: Sequence[Row], *, with_parsed: bool) -> pd.DataFrame:
    """
    Lay rows out as a table, with dtypes as telemetry's.

    ``reasoning`` and ``tool_calls`` are left out where no answer has any, and
    ``parsed`` where no form was asked for.
    """
    import pandas as pd  # slower to import than all of the workbench

    table = [[getattr(row, name) for name in _DTYPES] for row in rows]
    frame = pd.DataFrame(table, columns=list(_DTYPES), dtype=object).astype(_DTYPES)
    wanted = {
        "parsed": with_parsed,
        "reasoning": any(row.reasoning for row in rows),
        "tool_calls": any(row.tool_calls for row in rows),
    }
    return frame.drop(columns=[name for name, is_wanted in wanted.items() if not is_wanted])


@contextmanager
def _bar(*, shown: bool) -> Iterator[Callable[[Progress], None]]:
    """Yield what draws how many are done, how fast, and how many failed."""
    # Not tqdm.auto: it warns in a notebook without ipywidgets. This one works in both.
    from tqdm import tqdm

    with tqdm(unit=" requests", dynamic_ncols=True, disable=not shown) as bar:

        def draw(latest: Progress) -> None:
            bar.total = latest.total
            bar.set_description_str(latest.label, refresh=False)
            bar.update(latest.done - bar.n)

        yield draw
        bar.refresh()  # the last few came faster than it draws


def _dtype(annotation: str) -> str:
    kinds = {"int": "Int64", "float": "float64", "str": "string"}
    return kinds.get(annotation.removesuffix(" | None"), "object")


_DTYPES: dict[str, Any] = {item.name: _dtype(str(item.type)) for item in fields(Row)}
