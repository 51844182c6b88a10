"""
Which programs, and which machine, in a few lines.
"""

from __future__ import annotations

import platform
import re
from importlib import metadata

from .. import units
from ..doctor import Machine, facts
from ..doctor.image import dotted

LIBRARIES = ("openai", "pandas", "jupyterlab", "ipykernel", "docker", "huggingface_hub")


def versions(machine: Machine) -> dict[str, str | None]:
    """List versions by name; what is not there, or does not answer, is ``None``."""
    distribution, number = facts.ubuntu(machine)
    image, windows, rocm = facts.image(machine), facts.windows(machine), facts.rocm_version(machine)
    return {
        "workbench": _library("vllm-workbench"),
        "Python": platform.python_version(),
        "system": f"{distribution} {number}".strip() or None,
        "kernel": " ".join((machine.read("/proc/version") or "").split()[:3]) or None,
        "Windows": f"build {windows.build}" if windows and windows.build else None,
        "driver in Windows": dotted(windows.adrenalin) if windows and windows.adrenalin else None,
        "processor": _processor(machine),
        "memory": units.size(facts.mem_total_bytes(machine)),
        "GPU": _gpu(machine),
        "ROCm": dotted(rocm) if rocm else None,
        "profile": facts.chosen_profile(machine),
        "image": image.name if image else None,
        "Docker": _docker(machine),
        "Compose": _first(machine, "docker", "compose", "version", "--short"),
        "Node": _first(machine, "node", "--version"),
        **{name: _library(name) for name in LIBRARIES},
    }


def _processor(machine: Machine) -> str | None:
    found = re.search(r"^model name\s*:\s*(.+)$", machine.read("/proc/cpuinfo") or "", re.MULTILINE)
    return found[1] if found else machine.processor()


def _gpu(machine: Machine) -> str | None:
    windows = facts.windows(machine)
    if facts.has_nvidia(machine):
        return _first(
            machine, "nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"
        )
    if not facts.wants_gpu(machine):
        return None
    cards = facts.cards_in(facts.rocminfo(machine).out)
    named = [windows.card] if windows and windows.card else []
    return ", ".join([*named, *cards]) or None


def _docker(machine: Machine) -> str | None:
    info = facts.as_mapping(machine.run("docker", "info", "--format", "{{json .}}").out)
    told = [str(info[name]) for name in ("ServerVersion", "OperatingSystem") if info.get(name)]
    return ", ".join(told) or None


def _first(machine: Machine, *argv: str) -> str | None:
    ran = machine.run(*argv)
    return next(iter(ran.out.splitlines()), None) if ran.ok else None


def _library(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
