"""
What the embedded server needs, and TypeScript.
"""

from __future__ import annotations

import re

from ... import units
from ...typescript import OLDEST_NODE
from .. import facts
from ..machine import Machine
from .base import EMBEDDED, Seen, check, failed, passed, skipped, warned

NEEDED_BYTES = 3 * 2**30
"""vLLM with `pocket` holds about 2 GiB, and the notebook beside it some."""


@check(
    "cpu-features",
    area="embedded",
    blocks=(EMBEDDED,),
    source="https://docs.vllm.ai/en/latest/getting_started/installation/cpu/",
)
def cpu_features(machine: Machine) -> Seen:
    """
    Has the processor the instructions that vLLM's CPU build uses?

    On x86 it needs AVX2; without it the process dies by an illegal instruction. AVX-512 makes it
    faster.
    """
    processor = machine.processor()
    if processor == "aarch64":
        return passed("aarch64")
    if processor != "x86_64":
        return failed(
            f"the processor is {processor}",
            fix="# use a server elsewhere, in .env\nWORKBENCH_BASE_URL=http://host:8000/v1",
        )
    found = re.search(r"^flags\s*:(.*)$", machine.read("/proc/cpuinfo") or "", re.MULTILINE)
    if found is None:
        return skipped("/proc/cpuinfo names no flags", unsure=True)
    flags = set(found[1].split())
    if "avx2" not in flags:
        return failed(
            "/proc/cpuinfo: no avx2",
            fix="# use a server elsewhere, in .env\nWORKBENCH_BASE_URL=http://host:8000/v1",
        )
    best = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    return passed(f"/proc/cpuinfo: {', '.join(best)}")


@check(
    "memory",
    area="embedded",
    source="https://docs.vllm.ai/en/latest/getting_started/installation/cpu/",
)
def memory(machine: Machine) -> Seen:
    """
    Is there memory enough for the embedded server?

    It needs about 3 GiB with a small model; the kernel ends the largest process when there is none.
    """
    text = machine.read("/proc/meminfo") or ""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    if found is None:
        return skipped("/proc/meminfo does not say", unsure=True)
    free, total = int(found[1]) * 1024, facts.mem_total_bytes(machine)
    seen = f"{units.size(free)} of {units.size(total)} available"
    if free < NEEDED_BYTES:
        return warned(seen, fix="ps -eo pid,rss,args --sort=-rss | head   # who holds it")
    return passed(seen)


@check("node", area="embedded", source="https://nodejs.org/en/download")
def node(machine: Machine) -> Seen:
    """
    Is there a Node for TypeScript (%%ts)?

    Nothing else needs one.
    """
    ran = machine.run("node", "--version")
    version = re.match(r"v(\d+)", ran.out)
    if ran.missing:
        return skipped("there is no Node; only %%ts needs one")
    if version is None:
        return skipped(f"node --version: {ran.said[:80] or 'no answer'}", unsure=True)
    if int(version[1]) < OLDEST_NODE:
        return warned(
            f"Node {ran.out.strip()}",
            why=f"%%ts needs Node {OLDEST_NODE}; the rest of the workbench does not.",
            fix="# https://nodejs.org/en/download",
        )
    return passed(f"Node {ran.out.strip()}")


CHECKS = (cpu_features, memory, node)
