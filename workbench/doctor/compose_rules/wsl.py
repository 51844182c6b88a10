"""
Rules for Radeons under WSL, and for ROCm: devices, libraries, what the stacks need.

There are two stacks for WSL. The older one (ROCm up to 6.4.2, and 7.2.0) has a
``libhsa-runtime64.so.1`` of its own, which containers take from the host;
ROCDXG (ROCm from 7.2.1 on) has ``librocdxg.so`` instead.
"""

from __future__ import annotations

from ...records import Finding, Verdict
from ..effective import Container
from ..image import dotted
from .base import ISSUES, LIBROCDXG, Rule, before_vllm, command_with, found, mount_lines
from .base import shell_command as in_shell

FIRST_ROCDXG_RUNTIME = (7, 1)
"""The ROCm whose runtime can load librocdxg at all (librocdxg README)."""

FIRST_WITHOUT_LEGACY = (7, 2, 1)
"""From here on ROCm has no WSL runtime of its own (ROCm#6022)."""

NEEDS_NO_DETECTION = (7, 13)

LIBDXCORE = "/usr/lib/wsl/lib/libdxcore.so"
LIBHSA = "/opt/rocm/lib/libhsa-runtime64.so.1"
LIBROCDXG_SO = "/opt/rocm/lib/librocdxg.so"
NEW_IMAGE = "${VLLM_IMAGE:-vllm/vllm-openai-rocm:v0.33.0}"

REMOVE_BUNDLED = """\
torch="$(python3 -c 'import importlib.util as u; print(*u.find_spec("torch").submodule_search_locations)')"
rm -f "$torch"/lib/libhsa-runtime64.so*"""  # noqa: E501


def kfd_on_wsl(it: Container) -> Finding | None:
    """WSL has no /dev/kfd and no /dev/dri."""
    wrong = [device for device in it.service.devices if device in ("/dev/kfd", "/dev/dri")]
    if not it.on_wsl or not wrong:
        return None
    return found(
        it,
        "kfd-on-wsl",
        Verdict.FAIL,
        seen=it.evidence(*(it.line_with(device, key="devices") for device in wrong)),
        why=f"WSL has no {' and no '.join(wrong)}: `error gathering device information while "
        "adding custom device: no such file or directory`.",
        fix="devices:\n  - /dev/dxg",
        source=f"{ISSUES}/4062",
    )


def wsl_parts_missing(it: Container) -> Finding | None:
    """The device alone is not enough, nor are the libraries alone."""
    if not it.on_wsl:
        return None
    lacking = []
    if "/dev/dxg" not in it.service.devices and not _privileged(it):
        lacking.append("devices:\n  - /dev/dxg")
    mounts = []
    if not it.mount_of("libdxcore.so"):
        mounts.append(mount_lines(LIBDXCORE, "/usr/lib/libdxcore.so"))
    if not it.mount_of("libhsa-runtime64.so") and not it.mount_of("librocdxg.so"):
        legacy = it.image.rocm is not None and it.image.rocm < FIRST_ROCDXG_RUNTIME
        mounts.append(
            mount_lines(LIBHSA, LIBHSA)
            if legacy
            else mount_lines(LIBROCDXG_SO, "/usr/lib/librocdxg.so")
        )
    if mounts:
        lacking.append("volumes:\n" + "\n".join(_indented(mount) for mount in mounts))
    if not lacking:
        return None
    return found(
        it,
        "wsl-parts-missing",
        Verdict.FAIL,
        seen=f"{it.evidence(it.service.line)}\nservice {it.service.name} has not all of: "
        "/dev/dxg, libdxcore.so, and libhsa-runtime64.so.1 or librocdxg.so",
        why="Under WSL a container needs all three; without one of them ROCm sees no GPU.",
        fix="\n".join(lacking),
        source=f"{LIBROCDXG}; {ISSUES}/4062",
    )


