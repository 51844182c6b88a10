"""
What vLLM lacks under WSL, where a Radeon has no amdgpu driver and ``/dev/dxg`` is the GPU.

- vLLM asks ``amdsmi`` whether there is a Radeon, and that fails without the
  driver. One line of ``vllm/platforms/__init__.py`` is therefore changed from
  ``is_rocm = False`` to ``True``, as AMD's page for vLLM under WSL does with
  ``sed``. From 0.29 on vLLM knows WSL and is left as it is.
- On the legacy stack the host's ``libhsa-runtime64.so`` is mounted, and one
  that torch brings along would be loaded instead. It is moved aside.
- From 0.22 (Qwen3; 0.23 Llama and Mistral) vLLM's newer model runner ends with
  "UVA is not available"; 0.31 can do without. Between them the older one runs.

All of it is done again at each start of a container, and twice is once.

Source: vLLM's releases 0.9.2 to 0.33.0, read in November 2026.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import stat
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

UNEXPECTED = 65  # EX_DATAERR: vLLM's file is not what the patch knows
UNWRITABLE = 73  # EX_CANTCREAT: a file of the image cannot be changed

KNOWS_WSL = (0, 29)
NEEDS_UVA, WITHOUT_UVA = (0, 22), (0, 31)

ASIDE = ".aside"

RECREATE = (
    "If it was changed in this container, make a new one (docker compose up --force-recreate); "
    "if the image has it so, take one with vLLM 0.29 or later, which needs no patch"
)
LET_WRITE = (
    "Leave `read_only` and `user` out of the service, so that the image's files can be changed"
)


class PrepareError(Exception):
    """
    vLLM would not find the GPU, and this cannot be mended here.

    Args:
        status: What to exit with.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def prepare(root: Path, env: MutableMapping[str, str]) -> list[str]:
    """
    Give vLLM what it lacks on this machine, and return what was done.

    ``/dev/dxg`` decides: a WSL kernel can be named as its builder likes, and
    without the device the container has no GPU to prepare for.

    Raises:
        PrepareError: The patch is needed and not possible.
    """
    if not (root / "dev/dxg").exists():
        return []
    vllm, torch = package("vllm"), package("torch")
    if vllm is None:
        return ["under WSL, but this Python has no package vllm to look at"]
    version = installed_version("vllm")
    done = [f"vLLM {version or 'of unknown version'} under WSL"]
    if torch and is_rocm_build(torch):
        done.append(patch_is_rocm(vllm / "platforms/__init__.py", release(version)))
        if is_legacy(root):
            done += move_aside(torch / "lib")
    return done + set_defaults(env, release(version))


def package(name: str) -> Path | None:
    """Find an installed package without running it: importing torch takes seconds."""
    spec = importlib.util.find_spec(name)
    places = list((spec and spec.submodule_search_locations) or [])
    return Path(places[0]) if places else None


def installed_version(name: str) -> str | None:
    """Read what the package's metadata says."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def release(version: str | None) -> tuple[int, int] | None:
    """Read ``0.16.1.dev0+g89a77b108`` as (0, 16)."""
    found = re.match(r"(\d+)\.(\d+)", version or "")
    return (int(found[1]), int(found[2])) if found else None


def is_rocm_build(torch: Path) -> bool:
    """Tell whether ``torch.version.hip`` is set."""
    try:
        text = (torch / "version.py").read_text()
    except FileNotFoundError:
        return False
    return re.search(r"""^hip\b[^=\n]*=\s*["']""", text, re.MULTILINE) is not None


