"""
The machines of ``tests/data/hosts``, by their names. See the README there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.doctor import folder_machine

HOSTS = Path(__file__).parent.parent / "data/hosts"

NAMES = sorted(path.name for path in HOSTS.iterdir() if path.is_dir())


def described(name: str) -> dict[str, Any]:
    """Read a host, laid over the one that it is like."""
    return folder_machine.described(HOSTS / name)


class FolderMachine(folder_machine.FolderMachine):
    """
    Args:
        root: An empty folder, into which the host's files are laid.
    """

    def __init__(self, name: str, root: Path) -> None:
        super().__init__(HOSTS / name, root)
