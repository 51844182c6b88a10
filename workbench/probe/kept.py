"""
What earlier probes found: a line for each in ``.workbench/probes.jsonl``.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..records import Verdict
from .run import Probe

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptProbe:
    """A probe without its evidence: the verdicts, by the checks' ids."""

    at: datetime
    base_url: str
    model: str
    vllm_version: str | None
    verdicts: dict[str, Verdict]


def keep(probe: Probe, path: Path) -> None:
    """Append it; a disk that is full costs a warning later, and not this table."""
    line = {
        "at": probe.at.isoformat(timespec="seconds"),
        "base_url": probe.base_url,
        "model": probe.model,
        "vllm_version": probe.vllm_version,
        "verdicts": {check.id: check.verdict for check in probe.checks},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as handle:
            handle.write(json.dumps(line) + "\n")
    except OSError as exc:
        logger.warning("This probe could not be kept: %s", exc)


def last_probe(path: Path, *, base_url: str, model: str) -> KeptProbe | None:
    """
    Read the newest probe of *model* at that server; another's of the same name may do less.

    Torn lines and those of other forms are passed over.
    """
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    probes = (_read(line) for line in reversed(lines))
    asked = (base_url, model)
    return next(
        (found for found in probes if found and (found.base_url, found.model) == asked), None
    )


def _read(line: str) -> KeptProbe | None:
    try:
        fields = json.loads(line)
        return KeptProbe(
            at=datetime.fromisoformat(fields["at"]),
            base_url=fields["base_url"],
            model=fields["model"],
            vllm_version=fields["vllm_version"],
            verdicts={id: Verdict(word) for id, word in fields["verdicts"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
