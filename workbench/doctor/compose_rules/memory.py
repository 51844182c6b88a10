"""
Rules for memory: the GPU's, the shared, and what fits into them.
"""

from __future__ import annotations

import math

from ...records import Finding, Verdict
from ..effective import Container
from .base import COMPOSE_SERVICES, Rule, absent, command_with, found

FREE_UNDER_WSL = 0.88
"""
Of 24,517 MiB of a 7900 XTX, WSL's HIP had 21,615 and 21,974 free: 88.2 and 89.6 %
(librocdxg#57, llama.cpp#23999).
"""

ADVISED = "0.85"
ENGINE = "vLLM vllm/v1/worker/gpu_worker.py (0.9.2), vllm/v1/worker/utils.py (0.33.0)"


def max_model_len_missing(it: Container) -> Finding | None:
    """A model's own context seldom fits beside its weights in 24 GB."""
    arguments = it.arguments
    if not it.on_wsl or not arguments or arguments.has("--max-model-len", "--config"):
        return None
    llama = "Llama-3.1" in (it.model or "")
    return found(
        it,
        "max-model-len-missing",
        Verdict.FAIL if llama else Verdict.WARN,
        seen=absent(it, "--max-model-len", key="command"),
        why="vLLM then keeps room for the longest context that the model knows"
        + (
            ": for Llama 3.1 131,072 tokens, 16 GiB of KV cache for 8B, beside 15 GiB of weights. "
            if llama
            else ". "
        )
        + "If it does not fit, vLLM ends with `larger than the available KV cache memory`.",
        fix=command_with(it, "--max-model-len", "8192"),
        source="vLLM vllm/v1/core/kv_cache_utils.py, 0.9.2 to 0.33.0",
    )


def gpu_memory_utilization_default(it: Container) -> Finding | None:
    """The default asks for more than Windows leaves."""
    arguments = it.arguments
    names = ("--gpu-memory-utilization", "--kv-cache-memory-bytes", "--config")
    if not it.on_wsl or not arguments or arguments.has(*names):
        return None
    newer = it.image.vllm is not None and it.image.vllm >= (0, 24)
    default = "0.92" if newer else "0.9"
    return found(
        it,
        "gpu-memory-utilization-default",
        Verdict.FAIL,
        seen=absent(it, "--gpu-memory-utilization", key="command"),
        why=f"The default {default} is more than WSL leaves free of a 24 GB Radeon, 88 to 90 %: "
        "`Free memory on device … is less than desired GPU memory utilization`.",
        fix=command_with(it, "--gpu-memory-utilization", ADVISED),
        source=f"{ENGINE}; https://github.com/ROCm/librocdxg/issues/57",
    )


def gpu_memory_utilization_too_high(it: Container) -> Finding | None:
    """So does a share that is given and too high."""
    arguments = it.arguments
    given = arguments.value("--gpu-memory-utilization") if arguments else None
    share = _number(given)
    if not it.on_wsl or share is None or not FREE_UNDER_WSL < share <= 1:
        return None
    return found(
        it,
        "gpu-memory-utilization-too-high",
        Verdict.FAIL,
        seen=f"{it.evidence(it.line_with('gpu-memory-utilization'))}\nis {given}",
        why="WSL leaves 88 to 90 % of a 24 GB Radeon free: `Free memory on device … is less than "
        "desired GPU memory utilization`.",
        fix=command_with(
            it, "--gpu-memory-utilization", ADVISED, without=("--gpu-memory-utilization",)
        ),
        source=f"{ENGINE}; https://github.com/ROCm/librocdxg/issues/57",
    )


def ipc_host_and_shm_size(it: Container) -> Finding | None:
    """With the host's IPC namespace the container has the host's /dev/shm."""
    if it.service.text("ipc") != "host" or it.service.text("shm_size") is None:
        return None
    return found(
        it,
        "ipc-host-and-shm-size",
        Verdict.WARN,
        seen=it.evidence(it.service.line_of("ipc"), it.service.line_of("shm_size")),
        why="With ipc: host the container has the host's /dev/shm, and shm_size does nothing. One "
        "of the two is enough, and shm_size opens less.",
        fix=f'shm_size: "{it.service.text("shm_size")}"  # and no ipc: host',
        source="https://docs.vllm.ai/en/stable/deployment/docker/ (either … or); "
        + COMPOSE_SERVICES
        + "#shm_size",
    )


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


RULES: tuple[Rule, ...] = (
    max_model_len_missing,
    gpu_memory_utilization_default,
    gpu_memory_utilization_too_high,
    ipc_host_and_shm_size,
)