_PLUGIN = re.compile(r"^def rocm_platform_plugin\(.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
_FALSE = "is_rocm = False"
_TRUE = "is_rocm = True"


def patch_is_rocm(path: Path, version: tuple[int, int] | None) -> str:
    """
    Let vLLM take the ROCm platform though ``amdsmi`` does not answer.

    Args:
        version: ``None`` if it is unknown; then the text alone decides. It also
            decides for builds from git, whose versions begin with ``0.1.dev``.

    Raises:
        PrepareError: The text is not what was expected, or cannot be written.
    """
    if version and version >= KNOWS_WSL:
        return "it knows WSL itself"
    text = read(path)
    plugin = _PLUGIN.search(text)
    body = plugin[0] if plugin else ""
    if "in_wsl" in body:
        return "it knows WSL itself"
    if is_patched(body):
        return "is_rocm was patched before"
    if plugin is None or body.count(_FALSE) != 1:
        raise PrepareError(
            f"{path} is not what the is_rocm patch knows: rocm_platform_plugin() has "
            f"`{_FALSE}` {body.count(_FALSE)} times, not once. {RECREATE}",
            UNEXPECTED,
        )
    replace(path, text[: plugin.start()] + body.replace(_FALSE, _TRUE) + text[plugin.end() :])
    verify(path)
    return "is_rocm patched"


def is_patched(body: str) -> bool:
    """Tell whether the plugin begins with yes, be it by this script or by somebody's sed."""
    return _FALSE not in body and re.search(rf"^    {_TRUE}$", body, re.MULTILINE) is not None


def read(path: Path) -> str:
    """Read a file of vLLM's, line ends as they are."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise PrepareError(f"{path} cannot be read ({exc}). {RECREATE}", UNEXPECTED) from exc


def replace(path: Path, text: str) -> None:
    """Write the whole file or none of it: another start may read it at the same time."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        handle, new = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
            Path(new).chmod(mode)
            Path(new).replace(path)
        except BaseException:
            Path(new).unlink()
            raise
    except OSError as exc:
        raise PrepareError(
            f"{path} needs the is_rocm patch and cannot be written ({exc.strerror}). {LET_WRITE}; "
            "vLLM 0.29 and later need no patch",
            UNWRITABLE,
        ) from exc


def verify(path: Path) -> None:
    """Read the patched file again: it has to be Python, and to say yes."""
    text = read(path)
    plugin = _PLUGIN.search(text)
    try:
        compile(text, path, "exec")
    except SyntaxError as exc:
        raise PrepareError(f"{path} is not Python ({exc}). {RECREATE}", UNEXPECTED) from exc
    if plugin is None or not is_patched(plugin[0]):
        raise PrepareError(f"{path} was patched and is not. {RECREATE}", UNEXPECTED)


def is_legacy(root: Path) -> bool:
    """Tell whether the host's HSA runtime is mounted, and no ROCDXG is there."""
    try:
        mounts = (root / "proc/self/mountinfo").read_text()
    except FileNotFoundError:
        return False
    places = ("usr/lib", "usr/lib/*", "usr/local/lib", "opt/rocm*/lib")
    rocdxg = any(any(root.glob(f"{place}/librocdxg.so*")) for place in places)
    return "/libhsa-runtime64.so" in mounts and not rocdxg


def move_aside(folder: Path) -> list[str]:
    """Rename torch's own HSA runtime, which has no way to ``/dev/dxg``."""
    moved = []
    for library in sorted(folder.glob("libhsa-runtime64.so*")):
        if library.suffix == ASIDE:
            continue
        try:
            library.rename(library.with_name(library.name + ASIDE))
        except FileNotFoundError:
            continue  # another start was faster
        except OSError as exc:
            raise PrepareError(
                f"{library} hides the runtime of the host and cannot be moved aside "
                f"({exc.strerror}). {LET_WRITE}",
                UNWRITABLE,
            ) from exc
        moved.append(f"torch's {library.name} moved aside")
    return moved


def set_defaults(env: MutableMapping[str, str], version: tuple[int, int] | None) -> list[str]:
    """Choose the older model runner where the newer one cannot start."""
    name = "VLLM_USE_V2_MODEL_RUNNER"
    # Compose passes what is not set as an empty text.
    if env.get(name) or version is None or not NEEDS_UVA <= version < WITHOUT_UVA:
        return []
    env[name] = "0"
    return [f"{name}=0"]
