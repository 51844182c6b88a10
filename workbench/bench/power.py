"""
How many watts the accelerators take, or without one the processors, while something runs.

AMD's and the processors' are read from the kernel's files, NVIDIA's from its
tool. What the rest of the machine takes is in none of them.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from pathlib import Path

EVERY_S = 0.5
NVIDIA_TIMEOUT_S = 3.0

Reading = tuple[float, str]
"""Watts, and whose."""


class PowerMeter:
    """Samples the power while something runs; a context. *samples* are (unix time, watts)."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.samples: list[tuple[float, float]] = []
        self.source: str | None = None
        self._root = root
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bench-power", daemon=True)

    def __enter__(self) -> PowerMeter:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        counter = RaplCounter(self._root)
        while True:
            reading = amd_watts(self._root) or nvidia_watts() or counter.watts()
            if reading:
                self.samples.append((time.time(), reading[0]))
                self.source = reading[1]
            if self._over.wait(EVERY_S):
                return


def amd_watts(root: Path = Path("/")) -> Reading | None:
    """
    Add up what the amdgpu driver says of its cards, in microwatts.

    Source: https://docs.kernel.org/gpu/amdgpu/thermal.html, power1_average and power1_input
    """
    found = []
    for monitor in sorted(root.glob("sys/class/drm/card*/device/hwmon/hwmon*")):
        for name in ("power1_average", "power1_input"):
            try:
                found.append(int((monitor / name).read_text()) / 1e6)
            except (OSError, ValueError):
                continue
            break
    return (sum(found), "measured: the AMD cards' own meters") if found else None


def nvidia_watts() -> Reading | None:
    """Add up what nvidia-smi says of its cards."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = [tool, "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            query, capture_output=True, text=True, timeout=NVIDIA_TIMEOUT_S, check=True
        )
        watts = [float(line) for line in done.stdout.split()]
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return (sum(watts), "measured: nvidia-smi, the cards alone") if watts else None


class RaplCounter:
    """
    The processors' energy counters, which most kernels show to root only.

    Source: https://docs.kernel.org/power/powercap/powercap.html
    """

    def __init__(self, root: Path = Path("/")) -> None:
        # intel-rapl:0 is a package; intel-rapl:0:0 is a part of it.
        self._zones = sorted(root.glob("sys/class/powercap/intel-rapl:[0-9]*"))
        self._zones = [zone for zone in self._zones if zone.name.count(":") == 1]
        self._last: tuple[float, list[int]] | None = None

    def watts(self) -> Reading | None:
        """Return the power since the last call; ``None`` on the first, and where it is hidden."""
        at_s = time.monotonic()
        try:
            counts = [int((zone / "energy_uj").read_text()) for zone in self._zones]
            ranges = [int((zone / "max_energy_range_uj").read_text()) for zone in self._zones]
        except (OSError, ValueError):
            return None
        last, self._last = self._last, (at_s, counts)
        if not counts or last is None or at_s <= last[0]:
            return None
        # A counter that went round is smaller than before.
        used = [
            (now - before) % (most + 1)
            for now, before, most in zip(counts, last[1], ranges, strict=True)
        ]
        return sum(used) / 1e6 / (at_s - last[0]), "measured: RAPL, the processors alone"
