"""
What to paste into an issue, with nothing in it that is nobody's business.

::

    redaction    secrets, names and places, hidden in every form (pure)
    known        which of them this machine has
    versions     programs and machine
    past         boots, errors and requests, without what anybody said
    bundle       the door: all of it
    capture      a machine's answers, as a folder that the doctor can be shown
"""

from __future__ import annotations

from .bundle import Bundle, gather, this_machine
from .redaction import Redactor

__all__ = ["Bundle", "Redactor", "gather", "this_machine"]
