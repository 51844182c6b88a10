"""
Everything that an issue needs, gathered, and with nothing in it that is nobody's business.

A section that cannot be made says why, and the others go on: what is broken is what the report is
for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..doctor import Machine, examine, facts, lint
from ..doctor.secrets import HIDDEN
from ..servers.compose_cli import FILE_NAMES
from . import past
from .known import is_about_vllm, redactor_for
from .versions import versions

if TYPE_CHECKING:
    import pandas as pd

    from ..doctor import Shown
    from ..servers.base import Server
    from ..settings import Settings

SHOWN_SETTINGS = frozenset(
    {"backend", "profile", "image", "model", "port", "max_model_len", "gpu_memory_utilization"}
    | {"kv_cache_gib", "offline", "boot_timeout_s", "during_switch", "telemetry"}
)
"""Those whose values an issue may turn on; of the others only where they come from is told."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """
    What can be shown to anybody.

    Args:
        sections: By name; only what becomes JSON.
    """

    sections: Mapping[str, Any]


def gather(
    settings: Settings,
    server: Server,
    requests: Callable[[], pd.DataFrame],
    *,
    machine: Machine | None = None,
) -> Bundle:
    """
    Look at everything, and hide what is to be hidden.

    Args:
        requests: Reads the recorded requests.

        machine: Another one than this.
    """
    machine = machine or this_machine(settings)
    # Its checks ask at the same time; the versions are then among the answers.
    doctor = _made(lambda: asdict(examine(machine)))
    made: dict[str, Callable[[], Any]] = {
        "versions": lambda: versions(machine, server.status()),
        "doctor": lambda: doctor,
        "settings": lambda: _settings(settings),
        "compose": lambda: _compose(machine),
        "boots": lambda: past.last_boots(settings.state_dir / "boots.jsonl"),
        "log": lambda: past.last_log(server.log()),
        "errors": lambda: past.last_errors(requests()),
        "requests": lambda: past.requests_by_model(requests()),
    }
    told = {"made_at": datetime.now(UTC).isoformat(timespec="seconds")}
    sections = told | {name: _made(make) for name, make in made.items()}
    return Bundle(redactor_for(machine).data(sections))


def this_machine(settings: Settings) -> Machine:
    """Return the machine of a project folder, with its ``.env``."""
    return Machine(settings.home, settings.variables_beside(settings.home / ".env"))


def _made(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except Exception as exc:  # the report of a broken installation is wanted most
        return {"not_told": f"{type(exc).__name__}: {exc}"}


def _settings(settings: Settings) -> list[dict[str, str]]:
    """List what was set, and where; values only of those that tell nothing of anybody."""
    return [
        {"name": name, "value": str(value) if name in SHOWN_SETTINGS else "set", "from": origin}
        for name, value, origin, _ in settings.described()
        if origin != "default"
    ]


def _compose(machine: Machine) -> Any:
    """Say what the project's compose file would run on this machine, and what is wrong with it."""
    paths = [machine.home / name for name in FILE_NAMES]
    path = next((path for path in paths if machine.exists(path)), None)
    if path is None:
        return None
    profile = facts.chosen_profile(machine)
    report = lint(machine.at(path), machine.variables)
    shown = [it for it in report.services if it.name == profile] or report.services
    return {
        "file": path.name,
        "findings": [asdict(finding) for finding in report.findings],
        "would_run": [_shown(service) for service in shown],
    }


def _shown(service: Shown) -> dict[str, Any]:
    """Keep of the environment the values that are about vLLM; a name alone tells of the others."""
    return asdict(service) | {"environment": [_variable(it) for it in service.environment]}


def _variable(assigned: str) -> str:
    name, _, value = assigned.partition("=")
    return assigned if not value or is_about_vllm(name) else f"{name}={HIDDEN}"
