"""Why a boot failed, told from its log, from Docker's words, or from its exit status alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from workbench.failures import diagnose
from workbench.fingerprints import FINGERPRINTS

BOOTS = Path(__file__).parent / "data" / "boots"

# Every log of a failure: what is found in it, and a part of the sentence.
SAMPLES = {
    "kv-cache-too-small": ("kv-cache-too-small", "needs 2.86 GiB"),
    "kv-cache-beyond-memory": ("cpu-memory-too-small", "a KV cache of 64.0 GiB"),
    "port-in-use": ("port-in-use", "Another program has the port."),
    "truncated-weights": ("weights-damaged", "not fetched whole"),
    "beyond-derived-length": ("context-beyond-model", "A context of 1000000 tokens"),
    "no-config": ("model-not-found", "no config.json in it"),
    "bad-flag": ("unknown-argument", "does not know the argument --no-such-flag"),
    "wrong-choice": ("wrong-argument", "does not accept this value of --dtype"),
    "unknown-quantization": ("model-unsupported", "nosuchquant"),
    "awq-of-a-plain-model": ("quantization-unsupported", "awq"),
    "unknown-tool-parser": ("tool-parser-unknown", "llama9"),
    "missing-chat-template": ("chat-template-missing", "/nonexistent/template.jinja"),
    "unknown-attention-backend": ("attention-backend", "NO_SUCH"),
    "hub-unreachable": ("hub-unreachable", "cannot be reached"),
    "hub-offline": ("hub-unreachable", "cannot be reached"),
    "missing-folder": ("model-not-found", "/models/nothing-here"),
    "gated": ("model-gated", "licence"),
    "no-such-repository": ("model-not-found", "somebody/nothing"),
    "docker-device-dxg": ("device-missing", "no /dev/dxg"),
    "docker-device-kfd": ("device-missing", "no /dev/kfd"),
    "docker-group": ("no-such-group", "render"),
    "docker-no-nvidia": ("no-nvidia-runtime", "NVIDIA"),
    "docker-no-program": ("program-missing", "no program vllm"),
    "docker-no-permission": ("program-not-executable", "/reg.yml"),
    "docker-folder-for-file": ("mount-is-a-folder", "/opt/rocm/lib/librocdxg.so is a folder"),
    "docker-port-taken": ("port-in-use", "port"),
    "docker-port-allocated": ("port-in-use", "port"),
    "docker-exit-126": ("program-not-executable", "/usr/bin/bash is there and cannot be run"),
    "pull-no-login": ("image-denied", "logged in"),
    "pull-denied": ("image-denied", "logged in"),
    "pull-limit": ("pull-rate-limit", "so often"),
    "pull-refused": ("registry-unreachable", "cannot be reached"),
    "pull-unknown": ("image-not-found", "no image of that name"),
    "pull-cut": ("pull-cut-off", "broke the pull off"),
}


def log(name: str) -> list[str]:
    return (BOOTS / f"{name}.log").read_text().splitlines()


@pytest.mark.parametrize(("name", "expected"), SAMPLES.items(), ids=SAMPLES)
def test_a_failed_boot_is_named_by_its_cause(name: str, expected: tuple[str, str]):
    """Not by the parent's echo, but by the reason above it; in a sentence with its facts."""
    found = diagnose(log(name))

    assert (found.id, expected[1] in found.cause) == (expected[0], True), found
    assert found.line
    assert not found.line.startswith("(")
    assert found.fix
    assert found.source


def test_every_log_has_its_place_in_the_tests():
    """A log that nobody reads proves nothing."""
    failures = {path.stem for path in BOOTS.glob("*.log") if not path.stem.startswith("healthy")}

    assert failures == SAMPLES.keys()


