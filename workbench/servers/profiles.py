"""
Which service of the compose file suits this machine, and what it has to be told.

Only files are looked at: a probe of the GPU itself is the doctor's.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import BackendUnavailableError

PROFILES = ("wsl-legacy", "wsl-rocdxg", "rocm", "cuda", "cpu")

ROCM_7_IMAGE = "vllm/vllm-openai-rocm:v0.31.0"
"""The last release whose image has ROCm 7.2, which older librocdxg must be paired with."""

ROCM_7_LEGACY_IMAGE = "rocm/vllm-dev:rocm7.2_navi_ubuntu24.04_py3.12_pytorch_2.9_vllm_0.14.0rc0"
"""AMD's image for the last release of the legacy stack, ROCm 7.2.0."""

LEGACY_PACKAGE = "hsa-runtime-rocr4wsl-amdgpu"

FIRST_LEGACY_6_4, FIRST_LEGACY_7_2 = (25, 10), (25, 30)
"""That package in ROCm 6.4.2 (25.10-2188619) and 7.2.0 (25.30.13-2281980); 7.0 and 7.1 had none."""

FIRST_FOR_ROCM_10 = (1, 2, 1)
"""The first librocdxg made for ROCm 7.14 and 10; also the first that brings ``dids.conf``."""

ROCDXG_PLACES = ("opt/rocm/lib", "usr/lib", "usr/lib/x86_64-linux-gnu", "usr/local/lib")

LOOKED_AT = (
    *("dev/dxg", "dev/kfd", "proc/driver/nvidia/version", "usr/lib/wsl/lib/libcuda.so.1"),
    *(f"{place}/librocdxg.so" for place in ROCDXG_PLACES),
    *("opt/rocm/lib/libhsa-runtime64.so.1", "opt/rocm/share/rocdxg/dids.conf"),
)
"""Every file whose being there decides something here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """
    A profile for this machine.

    Args:
        because: What on this machine speaks for it.
    """

    profile: str
    because: str


def choose(root: Path = Path("/")) -> Choice:
    """
    Choose the profile from what the machine has.

    Args:
        root: Where its files are.

    Raises:
        BackendUnavailableError: A Radeon under WSL with neither of AMD's two stacks, or with a
            ROCm for which there is no image.
    """
    if (root / "dev/dxg").exists():
        return _on_wsl(root)
    kfd = (root / "dev/kfd").exists()
    if (root / "proc/driver/nvidia/version").exists():
        # amdgpu makes /dev/kfd for the GPU inside a Ryzen too.
        beside = ", and /dev/kfd may be the processor's own GPU" if kfd else ""
        return Choice(profile="cuda", because=f"NVIDIA's driver is loaded{beside}")
    if kfd:
        return Choice(profile="rocm", because="/dev/kfd is there, and no NVIDIA driver")
    return Choice(
        profile="cpu", because="no GPU was found: no /dev/dxg, no /dev/kfd, no NVIDIA driver"
    )


def told_for(profile: str, root: Path = Path("/")) -> dict[str, str]:
    """Say what the compose file must be told on this machine when *profile* is wanted."""
    if profile == "wsl-rocdxg":
        return _rocdxg_environment(root)
    if profile == "wsl-legacy":
        newer = (package_version(LEGACY_PACKAGE, root) or ()) >= FIRST_LEGACY_7_2
        return {"WORKBENCH_IMAGE": ROCM_7_LEGACY_IMAGE} if newer else {}
    if profile == "cpu" and platform.machine() == "aarch64":
        return {"WORKBENCH_IMAGE": "vllm/vllm-openai-cpu:v0.33.0-arm64"}
    return {}


def _on_wsl(root: Path) -> Choice:
    if (root / "usr/lib/wsl/lib/libcuda.so.1").exists():
        return Choice(profile="cuda", because="WSL has NVIDIA's libcuda.so.1")
    if found := _rocdxg(root):
        because = f"/dev/dxg and /{found.relative_to(root)} are there"
        return Choice(profile="wsl-rocdxg", because=because)
    legacy = package_version(LEGACY_PACKAGE, root)
    if legacy and (root / "opt/rocm/lib/libhsa-runtime64.so.1").exists():
        if legacy < FIRST_LEGACY_6_4:
            raise _too_old(legacy)
        because = f"/dev/dxg and the package {LEGACY_PACKAGE} are there"
        return Choice(profile="wsl-legacy", because=because)
    raise BackendUnavailableError(
        "WSL has a GPU (/dev/dxg), and neither of AMD's two stacks is installed: "
        "no librocdxg.so, no package hsa-runtime-rocr4wsl-amdgpu.",
        hint="Install ROCm for WSL with librocdxg (https://github.com/ROCm/librocdxg), "
        "or go without the GPU: workbench up --backend compose --profile cpu",
        server="compose",
        state="stopped",
    )


def _too_old(version: tuple[int, ...]) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"{LEGACY_PACKAGE} {'.'.join(map(str, version))} is of a ROCm before 6.4.2. The one in the "
        "image must be the same, and AMD's images for this stack have 6.4.2 and 7.2.0.",
        hint="Install ROCm for WSL with librocdxg (https://github.com/ROCm/librocdxg), or name an "
        "image of your ROCm: WORKBENCH_IMAGE in .env, and --profile wsl-legacy",
        server="compose",
        state="stopped",
    )


def _rocdxg(root: Path) -> Path | None:
    return next(
        (path for place in ROCDXG_PLACES if (path := root / place / "librocdxg.so").exists()), None
    )


def _rocdxg_environment(root: Path) -> dict[str, str]:
    """Name the library where it is, the device list if there is one, and an image of its age."""
    told = {}
    found = _rocdxg(root)
    if found and found.parent != root / "opt/rocm/lib":
        told["WORKBENCH_ROCDXG_LIB"] = f"/{found.relative_to(root)}"
    listed = (root / "opt/rocm/share/rocdxg/dids.conf").exists()
    if not listed:
        told["WORKBENCH_ROCDXG_DIDS"] = "/dev/null"
    version = package_version("rocdxg-roct", root)
    # One that was built here has no package; then its list tells its age.
    if version < FIRST_FOR_ROCM_10 if version else not listed:
        told["WORKBENCH_IMAGE"] = ROCM_7_IMAGE
    return told


def package_version(name: str, root: Path) -> tuple[int, ...] | None:
    """Read the version of a Debian package that is installed; ``None`` if it is not."""
    try:
        status = (root / "var/lib/dpkg/status").read_text(errors="replace")
    except OSError:
        return None
    stanza = re.search(rf"^Package: {re.escape(name)}\n(?:.+\n)*", status, re.MULTILINE)
    if not stanza or "Status: install ok installed" not in stanza[0]:
        return None
    version = re.search(r"^Version: (?:\d+:)?(\d+(?:\.\d+)*)", stanza[0], re.MULTILINE)
    return tuple(map(int, version[1].split("."))) if version else ()
