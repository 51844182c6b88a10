"""
Rules for a service that lasts: health, restarts, caches, mounts, tags, the model's name.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ...records import Finding, Verdict
from ..compose_service import Mount, duration_s
from ..effective import Container
from ..interpolation import literal_part
from .base import COMPOSE_SERVICES, Rule, absent, command_with, found, mount_lines

SHORTEST_GRACE_S = 600.0
"""How long vLLM itself waits for its engine (VLLM_ENGINE_READY_TIMEOUT_S, from 0.14 on)."""

PROBE = (
    'test: ["CMD", "python3", "-c", "import urllib.request as u; '
    "u.urlopen('http://127.0.0.1:{port}/health', timeout=5)\"]"
)
START_INTERVAL = "start_interval: 5s  # needs Docker Engine 25 or later; leave it out with an older"
HEALTHCHECK = COMPOSE_SERVICES + "#healthcheck"
COMPILE_CACHE = "https://docs.vllm.ai/en/stable/deployment/docker/"


def health_check_missing(it: Container) -> Finding | None:
    """Without a check `up --wait` returns before vLLM answers."""
    if it.service.get("healthcheck"):
        return None
    return found(
        it,
        "health-check-missing",
        Verdict.WARN,
        seen=absent(it, "healthcheck"),
        why="Docker takes it for ready as soon as the process runs; the model is loaded minutes "
        "later.",
        fix=_health_lines(it),
        source=HEALTHCHECK,
    )


def health_check_too_early(it: Container) -> Finding | None:
    """A first start takes longer than the retries of a check."""
    check = "healthcheck"
    test = it.service.texts(check, "test")
    if not test or it.service.text(check, "disable") == "true" or test[0].value == "NONE":
        return None
    interval = duration_s(it.service.text(check, "interval") or "30s") or 30.0
    retries = int(_digits(it.service.text(check, "retries")) or 3)
    grace = duration_s(it.service.text(check, "start_period") or "0s") or 0.0
    if grace + interval * retries >= SHORTEST_GRACE_S:
        return None
    return found(
        it,
        "health-check-too-early",
        Verdict.WARN,
        seen=f"{it.evidence(it.service.line_of(check))}\nunhealthy after "
        f"{grace + interval * retries:.0f} s",
        why="A first start downloads the model, loads and compiles it. Counted as unhealthy "
        "before, `up --wait` and every `condition: service_healthy` fail.",
        fix=f"healthcheck:\n  start_period: 30m\n  {START_INTERVAL}",
        source=HEALTHCHECK,
    )


def health_check_curl(it: Container) -> Finding | None:
    """Not every image has curl, and every vLLM has Python."""
    test = " ".join(item.value for item in it.service.texts("healthcheck", "test"))
    tool = re.search(r"\b(curl|wget)\b", test)
    if tool is None:
        return None
    return found(
        it,
        "health-check-tool",
        Verdict.WARN,
        seen=it.evidence(it.line_with(tool.group(), key="healthcheck")),
        why=f"If the image has no {tool.group()} the container is unhealthy for ever, though vLLM "
        "runs. Python is in every image of vLLM.",
        fix="healthcheck:\n  " + PROBE.format(port=_port(it)),
        source=HEALTHCHECK,
    )


def restart_missing(it: Container) -> Finding | None:
    """What dies stays dead."""
    if it.service.text("restart") not in (None, "no"):
        return None
    if it.service.get("deploy", "restart_policy"):
        return None
    return found(
        it,
        "restart-missing",
        Verdict.WARN,
        seen=absent(it, "restart policy", key="restart"),
        why="After a crash, a driver's reset or a reboot nobody starts it again.",
        fix="restart: unless-stopped",
        source=COMPOSE_SERVICES + "#restart",
    )


def cache_not_kept(it: Container) -> Finding | None:
    """What is not mounted goes with the container."""
    home = _home(it)
    if home is None or not it.arguments:
        return None
    value = it.service.value
    cache = value("XDG_CACHE_HOME") or f"{home}/.cache"
    hub = value("HF_HOME") or f"{cache}/huggingface"
    compiled = value("VLLM_CACHE_ROOT") or f"{cache}/vllm"
    lost = [] if _is_path(it.model) or _kept(it, value("HF_HUB_CACHE") or hub) else [hub]
    if not it.arguments.has("--enforce-eager") and not _kept(it, compiled):
        lost.append(compiled)
    if not lost:
        return None
    folder = next((mount.target for mount in it.service.mounts if _is_models(mount)), "/models")
    return found(
        it,
        "cache-not-kept",
        Verdict.WARN,
        seen=f"{it.evidence(it.service.line_of('volumes'))}\nno mount holds {' nor '.join(lost)}",
        why="It is in the container's own layer and lost with it: the next one downloads "
        "(--download-dir keeps the weights only) or compiles again.",
        fix=(f"environment:\n  HF_HOME: {folder}/hf\n" if hub in lost else "")
        + "volumes:\n"
        + (f"  - ./models:{folder}\n" if hub in lost else "")
        + f"  - vllm-cache:{compiled}\n# and at the top level:\nvolumes:\n  vllm-cache:",
        source=COMPILE_CACHE,
    )


def bind_creates_directory(it: Container) -> Finding | None:
    """Docker makes a directory where a file is missing."""
    files = [mount for mount in it.service.mounts if mount.creates_source and _is_file(mount)]
    if not files:
        return None
    return found(
        it,
        "bind-creates-directory",
        Verdict.WARN,
        seen=it.evidence(*(mount.line for mount in files)),
        why="If the file is not there, Docker makes a directory of its name on the host, as root; "
        "it starts, finds no GPU, and ROCm's next installation stumbles over it.",
        fix="volumes:\n"
        + "\n".join(_indented(mount_lines(mount.source, mount.target)) for mount in files),
        source=COMPOSE_SERVICES + "#volumes (create_host_path, true by default)",
    )


def models_on_windows_drive(it: Container) -> Finding | None:
    """A Windows drive is slow from Linux."""
    windows = [
        mount
        for mount in it.service.mounts
        if re.match(r"/mnt/[a-z](/|$)|[A-Za-z]:[\\/]", mount.source)
    ]
    if not windows:
        return None
    return found(
        it,
        "mount-on-windows-drive",
        Verdict.WARN,
        seen=it.evidence(*(mount.line for mount in windows)),
        why="Linux reads a Windows drive through a network protocol: loading the weights takes "
        "many times as long.",
        fix="volumes:\n" + "\n".join(f"  - ./models:{mount.target}" for mount in windows),
        source="https://learn.microsoft.com/windows/wsl/filesystems",
    )


def model_fixed(it: Container) -> Finding | None:
    """Another model should not need another file."""
    model = it.model
    if not model or model.startswith("$") or it.service.get("command") is None:
        return None
    written = [text for text in it.service.texts("command") if model in literal_part(text.raw)]
    if not written:
        return None
    return found(
        it,
        "model-fixed-in-file",
        Verdict.WARN,
        seen=it.evidence(it.line_with(model)),
        why="To serve another model the file has to be edited, and every client too that names it.",
        fix=_with_variable(it, model),
        source="https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/",
    )


def latest_tag(it: Container) -> Finding | None:
    """The same file is another server next week."""
    if not it.service.image or not re.match(r"latest|nightly|main", it.image.tag):
        return None
    return found(
        it,
        "image-not-pinned",
        Verdict.WARN,
        seen=it.evidence(it.service.line_of("image")),
        why=f"`{it.image.tag}` is another image after the next pull, with other options, another "
        "ROCm or CUDA, and compiled kernels that do not fit.",
        fix=f"image: {it.service.image.removesuffix(':' + it.image.tag)}:v0.33.0",
        source="https://docs.docker.com/build/building/best-practices/#pin-base-image-versions",
    )


def _with_variable(it: Container, model: str) -> str:
    """Write the command with the model as a variable, and a name that stays."""
    variable = f"${{MODEL:-{model}}}"
    served = (
        ()
        if it.arguments and it.arguments.has("--served-model-name")
        else (
            "--served-model-name",
            "local",
        )
    )
    lines = command_with(it, *served)
    escaped = "$" + variable if it.script else variable
    return lines.replace(model, escaped.replace("$$", "$"), 1)


def _health_lines(it: Container) -> str:
    return (
        "healthcheck:\n  " + PROBE.format(port=_port(it)) + "\n  interval: 30s\n  timeout: 10s\n"
        f"  retries: 5\n  start_period: 30m\n  {START_INTERVAL}"
    )


def _port(it: Container) -> str:
    return (it.arguments.value("--port") if it.arguments else None) or "8000"


def _digits(text: str | None) -> str:
    return text if text and re.fullmatch(r"[0-9]{1,9}", text) else ""


def _home(it: Container) -> str | None:
    """Tell the home in the container; ``None`` for a user whose home is not known."""
    if home := it.service.value("HOME"):
        return home
    return "/root" if it.service.text("user") in (None, "root", "0", "0:0") else None


def _kept(it: Container, folder: str) -> bool:
    """Whether a folder is in a mount."""
    path = PurePosixPath(folder)
    return any(path.is_relative_to(mount.target) for mount in it.service.mounts if mount.target)


def _is_path(model: str | None) -> bool:
    return model is not None and model.startswith(("/", "./"))


def _is_models(mount: Mount) -> bool:
    return "model" in mount.source or "model" in mount.target


def _is_file(mount: Mount) -> bool:
    """Whether a source is a file, by its name."""
    return bool(re.search(r"\.so(\.\d+)*$|\.(conf|json|jinja|ya?ml|py|sh)$", mount.name))


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.splitlines())


RULES: tuple[Rule, ...] = (
    bind_creates_directory,
    health_check_missing,
    health_check_too_early,
    health_check_curl,
    cache_not_kept,
    restart_missing,
    model_fixed,
    models_on_windows_drive,
    latest_tag,
)
