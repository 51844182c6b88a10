"""
Does somebody say that this combination works?
"""

from __future__ import annotations

from .. import facts
from ..image import Version, dotted
from ..machine import Machine
from ..support import Row, applying, nearest
from .base import Seen, check, passed, skipped, warned

STACKS = ("wsl-legacy", "wsl-rocdxg", "rocm")


@check("support-matrix", area="rocm", source="workbench/doctor/support_matrix.toml")
def support_matrix(machine: Machine) -> Seen:
    """
    Which row of the support matrix is this machine?

    ROCm, the driver in Windows, Ubuntu, card and image were only tried in a few combinations. Off
    them it may work, and nobody has said so.
    """
    stack = facts.chosen_profile(machine)
    if stack not in STACKS:
        return skipped("the matrix is for AMD GPUs")
    rocm = facts.rocm_version(machine)
    if rocm is None:
        return skipped("/opt/rocm/.info/version does not say which ROCm this is")
    row = applying(stack, rocm)
    if row and row.image:
        return _applying(machine, row, rocm)
    near = nearest(stack, rocm)
    wrong = (
        f"{row.name}: {row.status}"
        if row
        else f"nobody has said anything of ROCm {dotted(rocm)} there"
    )
    if near is None:
        return warned(wrong, fix="# see workbench/doctor/support_matrix.toml")
    fix = f"# the nearest row with an image: {_told(near)}"
    return warned(f"ROCm {dotted(rocm)}, {stack}: {wrong}", fix=fix)


def _applying(machine: Machine, row: Row, rocm: Version) -> Seen:
    distribution, version = facts.ubuntu(machine)
    seen = f"ROCm {dotted(rocm)}, {distribution} {version} → {_told(row)}"
    off = _off(machine, row)
    if off:
        return warned(f"{seen}; {off}", fix=f"# take what the row has: {row.source}")
    return passed(f"{seen} ({row.date}, {row.source})")


def _off(machine: Machine, row: Row) -> str:
    """Say in what a machine differs from its row."""
    distribution, version = facts.ubuntu(machine)
    if distribution != "ubuntu" and facts.is_wsl(machine):
        return ""  # wsl-distribution says it
    if distribution != "ubuntu" or version not in row.ubuntu:
        return f"the row is for Ubuntu {', '.join(row.ubuntu)}"
    cards = facts.cards_in(facts.rocminfo(machine).out)
    if cards and row.cards and not set(cards) & set(row.cards):
        return f"the row is for {', '.join(row.cards)}, and this is {', '.join(cards)}"
    image = facts.image(machine)
    if image and image.family not in ("amd", "rocm"):
        return f"the image {image.name} is not for AMD cards"
    return ""


def _told(row: Row) -> str:
    driver = f", Adrenalin {dotted(row.adrenalin)} or newer" if row.adrenalin else ""
    systems = f"Ubuntu {', '.join(row.ubuntu)}"
    return f"{row.name}{driver}, {systems}, {row.image}, vLLM {row.vllm}: {row.status}"


CHECKS = (support_matrix,)
