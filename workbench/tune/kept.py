"""
The folder of one tune: a file for each run, as ``vllm bench serve`` writes it, and ``tune.json``.

A run is written as soon as it is there, and ``tune.json`` after each trial: a
tune that was killed goes on from them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..bench import files, vllm_json
from ..bench.result import Result
from ..errors import ConfigError
from ..servers.base import Recipe
from .candidates import Candidate
from .quality import Quality
from .trial import Failure, Role, Trial

NAME = "tune.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """
    What a tune measures; two with the same can be one, the second going on.

    Args:
        recipe: A hash of how the server ran before: extra arguments may be secret.

        load: What each run asks, as ``Session.bench`` takes it.

        seed: Of the first run; the next one's is one more.
    """

    model: str
    version: str | None
    recipe: str
    goal: str
    slo: str | None
    concurrency: int
    num_prompts: int
    repeats: int
    seed: int
    load: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Write it as plain values; a file by its path, texts by their hash."""
        return {**asdict(self), "load": {name: _plain(value) for name, value in self.load.items()}}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return hashlib.sha256(repr(value).encode()).hexdigest()[:16]
    return value if isinstance(value, int | float | str | dict | None) else str(value)


def hash_of(recipe: Recipe) -> str:
    """Hash a recipe; where it listens is passed over."""
    told = {name: value for name, value in recipe.items() if name != "port"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


class Kept:
    """
    One tune's folder.

    Args:
        folder: Made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep_run(self, result: Result, name: str) -> str:
        """Write one run; return the file's name."""
        safe = re.sub(r"[^\w.=-]+", "_", name).strip("_-")[:80]
        number = len(list(self.folder.glob("run*.json"))) + 1
        path = self.folder / f"run{number:03d}-{safe}.json"
        files.save(result, path, detailed=True)
        return path.name

    def keep(self, setup: Setup, trials: Sequence[Trial], **more: object) -> None:
        """Write what was tried so far, and what came of it."""
        told = {
            "setup": setup.as_json(),
            "trials": [trial_json(trial) for trial in trials],
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
            **more,
        }
        files.write(self.folder / NAME, json.dumps(told, indent=1, default=str) + "\n")

    def read(self) -> tuple[dict[str, Any], tuple[Trial, ...]]:
        """
        Read the setup, and the trials that another tune need not repeat.

        What was chosen from them is chosen anew, and one that was given up with too little is
        tried again.

        Raises:
            ConfigError: It is no such folder.
        """
        path = self.folder / NAME
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            trials = [self._trial(each) for each in told["trials"]]
            setup: dict[str, Any] = told["setup"]
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise ConfigError(
                f"{path} cannot be read as a tune: {type(exc).__name__}: {exc}.",
                hint="A folder of workbench tune: results/tune/…",
                key="resume",
            ) from exc
        roles = (Role.BEFORE, Role.AFTER, Role.CANDIDATE)
        return setup, tuple(each for each in trials if each.role in roles)

    def _trial(self, told: Mapping[str, Any]) -> Trial:
        quality, failure, candidate = told["quality"], told["failure"], told["candidate"]
        return Trial(
            role=Role(told["role"]),
            candidate=_candidate(candidate) if candidate else None,
            runs=tuple(vllm_json.read(self.folder / name) for name in told["files"]),
            files=tuple(told["files"]),
            quality=Quality(**quality | {"wrong": tuple(quality["wrong"])}) if quality else None,
            boot_s=told["boot_s"],
            took_s=told["took_s"],
            given_up=told["given_up"],
            failure=Failure(**failure) if failure else None,
            resumed=True,
        )


def _candidate(told: Mapping[str, Any]) -> Candidate:
    return Candidate(**{**told, "add": tuple(told["add"]), "drop": tuple(told["drop"])})


def trial_json(trial: Trial) -> dict[str, Any]:
    """Write a trial as plain values; its runs are files."""
    return {
        "role": trial.role,
        "candidate": asdict(trial.candidate) if trial.candidate else None,
        "files": list(trial.files),
        "quality": asdict(trial.quality) if trial.quality else None,
        "boot_s": trial.boot_s,
        "took_s": trial.took_s,
        "given_up": trial.given_up,
        "failure": asdict(trial.failure) if trial.failure else None,
    }


def folder_for(results: Path, model: str) -> Path:
    """Name a new tune's folder."""
    safe = re.sub(r"[^\w.-]", "_", model.rpartition("/")[2])
    return results / f"{datetime.now(UTC).astimezone():%Y%m%d-%H%M%S}-{safe}"


def latest(results: Path) -> Path:
    """
    Find the tune that was written last.

    Raises:
        ConfigError: There is none.
    """
    found = sorted(results.glob(f"*/{NAME}"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ConfigError(
            f"There is no tune in {results} to go on with.",
            hint="Begin one: workbench tune",
            key="resume",
        )
    return found[-1].parent