# Texts of GPUs, hubs and versions that do not run here: vLLM's own, from the sources and issues
# that the table names.
TEXTS = [
    (
        "ValueError: To serve at least one request with the models's max seq len (131072), "
        "(16.00 GiB KV cache is needed, which is larger than the available KV cache memory "
        "(4.92 GiB). Based on the available memory, the estimated maximum model length is 40304. "
        "Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when initializing "
        "the engine.",
        "kv-cache-too-small",
        ("max_model_len", "40304"),
    ),
    (
        # Without an estimate: 4.00 / 16.00 of 131072 tokens.
        "ValueError: To serve at least one request with the model's max seq len (131072), "
        "(16.00 GiB KV cache is needed, which is larger than the available KV cache memory "
        "(4.00 GiB).",
        "kv-cache-too-small",
        ("max_model_len", "32768"),
    ),
    (
        # A model so small that its numbers are rounded away.
        "ValueError: To serve at least one request with the model's max seq len (2048), "
        "(0.00 GiB KV cache is needed, which is larger than the available KV cache memory "
        "(0.0 GiB).",
        "kv-cache-too-small",
        None,
    ),
    (
        # 21.46 / 23.94 is 0.896; a hundredth less than its 0.89.
        "ValueError: Free memory on device (21.46/23.94 GiB) on startup is less than desired GPU "
        "memory utilization (0.9, 21.55 GiB). Decrease GPU memory utilization or reduce GPU "
        "memory used by other processes.",
        "gpu-memory-not-free",
        ("gpu_memory_utilization", "0.88"),
    ),
    (
        "ValueError: Free memory on device cuda:0 (21.46/23.94 GiB) on startup is less than "
        "desired GPU memory utilization (0.92, 22.03 GiB).",
        "gpu-memory-not-free",
        ("gpu_memory_utilization", "0.88"),
    ),
    (
        "ValueError: User-specified max_model_len (200000) is greater than the derived "
        "max_model_len (max_position_embeddings=131072 or model_max_length=None in model's "
        "config.json).",
        "context-beyond-model",
        ("max_model_len", "131072"),
    ),
    ("ValueError: No available memory for the cache blocks. Try", "no-room-for-kv-cache", None),
    ("AssertionError: Error in memory profiling. Initial free memory", "gpu-memory-changed", None),
    ("torch.OutOfMemoryError: HIP out of memory. Tried to allocate", "gpu-out-of-memory", None),
    ("RuntimeError: Failed to infer device type, please set", "no-platform", None),
    ("RuntimeError: UVA is not available", "uva-not-available", None),
    ("hsa_init Failed, possibly no supported GPU devices", "rocdxg-not-loaded", None),
    ("ROCk module is NOT loaded, possibly no GPU devices", "rock-module-not-loaded", None),
    (
        "[topology_sysfs_get_system_props] No WDDM adapters found.",
        "no-wddm-adapter",
        None,
    ),
    (
        "thunk_proxy.cpp:111: bool wsl::thunk::QueryAdapterInfo(): Assertion `!code' failed.",
        "thunk-driver-mismatch",
        None,
    ),
    ("hsa api call failure: HSA_STATUS_ERROR_OUT_OF_RESOURCES", "hsa-out-of-resources", None),
    (
        "F agent.cpp:1093] Found 0 rocprofiler agents and 2 HSA agents.",
        "rocprofiler-abort",
        None,
    ),
    ("RuntimeError: HIP error: invalid device function", "invalid-device-function", None),
    (
        "RuntimeError: Llama3JsonToolParser could not locate the bot token '<|python_tag|>' in "
        "the tokenizer.",
        "tool-parser-mismatch",
        None,
    ),
    ("OSError: [Errno 28] No space left on device", "disk-full", None),
    ("Illegal instruction (core dumped)", "illegal-instruction", None),
    ("awq quantization is currently not supported in rocm.", "quantization-unsupported", None),
    ("AssertionError: Torch not compiled with CUDA enabled", "torch-without-gpu", None),
    (
        "api_server.py: error: unrecognized arguments: --attention-backend TRITON_ATTN",
        "unknown-argument",
        None,
    ),
    ("vllm serve: error: unrecognized arguments: --nope", "unknown-argument", None),
    (
        "bind source path does not exist: /opt/rocm/lib/librocdxg.so",
        "wsl-library-missing",
        None,
    ),
    (
        "start.py: /x/__init__.py needs the is_rocm patch and cannot be written (Read-only).",
        "patch-failed",
        None,
    ),
    *[
        (f"start.py: {said}.", "patch-failed", None)
        for said in (
            "/x/__init__.py is not what the is_rocm patch knows: rocm_platform_plugin() has",
            "/x/__init__.py cannot be read ([Errno 13] Permission denied)",
            "/x/__init__.py is not Python (invalid syntax)",
            "/x/__init__.py was patched and is not",
            "/x/libhsa-runtime64.so.1 hides the runtime of the host and cannot be moved aside",
        )
    ],
    (
        "can't set healthcheck.start_interval as feature require Docker Engine v25 or later",
        "engine-too-old",
        None,
    ),
    (
        "Credentials store error: StoreError('docker-credential-desktop.exe not installed or not "
        "available in PATH')",
        "credential-helper-missing",
        None,
    ),
    (
        'error getting credentials - err: exec: "docker-credential-desktop.exe": executable file '
        "not found in $PATH, out: ``",
        "credential-helper-missing",
        None,
    ),
    (
        "permission denied while trying to connect to the Docker daemon",
        "docker-not-permitted",
        None,
    ),
]


