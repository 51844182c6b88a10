"""
What a panel draws on: a widget of named parts, whose HTML is made in Python.

The browser gets a part's HTML and puts it where the part is, keeping what did
not change; what is clicked or typed comes back as the name of an act. There
are at most twenty messages a second, however fast parts change: a part that is
shown again before it was sent is made once, from its latest state.

anywidget, because ipywidgets' own have no keys, clipboard, scrolling or
visibility. ``panel.js`` has those, and knows nothing of any panel.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import anywidget
import traitlets

INTERVAL_S = 0.05
"""Between two messages. Twenty a second are smooth; more only fill the browser's queue."""

HERE = Path(__file__).parent

Html: TypeAlias = "str | Callable[[], str] | None"
"""A part's HTML, or who makes it when it is to be sent; ``None`` takes the part away."""


class Surface(anywidget.AnyWidget):
    """
    Named parts in the browser, in the order in which they were first shown.

    A name with a slash is inside the part before it: ``turns/2`` in ``turns``.

    Args:
        label: What a screen reader calls it.

        on_act: Takes what the browser says: an act's name, and the values of the fields.
    """

    _esm = HERE / "panel.js"
    _css = HERE / "panel.css"
    label = traitlets.Unicode().tag(sync=True)
    parts = traitlets.Dict().tag(sync=True)

    def __init__(self, label: str, on_act: Callable[[str, Mapping[str, Any]], None]) -> None:
        super().__init__(label=label)
        self._on_act = on_act
        self._lock = threading.RLock()
        self._sending = threading.Lock()
        self._drawn: dict[str, str] = {}
        self._waiting: dict[str, Html] = {}
        self._timer: threading.Timer | None = None
        self._sent_s = 0.0
        self._closed = False
        self.on_msg(self._heard)

    def show(self, name: str, html: Html) -> None:
        """Show a part, soon; what waits already is replaced."""
        with self._lock:
            if self._closed:
                return
            self._waiting[name] = html
            if self._timer is None:
                wait_s = max(0.0, self._sent_s + INTERVAL_S - time.monotonic())
                self._timer = threading.Timer(wait_s, self._send_waiting)
                self._timer.daemon = True
                self._timer.start()

    def tell(self, **message: Any) -> None:
        """Say something else to the browser: ``fill`` a field, ``copy`` a text, ``say`` a line."""
        with self._lock:
            if not self._closed:
                self.send(message)

    def drawn(self) -> dict[str, str]:
        """Return each part's HTML as it is now."""
        with self._sending:
            self._take()
            with self._lock:
                return dict(self._drawn)

    def settle(self) -> None:
        """Put what is drawn into the widget's state, which is what a new view begins with."""
        self.parts = self.drawn()

    def bundle(self) -> dict[str, Any]:
        """Return what IPython displays it by."""
        self.settle()
        found = self._repr_mimebundle_() or ({}, {})
        return dict(found[0])

    def shut(self) -> None:
        """Send nothing any more, and leave the browser."""
        with self._sending, self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            self._waiting.clear()
        self.close()

    def _send_waiting(self) -> None:
        with self._sending:
            with self._lock:
                self._timer, self._sent_s = None, time.monotonic()
            changed = self._take()
            # Without the other lock: who shows the next part does not wait for this one's way.
            if changed and not self._closed:
                self.send({"parts": changed})

    def _take(self) -> dict[str, str | None]:
        """Make what waits, and return what differs from what is there."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        changed: dict[str, str | None] = {}
        for name, html in waiting.items():
            made = html() if callable(html) else html
            if made == self._drawn.get(name):
                continue
            changed[name] = made
            with self._lock:
                self._drawn.pop(name, None) if made is None else self._drawn.update({name: made})
        return changed

    def _heard(self, _widget: Any, content: Mapping[str, Any], _buffers: Any) -> None:
        act = str(content.get("do", ""))
        if act == "hello":  # a view that was made: of a page that was loaded again, perhaps
            self.settle()
        self._on_act(act, content.get("values") or {})
