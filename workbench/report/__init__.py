"""
What to paste into an issue, with nothing in it that is nobody's business.

::

    redaction    secrets, names and places, hidden in every form (pure)
    known        which of them this machine has
    versions     programs and machine
    past         boots, errors and requests, without what anybody said
    bundle       the door: all of it
    capture      a machine's answers, as a folder that the doctor can be shown
    recording    the machine that notes them
    toml         how they are written (pure)
"""

from __future__ import annotations

from .bundle import Bundle, gather, this_machine
from .capture import Captured, capture
from .redaction import Redactor

__all__ = ["Bundle", "Captured", "Redactor", "capture", "gather", "this_machine"]
