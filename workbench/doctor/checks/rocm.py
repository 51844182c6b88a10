"""
AMD's side: which stack, whether its parts belong together, and whether it sees the card.
"""

from __future__ import annotations

from ...errors import BackendUnavailableError
from ...servers import profiles
from .. import facts
from ..image import Version, dotted
from ..machine import Machine
from .base import COMPOSE, ISSUES, LIBROCDXG, Seen, check, failed, passed, skipped, warned

NO_AMD = "no AMD GPU here"
NO_ROCDXG = "no librocdxg here"

PAIRING = "https://rocm.docs.amd.com/projects/rocprofiler-sdk/en/develop/how-to/using-rocprofv3-on-wsl.html"

TEXTS = (
    (
        "ROCk module is NOT loaded",
        "The runtime looks for a native driver: librocdxg is not asked, or Ubuntu's own runtime "
        "stands before AMD's.",
        "export HSA_ENABLE_DXG_DETECTION=1\nrocminfo",
        LIBROCDXG,
    ),
    (
        "No WDDM adapters found",
        "Windows lends no card: its driver is too old, or the card is switched off there.",
        "# update Adrenalin in Windows, then in PowerShell\nwsl --shutdown",
        f"{ISSUES}/5900",
    ),
    (
        "HSA_STATUS_ERROR_OUT_OF_RESOURCES",
        "AMD does not support this combination of distribution, driver, ROCm and card.",
        "workbench doctor --only support-matrix",
        f"{ISSUES}/3561",
    ),
    (
        "QueryAdapterInfo",
        "The legacy runtime and the driver in Windows do not understand each other.",
        f"# install ROCm 7.2.1 or later with librocdxg:\n# {LIBROCDXG}",
        f"{ISSUES}/4460",
    ),
    (
        "Found 0 rocprofiler agents",
        "ROCm's profiler finds no GPU, and ends the program.",
        "export ROCPROFILER_REGISTER_ENABLED=0",
        "https://github.com/unslothai/unsloth/pull/11212",
    ),
    (
        "hsa_init Failed",
        "librocdxg.so is missing, or cannot be loaded.",
        "ldd $(readlink -f /opt/rocm/lib/librocdxg.so)   # what it lacks\n"
        "dpkg -s rocdxg-roct | grep -i version",
        LIBROCDXG,
    ),
)
"""What rocminfo says, what it means, what to do, and where it was reported."""


@check("rocm-stack", area="rocm", blocks=(COMPOSE,), source=LIBROCDXG)
def rocm_stack(machine: Machine) -> Seen:
    """
    Which of AMD's two stacks for WSL is installed?

    There are two, which cannot be mixed: the legacy one (ROCm 6.4.2 and 7.2.0, with a runtime of
    its own for WSL), and ROCDXG (from 7.2.1 on, with librocdxg). Without one the card is not seen.
    """
    if facts.is_native_rocm(machine):
        version = facts.rocm_version(machine)
        return passed(f"native: /dev/kfd; ROCm {dotted(version) if version else 'not installed'}")
    if not facts.is_radeon_wsl(machine):
        return skipped(NO_AMD)
    try:
        choice = profiles.choose(machine.root)
    except BackendUnavailableError as exc:
        return failed(exc.message, fix=f"# {exc.hint}")
    legacy = facts.package_version(machine, profiles.LEGACY_PACKAGE)
    if choice.profile == "wsl-rocdxg" and legacy:
        return warned(
            f"{choice.because}, and {profiles.LEGACY_PACKAGE} {dotted(legacy)} too",
            why="Two stacks at once: which runtime is loaded is a matter of chance.",
            fix=f"sudo apt remove {profiles.LEGACY_PACKAGE}",
        )
    version = facts.rocm_version(machine)
    return passed(f"{choice.because}; ROCm {dotted(version) if version else 'unknown'}")


