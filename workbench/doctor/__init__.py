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

The checks of the machine::

    machine          files, commands, URLs: the only place that looks at it
    facts            what several checks want to know
    sockets          who listens on a port, here and in Windows
    support          which combinations somebody has said something about
    checks           one function for each thing that goes wrong, a file for each subject
    host             the door: all at once, each isolated and bounded
    mend             what can be mended without root and without risk
    folder_machine   another machine, in a folder
    symptom          what may be behind a text that somebody saw (pure)
"""

from __future__ import annotations

from .compose_lint import Report, lint
from .effective import Shown
from .folder_machine import examine_folder
from .host import HostReport, chosen, examine
from .machine import Machine
from .mend import Mended, mend
from .symptom import Cause, causes

__all__ = [
    "Cause",
    "HostReport",
    "Machine",
    "Mended",
    "Report",
    "Shown",
    "causes",
    "chosen",
    "examine",
    "examine_folder",
    "lint",
    "mend",
]
