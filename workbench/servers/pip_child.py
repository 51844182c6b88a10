"""
pip, run as a child: every line watched, its failure turned into a sentence.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import EngineInstallError

SILENCE_S = 0.3
"""How often to look for ourselves while pip says nothing."""


@dataclass(frozen=True, slots=True)
class Output:
    """How a command ended, and what it said."""

    exit_code: int
    lines: list[str]


class NoSuchReleaseError(EngineInstallError):
    """Pip, as configured, knows no such release for this machine."""


def run(
    argv: Sequence[str], *, env: dict[str, str], watch: Callable[[str], None], held: int
) -> Output:
    """
    Run a command to its end; it does not outlive an interrupt of the caller.

    *watch* gets every line, and an empty one whenever nothing came for a
    while, so that it can look for itself.
    """
    lines: list[str] = []
    with subprocess.Popen(
        argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(held,)
    ) as process:
        try:
            assert process.stdout is not None
            for line in _lines_or_silence(process.stdout.fileno()):
                if line:
                    lines.append(line)
                watch(line)
        except BaseException:
            process.terminate()
            raise
    return Output(process.returncode, lines)


def _lines_or_silence(descriptor: int) -> Iterator[str]:
    rest = b""
    while True:
        readable, _, _ = select.select([descriptor], [], [], SILENCE_S)
        if not readable:
            yield ""
            continue
        got = os.read(descriptor, 65536)
        *whole, rest = (rest + got).split(b"\n")
        yield from (line.decode(errors="replace").rstrip() for line in whole)
        if not got:
            if rest:
                yield rest.decode(errors="replace").rstrip()
            return


_CAUSES = (
    (
        r"No space left on device|Disk quota exceeded",
        "the disk is full",
        "Make room, or put the engine elsewhere: WORKBENCH_ENGINE_DIR=/path.",
    ),
    (
        r"DO NOT MATCH THE HASHES|Hashes are required",
        "a package is not the one that was pinned (its hash differs)",
        "A mirror or proxy may have changed it; try another index, or report it.",
    ),
    (
        r"name resolution|NewConnectionError|Network is unreachable|ProxyError|ConnectTimeout"
        r"|Read timed out|Connection refused|SSLError|Max retries exceeded",
        "the package index cannot be reached",
        "Check the network and pip's settings (`pip config list`), then type the same again: "
        "what was fetched is kept.",
    ),
)


def explain(lines: Sequence[str], folder: Path) -> EngineInstallError:
    """Turn pip's last words into an error; the first cause that its output names wins."""
    text = "\n".join(lines)
    facts = {"server": "embedded", "state": "stopped", "log_tail": tuple(lines[-20:])}
    for pattern, cause, hint in _CAUSES:
        if re.search(pattern, text):
            return EngineInstallError(
                f"The engine could not be installed into {folder}: {cause}.", hint=hint, **facts
            )
    last = next((line for line in reversed(lines) if "ERROR" in line), lines[-1] if lines else "")
    kind = NoSuchReleaseError if "No matching distribution" in text else EngineInstallError
    return kind(
        f"The engine could not be installed into {folder}. pip's last word: {last.strip()}",
        hint="Type the same again; what was fetched is kept.",
        **facts,
    )
