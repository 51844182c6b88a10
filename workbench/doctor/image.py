"""
What an image's name tells: who made it, which vLLM and ROCm are in it, what it runs. Pure.

Sources: ``ENTRYPOINT`` and ``BASE_IMAGE`` in ``docker/Dockerfile*`` of vLLM
0.10.2 to 0.33.0; for AMD's images their tags, and vLLM's page on ROCm
("entrypoint of rocm/vllm-dev is /bin/bash", "deprecated").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Version: TypeAlias = tuple[int, ...]
Family: TypeAlias = Literal["amd", "rocm", "cuda", "cpu", "unknown"]

FIRST_VLLM_SERVE: Version = (0, 11)
"""From here on vLLM's own images run ``vllm serve``; 0.10.2 ran the API server's module."""

_FAMILIES: tuple[tuple[str, Family], ...] = (
    ("rocm/vllm-dev", "amd"),
    ("rocm/vllm", "amd"),
    ("vllm/vllm-openai-rocm", "rocm"),
    ("vllm/vllm-openai-cpu", "cpu"),
    ("vllm/vllm-openai", "cuda"),
)

# (from, up to and without, ROCm): Dockerfile.rocm_base. Where releases in between were not read,
# nothing is claimed.
_ROCM_INSIDE: tuple[tuple[Version, Version, Version], ...] = (
    ((0, 11, 2), (0, 17), (7, 0)),
    ((0, 19), (0, 20), (7, 2, 1)),
    ((0, 24), (0, 32), (7, 2, 3)),
    ((0, 33), (0, 34), (10, 0)),
)


@dataclass(frozen=True, slots=True)
class Image:
    """
    An image, as far as its name tells.

    Args:
        tag: ``latest`` if the name has neither tag nor digest.

        vllm: ``None`` if the tag does not say.

        rocm: ``None`` if neither the tag says nor the vLLM version.
    """

    name: str
    family: Family
    tag: str
    vllm: Version | None
    rocm: Version | None

    @property
    def entrypoint(self) -> tuple[str, ...] | None:
        """What it runs unless told otherwise; ``None`` if unknown."""
        if self.family == "amd":
            return ("/bin/bash",)
        if self.family == "unknown":
            return None
        if self.vllm and self.vllm < FIRST_VLLM_SERVE:
            return ("python3", "-m", "vllm.entrypoints.openai.api_server")
        return ("vllm", "serve")


def read_image(name: str) -> Image:
    """Read an image's name."""
    bare = name.partition("@")[0]
    repository, tag = bare, ""
    if ":" in bare.rpartition("/")[2]:
        repository, _, tag = bare.rpartition(":")
    if not tag and "@" not in name:
        tag = "latest"
    family: Family = "unknown"
    for ending, kind in reversed(_FAMILIES):
        family = kind if f"/{repository}".endswith(f"/{ending}") else family
    vllm = _version(r"vllm_(\d+(?:\.\d+)*)" if family == "amd" else r"^v?(\d+\.\d+(?:\.\d+)*)", tag)
    return Image(name, family, tag, vllm, _rocm(family, tag, vllm))


def _rocm(family: Family, tag: str, vllm: Version | None) -> Version | None:
    if family == "amd":
        return _version(r"rocm(\d+(?:\.\d+)*)", tag)
    if family != "rocm":
        return None
    if "rocm72" in tag:
        return (7, 2, 3)
    return next((rocm for first, end, rocm in _ROCM_INSIDE if vllm and first <= vllm < end), None)


def _version(pattern: str, tag: str) -> Version | None:
    found = re.search(pattern, tag)
    return tuple(int(part) for part in found.group(1).split(".")) if found else None


def dotted(version: Version) -> str:
    """Write a version: ``0.9.2``."""
    return ".".join(str(part) for part in version)
