"""
Faults that can be mended without root and without risk; all others are mended by hand.

What is done is done to the project's own folder, and can be done twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..records import Finding, Verdict
from .host import chosen, examine
from .machine import Machine


@dataclass(frozen=True, slots=True)
class Step:
    """One change, in words, and the doing of it."""

    does: str
    do: Callable[[], None]


Mend: TypeAlias = Callable[[Machine], list[Step]]


@dataclass(frozen=True, slots=True)
class Mended:
    """
    What was, or would be, done about a fault.

    Args:
        steps: What is done, a change a line; empty if it is mended by hand.

        before: The finding that it is about.

        after: The same check once more; ``None`` if nothing was done.
    """

    steps: tuple[str, ...]
    before: Finding
    after: Finding | None

    @property
    def ok(self) -> bool:
        """Whether there is no fault, now or, of a dry run, after the steps."""
        last = self.after or self.before
        return last.verdict in (Verdict.PASS, Verdict.SKIP) or (self.after is None and self.can)

    @property
    def can(self) -> bool:
        """Whether there is something that can be done here."""
        return bool(self.steps)


def mend(id: str, machine: Machine, *, really: bool) -> Mended:
    """
    Mend a fault.

    Args:
        really: Do it; otherwise only say what would be done.

    Raises:
        ConfigError: There is no such check.

        OSError: A file cannot be written.
    """
    checks = chosen([id])
    (before,) = examine(machine, checks=checks).findings
    is_fault = before.verdict in (Verdict.FAIL, Verdict.WARN)
    steps = MENDS[id](machine) if is_fault and id in MENDS else []
    after = None
    if steps and really:
        for step in steps:
            step.do()
        (after,) = examine(machine, checks=checks).findings
    return Mended(tuple(step.does for step in steps), before, after)


def _line_ends(machine: Machine, paths: tuple[str, ...]) -> list[Step]:
    return [_to_lf(machine, path) for path in paths if "\r\n" in (machine.read(path) or "")]


def _to_lf(machine: Machine, path: str) -> Step:
    return Step(f"{path}: CRLF becomes LF", lambda: machine.replace_in(path, b"\r\n", b"\n"))


def _env_line_ends(machine: Machine) -> list[Step]:
    return _line_ends(machine, (f"{machine.home}/.env",))


def _scripts_line_ends(machine: Machine) -> list[Step]:
    here = f"{machine.home}/container"
    return _line_ends(machine, machine.glob(f"{here}/*.sh") + machine.glob(f"{here}/*.py"))


def _models_folder(machine: Machine) -> list[Step]:
    path = machine.home / "models"
    if machine.is_in_the_way(path):
        return []  # whose it is, a person knows
    return [Step(f"{path} is made", lambda: machine.make_folder(path))]


def _env_rights(machine: Machine) -> list[Step]:
    path = machine.home / ".env"
    return [Step(f"{path} gets mode 600", lambda: machine.set_mode(path, 0o600))]


MENDS: dict[str, Mend] = {
    "env-line-ends": _env_line_ends,
    "env-rights": _env_rights,
    "models-folder": _models_folder,
    "scripts-line-ends": _scripts_line_ends,
}
