"""
What is known to go wrong when vLLM starts: the text, what it means, what to do, where it is from.

The texts are vLLM's, read in its releases 0.9.2 to 0.33.0 (``vllm/`` paths are
files of these), Hugging Face's, ROCm's and Docker's, seen with Engine 26.1 or
reported in the issues named. ``tests/data/boots`` has a log for most of them.

Rows are tried from top to bottom, so the particular stand before the general.
A group that begins with "any word" looks behind itself for the word's beginning:
otherwise a long word would be tried from each of its letters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Facts: TypeAlias = Mapping[str, str]
Setting: TypeAlias = tuple[str, str]

BLOCK_TOKENS = 16
"""A context length is a whole number of KV cache blocks on ROCm and CUDA."""

ROCM_ISSUES = "https://github.com/ROCm/legacy-rocm-build/issues"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """
    One row.

    Args:
        pattern: A regular expression for one line, without vLLM's prefixes.
            What its named groups find can be used in *cause* and *fix*.

        mend: Makes the setting that mends it from the groups; *fix* has its
            value as ``{value}``.

        in_remarks: It may stand in a line that vLLM logs as INFO or WARNING,
            if no error explains more.
    """

    id: str
    pattern: str
    cause: str
    fix: str
    source: str
    mend: Callable[[Facts], Setting | None] | None = None
    in_remarks: bool = False


def _length_that_fits(facts: Facts) -> Setting | None:
    """Take vLLM's own estimate, or the share of the context that there is room for."""
    if estimate := facts.get("estimate"):
        return "max_model_len", estimate
    needed = float(facts["needed"])
    if not needed:  # so small a model that its gigabytes are rounded away
        return None
    share = float(facts["available"]) / needed
    tokens = int(share * int(facts["length"])) // BLOCK_TOKENS * BLOCK_TOKENS
    return ("max_model_len", str(tokens)) if tokens else None


def _share_that_is_free(facts: Facts) -> Setting | None:
    """Leave a hundredth of what is free: the next start finds a little less."""
    hundredths = int(100 * float(facts["free"]) / float(facts["total"])) - 1
    return ("gpu_memory_utilization", f"{hundredths / 100:.2f}") if hundredths > 0 else None


def _models_own_length(facts: Facts) -> Setting:
    return "max_model_len", facts["derived"]


