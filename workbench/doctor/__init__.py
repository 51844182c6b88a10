"""
What is wrong before anything is started, and how to mend it.

The compose lint, from the inside out::

    interpolation    ${NAME:-default}, as Compose has it (pure)
    compose_file     YAML with its lines: the only importer of yaml
    compose_service  volumes, ports, environment in one form each (pure)
    image            what an image's name tells (pure)
    secrets          keys and tokens, kept out of what is shown (pure)
    effective        what would really run (pure)
    compose_rules    one function for each known fault (pure)
    asked_compose    what Compose itself says
    compose_lint     the door
"""

from __future__ import annotations

from .compose_lint import Report, lint
from .effective import Shown

__all__ = ["Report", "Shown", "lint"]
