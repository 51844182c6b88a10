"""
Ask a real vLLM what it says about its memory, for many models, without any weights.

For each run a process of its own starts vLLM's engine as ``vllm serve`` would (the same
defaults), with random weights of the right shapes, and writes down what the engine
measured. A model is its ``config.json``; nothing is downloaded and no tokenizer is
needed. Nothing else may use the GPU: vLLM reads the card's free memory.

    python tools/measure_memory.py --out new.json                        all runs, again
    python tools/measure_memory.py --out new.json --only qwen3-8b        those of one model
    python tools/measure_memory.py --out new.json --budget-gib 21.57     on a larger card

The list of runs is an earlier result (``--runs``), whose ``configs`` and ``flags`` are
read. It needs an NVIDIA GPU and vLLM 0.25.1; with another version look first whether
``Probe`` still finds its places. The results are written after each run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

RUNS = Path(__file__).parents[1] / "tests" / "data" / "vram" / "measured.json"
RUN_LIMIT_S = 400
GIB = 2**30

# What vLLM logs and keeps nowhere: the name of the term, and the text.
LINES = {
    "attention_backend": r"Using (?:AttentionBackendEnum\.)?(\w+) attention backend",
    "compile_s": r"compilation: ([\d.]+) s",
    "init_s": r"init engine \(profile, create kv cache, warmup model\) took ([\d.]+)",
}


class Probe:
    """What one engine measured, read where vLLM has it in bytes."""

    def __init__(self) -> None:
        self.terms: dict[str, Any] = {}

    def attach(self) -> None:
        """Wrap the steps of vLLM's start whose results it only logs, rounded."""
        import torch
        from vllm.v1.worker.gpu.model_runner import GPUModelRunner as RunnerV2
        from vllm.v1.worker.gpu_model_runner import GPUModelRunner as RunnerV1
        from vllm.v1.worker.gpu_worker import Worker

        def peak() -> int:
            return int(torch.cuda.memory_stats().get("allocated_bytes.all.peak", 0))

        def before_profile(worker: Any) -> None:
            self.terms["allocated_before_profile_bytes"] = torch.cuda.memory_allocated()
            self.terms["model_runner"] = 2 if worker.use_v2_model_runner else 1
            self.terms["model_loading_bytes"] = worker.model_runner.model_memory_usage
            self.terms["total_bytes"] = worker.init_snapshot.total_memory
            self.terms["free_at_start_bytes"] = worker.init_snapshot.free_memory
            self.terms["requested_bytes"] = int(worker.requested_memory)

        def after_profile(worker: Any, available: int) -> None:
            self.terms["available_kv_cache_bytes"] = int(available)
            self.terms["non_torch_bytes"] = worker.non_torch_memory
            self.terms["peak_activation_bytes"] = worker.peak_activation_memory
            self.terms["graph_estimate_bytes"] = worker.cudagraph_memory_estimate

        def before_sampler(_: Any) -> None:
            before = self.terms.get("allocated_before_profile_bytes", 0)
            self.terms.setdefault("forward_peak_bytes", peak() - before)

        def after_capture(_: Any, captured: int) -> None:
            self.terms["graph_capture_bytes"] = int(captured)

        _wrap(Worker, "determine_available_memory", before_profile, after_profile)
        for runner in (RunnerV1, RunnerV2):
            _wrap(runner, "_dummy_sampler_run", before_sampler)
            _wrap(runner, "capture_model", None, after_capture)

    def read_engine(self, engine: Any) -> None:
        """Add what the started engine's configuration and the card say."""
        import torch

        config = engine.vllm_config
        free, _ = torch.cuda.mem_get_info()
        self.terms["chosen"]["max_model_len"] = (
            config.model_config.max_model_len
        )  # --max-model-len auto
        self.terms |= {
            "kv_cache_tokens": config.cache_config.kv_cache_size_tokens,
            "max_concurrency": config.cache_config.kv_cache_max_concurrency,
            "kv_blocks": engine.scheduler.kv_cache_config.num_blocks,
            "kv_groups": _groups(engine.scheduler.kv_cache_config),
            "free_when_ready_bytes": free,
            "allocated_when_ready_bytes": torch.cuda.memory_allocated(),
            "reserved_when_ready_bytes": torch.cuda.memory_reserved(),
        }

    def read_config(self, config: Any) -> None:
        """Add the settings that vLLM chose itself."""
        graphs = config.compilation_config
        self.terms["chosen"] = {
            "max_model_len": config.model_config.max_model_len,
            "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
            "max_num_seqs": config.scheduler_config.max_num_seqs,
            "dtype": str(config.model_config.dtype).removeprefix("torch."),
            "quantization": config.model_config.quantization,
            "cudagraph_mode": str(graphs.cudagraph_mode).rpartition(".")[2],
            "cudagraph_sizes": len(graphs.cudagraph_capture_sizes or []),
            "cudagraph_max_size": graphs.max_cudagraph_capture_size,
        }


