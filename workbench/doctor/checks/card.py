"""
The card's memory, as far as this machine can tell, and NVIDIA's driver.
"""

from __future__ import annotations

import re

from ... import units
from ...records import GpuStatus
from ...servers.gpu import NVIDIA_QUERY, parse_nvidia
from .. import facts
from ..machine import Machine, Ran
from .base import COMPOSE, Seen, check, failed, passed, skipped, warned

WANTED = 0.85
"""The share that the workbench lets vLLM take (gpu_memory_utilization)."""

HELD_BY_WINDOWS_BYTES = int(1.5 * 2**30)
"""A desktop alone takes about 0.4 GiB; more is a browser or a game."""

_BYTES = re.compile(r"\s*[0-9]{1,15}\s*")


@check(
    "nvidia-driver",
    area="gpu",
    blocks=(COMPOSE,),
    source="https://docs.nvidia.com/deploy/nvidia-smi/index.html",
)
def nvidia_driver(machine: Machine) -> Seen:
    """
    Does NVIDIA's driver answer?

    After an update of its packages it does not until the machine was restarted.
    """
    if not facts.has_nvidia(machine):
        return skipped("no NVIDIA driver here")
    ran = _ask_nvidia(machine)
    if ran.missing:
        return failed(
            "NVIDIA's driver is loaded, and there is no nvidia-smi",
            fix="sudo apt install nvidia-utils-550   # of your driver's version",
        )
    if not ran.ok:
        return failed(f"nvidia-smi: {ran.said[:160] or 'no answer'}", fix="sudo reboot")
    return passed(f"nvidia-smi: {', '.join(card.name for card in _nvidia(machine)) or 'no card'}")


@check("vram", area="gpu", source="https://github.com/ROCm/librocdxg/issues/57")
def vram(machine: Machine) -> Seen:
    """
    How much of the card's memory is free?

    vLLM does not start if less is free than the share that it shall take (0.85). What other
    programs hold, those of Windows too, is missing.
    """
    if not facts.wants_gpu(machine):
        return skipped("no GPU here")
    cards = [*_amd(machine), *_nvidia(machine)]
    if not cards:
        return _held_by_windows(machine)
    card = cards[0]
    free = card.memory_total_bytes - card.memory_used_bytes
    seen = f"{card.name}: {units.size(free)} of {units.size(card.memory_total_bytes)} free"
    if free < WANTED * card.memory_total_bytes:
        return warned(
            seen,
            fix="# end what holds it, or take less\n"
            "workbench status\nworkbench up --gpu-memory-utilization 0.7",
        )
    return passed(seen)


def _held_by_windows(machine: Machine) -> Seen:
    """Under WSL an AMD card is asked in Windows, which does not say its size."""
    found = facts.windows(machine)
    if found is None or found.used_bytes is None:
        return skipped("it cannot be asked here; Windows's Task Manager shows it")
    seen = f"{units.size(found.used_bytes)} in use on the card, says Windows"
    if found.used_bytes > HELD_BY_WINDOWS_BYTES:
        return warned(
            seen,
            fix="# close browsers and games in Windows\n"
            "workbench status   # or is it our own server?",
        )
    return passed(seen)


def _amd(machine: Machine) -> list[GpuStatus]:
    """Source: https://docs.kernel.org/gpu/amdgpu/driver-misc.html"""
    found = []
    for used in machine.glob("/sys/class/drm/card*/device/mem_info_vram_used"):
        total = machine.read(used.replace("vram_used", "vram_total")) or ""
        now = machine.read(used) or ""
        if _BYTES.fullmatch(now) and _BYTES.fullmatch(total):
            name = f"AMD {used.split('/')[4]}"
            found.append(
                GpuStatus(name=name, memory_used_bytes=int(now), memory_total_bytes=int(total))
            )
    # A processor's own GPU has less than any card.
    return sorted(found, key=lambda card: -card.memory_total_bytes)


def _nvidia(machine: Machine) -> list[GpuStatus]:
    ran = _ask_nvidia(machine) if facts.has_nvidia(machine) else None
    lines = ran.out.splitlines() if ran and ran.ok else []
    return [status for line in lines if (status := parse_nvidia(line))]


def _ask_nvidia(machine: Machine) -> Ran:
    return machine.run(
        "nvidia-smi", f"--query-gpu={NVIDIA_QUERY}", "--format=csv,noheader,nounits", timeout_s=3.0
    )


CHECKS = (nvidia_driver, vram)
