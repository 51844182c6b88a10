"""
Windows and WSL, from which everything on such a machine hangs.
"""

from __future__ import annotations

import re

from ... import units
from .. import facts
from ..image import dotted
from ..machine import Machine
from .base import COMPOSE, LIBROCDXG, Seen, check, failed, passed, skipped, warned

OLDEST_KERNEL = (4, 19, 121)
"""vLLM pins memory under WSL from this kernel on (vllm/platforms/rocm.py, 0.28)."""

WINDOWS_11 = 22000

FIRST_ADRENALIN_FOR_ROCDXG = (26, 2, 2)

ENOUGH_BYTES = 22 * 2**30
"""``memory=24GB`` in .wslconfig, of which Linux shows a little less."""

MUCH_BYTES = 44 * 2**30
"""With 48 GB a model for one card fits into memory twice."""

RESTART = "# in PowerShell\nwsl --shutdown"
NO_WSL = "this is not WSL"
NO_RADEON = "no Radeon under WSL here"

WSL_CONFIG = "https://learn.microsoft.com/windows/wsl/wsl-config"


@check(
    "wsl-version",
    area="wsl",
    blocks=(COMPOSE,),
    source="https://learn.microsoft.com/windows/wsl/compare-versions",
)
def wsl_version(machine: Machine) -> Seen:
    """
    Is it WSL 2, with a kernel that is new enough?

    WSL 1 has no Linux kernel: neither Docker nor a GPU works in it.
    """
    if not facts.is_wsl(machine):
        return skipped(NO_WSL)
    text = machine.read("/proc/version") or ""
    seen = f"/proc/version: {' '.join(text.split()[:3])}"
    if "wsl2" not in text.lower() and "microsoft-standard" not in text:
        return failed(
            seen,
            fix="# in PowerShell; `wsl -l -v` lists the names\nwsl --set-version Ubuntu-24.04 2",
        )
    if (facts.version_in(text) or OLDEST_KERNEL) < OLDEST_KERNEL:
        return warned(
            seen,
            why=f"vLLM pins no memory with a kernel below {dotted(OLDEST_KERNEL)}: it is slower.",
            fix="# in PowerShell\nwsl --update\nwsl --shutdown",
        )
    return passed(seen)


@check(
    "wsl-distribution",
    area="wsl",
    source="https://rocm.docs.amd.com/projects/radeon-ryzen/en/latest/docs/install/installrad/wsl/howto_wsl.html",
)
def wsl_distribution(machine: Machine) -> Seen:
    """
    Is it a Linux that AMD has packages for in WSL?

    It supports Ubuntu there. The distribution of Docker Desktop is no place to work in: it has no
    ROCm, and an update replaces it.
    """
    if not facts.is_wsl(machine):
        return skipped(NO_WSL)
    name = machine.variables.get("WSL_DISTRO_NAME", "")
    distribution, version = facts.ubuntu(machine)
    seen = f"/etc/os-release: {distribution or units.UNKNOWN} {version}".strip()
    fix = "# in PowerShell\nwsl --install -d Ubuntu-24.04"
    if name.startswith("docker-desktop"):
        return warned(f"WSL_DISTRO_NAME={name}", fix=fix)
    if not distribution:
        return skipped("/etc/os-release does not say", unsure=True)
    if distribution != "ubuntu" and facts.is_radeon_wsl(machine):
        return warned(seen, fix=fix)
    return passed(seen)


@check("windows-answers", area="wsl", source=WSL_CONFIG)
def windows_answers(machine: Machine) -> Seen:
    """
    Can Windows be asked from WSL (interop), so that its driver and its use of the card are known?

    Without it this doctor cannot see them; nothing else is lost.
    """
    if not facts.is_wsl(machine):
        return skipped(NO_WSL)
    ran = facts.ask_windows(machine)
    if ran.missing:
        return skipped("no powershell.exe on PATH: interop is off, or its PATH is not appended")
    if ran.hung:
        return skipped(f"powershell.exe gave no answer in {facts.POWERSHELL_S:.0f} s", unsure=True)
    found = facts.windows(machine)
    if found is None:
        return skipped(f"powershell.exe said: {ran.said[:120] or 'nothing'}", unsure=True)
    return passed(f"Windows build {found.build or units.UNKNOWN}, {found.card or 'no card named'}")