def legacy_stack_only(it: Container) -> Finding | None:
    """A host has one of the two stacks; a file with the older one fits fewer and fewer."""
    mount = it.mount_of("libhsa-runtime64.so")
    if not it.on_wsl or mount is None:
        return None
    if any(Container(other).mount_of("librocdxg.so") for other in it.others):
        return None
    return found(
        it,
        "legacy-stack-only",
        Verdict.WARN,
        seen=it.evidence(mount.line),
        why="This library is the host's only with ROCm for WSL up to 6.4.2 or 7.2.0, and has to be "
        "of the ROCm in the image. A host with ROCm from 7.2.1 on has librocdxg instead, and then "
        "this finds no GPU.",
        fix=_rocdxg_service(),
        source=f"{ISSUES}/6022; {LIBROCDXG}",
    )


def legacy_library_new_image(it: Container) -> Finding | None:
    """The host's old runtime does not go with a new image."""
    mount, rocm = it.mount_of("libhsa-runtime64.so"), it.image.rocm
    if not it.on_wsl or mount is None or rocm is None or rocm < FIRST_WITHOUT_LEGACY:
        return None
    return found(
        it,
        "legacy-library-in-new-image",
        Verdict.FAIL,
        seen=it.evidence(it.service.line_of("image"), mount.line),
        why=f"The image has ROCm {dotted(rocm)}, which reaches the GPU under WSL through "
        "librocdxg; the host's libhsa-runtime64 over its own breaks it.",
        fix="volumes:\n" + _indented(mount_lines(LIBROCDXG_SO, "/usr/lib/librocdxg.so")),
        source=f"{LIBROCDXG}; {ISSUES}/6022",
    )


def rocdxg_library_old_image(it: Container) -> Finding | None:
    """An old runtime cannot load librocdxg."""
    mount, rocm = it.mount_of("librocdxg.so"), it.image.rocm
    if mount is None or rocm is None or rocm >= FIRST_ROCDXG_RUNTIME:
        return None
    return found(
        it,
        "rocdxg-library-in-old-image",
        Verdict.FAIL,
        seen=it.evidence(it.service.line_of("image"), mount.line),
        why=f"The image has ROCm {dotted(rocm)}; only from 7.1 on can the runtime load librocdxg, "
        "so it finds no GPU.",
        fix=f"image: {NEW_IMAGE}",
        source=LIBROCDXG,
    )


def dxg_detection_missing(it: Container) -> Finding | None:
    """Below ROCm 7.13 librocdxg is looked for only when told to."""
    mount, rocm = it.mount_of("librocdxg.so"), it.image.rocm
    if mount is None or it.service.value("HSA_ENABLE_DXG_DETECTION") == "1":
        return None
    if rocm is not None and rocm >= NEEDS_NO_DETECTION:
        return None
    return found(
        it,
        "dxg-detection-missing",
        Verdict.WARN if rocm is None else Verdict.FAIL,
        seen=f"{it.evidence(mount.line)}\n{it.service.name} has no HSA_ENABLE_DXG_DETECTION",
        why="Below ROCm 7.13 the runtime looks for librocdxg only with this variable; without it: "
        "`ROCk module is NOT loaded`.",
        fix='environment:\n  HSA_ENABLE_DXG_DETECTION: "1"',
        source=f"{LIBROCDXG}; https://github.com/ROCm/librocdxg/issues/34",
    )


def torch_bundled_hsa(it: Container) -> Finding | None:
    """A copy of the runtime beside torch wins over the one that is mounted."""
    mount = it.mount_of("libhsa-runtime64.so")
    if not it.on_wsl or mount is None or it.is_wrapped or not it.arguments:
        return None
    if "torch" in it.script and "libhsa-runtime64" in it.script:
        return None
    before = "\n".join(filter(None, [REMOVE_BUNDLED, before_vllm(it)]))
    return found(
        it,
        "torch-bundled-libhsa",
        Verdict.WARN,
        seen=it.evidence(mount.line),
        why="If torch brings a libhsa-runtime64 of its own (its wheels do), that one is loaded "
        "instead of this: torch.cuda.is_available() is False, although rocminfo sees the GPU.",
        fix=in_shell(before, it.arguments.words),
        source=f"{ISSUES}/3571; {ISSUES}/4881",
    )


