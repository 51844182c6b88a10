"""
Models: what there is to serve, whether it fits; plan, fetch, and switch with a way back.

A fetch and a switch can be stopped: a fetch keeps what came, a switch goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import shorten
from typing import Any

from .. import units
from ..display import View
from ..errors import SwitchError
from ..inventory import Inventory, Item
from ..records import Progress
from ..session import Session
from ..views import fetched_view, inventory_view, plan_view, switch_view
from . import html
from .base import Panel

SHOWN = 160
"""Letters of why there is no plan; some name all the models that there is one for."""


class ModelsPanel(Panel):
    """The inventory, with ``plan``, ``fetch`` and ``use`` for each model."""

    NAME, TITLE = "models", "Models"
    ACTS = frozenset({"refresh", "plan", "fetch", "use", "stop", "close"})

    def __init__(self, session: Callable[[], Session]) -> None:
        super().__init__(session)
        self._items: Inventory = ()
        self.show("bar", html.row(html.button("Refresh", "refresh", title="List the models again")))
        self.show("error", "")
        for part in ("progress", "stop", "result"):
            self.show(part, "")
        self.show("list", html.empty("The models were not listed yet.", "Press Refresh."))

    def text(self) -> str:
        """List the models as ``models`` does."""
        return str(inventory_view(self.session.inventory()))

    def look(self) -> None:
        """List the models."""
        self._items = self.session.inventory()
        self._show_list()

    def first_seen(self) -> None:
        """List them when somebody looks."""
        self.work(self.look, then=self._show_list)

    def do_refresh(self, _values: Mapping[str, Any]) -> None:
        """List the models again."""
        self.no_error()
        self.work(self.look, then=self._show_list)

    def do_plan(self, values: Mapping[str, Any]) -> None:
        """Say what would take how much memory."""
        model = str(values["model"])
        self._begin(f"planning {model}", lambda: self._result(plan_view(self.session.plan(model))))

    def do_fetch(self, values: Mapping[str, Any]) -> None:
        """Fetch a model of the hub, or what is missing of it."""
        model = str(values["model"])
        self._begin(
            f"asking for {model}",
            lambda: self._result(
                fetched_view(self.session.fetch(model, on_progress=self.progress))
            ),
            stop="Stop, and keep what came",
        )

    def do_use(self, values: Mapping[str, Any]) -> None:
        """Serve a model instead of the one that runs; the steps say whether it went back."""
        model = str(values["model"])

        def use() -> None:
            try:
                report = self.session.use(model, on_progress=self.progress)
            except SwitchError as exc:
                self._result(switch_view(exc.report))
                raise
            self._result(switch_view(report))

        self._begin(f"looking whether {model} fits", use, stop="Stop, and go back")

    def do_stop(self, _values: Mapping[str, Any]) -> None:
        """Stop the fetch or the switch at work, as Ctrl-C does in the shell."""
        if self.is_busy:
            self.stop()
            self.show("stop", html.faint("Stopping …"))

    def do_close(self, _values: Mapping[str, Any]) -> None:
        """Show no result any more."""
        self.no_error()
        self.show("result", "")

    def stopped(self) -> None:
        """Say what serves now that the verb was stopped."""
        names = ", ".join(model.name for model in self.session.status().models)
        now = f"{names} serves, as before." if names else "Nothing is served."
        self.show("error", html.error("Stopped.", now))

    def _begin(self, what: str, verb: Callable[[], None], *, stop: str = "") -> None:
        def run() -> None:
            try:
                verb()
            finally:
                self.show("progress", "")
                self.show("stop", "")

        self.work(run, first=lambda: self._started(what, stop), then=self.look)

    def _started(self, what: str, stop: str) -> None:
        self.do_close({})
        self.show("progress", html.progress(Progress(label=what, done=0, total=None, unit="s")))
        self.show("stop", html.row(html.button("Stop", "stop", title=stop)) if stop else "")
        self._show_list()

    def _show_list(self) -> None:
        # Whether more can be begun is asked when it is drawn: a list is work itself.
        items = self._items
        self.show("list", lambda: _list(items, busy=self.is_busy))

    def _result(self, view: View) -> None:
        self.show("result", lambda: result(view))


def result(view: View) -> str:
    """Show what a verb came to: a title, a table, a note."""
    title = f"<strong>{html.text(view.title)}</strong>" if view.title else ""
    table = html.table(view, label=view.title or "Result") if view.rows else ""
    note = f'<div class="wb-faint wb-note">{html.text(view.note)}</div>' if view.note else ""
    close = html.row(html.button("Close", "close", title="Close the result"))
    return f'<div class="wb-result">{title}{table}{note}{close}</div>'


def _list(items: Inventory, *, busy: bool) -> str:
    if not items:
        return html.empty("There is no model.", "Put one into models/, or: %wb models fetch NAME")
    rows = "".join(_item(item, busy=busy) for item in items)
    return f'<div class="wb-list" role="list">{rows}</div>'


def _item(item: Item, *, busy: bool) -> str:
    which = {"model": item.name}
    here = item.on_disk is not None and not item.on_disk.missing_bytes
    acts = [html.button("Plan", "plan", title=f"Plan {item.name}", enabled=not busy, says=which)]
    if not here:
        title = f"Fetch {item.name}"
        acts.append(html.button("Fetch", "fetch", title=title, enabled=not busy, says=which))
    if not item.is_served:
        title = f"Use {item.name} instead of what is served"
        acts.append(
            html.button("Use", "use", title=title, primary=here, enabled=not busy, says=which)
        )
    dot = '<span class="wb-dot wb-ready"></span>' if item.is_served else ""
    served = '<span class="wb-faint">served now</span>' if item.is_served else ""
    return (
        f'<div class="wb-item" role="listitem"><div><div class="wb-head">{dot}'
        f'<span class="wb-title">{html.text(item.name)}</span>{served}</div>'
        f"{html.faint(_about(item))}</div>{html.row(*acts)}{_fit(item)}</div>"
    )


def _about(item: Item) -> str:
    disk = item.on_disk
    parts = ["not on disk" if disk is None else units.size(disk.size_bytes)]
    if disk and disk.missing_bytes:
        parts.append(f"{units.size(disk.missing_bytes)} missing")
    if item.entry and item.entry.licence:
        parts.append(item.entry.licence + (", gated" if item.entry.gated else ""))
    if item.last_boot:
        parts.append(f"last boot {units.seconds(item.last_boot.total_s)}")
    return " · ".join(parts)


def _fit(item: Item) -> str:
    """Write how much of what vLLM may use the weights and the rest take, before any cache."""
    plan = item.plan
    if plan is None:
        why = shorten(item.no_plan or "It could not be planned.", SHOWN, placeholder=" …")
        return f'<div class="wb-fit">{html.faint(why)}</div>'
    taken = plan.weights_bytes + plan.overhead_bytes
    share = taken / plan.budget_bytes if plan.budget_bytes > 0 else None
    said = "Fits" if plan.fits else f"Does not fit: {plan.why_not}"
    line = (
        f"{units.size(taken)} of {units.size(plan.budget_bytes)} before the KV cache"
        f" · {units.count(plan.kv_cache_tokens, 'token')} of cache · {plan.gpu}"
    )
    bar = html.bar(share, f"{item.name}: memory", over=not plan.fits)
    return f'<div class="wb-fit">{bar}<div>{html.text(said)}</div>{html.faint(line)}</div>'