@check("windows-build", area="wsl", source=LIBROCDXG)
def windows_build(machine: Machine) -> Seen:
    """
    Is it Windows 11?

    AMD supports its GPUs in WSL on Windows 11 alone.
    """
    if not facts.is_radeon_wsl(machine):
        return skipped(NO_RADEON)
    found = facts.windows(machine)
    if found is None or found.build is None:
        return skipped("Windows cannot be asked")
    if found.build < WINDOWS_11:
        return warned(f"Windows build {found.build}", fix="# Settings > Windows Update: Windows 11")
    return passed(f"Windows build {found.build}")


@check(
    "adrenalin-driver",
    area="wsl",
    source="https://github.com/ROCm/legacy-rocm-build/issues/6022",
)
def adrenalin_driver(machine: Machine) -> Seen:
    """
    Does AMD's driver in Windows suit the stack in WSL?

    The driver is half of ROCm there. An older one lacks what librocdxg asks it for; for the legacy
    stack a newer one is not documented to work.
    """
    if not facts.is_radeon_wsl(machine):
        return skipped(NO_RADEON)
    found = facts.windows(machine)
    if found is None or found.adrenalin is None:
        return skipped("Windows cannot be asked for it; the driver's own window shows its version")
    seen = f"Adrenalin {dotted(found.adrenalin)}"
    profile = facts.chosen_profile(machine)
    is_new = found.adrenalin >= FIRST_ADRENALIN_FOR_ROCDXG
    if profile == "wsl-rocdxg" and not is_new:
        return warned(
            seen,
            fix="# https://www.amd.com/en/support: Adrenalin 26.2.2 or newer, then\n" + RESTART,
        )
    if profile == "wsl-legacy" and is_new:
        return warned(seen, fix=f"# install ROCm 7.2.1 or later with librocdxg:\n# {LIBROCDXG}")
    return passed(seen)


@check("dev-dxg", area="wsl", blocks=(COMPOSE,), source=LIBROCDXG)
def dev_dxg(machine: Machine) -> Seen:
    """
    Does Windows lend its GPU to WSL (/dev/dxg)?

    It is the only way to a GPU there: /dev/kfd and /dev/dri do not exist in WSL, which is no fault.
    """
    if not facts.is_wsl(machine):
        return skipped(NO_WSL)
    if machine.exists("/dev/dxg"):
        return passed("/dev/dxg is there")
    return failed(
        "/dev/dxg is not there",
        fix="# update the GPU's driver in Windows, then in PowerShell\n"
        "wsl --update\nwsl --shutdown",
    )


@check("libdxcore", area="wsl", blocks=(COMPOSE,), source=LIBROCDXG)
def libdxcore(machine: Machine) -> Seen:
    """
    Is Windows's side of the GPU interface there (libdxcore.so)?

    The compose file mounts it into the container; without it the container does not start.
    """
    path = "/usr/lib/wsl/lib/libdxcore.so"
    if not machine.exists("/dev/dxg"):
        return skipped("no /dev/dxg here")
    if machine.exists(path):
        return passed(f"{path} is there")
    return failed(f"{path} is not there", fix="# in PowerShell\nwsl --update\nwsl --shutdown")


@check("wsl-systemd", area="wsl", source="https://learn.microsoft.com/windows/wsl/systemd")
def wsl_systemd(machine: Machine) -> Seen:
    """
    Does systemd run in WSL?

    The Docker Engine is started by it. Without it somebody has to start the engine each time.
    """
    if not facts.is_wsl(machine):
        return skipped(NO_WSL)
    first = (machine.read("/proc/1/comm") or "").strip()
    if first == "systemd":
        return passed("/proc/1/comm: systemd")
    return warned(
        f"/proc/1/comm: {first or units.UNKNOWN}",
        fix="printf '[boot]\\nsystemd=true\\n' | sudo tee -a /etc/wsl.conf\n" + RESTART,
    )


