"""
Rules for the process: entrypoint, command, patch, and what its version knows.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ...records import Finding, Verdict
from ..compose_file import scalars
from ..effective import API_SERVER, SHELLS, Container
from ..image import dotted
from .base import (
    COMPOSE_SERVICES,
    ISSUES,
    Rule,
    absent,
    before_vllm,
    command_with,
    found,
    shell_command,
)

DETECTS_WSL = (0, 29)
"""From this vLLM on, ROCm under WSL is found without amdsmi (vllm#38434)."""

NEEDS_UVA, WITHOUT_UVA = (0, 22), (0, 31)
"""
From one to the other, vLLM's V2 model runner wants UVA; Qwen3 is the first to run on it.

A test keeps these and DETECTS_WSL what they are in ``container/wsl.py``.
"""

PINS_MEMORY = (0, 28)
"""From here on vLLM pins memory on ROCm under WSL too, if the kernel can (vllm#50126)."""

PATCH = """\
package="$(python3 -c 'import importlib.util as u; print(*u.find_spec("vllm").submodule_search_locations)')"
file="$package/platforms/__init__.py"
if grep -q 'is_rocm = False' "$file"; then sed -i 's/is_rocm = False/is_rocm = True/' "$file"; fi
grep -q 'is_rocm = True' "$file\""""  # noqa: E501
"""Finds the package wherever the image has it, may run twice, and fails if it did not work."""


def shell_without_c(it: Container) -> Finding | None:
    """A shell takes its first word as the name of a script, unless -c stands before it."""
    if not it.argv or PurePosixPath(it.argv[0]).name not in SHELLS or len(it.argv) < 2:
        return None
    word = it.argv[1]
    if word.startswith("-") or word.endswith(".sh"):
        return None
    shell = it.argv[0]
    inner = it.arguments.words if it.arguments else it.argv[1:]
    return found(
        it,
        "shell-without-c",
        Verdict.FAIL,
        seen=f"{_lines_of_argv(it)}\nwould run: {shell} {word} …",
        why=f"{shell} takes {word!r} as a script file. Of a program it says `cannot execute binary "
        "file`, and the container ends with exit status 126.",
        fix=shell_command(before_vllm(it), inner),
        source="GNU Bash manual, Invoking Bash; tried with bash 5.2",
    )


def shell_c_takes_one_word(it: Container) -> Finding | None:
    """Of the words after -c the shell runs the first; the rest are its parameters."""
    at = next((n for n, word in enumerate(it.argv) if re.fullmatch(r"-\w*c", word)), None)
    if at is None or PurePosixPath(it.argv[0]).name not in SHELLS:
        return None
    script = it.argv[at + 1 :]
    if len(script) < 2 or re.search(r"\s", script[0]):
        return None
    words = script[2:] if tuple(script[:2]) == ("vllm", "serve") else script
    return found(
        it,
        "shell-c-takes-one-word",
        Verdict.FAIL,
        seen=f"{_lines_of_argv(it)}\nwould run: {script[0]}",
        why="Compose splits the command into words, and a shell runs only the first of them after "
        f"-c: here `{script[0]}`, without its arguments.",
        fix=shell_command("", words),
        source="GNU Bash manual, Invoking Bash; " + COMPOSE_SERVICES + "#command",
    )


def command_for_other_entrypoint(it: Container) -> Finding | None:
    """Image families differ in what they run; a command is made for one of them."""
    command, own = it.service.command or (), it.image.entrypoint
    if it.service.entrypoint is not None or not command or own is None:
        return None
    repeats = API_SERVER in command or (command[:2] == ("vllm", "serve"))
    if PurePosixPath(own[0]).name in SHELLS:
        wrong = command[0].startswith("--")  # of any other word speaks shell_without_c
    else:
        wrong = repeats or PurePosixPath(command[0]).name in SHELLS
    if not wrong:
        return None
    words = it.arguments.words if it.arguments else command
    return found(
        it,
        "command-for-other-entrypoint",
        Verdict.FAIL,
        seen=f"{it.evidence(it.service.line_of('image'), it.service.line_of('command'))}\n"
        f"would run: {' '.join((*own, *command[:3]))} …",
        why=f"The entrypoint of this image is {' '.join(own)}; the command comes after it and is "
        "written for another image.",
        fix="entrypoint: [vllm, serve]\ncommand: >-\n  " + " ".join(_bare(words)),
        source="vLLM docker/Dockerfile* (ENTRYPOINT), 0.10.2 to 0.33.0; "
        "docs/getting_started/installation/gpu.rocm.inc.md",
    )


def _offered(it: Container) -> bool:
    """Whether a variable that is not set now would bring the parser: ``${PARSER:+…}``."""
    node = it.service.get("command")
    texts = [] if node is None else [text.raw for text in scalars(node)]
    return any("--tool-call-parser" in text for text in texts)


def _parser_of(model: str) -> str:
    """Name the parser of the families most people serve; for others Llama's, as an example."""
    families = {"Qwen": "hermes", "Mistral": "mistral"}
    return next((parser for family, parser in families.items() if family in model), "llama3_json")


def _bare(words: tuple[str, ...]) -> tuple[str, ...]:
    while words and (words[0] in ("vllm", "serve") or not _could_be_argument(words[0])):
        words = words[1:]
    return words


def _could_be_argument(word: str) -> bool:
    return word.startswith("--") or "/" in word


def site_packages_hard_coded(it: Container) -> Finding | None:
    """The package is elsewhere in the next image."""
    path = re.search(r"\S*/(?:site|dist)-packages/\S*", it.script)
    if path is None or not re.search(r"\b(sed|cp|rm|patch|tee)\b", it.script):
        return None
    words = it.arguments.words if it.arguments else ()
    return found(
        it,
        "site-packages-hard-coded",
        Verdict.WARN,
        seen=it.evidence(it.line_with(path.group())),
        why="That folder is another one in the next image: py_3.10 in the Ubuntu 22.04 twin, "
        "/opt/venv in ROCm 7's, /usr/local/lib in vLLM's own. A sed that finds no file stops the "
        "&& chain; one that finds no text changes nothing and says nothing.",
        fix=shell_command(PATCH, words),
        source="vLLM vllm/platforms/__init__.py, 0.9.2 to 0.28.0; the paths: the images themselves",
    )


def platform_patch_missing(it: Container) -> Finding | None:
    """Before 0.29 vLLM asks amdsmi for a card, and amdsmi finds none under WSL."""
    version = it.image.vllm
    if not it.on_wsl or it.is_wrapped or version is None or version >= DETECTS_WSL:
        return None
    if "is_rocm" in it.script or not it.arguments:
        return None
    return found(
        it,
        "platform-patch-missing",
        Verdict.FAIL,
        seen=it.evidence(it.service.line_of("image")),
        why=f"vLLM {dotted(version)} finds an AMD card through amdsmi, which needs a driver that "
        "WSL has not: `No platform detected`, then `Failed to infer device type`.",
        fix=shell_command(PATCH, it.arguments.words),
        source="vLLM vllm/platforms/__init__.py, 0.9.2 to 0.28.0; "
        f"https://github.com/vllm-project/vllm/pull/38434 (0.29); {ISSUES}/5007",
    )


def uva_missing(it: Container) -> Finding | None:
    """The V2 model runner needs memory that vLLM does not pin under WSL."""
    version = it.image.vllm
    if not it.on_wsl or it.is_wrapped or version is None:
        return None
    if not NEEDS_UVA <= version < WITHOUT_UVA:
        return None
    if it.service.value("VLLM_USE_V2_MODEL_RUNNER") in ("0", "false", "False"):
        return None
    return found(
        it,
        "uva-not-available",
        Verdict.FAIL if version < PINS_MEMORY else Verdict.WARN,
        seen=it.evidence(it.service.line_of("image")),
        why=f"vLLM {dotted(version)} stops under WSL with `UVA is not available`"
        + ("." if version < PINS_MEMORY else ", where memory cannot be pinned."),
        fix='environment:\n  VLLM_USE_V2_MODEL_RUNNER: "0"',
        source="https://github.com/vllm-project/vllm/issues/47387; pull/50126 (0.28) "
        "pins the memory, pull/56908 (0.31) does without",
    )


def attention_backend_flag(it: Container) -> Finding | None:
    """The flag came with 0.13; before, it was a variable."""
    version, arguments = it.image.vllm, it.arguments
    if not arguments or version is None or version >= (0, 13):
        return None
    backend = arguments.value("--attention-backend")
    if backend is None:
        return None
    return found(
        it,
        "attention-backend-flag-unknown",
        Verdict.FAIL,
        seen=it.evidence(it.line_with("--attention-backend")),
        why=f"vLLM {dotted(version)} does not know this option: `unrecognized arguments`.",
        fix=f"environment:\n  VLLM_ATTENTION_BACKEND: {backend}\n"
        + command_with(it, without=("--attention-backend",)),
        source="vLLM vllm/engine/arg_utils.py: not in 0.11.2, there in 0.13.0",
    )


def use_v1_gone(it: Container) -> Finding | None:
    """The variable went with the old engine."""
    version, variable = it.image.vllm, it.service.environment.get("VLLM_USE_V1")
    if variable is None or version is None or version < (0, 11, 2):
        return None
    return found(
        it,
        "vllm-use-v1-gone",
        Verdict.WARN,
        seen=it.evidence(variable.line),
        why=f"vLLM {dotted(version)} has one engine and does not read VLLM_USE_V1.",
        fix="# delete the line VLLM_USE_V1",
        source="vLLM vllm/envs.py: there in 0.10.2, gone in 0.11.2",
    )


def tool_calls_off(it: Container) -> Finding | None:
    """Tools need two options; with neither a request with tools is refused."""
    arguments = it.arguments
    if not arguments or arguments.has("--task", "--runner", "--config"):
        return None
    enabled, parser = (
        arguments.has("--enable-auto-tool-choice"),
        arguments.value("--tool-call-parser"),
    )
    if (enabled and parser) or _offered(it):
        return None
    name = parser or _parser_of(it.model or "")
    wanted = ("--enable-auto-tool-choice", "--tool-call-parser", name)
    kept = ("--enable-auto-tool-choice", "--tool-call-parser")
    return found(
        it,
        "tool-calls-off",
        Verdict.FAIL if enabled else Verdict.WARN,
        seen=it.evidence(it.line_with("--enable-auto-tool-choice"))
        if enabled
        else absent(it, "--enable-auto-tool-choice with --tool-call-parser", key="command"),
        why="--enable-auto-tool-choice requires --tool-call-parser: it ends at once."
        if enabled
        else "A request with tools is answered 400. The parser goes with the model.",
        fix=command_with(it, *wanted, without=kept if enabled or parser else ()),
        source="vLLM vllm/entrypoints/{openai,common}/cli_args.py, 0.9.2 and 0.33.0",
    )


def _lines_of_argv(it: Container) -> str:
    keys = [key for key in ("entrypoint", "command") if it.service.get(key)]
    return it.evidence(*(it.service.line_of(key) for key in keys or ["image"]))


RULES: tuple[Rule, ...] = (
    shell_without_c,
    shell_c_takes_one_word,
    command_for_other_entrypoint,
    platform_patch_missing,
    uva_missing,
    attention_backend_flag,
    site_packages_hard_coded,
    use_v1_gone,
    tool_calls_off,
)