@pytest.mark.parametrize(("text", "id", "setting"), TEXTS)
def test_a_known_text_is_known_with_and_without_vllms_prefix(text, id, setting):
    """As the engine's process logs it, and as it stands in a traceback."""
    prefix = "(EngineCore pid=77) ERROR 11-24 05:10:41 [core.py:1] "
    echo = "RuntimeError: Engine core initialization failed. See root cause above."

    for line in (text, prefix + text):
        found = diagnose(["INFO 11-24 05:10:40 [x.py:1] starting", line, echo])
        assert (found.id, found.setting) == (id, setting)
        assert found.line == text[:600]
        if setting:
            assert setting[1] in found.fix


@pytest.mark.parametrize(
    ("exit_code", "id"),
    [
        (126, "exit-126"),
        (127, "exit-127"),
        (137, "killed"),
        (-9, "killed"),
        (139, "exit-139"),
        (-11, "exit-139"),
        (-4, "illegal-instruction"),
        (143, "terminated"),
        (255, "exit-255"),
    ],
)
def test_a_silent_end_is_told_from_its_exit_status(exit_code: int, id: str):
    """As Docker writes it, and as Python does; there is no line to quote."""
    found = diagnose(["INFO all is well"], exit_code=exit_code)

    assert (found.id, found.line) == (id, None)


def test_the_kernels_kill_for_memory_is_told_from_any_other():
    """Exit status 137 is both; Docker knows which."""
    assert diagnose([], exit_code=137, oom_killed=True).id == "out-of-memory"
    assert diagnose([], exit_code=137).id == "killed"


def test_what_the_log_says_wins_over_the_exit_status():
    """Status 1 says nothing, and 137 may be the end of something that the log explains."""
    assert diagnose(["RuntimeError: UVA is not available"], exit_code=137).id == "uva-not-available"


def test_a_remark_is_not_taken_for_the_cause():
    """vLLM mentions as INFO or WARNING what it then does without."""
    lines = [
        "WARNING 11-24 05:10:41 [x.py:1] No space left on device for the compile cache; skipped",
        "INFO 11-24 05:10:41 [x.py:1] No platform detected, vLLM is running on UnspecifiedPlatform",
        "ValueError: something else altogether",
    ]

    found = diagnose(lines)

    assert (found.id, found.line) == ("unknown-error", "ValueError: something else altogether")
    # Where nothing else is said, the remark is all there is.
    assert diagnose(lines[:2]).id == "no-platform"


def test_what_was_patched_is_not_what_failed():
    """The line that says so stands in every log of an older vLLM under WSL."""
    done = (
        "start.py: vLLM 0.9.2 under WSL; is_rocm patched; "
        "torch's libhsa-runtime64.so moved aside; VLLM_USE_V2_MODEL_RUNNER=0"
    )

    assert diagnose([done, "torch.OutOfMemoryError: HIP out of memory"]).id == "gpu-out-of-memory"
    assert diagnose([done, "ValueError: something else"]).id == "unknown-error"
    assert diagnose([done]) is None


def test_of_a_long_line_the_beginning_is_read():
    """Whole weights end up in a line now and then, and searching them all takes minutes."""
    known = "RuntimeError: UVA is not available"

    assert diagnose([known + "x" * 1_000_000]).id == "uva-not-available"
    assert diagnose(["x" * 4000 + known]) is None


def test_a_log_without_an_error_is_not_explained():
    """Unknown is unknown."""
    assert diagnose(["INFO everything is fine"]) is None
    assert diagnose([], exit_code=1) is None


def test_every_fingerprint_is_met_by_a_test_and_complete():
    """Each row's pattern matches some sample; its sentences can be filled in."""
    texts = [text for text, _, _ in TEXTS] + [line for name in SAMPLES for line in log(name)]
    more = [
        "bind source path does not exist: /usr/lib/wsl/lib/libdxcore.so",
        "bind source path does not exist: /opt/rocm/lib/libhsa-runtime64.so.1",
        "bind source path does not exist: /srv/other.so",
        "huggingface_hub.errors.RevisionNotFoundError: 404 Client Error.",
        "MemoryError",
        "No platform detected, vLLM is running on UnspecifiedPlatform",
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.",
    ]
    unmet = [
        row.id
        for row in FINGERPRINTS
        if not any(re.search(row.pattern, text) for text in [*texts, *more])
    ]

    assert unmet == []
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.id) for row in FINGERPRINTS)
    assert all(diagnose([text]) for text in more)