def _wrap(
    owner: type,
    name: str,
    before: Callable[[Any], None] | None = None,
    after: Callable[[Any, Any], None] | None = None,
) -> None:
    original = getattr(owner, name)

    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        if before:
            before(self)
        result = original(self, *args, **kwargs)
        if after:
            after(self, result)
        return result

    setattr(owner, name, wrapped)


def _groups(kv_cache_config: Any) -> list[dict[str, Any]]:
    return [
        {
            "layers": len(group.layer_names),
            "kind": type(group.kv_cache_spec).__name__,
            "block_size": group.kv_cache_spec.block_size,
            "page_size_bytes": group.kv_cache_spec.page_size_bytes,
            "sliding_window": getattr(group.kv_cache_spec, "sliding_window", None),
        }
        for group in kv_cache_config.kv_cache_groups
    ]


def start_engine(folder: Path, flags: dict[str, Any], utilization: float, probe: Probe) -> None:
    """Start an engine with the defaults of ``vllm serve``, and read it."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.usage.usage_lib import UsageContext
    from vllm.utils.argparse_utils import FlexibleArgumentParser
    from vllm.v1.engine.core import EngineCore
    from vllm.v1.executor.abstract import Executor

    probe.attach()
    parser = AsyncEngineArgs.add_cli_args(FlexibleArgumentParser())
    options = parser.parse_args(
        [
            *("--model", str(folder), "--load-format", "dummy", "--skip-tokenizer-init"),
            *("--gpu-memory-utilization", repr(utilization)),
            *_arguments(flags),
        ]
    )
    args = AsyncEngineArgs.from_cli_args(options)
    config = args.create_engine_config(UsageContext.OPENAI_API_SERVER)
    probe.read_config(config)
    engine = EngineCore(config, Executor.get_class(config), log_stats=False)
    probe.read_engine(engine)


def _arguments(flags: dict[str, Any]) -> list[str]:
    return [
        text
        for name, value in flags.items()
        for text in ([f"--{name}"] if value is True else [f"--{name}", str(value)])
    ]


def _child(
    config: dict[str, Any], flags: dict[str, Any], utilization: float, log: Path, result: Path
) -> None:
    """Measure in this process and write the terms; the log takes what vLLM says."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    probe, error = Probe(), None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config), encoding="utf-8")
        try:
            start_engine(Path(folder), flags, utilization, probe)
        except Exception as exc:
            traceback.print_exc()
            error = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        result.write_text(json.dumps({"error": error, "terms": probe.terms}), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # the card is free when the process is gone: no shutdown to wait for


def measure(
    config: dict[str, Any], flags: dict[str, Any], utilization: float, log: Path
) -> dict[str, Any]:
    """Run one engine in a child process and return its terms, its error and its time."""
    result = log.with_suffix(".json")
    started = time.monotonic()
    # fork keeps the imports, which take longer than the start of a small model's engine.
    child = multiprocessing.get_context("fork").Process(
        target=_child, args=(config, flags, utilization, log, result)
    )
    child.start()
    child.join(RUN_LIMIT_S)
    if child.is_alive():
        child.kill()
        child.join()
    found = json.loads(result.read_text(encoding="utf-8")) if result.exists() else None
    outcome = found or {"error": f"no result within {RUN_LIMIT_S} s", "terms": {}}
    outcome["wall_s"] = round(time.monotonic() - started, 1)
    return outcome


def entry(
    model: str, flags: dict[str, Any], utilization: float, outcome: dict[str, Any], log: str
) -> dict[str, Any]:
    """Put a run's terms into the form that the results have."""
    terms = outcome["terms"]
    return {
        "model": model,
        "flags": flags,
        "gpu_memory_utilization": round(utilization, 6),
        "started": "kv_blocks" in terms,
        "error": outcome["error"],
        "model_loading_gib": _gib(terms.get("model_loading_bytes")),
        "available_kv_cache_gib": _gib(terms.get("available_kv_cache_bytes")),
        "graph_capture_gib": _gib(terms.get("graph_capture_bytes")),
        **terms,
        **{name: _found(pattern, log) for name, pattern in LINES.items()},
    }


def _gib(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else round(size_bytes / GIB, 2)


def _found(pattern: str, log: str) -> str | float | None:
    match = re.search(pattern, log)
    if not match:
        return None
    text = match[1]
    return float(text) if re.fullmatch(r"[\d.]+", text) else text


def card() -> str:
    """Return the first GPU's name and its driver, without a CUDA context here."""
    query = "nvidia-smi --id=0 --query-gpu=name,driver_version --format=csv,noheader"
    answer = subprocess.run(query.split(), capture_output=True, text=True, check=True)
    return answer.stdout.strip().replace(", ", ", driver ")


def cuda_total_bytes() -> int:
    """Ask CUDA for the card's size; in another process, because a fork may not follow CUDA."""
    code = "import torch; print(torch.cuda.mem_get_info()[1])"
    command = [sys.executable, "-c", code]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def note() -> str:
    """Say where the figures come from."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("vllm", "torch", "transformers"))
    return (
        f"Measured on one {card()}, with {versions}, {date.today()}, "
        "by tools/measure_memory.py: vLLM's engine with --load-format dummy."
    )


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, required=True, help="the file of results")
    parser.add_argument("--runs", type=Path, default=RUNS, help="whose configs and flags to use")
    parser.add_argument("--only", help="a model's name")
    parser.add_argument("--budget-gib", type=float, help="in place of 0.9 of the card")
    parser.add_argument("--limit-s", type=float, default=float("inf"), help="start no run later")
    parser.add_argument("--logs", type=Path, help="keep vLLM's logs in this folder")
    options = parser.parse_args()
    measure_all(options)


def measure_all(options: argparse.Namespace) -> None:
    """Go through the list and write the results after each run."""
    started = time.monotonic()
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "DEBUG")
    wanted = json.loads(options.runs.read_text(encoding="utf-8"))
    total = cuda_total_bytes()
    utilization = options.budget_gib * GIB / total if options.budget_gib else 0.9
    logs = options.logs or Path(tempfile.mkdtemp())
    logs.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"note": note(), "configs": {}, "runs": []}
    import vllm.v1.engine.core  # noqa: F401  # once, before the forks

    for number, run in enumerate(wanted["runs"]):
        model, flags = run["model"], run["flags"]
        if options.only not in (None, model) or time.monotonic() - started > options.limit_s:
            continue
        log = logs / f"{number:02}-{model}.log"
        outcome = measure(wanted["configs"][model], flags, utilization, log)
        text = log.read_text(encoding="utf-8", errors="replace")
        found = entry(model, flags, utilization, outcome, text)
        results["configs"][model] = wanted["configs"][model]
        results["runs"].append(found)
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        print(_line(found, outcome["wall_s"]), flush=True)


def _line(found: dict[str, Any], wall_s: float) -> str:
    flags = " ".join(_arguments(found["flags"]))
    figures = [found.get(f"{name}_gib") for name in ("model_loading", "available_kv_cache")]
    tokens = found.get("kv_cache_tokens")
    error = found["error"] or ""
    return f"{found['model']} {flags}: {figures} GiB, {tokens} tokens, {wall_s} s {error}"


if __name__ == "__main__":
    main()