@check("stack-pairing", area="rocm", blocks=(COMPOSE,), source=PAIRING)
def stack_pairing(machine: Machine) -> Seen:
    """
    Do the host's library and the ROCm in the container's image belong together?

    Both sides share a structure that has grown: 376 bytes in ROCm 7.2, 396 later. A newer librocdxg
    with an older runtime writes beyond it, and the process dies or sees no card. For the legacy
    stack the image must have the host's ROCm.
    """
    profile, image = facts.chosen_profile(machine), facts.image(machine)
    if profile not in ("wsl-legacy", "wsl-rocdxg") or image is None:
        return skipped("only under WSL with a Radeon a library of the host goes into the container")
    inside = facts.inside(machine)
    rocm = (inside.rocm if inside else None) or image.rocm
    if rocm is None:
        return skipped(f"the name {image.name} does not tell its ROCm", unsure=True)
    if profile == "wsl-legacy":
        return _legacy_pair(machine, rocm, image.name)
    version = facts.package_version(machine, "rocdxg-roct")
    if not version:
        return skipped("librocdxg was built here; its version is not known", unsure=True)
    seen = f"librocdxg {dotted(version)}, {image.name} has ROCm {dotted(rocm)}"
    if _pairs(version, rocm):
        return passed(seen)
    return failed(seen, fix=_pair_fix(version))


def _pairs(rocdxg: Version, rocm: Version) -> bool:
    """Source: librocdxg's README and release notes 1.1.0 to 1.2.2."""
    if rocm < (7, 1):
        return False  # it has no loader for librocdxg
    if rocm < (7, 13):
        return rocdxg < (1, 2, 2)  # 1.2.1 with 7.2.4 is reported to work
    if rocm < (7, 14):
        return rocdxg == (1, 2, 0)
    return rocdxg >= (1, 2, 1)


def _pair_fix(rocdxg: Version) -> str:
    if rocdxg >= profiles.FIRST_FOR_ROCM_10:
        return "# take WORKBENCH_IMAGE out of .env: the workbench names the right one"
    return f"# in .env\nWORKBENCH_IMAGE={profiles.ROCM_7_IMAGE}"


def _legacy_pair(machine: Machine, rocm: Version, name: str) -> Seen:
    host = facts.rocm_version(machine)
    if host is None:
        return skipped("/opt/rocm/.info/version does not say the host's ROCm", unsure=True)
    seen = f"the host has ROCm {dotted(host)}, {name} has {dotted(rocm)}"
    if host[:2] == rocm[:2]:
        return passed(seen)
    return failed(seen, fix="# take WORKBENCH_IMAGE out of .env: the workbench names the right one")


@check("rocdxg-device-list", area="rocm", source=f"{LIBROCDXG}/releases/tag/v1.2.1")
def rocdxg_device_list(machine: Machine) -> Seen:
    """
    Has librocdxg its list of devices (dids.conf)?

    From 1.2.1 on it reads the cards that it knows from there.
    """
    version = facts.package_version(machine, "rocdxg-roct")
    if not facts.is_radeon_wsl(machine) or not version:
        return skipped(NO_ROCDXG)
    path = "/opt/rocm/share/rocdxg/dids.conf"
    if version < profiles.FIRST_FOR_ROCM_10 or machine.exists(path):
        return passed(
            f"librocdxg {dotted(version)}" + (f", {path}" if machine.exists(path) else "")
        )
    return warned(
        f"librocdxg {dotted(version)}, and {path} is not there",
        fix="sudo apt install --reinstall ./rocdxg-roct_*_amd64.deb",
    )


@check("hsa-shadowed", area="rocm", source="https://github.com/andweng/wsl-rocm")
def hsa_shadowed(machine: Machine) -> Seen:
    """
    Are there Ubuntu's own ROCm libraries beside AMD's?

    Ubuntu's libhsa-runtime64-1 (5.7) is found first and knows nothing of WSL: rocminfo then says
    that the ROCk module is not loaded.
    """
    if not facts.is_radeon_wsl(machine) and not facts.is_native_rocm(machine):
        return skipped(NO_AMD)
    names = ("libhsa-runtime64-1", "libhsakmt1")
    there = [name for name in names if facts.package_version(machine, name) is not None]
    if not there:
        return passed("none of Ubuntu's is installed")
    return warned(f"installed: {', '.join(there)}", fix=f"sudo apt remove {' '.join(there)}")


