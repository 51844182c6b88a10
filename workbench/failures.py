"""
Why a server did not start, or ended, read from its log and its exit status. Pure.

The log may be vLLM's own, or what Docker said when there was nothing to start.
The texts and what they mean are a table, :mod:`workbench.fingerprints`. Here is
how it is searched: a text that is known wins over one that is not, an error
over a remark, the cause over its echoes on the way up.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from .fingerprints import FINGERPRINTS, Fingerprint
from .records import Diagnosis

_PREFIX = re.compile(
    r"^(?:\([^)]*\)\s*)*"  # (EngineCore pid=123)
    r"(?:(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL)\s[\d-]+\s[\d:.]+\s\[[^\]]*\]\s?)?"
)

_REMARKS = frozenset({"DEBUG", "INFO", "WARNING"})

# An exception's last line, or argparse's: "api_server.py: error: unrecognized arguments".
_EXCEPTION = re.compile(r"^[\w.]*(?:Error|Exception|NotFound)(?:: |$)|^[\w. ]+: error: ")

# What vLLM's parent process says of any failure of its child; the reason is above it.
_ECHO = re.compile(r"Engine core initialization failed|EngineDeadError|WorkerProc initialization")

LONGEST_READ = 4000
"""Characters of a line that are searched: the time for it grows with the square of its length."""

LONGEST_LINE = 600
"""Characters of evidence worth showing; some exceptions list a hundred options."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the log without its prefixes; a remark is none that an error was logged by."""

    text: str
    remark: bool


def diagnose(
    lines: Sequence[str], *, exit_code: int | None = None, oom_killed: bool = False
) -> Diagnosis | None:
    """
    Find out why a server failed.

    Args:
        lines: Its log, or what ``docker compose`` printed.

        exit_code: As Docker reports it (137), or as Python does (-9).

        oom_killed: The kernel ended it for its container's memory limit.
    """
    if oom_killed:
        return _of_exit(137, oom_killed=True)
    read = [_read(line) for line in lines]
    return (
        _known(read, remarks=False)
        or _unknown_exception([line.text for line in read])
        or _known(read, remarks=True)
        or _of_exit(_as_docker_has_it(exit_code), oom_killed=False)
    )


def all_known(lines: Sequence[str]) -> tuple[Diagnosis, ...]:
    """List everything in a text that is known: first what is taken for its cause, then the rest."""
    read = [_read(line) for line in lines]
    first = [found for remarks in (False, True) if (found := _known(read, remarks=remarks))]
    others = (
        _diagnosis(fingerprint, match, line.text)
        for fingerprint in FINGERPRINTS
        for line in read
        if (match := _compiled(fingerprint.pattern).search(line.text))
    )
    by_id: dict[str, Diagnosis] = {}
    for found in (*first, *others):
        by_id.setdefault(found.id, found)
    return tuple(by_id.values())


def _read(line: str) -> _Line:
    line = line[:LONGEST_READ]
    found = _PREFIX.match(line)
    assert found is not None  # it matches nothing, too
    return _Line(line[found.end() :].strip(), found["level"] in _REMARKS)


def _known(lines: Sequence[_Line], *, remarks: bool) -> Diagnosis | None:
    """Search the table in its order, among the errors or among the remarks that a row allows."""
    for fingerprint in FINGERPRINTS:
        if remarks and not fingerprint.in_remarks:
            continue
        for line in lines:
            if line.remark is remarks and (
                match := _compiled(fingerprint.pattern).search(line.text)
            ):
                return _diagnosis(fingerprint, match, line.text)
    return None


def _diagnosis(fingerprint: Fingerprint, match: re.Match[str], line: str) -> Diagnosis:
    facts = {name: value or "" for name, value in match.groupdict().items()}
    setting = None
    if fingerprint.mend:
        setting = fingerprint.mend(facts)
    value = setting[1] if setting else ""
    return Diagnosis(
        id=fingerprint.id,
        cause=fingerprint.cause.format(**facts),
        line=line[:LONGEST_LINE],
        fix=fingerprint.fix.format(**facts, value=value),
        source=fingerprint.source,
        setting=setting,
    )


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _unknown_exception(lines: Sequence[str]) -> Diagnosis | None:
    """Take the first exception that is no echo: the later ones are raised on the way up."""
    for line, after in itertools.pairwise([*lines, ""]):
        if _EXCEPTION.match(line) and not _ECHO.search(line):
            # pydantic says only how many errors there are, and what they are below.
            said = f"{line}: {after}" if "validation error" in line else line
            return Diagnosis(
                id="unknown-error",
                cause="vLLM ended with an error that is not in the table.",
                line=said[:LONGEST_LINE],
                fix="The whole log: workbench logs",
            )
    return None


# The exit statuses of a shell and of Docker: 128 and a signal's number for who was ended by one.
_EXITS = {
    126: (
        "exit-126",
        "What the container was to run cannot be run: it is a folder, has no execute permission, "
        "or is a program given to a shell as a script.",
        "See what would run: docker compose config",
    ),
    127: (
        "exit-127",
        "What the container was to run is not there: no such program in the image.",
        "See what would run: docker compose config. Is vLLM in this image?",
    ),
    132: (
        "illegal-instruction",
        "The CPU lacks an instruction that this build uses.",
        "vLLM's CPU build needs AVX2, its GPU builds AVX; use another machine or build.",
    ),
    134: (
        "exit-134",
        "The process aborted: an assertion in a library did not hold.",
        "The last lines of the log name it: workbench logs",
    ),
    137: (
        "killed",
        "Something outside of it ended the process at once (SIGKILL): the kernel for want of "
        "memory on this machine, or somebody.",
        "Look whether memory ran out (under WSL: memory= in .wslconfig), and start it again.",
    ),
    139: (
        "exit-139",
        "The process crashed (segmentation fault), mostly in a driver or in ROCm's or CUDA's code.",
        "Check that host and image are of one ROCm; after a driver update: wsl --shutdown.",
    ),
    143: (
        "terminated",
        "Somebody told the process to end (SIGTERM).",
        "Start it again: workbench up",
    ),
    255: (
        "exit-255",
        "The container ended without a status of its own; under WSL that is seen when the whole "
        "virtual machine was ended.",
        "Look whether WSL was restarted (uptime), and start it again; "
        "https://github.com/microsoft/WSL/issues/40321",
    ),
}

_OUT_OF_MEMORY = Diagnosis(
    id="out-of-memory",
    cause="The kernel ended it because the container's memory limit was reached.",
    line=None,
    fix="Raise mem_limit in the compose file, or give vLLM less: a smaller model, or KV cache.",
    source="https://docs.docker.com/engine/containers/resource_constraints/",
)


def _as_docker_has_it(exit_code: int | None) -> int | None:
    """Turn Python's negative signal number into a shell's status."""
    return 128 - exit_code if exit_code is not None and exit_code < 0 else exit_code


def _of_exit(exit_code: int | None, *, oom_killed: bool) -> Diagnosis | None:
    if oom_killed:
        return _OUT_OF_MEMORY
    if exit_code not in _EXITS:
        return None
    id, cause, fix = _EXITS[exit_code]
    return Diagnosis(
        id=id,
        cause=cause,
        line=None,
        fix=fix,
        source="https://docs.docker.com/reference/cli/docker/container/run/#exit-status",
    )
