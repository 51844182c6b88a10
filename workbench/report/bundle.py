"""
Everything that an issue needs, gathered, and with nothing in it that is nobody's business.

A section that cannot be made says why, and the others go on: what is broken is what the report is
for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
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
    from ..records import ServerStatus
    from ..servers.base import Server
    from ..settings import Settings

LONGEST_S = 10.0
"""For what others have to answer; the doctor has eight seconds of its own."""

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
    asked = {  # those that others answer, or do not
        "doctor": _Asked(lambda: asdict(examine(machine))),
        "versions": _Asked(lambda: versions(machine)),
        "server": _Asked(lambda: _server(server.status())),
        "log": _Asked(lambda: past.last_log(server.log())),
        "recorded": _Asked(lambda: _recorded(requests())),
    }
    made: dict[str, Callable[[], Any]] = {
        "versions": asked["versions"].answer,
        "doctor": asked["doctor"].answer,
        "settings": lambda: _settings(settings),
        "compose": lambda: _compose(machine),
        "server": asked["server"].answer,
        "boots": lambda: past.last_boots(settings.state_dir / "boots.jsonl"),
        "log": asked["log"].answer,
        **{name: partial(_part, asked["recorded"], name) for name in ("errors", "requests")},
    }
    told = {"made_at": datetime.now(UTC).isoformat(timespec="seconds")}
    sections = told | {name: _made(make) for name, make in made.items()}
    return Bundle(redactor_for(machine).data(sections))


class _Asked:
    """A question on a thread of its own, so that a Docker that hangs does not keep the others."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._answers: list[Any] = []
        self._until_s = time.monotonic() + LONGEST_S
        self._thread = threading.Thread(
            target=lambda: self._answers.append(_made(make)), daemon=True
        )
        self._thread.start()

    def answer(self) -> Any:
        """Wait for what came; at the latest until its time is up."""
        self._thread.join(max(0.0, self._until_s - time.monotonic()))
        return self._answers[0] if self._answers else {"not_told": "no answer in time"}


def this_machine(settings: Settings) -> Machine:
    """Return the machine of a project folder, with its ``.env``."""
    return Machine(settings.home, settings.variables_beside(settings.home / ".env"))


def _made(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except Exception as exc:  # the report of a broken installation is wanted most
        return {"not_told": f"{type(exc).__name__}: {exc}"}


def _recorded(frame: pd.DataFrame) -> dict[str, Any]:
    return {
        "errors": _made(partial(past.last_errors, frame)),
        "requests": _made(partial(past.requests_by_model, frame)),
    }


def _part(asked: _Asked, name: str) -> Any:
    """Take a part of an answer; what keeps it from being there is each part's."""
    told = asked.answer()
    return told.get(name, told)


def _server(status: ServerStatus) -> dict[str, Any]:
    """Say what runs, in a line for each fact that an issue may turn on."""
    container = status.container
    return {
        "backend": status.backend,
        "state": str(status.state),
        "detail": status.detail,
        "healthy": status.healthy,
        "vLLM": status.version,
        "models": [model.name for model in status.models],
        "max_model_len": [model.max_model_len for model in status.models],
        "started_at": status.started_at.isoformat() if status.started_at else None,
        "rss_bytes": status.rss_bytes,
        "image": container.image if container else None,
        "image_digest": container.image_digest if container else None,
        "restarts": container.restarts if container else None,
    }


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