FINGERPRINTS: tuple[Fingerprint, ...] = (
    # --- memory ---------------------------------------------------------------------------------
    Fingerprint(
        id="kv-cache-too-small",
        pattern=r"max seq len \((?P<length>\d+)\), \((?P<needed>[\d.]+) GiB KV cache is needed, "
        r"which is larger than the available KV cache memory \((?P<available>[\d.]+) GiB\)"
        r"(?:.*?estimated maximum model length is (?P<estimate>\d+))?",
        cause="The KV cache for a context of {length} tokens needs {needed} GiB, "
        "and {available} GiB are there.",
        fix="Give it a smaller context (--max-model-len {value}), or more memory: "
        "--gpu-memory-utilization on a GPU, WORKBENCH_KV_CACHE_GIB for the embedded engine.",
        source="vllm/v1/core/kv_cache_utils.py",
        mend=_length_that_fits,
    ),
    Fingerprint(
        id="cpu-memory-too-small",
        pattern=r"Available memory.*\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\).*"
        r"less than requested memory for kv \((?P<asked>[\d.]+)",
        cause="This machine has {free} of {total} GiB of memory free, "
        "and a KV cache of {asked} GiB was asked for.",
        fix="Ask for less: WORKBENCH_KV_CACHE_GIB (embedded), VLLM_CPU_KVCACHE_SPACE (container).",
        source="vllm/v1/worker/cpu_worker.py",
    ),
    Fingerprint(
        id="no-room-for-kv-cache",
        pattern=r"No available memory for the cache blocks",
        cause="The weights and the working memory take all that vLLM may use; "
        "no room is left for a KV cache.",
        fix="Take a smaller or quantized model, or let it use more: --gpu-memory-utilization, "
        "WORKBENCH_KV_CACHE_GIB for the embedded engine.",
        source="vllm/v1/core/kv_cache_utils.py",
    ),
    Fingerprint(
        id="gpu-memory-not-free",
        pattern=r"Free memory on device.*?\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup is "
        r"less than desired GPU memory utilization \((?P<share>[\d.]+), (?P<asked>[\d.]+) GiB\)",
        cause="{free} of the GPU's {total} GiB are free, and a share of {share} is {asked} GiB.",
        fix="Close what else uses the GPU (under WSL also Windows' programs), or ask for less: "
        "--gpu-memory-utilization {value}",
        source="vllm/v1/worker/gpu_worker.py, utils.py",
        mend=_share_that_is_free,
    ),
    Fingerprint(
        id="gpu-memory-changed",
        pattern=r"Error in memory profiling",
        cause="Another program gave GPU memory back while vLLM was measuring what is free.",
        fix="Close what else uses the GPU (under WSL also Windows' programs), and start it again.",
        source="vllm/v1/worker/gpu_worker.py",
    ),
    Fingerprint(
        id="context-beyond-model",
        pattern=r"User-specified max_model_len \((?P<asked>\d+)\) is greater than the derived "
        r"max_model_len \(\w+=(?P<derived>\d+)",
        cause="A context of {asked} tokens was asked for, and the model was made for {derived}.",
        fix="Lower --max-model-len to {value} or less.",
        source="vllm/config/model.py",
        mend=_models_own_length,
    ),
    Fingerprint(
        id="gpu-out-of-memory",
        pattern=r"(?:HIP|CUDA) out of memory|torch\.OutOfMemoryError|hipErrorOutOfMemory",
        cause="The GPU's memory ran out while the model was loaded or tried.",
        fix="Take a smaller or quantized model, lower --gpu-memory-utilization so that more "
        "is left "
        "beside the KV cache, or add --max-num-seqs 64.",
        source="torch; vllm/v1/worker/gpu_model_runner.py",
    ),
    Fingerprint(
        id="host-out-of-memory",
        pattern=r"\bMemoryError\b|Cannot allocate memory|DefaultCPUAllocator: can't allocate",
        cause="This machine's memory ran out.",
        fix="Stop other programs, give WSL more (memory= in .wslconfig), or lower "
        "WORKBENCH_KV_CACHE_GIB.",
        source="torch",
    ),
    # --- the GPU is not found or does not work ---------------------------------------------------
    Fingerprint(
        id="rocdxg-not-loaded",
        pattern=r"hsa_init Failed",
        cause="ROCm sees WSL and no GPU: librocdxg is not mounted, cannot be loaded, or is of "
        "another age than the ROCm in the image.",
        fix="Check /opt/rocm/lib/librocdxg.so on the host and its version: 1.1.0 and 1.2.0 go with "
        "ROCm 7.2 (image vllm/vllm-openai-rocm:v0.31.0), 1.2.1 and later with ROCm 10 (v0.33.0).",
        source="https://github.com/ROCm/librocdxg; rocprofiler-sdk, Using rocprofv3 on WSL2",
    ),
    Fingerprint(
        id="rock-module-not-loaded",
        pattern=r"ROCk module is NOT loaded",
        cause="ROCm looks for the native driver, which WSL does not have: its WSL part is not "
        "used.",
        fix="With librocdxg set HSA_ENABLE_DXG_DETECTION=1 (profile wsl-rocdxg does); on the host "
        "remove Ubuntu's own runtime: sudo apt remove libhsa-runtime64-1 libhsakmt1",
        source=f"{ROCM_ISSUES}/3051",
    ),
    Fingerprint(
        id="no-wddm-adapter",
        pattern=r"No WDDM adapters found",
        cause="Windows does not show WSL a GPU.",
        fix="Install the Adrenalin driver for your ROCm (26.2.2 or later for librocdxg), then in "
        "PowerShell: wsl --update; wsl --shutdown",
        source=f"{ROCM_ISSUES}/5900",
    ),
    Fingerprint(
        id="thunk-driver-mismatch",
        pattern=r"thunk_proxy\.cpp:\d+",
        cause="ROCm's runtime for WSL and the Windows driver do not understand each other.",
        fix="Take the driver that AMD names for this ROCm: the legacy stack (6.4.2) wants "
        "Adrenalin "
        "25.8.1, librocdxg 26.2.2 or later.",
        source=f"{ROCM_ISSUES}/4460",
    ),
    Fingerprint(
        id="hsa-out-of-resources",
        pattern=r"HSA_STATUS_ERROR_OUT_OF_RESOURCES",
        cause="ROCm cannot use the GPU: distribution, Windows, driver and card are no combination "
        "that AMD supports, or the GPU's queue is broken.",
        fix="In PowerShell: wsl --shutdown, and start again; then compare with AMD's matrix: "
        "https://rocm.docs.amd.com/projects/radeon/en/latest/docs/compatibility/wsl/"
        "wsl_compatibility.html",
        source=f"{ROCM_ISSUES}/3561",
    ),
    Fingerprint(
        id="rocprofiler-abort",
        pattern=r"Found 0 rocprofiler agents",
        cause="ROCm's profiler aborts because it does not know the GPU that WSL shows.",
        fix="Set ROCPROFILER_REGISTER_ENABLED=0 in the container's environment "
        "(profile wsl-rocdxg does).",
        source="https://github.com/unslothai/unsloth/issues/11212",
    ),
    Fingerprint(
        id="invalid-device-function",
        pattern=r"invalid device function",
        cause="The image has no code for this GPU, or an integrated GPU was taken for it.",
        fix="Take an image that is built for gfx1100 (vllm/vllm-openai-rocm, rocm/vllm-dev "
        "…_navi_…), "
        "and leave the integrated GPU out: HIP_VISIBLE_DEVICES=0",
        source=f"{ROCM_ISSUES}/4386",
    ),
    Fingerprint(
        id="uva-not-available",
        pattern=r"UVA is not available",
        cause="This vLLM's newer model runner needs pinned memory that WSL does not give.",
        fix="Set VLLM_USE_V2_MODEL_RUNNER=0 (container/start.py does), or take vLLM 0.31 or later: "
        "WORKBENCH_IMAGE.",
        source="https://github.com/vllm-project/vllm/issues/47387; "
        "vllm/v1/worker/gpu/buffer_utils.py",
    ),
    Fingerprint(
        id="no-platform",
        pattern=r"Failed to infer device type|Device string must not be empty",
        cause="vLLM found no GPU that it can use.",
        fix="Under WSL vLLM below 0.29 needs the is_rocm patch, which container/start.py applies: "
        "see its first line in `workbench logs`. Elsewhere check that the device is in the "
        "container, and that the image is for this kind of GPU.",
        source="https://github.com/vllm-project/vllm/issues/10653; vllm/config/device.py",
    ),
    Fingerprint(
        id="patch-failed",
        # Only what ends the start: the same words stand in the line that says what was done.
        pattern=r"^start\.py: (?P<said>/.*? (?:is not what the is_rocm patch knows|cannot be read"
        r"|needs the is_rocm patch and cannot|is not Python|was patched and is not"
        r"|hides the runtime of the host).*)",
        cause="vLLM could not be prepared for WSL: {said}",
        fix="Leave `read_only` and `user` out of the service, or take vLLM 0.29 or later.",
        source="container/wsl.py",
    ),
    Fingerprint(
        id="torch-without-gpu",
        pattern=r"Torch not compiled with CUDA enabled|No (?:CUDA|HIP) GPUs are available"
        r"|Found no NVIDIA driver",
        cause="torch in the container has no GPU to work with.",
        fix="Check that the device is in the container and the image is for this kind of GPU; "
        "without one: --profile cpu",
        source="torch/cuda/__init__.py",
    ),
    # --- the model -------------------------------------------------------------------------------
    Fingerprint(
        id="model-gated",
        pattern=r"GatedRepoError|access a gated repo|Access to model .* is restricted|"
        r"403 Client Error",
        cause="The model asks for a licence, or for a token that may read it.",
        fix="Accept the licence on the model's page, and set HF_TOKEN "
        "(https://huggingface.co/settings/"
        "tokens) in .env.",
        source="huggingface_hub/errors.py",
    ),
    Fingerprint(
        id="model-not-found",
        pattern=r"(?<!\S)(?P<model>\S+) is not a local folder and is not a valid model "
        r"identifier",
        cause="There is no model {model}: no such folder, and the hub does not know the name.",
        fix="Look at the spelling: organisation/model on the hub, or a folder below models/.",
        source="transformers/utils/hub.py",
    ),
    Fingerprint(
        id="model-not-found",
        pattern=r"Repo id must be .*?: '(?P<model>[^']*)'|Invalid repository ID or local directory "
        r"specified: '(?P<path>[^']*)'",
        cause="There is no model {model}{path}: no such folder, or no config.json in it.",
        fix="Look at the spelling: organisation/model on the hub, or a folder below models/. "
        "The whole log: workbench logs",
        source="huggingface_hub/utils/_validators.py; vllm/transformers_utils/config.py",
    ),
    Fingerprint(
        id="model-not-found",
        # The hub answers 401 for what it does not want to say exists.
        pattern=r"RepositoryNotFoundError|40[14] Client Error",
        cause="The hub does not know the model, or hides it from who has no token for it.",
        fix="Look at the spelling: organisation/model; for a private one set HF_TOKEN.",
        source="huggingface_hub/errors.py",
    ),
    Fingerprint(
        id="revision-not-found",
        pattern=r"RevisionNotFoundError|is not a valid git identifier",
        cause="The model has no such revision.",
        fix="Look at the branches and tags on its page; WORKBENCH_REVISION empty takes the newest.",
        source="huggingface_hub/errors.py",
    ),
    Fingerprint(
        id="hub-unreachable",
        pattern=r"We couldn't connect to '(?P<hub>[^']*)'|LocalEntryNotFoundError|"
        r"outgoing traffic has been disabled|MaxRetryError.*huggingface",
        cause="The model is not on this machine, and the hub cannot be reached.",
        fix="Check the network and HF_ENDPOINT, or put the model's folder below models/ and "
        "name it.",
        source="transformers/utils/hub.py; huggingface_hub/errors.py",
    ),
    Fingerprint(
        id="weights-damaged",
        pattern=r"safetensors_rust\.SafetensorError|InvalidHeader|HeaderTooLarge|"
        r"MetadataIncompleteBuffer",
        cause="The weights are damaged, or were not fetched whole.",
        fix="Fetch the model again (in a git clone: git checkout -- models).",
        source="safetensors",
    ),
    Fingerprint(
        id="model-unsupported",
        pattern=r"Unknown quantization method: (?P<what>[\w-]+)|"
        r"(?P<archs>Model architectures .*?)(?: are not supported| failed)|has no vLLM "
        r"implementation",
        cause="This vLLM does not know the model's architecture or quantization {what}{archs}.",
        fix="Take another model, or another vLLM: WORKBENCH_IMAGE.",
        source="vllm/model_executor/models/registry.py",
    ),
    Fingerprint(
        id="quantization-unsupported",
        pattern=r"(?<![\w-])(?P<what>[\w-]+) quantization is currently not supported|"
        r"Cannot find the config file for (?P<config>\w+)",
        cause="The quantization {what}{config} does not go with this GPU, or the model is not "
        "quantized like that.",
        fix="Leave WORKBENCH_QUANTIZATION empty: the model's own config says what it is. "
        "On RDNA3: AWQ or GPTQ in 4 bit, with WORKBENCH_DTYPE=float16 on vLLM 0.9.2.",
        source="vllm/platforms/interface.py; vllm/model_executor/model_loader/weight_utils.py",
    ),
    Fingerprint(
        id="tool-parser-unknown",
        pattern=r"invalid tool call parser: (?P<name>\S+)",
        cause="This vLLM knows no tool parser {name!s}.",
        fix="Set WORKBENCH_TOOL_CALL_PARSER to one of those it lists: llama3_json, hermes, "
        "mistral …",
        source="vllm/entrypoints/openai/api_server.py",
    ),
    Fingerprint(
        id="tool-parser-mismatch",
        pattern=r"\b(?P<name>\w+ToolParser) (?:could not locate|requires|cannot find)",
        cause="The tool parser is made for another family of models: {name} misses its tokens in "
        "this one's tokenizer.",
        fix="Set WORKBENCH_TOOL_CALL_PARSER to the model's own (llama3_json for Llama 3, hermes "
        "for Qwen), or leave it empty.",
        source="vllm/tool_parsers/",
    ),
    Fingerprint(
        id="chat-template-missing",
        pattern=r"supplied chat template string \((?P<path>[^)]*)\) appears path-like",
        cause="There is no chat template {path} in the container.",
        fix="Put the file below models/, and name it as /models/….",
        source="vllm/entrypoints/chat_utils.py",
    ),
    # --- arguments -------------------------------------------------------------------------------
    Fingerprint(
        id="unknown-argument",
        pattern=r"error: unrecognized arguments: (?P<what>.+)",
        cause="This version of vLLM does not know the argument {what}.",
        fix="Take it out of WORKBENCH_EXTRA_ARGS, or take another version: WORKBENCH_IMAGE. "
        "The whole log: workbench logs",
        source="argparse",
    ),
    Fingerprint(
        id="wrong-argument",
        pattern=r"error: argument (?P<name>[-\w/]+): (?P<said>.{1,200})",
        cause="vLLM does not accept this value of {name}: {said}",
        fix="Mend it in .env or among the options.",
        source="argparse",
    ),
    Fingerprint(
        id="attention-backend",
        pattern=r"Unknown attention backend: '(?P<name>\w+)'|"
        r"(?:Selected backend|Backend) (?P<backend>\S+) is not (?:valid|supported)",
        cause="The attention backend {name}{backend} does not exist in this vLLM, or not for this "
        "GPU.",
        fix="Leave --attention-backend and VLLM_ATTENTION_BACKEND out: vLLM chooses.",
        source="vllm/v1/attention/selector.py",
    ),
    # --- this machine ----------------------------------------------------------------------------
    Fingerprint(
        id="port-in-use",
        pattern=r"[Pp]ort is already allocated|[Aa]ddress already in use",
        cause="Another program has the port.",
        fix="Stop it, or take another port: workbench up --port 8001 (0 takes a free one).",
        source="Docker Engine 26.1; uvicorn",
    ),
    Fingerprint(
        id="disk-full",
        pattern=r"[Nn]o space left on device|Disk quota exceeded",
        cause="The disk is full.",
        fix="Make room (docker system df shows what images take), and start again.",
        source="errno 28",
    ),
    Fingerprint(
        id="illegal-instruction",
        pattern=r"Illegal instruction",
        cause="The CPU lacks an instruction that this build uses.",
        fix="vLLM's CPU build needs AVX2; use a server elsewhere (WORKBENCH_BASE_URL).",
        source="signal 4",
    ),
    # --- Docker ----------------------------------------------------------------------------------
    Fingerprint(
        id="wsl-library-missing",
        pattern=r"bind source path does not exist: (?P<path>\S*libdxcore\.so\S*)",
        cause="{path} is not on this machine: it is not WSL, or its Windows driver is too old.",
        fix="Under WSL, in PowerShell: wsl --update; wsl --shutdown. Elsewhere choose another "
        "profile: rocm, cuda or cpu.",
        source="facts of AMD's WSL documentation: WSL itself brings the file",
    ),
    Fingerprint(
        id="wsl-library-missing",
        pattern=r"bind source path does not exist: (?P<path>\S*(?:librocdxg\.so|dids\.conf)\S*)",
        cause="{path} is not on this machine: AMD's newer stack for WSL is not installed, or not "
        "whole.",
        fix="Install rocdxg-roct (https://github.com/ROCm/librocdxg/releases), or use the legacy "
        "stack: --profile wsl-legacy. librocdxg before 1.2.1 has no dids.conf: "
        "WORKBENCH_ROCDXG_DIDS=/dev/null",
        source="https://github.com/ROCm/librocdxg",
    ),
    Fingerprint(
        id="wsl-library-missing",
        pattern=r"bind source path does not exist: (?P<path>\S*libhsa-runtime64\S*)",
        cause="{path} is not on this machine: AMD's legacy stack for WSL is not installed.",
        fix="Install it (amdgpu-install --usecase=wsl,rocm --no-dkms, ROCm 6.4.2 or 7.2.0), or use "
        "the newer stack: --profile wsl-rocdxg",
        source="https://rocm.docs.amd.com/projects/radeon/en/latest/docs/install/wsl/"
        "install-radeon.html",
    ),
    Fingerprint(
        id="device-missing",
        pattern=r"(?:custom device \"|bind source path does not exist: )(?P<path>/dev/\w+)",
        cause="This machine has no {path}.",
        fix="/dev/dxg is WSL's, /dev/kfd and /dev/dri are native Linux's with an AMD card: choose "
        "the profile that suits this machine, or leave --profile out.",
        source="Docker Engine 26.1",
    ),
    Fingerprint(
        id="mount-missing",
        pattern=r"bind source path does not exist: (?P<path>\S+)",
        cause="{path}, which the container is to have, is not on this machine.",
        fix="Install what brings it, or choose another profile. With Docker Desktop the "
        "daemon sees "
        "its own files and not your distribution's: use Docker Engine in Ubuntu.",
        source="Docker Engine 26.1",
    ),
    Fingerprint(
        id="mount-is-a-folder",
        pattern=r"error mounting \"(?P<path>[^\"]+)\".*not a directory",
        cause="{path} is a folder where a file is meant: Docker has made it when the file was "
        "missing.",
        fix="Remove it (sudo rmdir {path}), and install what brings the file.",
        source="Docker Engine 26.1",
    ),
    Fingerprint(
        id="no-nvidia-runtime",
        pattern=r"could not select device driver \"nvidia\"",
        cause="Docker has no support for NVIDIA's GPUs on this machine.",
        fix="Install nvidia-container-toolkit, or choose another profile.",
        source="Docker Engine 26.1",
    ),
    Fingerprint(
        id="no-such-group",
        pattern=r"[Uu]nable to find group (?P<name>\w+)",
        cause="The image has no group {name}.",
        fix="Take {name} out of group_add, or write its number: getent group {name}",
        source="Docker Engine 26.1",
    ),
    Fingerprint(
        id="engine-too-old",
        pattern=r"healthcheck\.start_interval as feature require Docker Engine",
        cause="This Docker Engine is older than 25, and the compose file's health check needs 25.",
        fix="Update Docker Engine: https://docs.docker.com/engine/install/ubuntu/",
        source="docker/compose, pkg/compose/convert.go",
    ),
    Fingerprint(
        id="credential-helper-missing",
        # Before the missing program: Compose's words are those of a program that is not there.
        pattern=r"Credentials store error|error getting credentials|docker-credential-\S+ not "
        r"installed",
        cause="Docker is told to ask a password store that is not here; Docker Desktop leaves "
        "such a setting behind in WSL.",
        fix='Remove "credsStore" from ~/.docker/config.json.',
        source="docker-py 7.2, docker/credentials/store.py; docker-credential-helpers, "
        "client/client.go",
    ),
    Fingerprint(
        id="program-missing",
        pattern=r"exec: \"(?P<name>[^\"]+)\": (?:executable file not found|stat .*no such file)|"
        r"there is no (?P<program>\S+) on PATH",
        cause="There is no program {name}{program} in the image.",
        fix="Is vLLM in it? See what would run: docker compose config",
        source="Docker Engine 26.1; container/start.py",
    ),
    Fingerprint(
        id="program-not-executable",
        pattern=r"exec: \"(?P<name>[^\"]+)\": permission denied|"
        r"(?<!\S)(?P<program>\S+): cannot execute binary file",
        cause="{name}{program} is there and cannot be run.",
        fix="A shell needs -c before a command: entrypoint: [/bin/bash, -c]. See what would run: "
        "docker compose config",
        source="Docker Engine 26.1; bash",
    ),
    Fingerprint(
        id="pull-rate-limit",
        pattern=r"toomanyrequests",
        cause="The registry lets nobody pull so often without an account.",
        fix="Log in (docker login), or wait a few hours.",
        source="https://docs.docker.com/docker-hub/usage/pulls/",
    ),
    Fingerprint(
        id="image-not-found",
        pattern=r"manifest unknown|manifest for .* not found|not found: manifest|No such image",
        cause="The registry has no image of that name and tag.",
        fix="Look at WORKBENCH_IMAGE, and at the tags on the registry's page.",
        source="Docker Engine 26.1",
    ),
    Fingerprint(
        id="image-denied",
        pattern=r"pull access denied|no basic auth credentials|unauthorized: |denied: requested",
        cause="The registry has no such image, or does not show it to who is not logged in.",
        fix="Look at the spelling of WORKBENCH_IMAGE, or log in: docker login",
        source="Docker Engine 26.1",
    ),
    Fingerprint(
        id="pull-cut-off",
        pattern=r"unexpected EOF|connection reset by peer|TLS handshake timeout|/v2/\S*\": EOF|"
        r"httpReadSeeker: failed|[Rr]ead timed out",
        cause="The registry or the network broke the pull off.",
        fix="Try again: what is there whole is not fetched again.",
        source="Docker Engine 26.1",
    ),
    Fingerprint(
        id="registry-unreachable",
        pattern=r"dial tcp \S*: (?:connect: |lookup |i/o )|no such host|Temporary failure in name "
        r"resolution",
        cause="The registry cannot be reached.",
        fix="Check the network, the proxy of the Docker daemon, and the image's name.",
        source="Docker Engine 26.1",
    ),
    Fingerprint(
        id="docker-not-running",
        pattern=r"Cannot connect to the Docker daemon|docker daemon is not running",
        cause="The Docker Engine does not run.",
        fix="Start it: sudo systemctl start docker (or: sudo service docker start)",
        source="Docker Engine 26.1",
    ),
    Fingerprint(
        id="docker-not-permitted",
        pattern=r"permission denied while trying to connect to the Docker daemon",
        cause="Docker's socket may not be used by this user.",
        fix="Add yourself to its group, and log in again: sudo usermod -aG docker $USER",
        source="Docker Engine 26.1",
    ),
    # --- what is said on the way, when nothing else is ------------------------------------------
    Fingerprint(
        id="no-platform",
        pattern=r"No platform detected, vLLM is running on UnspecifiedPlatform",
        cause="vLLM found no GPU that it can use.",
        fix="Under WSL vLLM below 0.29 needs the is_rocm patch, which container/start.py applies: "
        "see its first line in `workbench logs`.",
        source="vllm/platforms/__init__.py; https://github.com/vllm-project/vllm/issues/10653",
        in_remarks=True,
    ),
)
