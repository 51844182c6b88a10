"""
Whether a folder is a place for weights: on a disk of this machine, with room for them.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from .. import units
from ..errors import FolderRefusedError, NotEnoughDiskError

WINDOWS_FILE_SYSTEMS = ("9p", "drvfs")
"""How WSL mounts Windows's drives: 9p in WSL 2, drvfs in WSL 1; newer ones offer virtiofs."""

_WINDOWS_DRIVE = re.compile(r"[A-Za-z]:\\|drvfs")


def check_place(folder: Path, mounts: str, *, repo: str) -> None:
    r"""
    Refuse a folder on a Windows drive.

    vLLM maps its weights into memory, and there each page is a message to Windows:
    loading takes minutes instead of seconds. A file system that is mounted at / stays: there
    is no other place.

    Args:
        mounts: ``/proc/mounts``: device, mount point, type, options.

    Raises:
        FolderRefusedError: It is on a Windows drive.

    Source:
        vllm-project/vllm#28381, ollama/ollama#6006.
    """
    found = mount_of(folder, mounts)
    if found is None or found[0] == Path("/"):
        return
    point, kind, drive = found
    if kind in WINDOWS_FILE_SYSTEMS or (kind == "virtiofs" and drive):
        what = "a drive of Windows" if drive or kind == "drvfs" else "a share of another system"
        raise FolderRefusedError(
            f"{folder} is on {point}, which is {what} ({kind}). vLLM would load the weights from "
            "there in minutes instead of seconds.",
            hint="Keep the project in Linux's own file system, for example below "
            "~ (WORKBENCH_HOME names it).",
            repo=repo,
            path=folder,
        )


def mount_of(folder: Path, mounts: str) -> tuple[Path, str, bool] | None:
    """Find where *folder* is mounted: the point, the type, and whether it is a Windows drive."""
    folder, best = Path(os.path.realpath(folder)), None
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 4:
            continue
        point = Path(_unescaped(fields[1]))
        # Later lines are mounted over earlier ones.
        if folder.is_relative_to(point) and (
            best is None or len(point.parts) >= len(best[0].parts)
        ):
            drive = bool(_WINDOWS_DRIVE.search(_unescaped(f"{fields[0]} {fields[3]}")))
            best = (point, fields[2], drive)
    return best


def check_room(folder: Path, needed_bytes: int, *, repo: str) -> None:
    """
    Compare what is to come with what is free.

    Raises:
        NotEnoughDiskError: It does not fit; it carries both numbers.
    """
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes > free_bytes:
        raise no_room(folder, needed_bytes, free_bytes, repo=repo)


def no_room(folder: Path, needed_bytes: int, free_bytes: int, *, repo: str) -> NotEnoughDiskError:
    """Say by how much it does not fit."""
    missing = units.size(needed_bytes - free_bytes)
    return NotEnoughDiskError(
        f"{repo} needs {units.size(needed_bytes)} more on the disk of {folder}, and "
        f"{units.size(free_bytes)} are free.",
        hint=f"Make room for {missing}, or take a smaller or quantized model.",
        repo=repo,
        needed_bytes=needed_bytes,
        free_bytes=free_bytes,
    )


def _unescaped(field: str) -> str:
    r"""Read a field of /proc/mounts: a space is ``\040`` there, a backslash ``\134``."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
