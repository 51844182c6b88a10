"""
Which secrets and names this machine has: in the environment, in ``.env``, and in the files where
programs keep theirs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..doctor import Machine
from ..doctor.facts import expanded, state_dir
from ..doctor.secrets import Secrets, is_secret_name
from ..servers.compose_cli import FILE_NAMES
from ..settings import Settings
from .redaction import Redactor

MOVED_FILES = {"HF_HOME": "token", "DOCKER_CONFIG": "config.json"}
"""Token files whose folder a variable names."""

TOKEN_FILES = (
    "~/.cache/huggingface/token",
    "~/.cache/huggingface/stored_tokens",
    "~/.docker/config.json",
    "~/.netrc",
    "~/.git-credentials",
    "~/.pypirc",
    "~/.config/gh/hosts.yml",
    "~/.config/pip/pip.conf",
    "~/.pip/pip.conf",
    "~/.npmrc",
    "~/.aws/credentials",
)

KNOWN_PREFIXES = (
    *("WORKBENCH_", "VLLM_", "COMPOSE_", "HSA_", "HIP_", "ROCR_", "ROCM_", "CUDA_", "NVIDIA_"),
    *("PYTORCH_", "TORCH_", "NCCL_", "RCCL_", "OMP_", "MIOPEN_", "AMDGPU_", "GPU_", "DOCKER_"),
    *("HF_HUB_", "HF_HOME", "HF_ENDPOINT", "TRITON_", "TORCHINDUCTOR_", "FLASH_ATTENTION_"),
    *("SAFETENSORS_", "LD_LIBRARY_PATH", "LOGGING_LEVEL", "PYTHONUNBUFFERED"),
)
"""Variables whose values an issue is about; of others in ``.env`` the values are hidden."""

SHORTEST_OTHER = 6
"""Of a value in ``.env`` that nobody knows: what is shorter is a number or a switch."""

_PROXY = re.compile(r"_proxy$", re.IGNORECASE)


def redactor_for(machine: Machine, *, project: str = "PROJECT", home: str = "~") -> Redactor:
    """
    Make a redactor that knows this machine.

    Args:
        project: What stands for the project's folder.

        home: What stands for the user's.
    """
    place = machine.variables.get("HOME", "")
    places = {**({place: home} if len(place) > 1 else {}), str(machine.home): project}
    return Redactor(_secrets(machine), people=_people(machine), places=places)


def is_about_vllm(name: str) -> bool:
    """Whether a variable's value is worth showing, and no secret."""
    return name.startswith(KNOWN_PREFIXES) and not is_secret_name(name)


def _secrets(machine: Machine) -> Iterator[str]:
    for name, value in machine.variables.items():
        if is_secret_name(name):
            yield value
        yield from _parts(value)
    yield from _of_dotenv(machine)
    moved = (
        f"{folder}/{file}"
        for name, file in MOVED_FILES.items()
        if (folder := machine.variables.get(name))
    )
    for path in (*TOKEN_FILES, *moved, machine.variables.get("HF_TOKEN_PATH", "")):
        if path:
            yield from _of_file(machine.read(expanded(machine, path) if path[0] == "~" else path))
    for path in machine.glob(f"{state_dir(machine)}/*key"):
        yield (machine.read(path) or "").strip()


def _parts(value: str) -> Iterator[str]:
    """Take an address, a connection string or a header apart: the secret is within."""
    yield from Secrets.in_text(value)
    yield from re.findall(r"Key=([^;\s]+)", value, re.IGNORECASE)
    yield from re.findall(r"[?&](?:sig|key|token|code)=([^&\s]+)", value, re.IGNORECASE)
    if "://" in value:
        try:
            parts = urlsplit(value)
        except ValueError:
            return
        for word in (parts.password, parts.username):
            if word:
                yield from (word, unquote(word))


def _of_dotenv(machine: Machine) -> Iterator[str]:
    """All values that are not of the workbench's own, known variables."""
    shown = {name for item in fields(Settings) for name in item.metadata.get("names", ())}
    for line in (machine.read(machine.home / ".env") or "").splitlines():
        name, _, given = line.strip().removeprefix("export ").partition("=")
        is_ours = (name in shown or is_about_vllm(name)) and not is_secret_name(name)
        # Behind " #" is a comment, unless quotes are around both: it may be either.
        for text in (given, given.partition(" #")[0]):
            value = text.strip().strip("\"'")
            if len(value) >= SHORTEST_OTHER and not is_ours:
                yield value
            yield from _parts(value)


def _of_file(text: str | None) -> Iterator[str]:
    """Every word of such a file that may be a secret."""
    if text is None:
        return
    try:
        yield from _strings(json.loads(text))
    except ValueError:
        yield from (word for word in re.split(r"[\s=:\"']+", text) if len(word) >= 12)


def _strings(value: Any) -> Iterator[str]:
    """Docker keeps logins as ``{"auths": {"host": {"auth": "…"}}}``."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            if isinstance(below, str) and re.search("auth|token|secret|password", str(name)):
                yield below
            else:
                yield from _strings(below)


def _people(machine: Machine) -> Iterator[str]:
    """Users of this machine and of Windows, the machine, and hosts that variables name."""
    variables = machine.variables
    for name in ("USER", "LOGNAME", "USERNAME", "WORKBENCH_USER", "HOSTNAME", "NAME", "WSL_USER"):
        yield variables.get(name, "")
    yield Path(variables.get("HOME", "")).name
    for path in ("/proc/sys/kernel/hostname", "/etc/hostname"):
        host = (machine.read(path) or "").strip()
        yield from (host, host.partition(".")[0])
    for path in machine.glob("/mnt/c/Users/*"):
        yield Path(path).name
    yield from _registries(machine)
    for name, value in variables.items():
        if "://" in value or _PROXY.search(name):
            hosts = value.split(",") if name.lower() == "no_proxy" else [value]
            for host in hosts:
                yield re.split(r"[/:?]", host.rpartition("://")[2].rpartition("@")[2])[0].strip(
                    " .*"
                )


def _registries(machine: Machine) -> Iterator[str]:
    """Hosts that images are named with: an own registry is nobody's business."""
    files = (machine.read(machine.home / name) or "" for name in FILE_NAMES)
    named = re.findall(r"image:\s*[\"']?(?:\$\{\w+:?-)?([\w.-]+(?::\d+)?)/", "\n".join(files))
    named.append(machine.variables.get("WORKBENCH_IMAGE", "").partition("/")[0])
    yield from (host.partition(":")[0] for host in named if "." in host or ":" in host)
