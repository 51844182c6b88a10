"""
A PyTorch outside the container: it brings a runtime of its own.
"""

from __future__ import annotations

import re

from .. import facts
from ..image import Version, dotted
from ..machine import Machine
from .base import Seen, check, passed, skipped, warned

FIRST_WITH_ROCDXG: Version = (7, 1)
"""The first ROCm whose runtime looks for librocdxg (its README)."""

PLACES = ("/usr/local", "/opt/conda", "/opt/venv")
ENVIRONMENTS = ("VIRTUAL_ENV", "CONDA_PREFIX")


@check(
    "torch-runtime",
    area="rocm",
    source="https://github.com/OrsoEric/HOWTO-7900XTX-Win-ROCM/issues/4",
)
def torch_runtime(machine: Machine) -> Seen:
    """
    Has a PyTorch of this machine a libhsa-runtime64.so of its own that cannot work in WSL?

    It is loaded before the one in /opt/rocm, and looks for /dev/kfd: torch.cuda.is_available() is
    then False although rocminfo sees the GPU. The container has its own PyTorch.
    """
    if not facts.is_radeon_wsl(machine):
        return skipped("only under WSL with a Radeon")
    bundled = _bundled(machine)
    if not bundled:
        return passed("no PyTorch here brings one")
    is_rocdxg = facts.chosen_profile(machine) == "wsl-rocdxg"
    for path in bundled:
        hip = _hip(machine, path)
        if is_rocdxg and hip and hip >= FIRST_WITH_ROCDXG:
            continue
        return _shadowing(path, hip, is_rocdxg=is_rocdxg)
    return passed(f"{bundled[0]}, new enough for librocdxg")


def _bundled(machine: Machine) -> list[str]:
    """Look into the environments of this shell, of the project, of the user and of the system."""
    named = [machine.variables.get(name, "") for name in ENVIRONMENTS]
    own = [f"{machine.home}/.venv", str(facts.expanded(machine, "~/.local"))]
    found: dict[str, None] = {}
    for place in filter(None, (*named, *own, *PLACES)):
        for packages in ("site-packages", "dist-packages"):
            pattern = f"{place}/lib/python3*/{packages}/torch/lib/libhsa-runtime64.so*"
            found |= dict.fromkeys(machine.glob(pattern))
    return list(found)


def _hip(machine: Machine, path: str) -> Version | None:
    """Read which ROCm a PyTorch was built with."""
    text = machine.read(f"{path.partition('/torch/lib/')[0]}/torch/version.py") or ""
    found = re.search(r"^hip\b[^=]*= *['\"](\d+(?:\.\d+)*)", text, re.MULTILINE)
    return tuple(map(int, found[1].split("."))) if found else None


def _shadowing(path: str, hip: Version | None, *, is_rocdxg: bool) -> Seen:
    built = f", built for ROCm {dotted(hip)}" if hip else ""
    if is_rocdxg:
        fix = "# install a PyTorch for ROCm 7.2 or later: https://pytorch.org/get-started/locally"
    else:
        fix = f"rm {path.partition('libhsa')[0]}libhsa-runtime64.so*   # /opt/rocm's is then taken"
    return warned(f"{path}{built}", fix=fix)


CHECKS = (torch_runtime,)
