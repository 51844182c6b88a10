"""
Panels: what is watched and tuned in a notebook, as views of a session.

::

    surface    named parts in the browser, and the bound on messages to it
    base       acts and their errors, work on a thread, looking while seen
    html       buttons, fields, tables, bars: where text is escaped (pure)
    markdown   what a model writes (pure)
    chat …     a panel a file

Everything a panel does is a verb or a method that exists without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..session import Session
from .base import Panel
from .chat import ChatPanel
from .doctor import DoctorPanel
from .live import LivePanel
from .models import ModelsPanel
from .server import ServerPanel
from .tabs import Tabs
from .telemetry import TelemetryPanel

__all__ = ["PANELS", "Panel", "Tabs", "panel"]

_KINDS: tuple[type[Panel], ...] = (
    *(ServerPanel, ChatPanel, ModelsPanel),
    *(LivePanel, TelemetryPanel, DoctorPanel),
)

PANELS: dict[str, Callable[..., Panel]] = {kind.NAME: kind for kind in _KINDS}
"""Each panel by its name, in the order of the tabs."""


def panel(
    name: str | None = None,
    session: Session | Callable[[], Session] | None = None,
    **options: Any,
) -> Panel | Tabs:
    """
    Make a panel, or all of them in tabs.

    Args:
        name: Of a panel; without one, all.

        session: Whose verbs they call, or who finds it; without one, a session of the settings.

        options: For the panel that is named: ``tools`` of ``chat``.

    Raises:
        ValueError: There is no such panel.

    Examples:
        ::

            workbench.panel()
            workbench.panel("chat", tools=[get_weather])
    """
    if name is not None and name not in PANELS:
        raise ValueError(f"there is no panel {name!r}; there are {', '.join(PANELS)}")
    found = session if session is not None else Session()
    where = found if callable(found) else lambda: found
    if name is not None:
        return PANELS[name](where, **options)
    return Tabs([make(where) for make in PANELS.values()])
