"""
What the rules share: the making of a finding, and of the lines that mend a command.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from typing import TypeAlias

from ...records import Finding, Verdict
from ..compose_file import Text, scalars
from ..effective import Container

Rule: TypeAlias = Callable[[Container], Finding | None]

ISSUES = "https://github.com/ROCm/legacy-rocm-build/issues"
LIBROCDXG = "https://github.com/ROCm/librocdxg#container-launch--wsl-specific-flags"
COMPOSE_SERVICES = "https://docs.docker.com/reference/compose-file/services/"

_VLLM = re.compile(
    r"(exec\s+)?(python3?\s+(-u\s+)?-m\s+vllm\.entrypoints\.openai\.api_server"
    r"|(\S*/)?vllm\s+serve)\b"
)


def found(
    it: Container, id: str, verdict: Verdict, *, seen: str, why: str, fix: str, source: str
) -> Finding:
    """Make a finding in which no secret of the service can be read."""
    hide = it.secrets.hide
    return Finding(
        id=id, verdict=verdict, seen=hide(seen), why=hide(why), fix=hide(fix), source=source
    )


def absent(it: Container, what: str, *, key: str = "") -> str:
    """Say that something is not there, with the line where it would be looked for."""
    line = it.service.line_of(key) if key else it.service.line
    return f"{it.evidence(line)}\nservice {it.service.name} has no {what}"


def command_with(it: Container, *options: str, without: Sequence[str] = ()) -> str:
    """Write the command with these options more, and without the ones named."""
    node = it.service.get("command")
    words = [*_without(it.arguments.words if it.arguments else (), without), *options]
    if it.script:
        return shell_command(before_vllm(it), words)
    if isinstance(node, Text) and not without:
        lines = [line.strip() for line in node.raw.splitlines() if line.strip()]
        return "command: >-\n  " + "\n  ".join([*lines, *_pairs(options)])
    if node is not None and not isinstance(node, Text) and not without:
        raw = [item.raw for item in scalars(node)]
        return "command:\n" + "\n".join(f"  - {quoted(word)}" for word in [*raw, *options])
    return "command: >-\n  " + "\n  ".join(_pairs([_escaped(word) for word in words]))


def before_vllm(it: Container) -> str:
    """Return what a script does before it starts vLLM."""
    at = _VLLM.search(it.script)
    return it.script[: at.start()].strip().removesuffix("&&").strip() if at else ""


def shell_command(before: str, words: Sequence[str]) -> str:
    """Write a shell's entrypoint and its script, ending in ``exec vllm serve``."""
    steps = ["set -e", *before.splitlines()] if before else []
    script = [*steps, "exec vllm serve", *(f"  {pair}" for pair in _pairs(words))]
    start = len(steps)
    continued = [
        line + " \\" if start <= at < len(script) - 1 else line for at, line in enumerate(script)
    ]
    body = "\n".join(f"    {line}".replace("$", "$$") for line in continued)
    return f"entrypoint: [/bin/bash, -c]\ncommand:\n  - |\n{body}"


def _pairs(words: Sequence[str]) -> list[str]:
    """Put an option and its values on one line."""
    lines: list[list[str]] = []
    for word in words:
        if word.startswith("--") or not lines:
            lines.append([])
        lines[-1].append(word if "$" in word else shlex.quote(word))
    return [" ".join(line) for line in lines]


def _without(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """Leave options out, each with the one word behind it; what comes then may be the model."""
    kept: list[str] = []
    has_value = False
    for word in words:
        if word.startswith("-") and not word[1:2].isdigit():
            dropped = word.partition("=")[0].replace("_", "-") in names
            has_value = dropped and "=" not in word
        else:
            dropped, has_value = has_value, False
        if not dropped:
            kept.append(word)
    return kept


def _escaped(word: str) -> str:
    return word.replace("$", "$$")


def quoted(word: str) -> str:
    """Quote a YAML scalar where it would otherwise be read as something else."""
    plain = re.fullmatch(r"[A-Za-z_./$][\w./$-]*|--?[a-z][\w./=-]*", word)
    return word if plain else '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def mount_lines(source: str, target: str) -> str:
    """Write a bind of a file that must be there."""
    return (
        f"- type: bind\n  source: {source}\n  target: {target}\n"
        "  read_only: true\n  bind: {create_host_path: false}"
    )
