"""
All panels in tabs. One that is behind another is not seen, so it looks at nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets

from .base import Panel


class Tabs:
    """
    Panels beside each other.

    Args:
        panels: In the order of their tabs; they are this one's to dispose of.
    """

    def __init__(self, panels: Sequence[Panel]) -> None:
        self.panels = {panel.NAME: panel for panel in panels}
        self._tab = ipywidgets.Tab(
            children=[panel.surface for panel in panels],
            titles=[panel.TITLE for panel in panels],
        )

    def __getitem__(self, name: str) -> Panel:
        return self.panels[name]

    def dispose(self) -> None:
        """Dispose of each panel. Idempotent."""
        for panel in self.panels.values():
            panel.dispose()
        self._tab.close()

    def __repr__(self) -> str:
        return "\n\n".join(f"── {panel.TITLE} ──\n{panel}" for panel in self.panels.values())

    def _repr_mimebundle_(self, **_ignored: Any) -> dict[str, Any]:
        for panel in self.panels.values():
            panel.surface.settle()
        bundle: dict[str, Any] = dict(self._tab._repr_mimebundle_())
        return bundle | {"text/plain": repr(self)}
