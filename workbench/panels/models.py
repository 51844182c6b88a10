"""
Models: what there is to serve, whether it fits; plan, fetch, and switch with a way back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import units
from ..display import View
from ..errors import SwitchError
from ..inventory import Inventory, Item
from ..session import Session
from ..views import fetched_view, inventory_view, plan_view, switch_view
from . import html
from .base import Panel


class ModelsPanel(Panel):
    """The inventory, with ``plan``, ``fetch`` and ``use`` for each model."""

    NAME, TITLE = "models", "Models"
    ACTS = frozenset({"refresh", "plan", "fetch", "use"})

    def __init__(self, session: Callable[[], Session]) -> None:
        super().__init__(session)
        self._items: Inventory = ()
        self.show("bar", html.row(html.button("Refresh", "refresh", title="List the models again")))
        self.show("error", "")
        self.show("progress", "")
        self.show("result", "")
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
        self._begin(lambda: self._result(plan_view(self.session.plan(model))))

    def do_fetch(self, values: Mapping[str, Any]) -> None:
        """Fetch a model of the hub, or what is missing of it."""
        model = str(values["model"])
        self._begin(
            lambda: self._result(fetched_view(self.session.fetch(model, on_progress=self.progress)))
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

        self._begin(use)

    def _begin(self, verb: Callable[[], None]) -> None:
        def run() -> None:
            try:
                verb()
            finally:
                self.show("progress", "")

        self.work(run, first=self._clear, then=self.look)

    def _clear(self) -> None:
        self.no_error()
        self.show("result", "")
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
    note = f'<div class="wb-faint wb-note">{html.text(view.note)}</div>' if view.note else ""
    return title + (html.table(view, label=view.title or "Result") if view.rows else "") + note


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
        title = f"Switch to {item.name}"
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
        return f'<div class="wb-fit">{html.faint(item.no_plan or "It could not be planned.")}</div>'
    taken = plan.weights_bytes + plan.overhead_bytes
    share = taken / plan.budget_bytes if plan.budget_bytes > 0 else None
    said = "fits" if plan.fits else f"does not fit: {plan.why_not}"
    line = (
        f"{said} · {units.size(taken)} of {units.size(plan.budget_bytes)} before the KV cache"
        f" · {units.count(plan.kv_cache_tokens, 'token')} of cache · {plan.gpu}"
    )
    bar = html.bar(share, f"{item.name}: memory", over=not plan.fits)
    return f'<div class="wb-fit">{bar}{html.faint(line)}</div>'
