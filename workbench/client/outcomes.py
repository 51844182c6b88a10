"""
Who is told of every request's outcome.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from ..records import Outcome

log = logging.getLogger(__name__)

OnOutcome: TypeAlias = Callable[[Outcome], object]


class OutcomeTeller:
    """Tells outcomes to a callback; what that raises is logged once and goes no further."""

    def __init__(self, callback: OnOutcome | None) -> None:
        self._callback = callback
        self._has_logged = False

    def tell(self, outcome: Outcome) -> None:
        """Call the callback, if there is one."""
        if self._callback is None:
            return
        try:
            self._callback(outcome)
        except Exception:
            if not self._has_logged:
                log.exception("on_outcome failed; further failures are not logged")
            self._has_logged = True
