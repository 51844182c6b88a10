"""
What a running server and its model can do: asked, not looked up.

=====  ==========================================================================
PASS   It works.
WARN   It works with a limit, or the model did not do its part: the answer says.
SKIP   The server says that it has no such thing.
FAIL   The server breaks what the API promises, or passes over what it was asked.
=====  ==========================================================================
"""

from __future__ import annotations

from .kept import KeptProbe, keep, last_probe
from .run import Probe, probe

__all__ = ["KeptProbe", "Probe", "keep", "last_probe", "probe"]
