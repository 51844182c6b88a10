"""
What the GPUs of this machine have in use: AMD's from the kernel's files, NVIDIA's from its tool.

Under WSL an AMD GPU has neither; Windows' Task Manager shows it.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ..records import GpuStatus

NVIDIA_QUERY = "name,memory.used,memory.total,utilization.gpu"

NVIDIA_TIMEOUT_S = 3.0
"""nvidia-smi takes up to a second when no program keeps the driver awake."""

RELEASED_WITHIN_S = 5.0
LOOK_EVERY_S = 0.1


# PCI device and revision, as the kernel has them. A device of several cards differs in the second.
# Source: libdrm, data/amdgpu.ids
_AMD_NAMES = {
    ("0x7448", "0x00"): "AMD Radeon Pro W7900",
    ("0x744c", "0xc8"): "AMD Radeon RX 7900 XTX",
    ("0x744c", "0xcc"): "AMD Radeon RX 7900 XT",
    ("0x744c", "0xce"): "AMD Radeon RX 7900 GRE",
    ("0x745e", "0xcc"): "AMD Radeon Pro W7800",
}


def gpus(root: Path = Path("/")) -> tuple[GpuStatus, ...]:
    """List what can be asked on this machine; *root* is where its files are."""
    return (*_amd(root), *_nvidia())


def driver(root: Path = Path("/")) -> str | None:
    """Name the driver and its version; ``None`` where there is none, and under WSL."""
    try:
        first = (root / "proc/driver/nvidia/version").read_text().splitlines()[0]
        return f"nvidia {next(word for word in first.split() if word[:1].isdigit())}"
    except (OSError, IndexError, StopIteration):
        pass
    try:
        return f"amdgpu {(root / 'sys/module/amdgpu/version').read_text().strip()}"
    except OSError:
        return None


def used_bytes() -> int | None:
    """Sum what is in use on all GPUs; ``None`` where none can be asked."""
    found = gpus()
    return sum(each.memory_used_bytes for each in found) if found else None


def wait_released(
    before: int | None,
    used: Callable[[], int | None] = used_bytes,
    *,
    within_s: float = RELEASED_WITHIN_S,
) -> None:
    """
    Wait until what a server had is given back: a driver does that a moment after its process ends.

    The next one measures what is free as its first act, and does not start if
    that is too little. What other programs hold stays, so the end is that no
    more comes back.

    Args:
        before: What was in use while the server ran; ``None``: nobody knows, and nobody waits.
    """
    deadline_s = time.monotonic() + within_s
    last = before
    while last is not None and time.monotonic() < deadline_s:
        time.sleep(LOOK_EVERY_S)
        now = used()
        if now is None or before is None or last <= now < before:
            return
        last = now


def _amd(root: Path) -> list[GpuStatus]:
    """
    Read the amdgpu driver's files.

    Source: https://docs.kernel.org/gpu/amdgpu/driver-misc.html
    """
    found = []
    for used in sorted((root / "sys/class/drm").glob("card*/device/mem_info_vram_used")):
        try:
            found.append(
                GpuStatus(
                    name=_amd_name(used.parent) or f"AMD {used.parent.parent.name}",
                    memory_used_bytes=int(used.read_text()),
                    memory_total_bytes=int(used.with_name("mem_info_vram_total").read_text()),
                    busy_percent=_busy(used.with_name("gpu_busy_percent")),
                )
            )
        except (OSError, ValueError):
            continue  # a card that is asleep answers with an error
    return found


def _amd_name(device: Path) -> str | None:
    """Name a card by its ids; ``None`` for those that are not listed above."""
    try:
        model, revision = (device / "device").read_text(), (device / "revision").read_text()
    except OSError:
        return None
    return _AMD_NAMES.get((model.strip().lower(), revision.strip().lower()))


def _busy(path: Path) -> float | None:
    """Read how busy a card is; some do not say."""
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None


def _nvidia() -> list[GpuStatus]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, f"--query-gpu={NVIDIA_QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            query, capture_output=True, text=True, timeout=NVIDIA_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [status for line in done.stdout.splitlines() if (status := parse_nvidia(line))]


def parse_nvidia(line: str) -> GpuStatus | None:
    """Read one line of nvidia-smi's table; ``None`` for what it does not know (``[N/A]``)."""
    try:
        name, used_mib, total_mib, busy = (part.strip() for part in line.split(","))
        return GpuStatus(
            name=name,
            memory_used_bytes=int(used_mib) * 2**20,
            memory_total_bytes=int(total_mib) * 2**20,
            busy_percent=float(busy) if busy.replace(".", "").isdigit() else None,
        )
    except ValueError:
        return None
