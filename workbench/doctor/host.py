"""
All checks of a machine at once, in the order of what to mend first, and what it is ready for.
"""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ConfigError
from ..records import Finding, Verdict
from . import facts
from .checks import CHECKS
from .checks.base import COMPOSE, EMBEDDED, HostCheck, Seen
from .effective import SHORTEST_SECRET
from .machine import Machine
from .secrets import Secrets, is_secret_name

WHOLE_RUN_S = 8.0
"""Each command has a limit of its own; this one is for a disk that does not answer at all."""

URGENCY = (Verdict.FAIL, Verdict.WARN, Verdict.SKIP, Verdict.PASS)


@dataclass(frozen=True, slots=True)
class HostReport:
    """
    What was found on a machine.

    Args:
        findings: What to mend first stands first.

        ready_for: ``embedded``, ``compose/wsl-rocdxg``: what nothing stands in the way of.

        next_step: The command to type now; ``None`` where only some checks were made, which tell
            nothing of the whole.

        unsure: Something could not be looked at.

        took_s: How long it took to look.
    """

    findings: tuple[Finding, ...]
    ready_for: tuple[str, ...]
    next_step: str | None
    unsure: bool
    took_s: float

    @property
    def ok(self) -> bool:
        """Whether nothing was found that keeps something from working."""
        return all(finding.verdict is not Verdict.FAIL for finding in self.findings)


def chosen(only: Sequence[str] = (), *, backend: str | None = None) -> tuple[HostCheck, ...]:
    """
    Choose checks by their ids, or those that matter for a backend.

    Raises:
        ConfigError: There is no such check, or nothing to look at for such a backend.
    """
    for id in only:
        if id not in {it.id for it in CHECKS}:
            raise _no_such("check", id, [it.id for it in CHECKS])
    if backend not in (None, EMBEDDED, COMPOSE):
        raise _no_such("backend to look at", str(backend), [EMBEDDED, COMPOSE])
    return tuple(
        it
        for it in CHECKS
        if (not only or it.id in only) and (not backend or not it.blocks or backend in it.blocks)
    )


def _no_such(what: str, name: str, known: Sequence[str]) -> ConfigError:
    near = difflib.get_close_matches(name, known, n=1)
    return ConfigError(
        f"There is no {what} {name!r}." + (f" Did you mean {near[0]}?" if near else ""),
        hint=f"There are: {', '.join(known)}",
        key="doctor",
        source="argument",
    )


def examine(machine: Machine, *, checks: Sequence[HostCheck] = CHECKS) -> HostReport:
    """Run the checks, each on a thread of its own."""
    began_s = time.monotonic()
    seen = _look_at_all(machine, checks)
    took_s = time.monotonic() - began_s
    secrets = _secrets_of(machine)
    # Mending goes from below upwards, as the checks are listed: Windows, WSL, ROCm, Docker. A
    # fault that stops something comes before one that does not. The sort is stable.
    order = sorted(checks, key=lambda it: (URGENCY.index(seen[it.id].verdict), not it.blocks))
    looked_at = [name for name in (EMBEDDED, COMPOSE) if _all_for(name) <= set(checks)]
    ready = _ready_for(machine, looked_at, checks, seen)
    return HostReport(
        findings=tuple(_finding(it, seen[it.id], secrets) for it in order),
        ready_for=ready,
        next_step=_next_step(order, seen, ready) if looked_at else None,
        unsure=any(it.unsure for it in seen.values()),
        took_s=took_s,
    )


def _all_for(backend: str) -> set[HostCheck]:
    """Collect the checks that must hold for a backend: with fewer it cannot be called ready."""
    return {it for it in CHECKS if backend in it.blocks}


def _look_at_all(machine: Machine, checks: Sequence[HostCheck]) -> dict[str, Seen]:
    """Wait for all, and not for one that hangs: its thread is left behind, and ends with us."""
    seen: dict[str, Seen] = {}

    def look(check: HostCheck) -> None:
        seen[check.id] = _isolated(check, machine)

    threads = [threading.Thread(target=look, args=(check,), daemon=True) for check in checks]
    for thread in threads:
        thread.start()
    deadline_s = time.monotonic() + WHOLE_RUN_S
    for thread in threads:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    machine.end_commands()
    return {check.id: seen.get(check.id) or _no_answer() for check in checks}


def _isolated(check: HostCheck, machine: Machine) -> Seen:
    try:
        return check.look(machine)
    except Exception as exc:  # the others go on, and this one says so
        return Seen(
            verdict=Verdict.WARN,
            seen=f"the check itself broke: {type(exc).__name__}: {exc}",
            why="What it looks at is unknown; it is a fault of the workbench.",
            fix=f"workbench doctor --only {check.id} --json   # for the report of it",
            unsure=True,
        )


def _no_answer() -> Seen:
    return Seen(
        verdict=Verdict.WARN,
        seen=f"no answer within {WHOLE_RUN_S:.0f} s",
        why="A disk or a program that it asks hangs.",
        fix="dmesg | tail   # what the kernel waits for",
        unsure=True,
    )


def _finding(check: HostCheck, seen: Seen, secrets: Secrets) -> Finding:
    return Finding(
        id=check.id,
        verdict=seen.verdict,
        seen=secrets.hide(seen.seen),
        why=seen.why or check.why,
        fix=secrets.hide(seen.fix),
        source=check.source,
    )


def _secrets_of(machine: Machine) -> Secrets:
    named = (value for name, value in machine.variables.items() if is_secret_name(name))
    return Secrets(frozenset(value for value in named if len(value) >= SHORTEST_SECRET))


def _ready_for(
    machine: Machine, names: Sequence[str], checks: Sequence[HostCheck], seen: dict[str, Seen]
) -> tuple[str, ...]:
    failing = [it.blocks for it in checks if seen[it.id].verdict is Verdict.FAIL]
    blocked: frozenset[str] = frozenset().union(*failing)
    ready = [name for name in names if name not in blocked]
    profile = facts.chosen_profile(machine)
    if COMPOSE in ready:
        ready.remove(COMPOSE)
        ready += [f"{COMPOSE}/{profile}"] if profile else []
    return tuple(ready)


def _next_step(order: Sequence[HostCheck], seen: dict[str, Seen], ready: tuple[str, ...]) -> str:
    if ready and ready[-1].startswith(COMPOSE) and not ready[-1].endswith("/cpu"):
        return "workbench up --backend compose"
    if ready:
        return "workbench up"
    return f"workbench doctor --only {order[0].id}"