def gfx_override(it: Container) -> Finding | None:
    """gfx1100 needs no disguise."""
    variable = it.service.environment.get("HSA_OVERRIDE_GFX_VERSION")
    if not it.is_rocm or variable is None or not variable.value:
        return None
    return found(
        it,
        "gfx-version-overridden",
        Verdict.WARN,
        seen=it.evidence(variable.line),
        why="An RX 7900 (gfx1100) is supported as it is. Told to be another, it runs kernels that "
        "were compiled for another.",
        fix="# delete the line HSA_OVERRIDE_GFX_VERSION",
        source="vLLM docs/getting_started/installation/gpu.rocm.inc.md, 0.33.0 (gfx1100 is listed)",
    )


def visible_devices_differ(it: Container) -> Finding | None:
    """Here vLLM takes two opinions on which card for a mistake."""
    hip, cuda = (it.service.environment.get(f"{kind}_VISIBLE_DEVICES") for kind in ("HIP", "CUDA"))
    if not it.is_rocm or not hip or not cuda or not hip.value or not cuda.value:
        return None
    if hip.value == cuda.value:
        return None
    return found(
        it,
        "visible-devices-differ",
        Verdict.FAIL,
        seen=it.evidence(hip.line, cuda.line),
        why="vLLM on ROCm stops when the two name different cards.",
        fix=f'environment:\n  HIP_VISIBLE_DEVICES: "{hip.value}"  # and no CUDA_VISIBLE_DEVICES',
        source="vLLM vllm/platforms/rocm.py, 0.9.2 (assert) to 0.33.0 (ValueError)",
    )


def tensor_parallel_on_wsl(it: Container) -> Finding | None:
    """Several GPUs are not supported under WSL."""
    arguments = it.arguments
    size = arguments.value("--tensor-parallel-size", "-tp") if arguments else None
    if not it.on_wsl or size in (None, "1"):
        return None
    return found(
        it,
        "tensor-parallel-on-wsl",
        Verdict.FAIL,
        seen=it.evidence(it.line_with("-parallel-size")),
        why="AMD does not support several GPUs under WSL.",
        fix=command_with(it, without=("--tensor-parallel-size", "-tp")),
        source="https://rocm.docs.amd.com/projects/radeon/en/latest/docs/limitations.html",
    )


def image_deprecated(it: Container) -> Finding | None:
    """AMD's images are no longer made for new vLLMs; a file should have a way on."""
    if it.image.family != "amd":
        return None
    if any(Container(other, it.others).image.family == "rocm" for other in it.others):
        return None
    stays = f"; this one stays at vLLM {dotted(it.image.vllm)}." if it.image.vllm else "."
    only = " On the older WSL stack nothing else runs: then offer both, by profile."
    return found(
        it,
        "image-deprecated",
        Verdict.WARN,
        seen=it.evidence(it.service.line_of("image")),
        why="rocm/vllm-dev and rocm/vllm are deprecated in favour of vllm/vllm-openai-rocm"
        + stays
        + (only if it.on_wsl else " The new one's entrypoint is vllm serve, not /bin/bash."),
        fix=_rocdxg_service() if it.on_wsl else f"image: {NEW_IMAGE}",
        source="vLLM docs/getting_started/installation/gpu.rocm.inc.md, 0.33.0",
    )


def _rocdxg_service() -> str:
    return f"""\
wsl-rocdxg:
  profiles: [wsl-rocdxg]
  image: {NEW_IMAGE}
  devices: [/dev/dxg]
  environment:
    HSA_ENABLE_DXG_DETECTION: "1"
  volumes:
{_indented(mount_lines(LIBDXCORE, "/usr/lib/libdxcore.so"), 4)}
{_indented(mount_lines(LIBROCDXG_SO, "/usr/lib/librocdxg.so"), 4)}
  # and the command, ports and volumes of the other service"""


def _privileged(it: Container) -> bool:
    return it.service.text("privileged") == "true"


def _indented(text: str, by: int = 2) -> str:
    return "\n".join(" " * by + line for line in text.splitlines())


RULES: tuple[Rule, ...] = (
    kfd_on_wsl,
    wsl_parts_missing,
    legacy_library_new_image,
    rocdxg_library_old_image,
    dxg_detection_missing,
    visible_devices_differ,
    tensor_parallel_on_wsl,
    torch_bundled_hsa,
    legacy_stack_only,
    image_deprecated,
    gfx_override,
)
