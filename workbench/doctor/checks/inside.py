"""
What is in the image, whatever its name says.
"""

from __future__ import annotations

from .. import facts
from ..image import Version, dotted
from ..machine import Machine
from .base import Seen, check, passed, skipped, warned


@check(
    "image-versions",
    area="docker",
    source="https://docs.docker.com/reference/cli/docker/container/run/#pull",
)
def image_versions(machine: Machine) -> Seen:
    """
    Are vLLM and ROCm in the image those that its name tells?

    A tag can be moved, and `latest` is what it was at the pull. Options and pairing rules go by the
    version.
    """
    image = facts.image(machine)
    if image is None:
        return skipped("no image is known for this machine")
    if not facts.has_image(machine, image.name):
        return skipped(f"{image.name} is not here")
    inside = facts.inside(machine)
    if inside is None or (inside.vllm is None and inside.rocm is None):
        return skipped(f"{image.name} does not say what is in it", unsure=True)
    seen = f"{image.name} has {_told(inside)}"
    wrong = [
        f"its name says {what} {dotted(told)}"
        for what, told, found in (
            ("vLLM", image.vllm, inside.vllm),
            ("ROCm", image.rocm, inside.rocm),
        )
        if told and found and not _same(told, found)
    ]
    if wrong:
        return warned(
            f"{seen}; {', '.join(wrong)}",
            fix=f"docker pull {image.name}   # the tag as it is now\n"
            "# or name it in .env by its digest: WORKBENCH_IMAGE=…@sha256:…",
        )
    return passed(seen)


def _told(inside: facts.Inside) -> str:
    known = (("vLLM", inside.vllm), ("ROCm", inside.rocm))
    return ", ".join(f"{what} {dotted(version)}" for what, version in known if version)


def _same(told: Version, found: Version) -> bool:
    """Compare as far as the name goes: ``rocm6.4`` is 6.4.2, and 7.2.3 may be 7.2.4 inside."""
    length = min(len(told), len(found), 2)
    return told[:length] == found[:length]


CHECKS = (image_versions,)