@check("wsl-memory", area="wsl", source="https://github.com/ROCm/legacy-rocm-build/issues/6022")
def wsl_memory(machine: Machine) -> Seen:
    """
    Has WSL memory enough for weights on their way to the card?

    WSL takes half of the machine's memory unless told otherwise. Too little of it looks like a full
    GPU, and may limit how much of the card can be used.
    """
    if not facts.is_wsl(machine) or not facts.wants_gpu(machine):
        return skipped("no GPU under WSL here")
    total = facts.mem_total_bytes(machine)
    if total is None:
        return skipped("/proc/meminfo does not say", unsure=True)
    told = _wslconfig(machine, "memory")
    seen = f"MemTotal {units.size(total)}" + (f", .wslconfig: memory={told}" if told else "")
    if total >= ENOUGH_BYTES:
        return passed(seen)
    return warned(
        seen,
        fix="# in %UserProfile%\\.wslconfig, if the machine has more than 32 GB\n"
        "[wsl2]\nmemory=24GB\nswap=16GB\n" + RESTART,
    )


@check("wsl-swap", area="wsl", source=f"{WSL_CONFIG}#main-wsl-settings")
def wsl_swap(machine: Machine) -> Seen:
    """
    Has WSL swap space, if its memory is short?

    While weights are read they pass through memory. Without swap the kernel ends the process, and
    the log has no reason for it.
    """
    if not facts.is_wsl(machine) or not facts.wants_gpu(machine):
        return skipped("no GPU under WSL here")
    swap, total = facts.swap_total_bytes(machine), facts.mem_total_bytes(machine)
    if swap is None or total is None:
        return skipped("/proc/meminfo does not say", unsure=True)
    told = _wslconfig(machine, "swap")
    seen = f"SwapTotal {units.size(swap)}" + (f", .wslconfig: swap={told}" if told else "")
    if swap or total >= MUCH_BYTES:
        return passed(seen)
    return warned(
        f"{seen}, and MemTotal {units.size(total)}",
        fix="# in %UserProfile%\\.wslconfig\n[wsl2]\nswap=16GB\n" + RESTART,
    )


@check("wsl-network", area="wsl", source=f"{WSL_CONFIG}#main-wsl-settings")
def wsl_network(machine: Machine) -> Seen:
    """
    How is WSL on the network?

    In mirrored mode what listens on 0.0.0.0 in WSL is in the whole local network. The project's
    compose file publishes on 127.0.0.1 only; other servers may not.
    """
    if not facts.is_wsl(machine):
        return skipped(NO_WSL)
    ran = machine.run("wslinfo", "--networking-mode")
    mode = ran.out.strip() or (_wslconfig(machine, "networkingMode") or "").lower()
    if mode == "mirrored":
        return warned(
            "networking mode: mirrored",
            fix="# keep servers on 127.0.0.1, or in %UserProfile%\\.wslconfig\n"
            "[wsl2]\nnetworkingMode=nat\n" + RESTART,
        )
    return passed(f"networking mode: {mode or 'not set, which is nat'}")


def _wslconfig(machine: Machine, name: str) -> str | None:
    """Read a line of .wslconfig; of several users' the first that has one."""
    for path in machine.glob("/mnt/c/Users/*/.wslconfig"):
        pattern = rf"^\s*{name}\s*=\s*(\S+)"
        if found := re.search(pattern, machine.read(path) or "", re.MULTILINE | re.IGNORECASE):
            return found[1]
    return None


CHECKS = (
    wsl_version,
    wsl_distribution,
    windows_answers,
    windows_build,
    adrenalin_driver,
    dev_dxg,
    libdxcore,
    wsl_systemd,
    wsl_memory,
    wsl_swap,
    wsl_network,
)
