"""
The checks of a machine, a file for each subject.

Their order is that of mending: what is below carries what is above.
"""

from __future__ import annotations

from . import card, compose, docker, embedded, files, hub, network, rocm, support, wsl

CHECKS = (
    *wsl.CHECKS,
    *rocm.CHECKS,
    *support.CHECKS,
    *card.CHECKS,
    *docker.CHECKS,
    *compose.CHECKS,
    *files.CHECKS,
    *embedded.CHECKS,
    *network.CHECKS,
    *hub.CHECKS,
)

__all__ = ["CHECKS"]