@check("dxg-detection", area="rocm", source=f"{LIBROCDXG}/issues/34")
def dxg_detection(machine: Machine) -> Seen:
    """
    Is ROCm told to look for the card through Windows (HSA_ENABLE_DXG_DETECTION)?

    Below ROCm 7.13 it does not by itself. The container is told by the compose file; programs in
    this shell, rocminfo among them, are not.
    """
    if not facts.is_radeon_wsl(machine) or facts.chosen_profile(machine) != "wsl-rocdxg":
        return skipped(NO_ROCDXG)
    version = facts.rocm_version(machine)
    told = machine.variables.get("HSA_ENABLE_DXG_DETECTION")
    if told == "1" or (version and version >= (7, 13)):
        return passed(f"HSA_ENABLE_DXG_DETECTION={told}" if told else "this ROCm needs no telling")
    return warned(
        "HSA_ENABLE_DXG_DETECTION is not 1 in this shell",
        fix="echo 'export HSA_ENABLE_DXG_DETECTION=1' >> ~/.bashrc && . ~/.bashrc",
    )


@check("rocminfo", area="rocm", blocks=(COMPOSE,), source=LIBROCDXG)
def rocminfo(machine: Machine) -> Seen:
    """
    Does ROCm on this host see the card?

    If the host does not, the container will not either.
    """
    if not facts.is_radeon_wsl(machine) and not facts.is_native_rocm(machine):
        return skipped(NO_AMD)
    ran = facts.rocminfo(machine)
    if ran.missing:
        return skipped("rocminfo is not installed")
    if ran.hung:
        return warned(
            f"rocminfo gave no answer in {facts.ROCMINFO_S:.0f} s",
            fix="# in PowerShell\nwsl --shutdown",
        )
    for text, why, fix, source in TEXTS:
        if text in ran.said:
            return failed(
                f"rocminfo: {_line_with(text, ran.said)}", why=f"{why} ({source})", fix=fix
            )
    if cards := facts.cards_in(ran.out):
        return passed(f"rocminfo: {', '.join(cards)}")
    last = ran.said.splitlines()[-1:] or ["nothing"]
    return warned(f"rocminfo lists no GPU; it said: {last[0]}", fix="rocminfo")


def _line_with(text: str, said: str) -> str:
    return next(line.strip() for line in said.splitlines() if text in line)[:160]


@check(
    "hsa-override",
    area="rocm",
    source="https://docs.vllm.ai/en/latest/getting_started/installation/gpu/",
)
def hsa_override(machine: Machine) -> Seen:
    """
    Is ROCm told that the card is another one (HSA_OVERRIDE_GFX_VERSION)?

    A gfx1100 card (RX 7900) is supported as it is. With another card's kernels vLLM may give wrong
    answers, or end with an invalid device function.
    """
    told = machine.variables.get("HSA_OVERRIDE_GFX_VERSION")
    if not told:
        return passed("HSA_OVERRIDE_GFX_VERSION is not set")
    return warned(
        f"HSA_OVERRIDE_GFX_VERSION={told}",
        fix="unset HSA_OVERRIDE_GFX_VERSION   # and take it out of .env and ~/.bashrc",
    )


@check(
    "kfd-rights",
    area="rocm",
    blocks=(COMPOSE,),
    source="https://rocm.docs.amd.com/projects/install-on-linux/en/latest/install/prerequisites.html",
)
def kfd_rights(machine: Machine) -> Seen:
    """
    May this user use the card (/dev/kfd)?

    On Linux itself the card belongs to the groups render and video.
    """
    if not facts.is_native_rocm(machine):
        return skipped("not Linux itself with an AMD GPU")
    if machine.may_use("/dev/kfd"):
        return passed("/dev/kfd can be read and written")
    return failed(
        "/dev/kfd cannot be read and written",
        fix="sudo usermod -aG render,video $USER   # then log in again",
    )


@check("amd-smi", area="rocm", source=f"{LIBROCDXG}/releases/tag/v1.2.1")
def amd_smi(machine: Machine) -> Seen:
    """
    Is AMD's amd-smi for WSL there?

    It shows memory and load of the card in WSL; without it Windows's Task Manager does. vLLM below
    0.29 finds the card by it, or by the patch that this project's container makes.
    """
    if not facts.is_radeon_wsl(machine):
        return skipped("only under WSL there is a choice")
    if machine.exists("/opt/rocm-wsl/bin/amd-smi"):
        return passed("/opt/rocm-wsl/bin/amd-smi is there")
    return skipped("not installed; Windows's Task Manager shows the card's memory and load")


CHECKS = (
    rocm_stack,
    stack_pairing,
    rocdxg_device_list,
    hsa_shadowed,
    dxg_detection,
    hsa_override,
    kfd_rights,
    rocminfo,
    amd_smi,
)
