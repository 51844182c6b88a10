"""
The checks of a machine, a file for each subject.

Their order is that of mending: what is below carries what is above.
"""

from __future__ import annotations

from . import (
    card,
    compose,
    docker,
    embedded,
    files,
    hub,
    inside,
    network,
    rocm,
    server,
    support,
    torch,
    wsl,
)

CHECKS = (
    *wsl.CHECKS,
    *rocm.CHECKS,
    *torch.CHECKS,
    *support.CHECKS,
    *card.CHECKS,
    *docker.CHECKS,
    *inside.CHECKS,
    *compose.CHECKS,
    *files.CHECKS,
    *embedded.CHECKS,
    *network.CHECKS,
    *server.CHECKS,
    *hub.CHECKS,
)

__all__ = ["CHECKS"]
