"""
What there is to serve, and what is known of each: the table of ``workbench models``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from .catalogue import Entry, entries, local_models
from .errors import WorkbenchError
from .hub import fetched_in
from .planning import CPU, card_named, planned
from .probe import KeptProbe, last_probe
from .records import ServedModel

if TYPE_CHECKING:
    from .servers.base import Server
    from .settings import Settings
    from .vram import Plan

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDisk:
    """
    A model's folder below ``models/``.

    Args:
        missing_bytes: What a fetch that was cut off has still to bring.
    """

    folder: Path
    size_bytes: int
    missing_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LastBoot:
    """The latest boot of a model that became ready."""

    at: datetime
    total_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """
    A model that can be served.

    Args:
        entry: Of the catalogue; ``None`` for a folder that it does not know.

        plan: Whether it fits, and how; ``None`` where ``no_plan`` says why not.

        is_served: It runs now.
    """

    name: str
    entry: Entry | None
    on_disk: OnDisk | None
    plan: Plan | None
    no_plan: str | None
    last_boot: LastBoot | None
    last_probe: KeptProbe | None
    is_served: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """
    Where to ask what is known of a model.

    Args:
        plan: Plans it by its name; what it raises is why there is no plan.

        boots: The file of earlier boots.

        last_probe: Finds what a probe found last, by the served model name.

        served: What the server lists now.
    """

    plan: Callable[[str], Plan]
    boots: Path
    last_probe: Callable[[str], KeptProbe | None]
    served: tuple[ServedModel, ...]


Inventory: TypeAlias = tuple[Item, ...]


def inventory(
    settings: Settings, server: Server, *, gpu: str | None, vram_gib: float | None
) -> Inventory:
    """
    List the catalogue, then the folders that it does not know.

    Args:
        server: Whoever serves now, if anybody does.

        gpu, vram_gib: The card that the models are to fit; default: where they would run.

    Raises:
        ConfigError: There is no such card.
    """
    state_dir, base_url = settings.state_dir, server.base_url
    if gpu is None and vram_gib is None and settings.backend == "embedded":
        gpu = CPU
    card_named(gpu, vram_gib)  # a wrong name is not each model's trouble
    known = Knowledge(
        plan=lambda name: planned(settings, name, gpu=gpu, vram_gib=vram_gib, ask_hub=False),
        boots=state_dir / "boots.jsonl",
        last_probe=lambda name: last_probe(
            state_dir / "probes.jsonl", base_url=base_url, model=name
        ),
        served=server.status().models,
    )
    return _listed(settings.models_dir, known)


def _listed(models_dir: Path, known: Knowledge) -> Inventory:
    catalogue = entries(models_dir)
    folders = [name for name in local_models(models_dir) if name not in catalogue]
    booted = _last_boots(known.boots)
    return tuple(
        _item(name, catalogue.get(name), models_dir / name, known, booted)
        for name in (*catalogue, *folders)
    )


def _item(
    name: str, entry: Entry | None, folder: Path, known: Knowledge, booted: Mapping[str, LastBoot]
) -> Item:
    names = (name, entry.model) if entry else (name,)
    plan, why_not = _planned(name, known.plan)
    return Item(
        name=name,
        entry=entry,
        on_disk=_on_disk(folder),
        plan=plan,
        no_plan=why_not,
        last_boot=next((booted[each] for each in names if each in booted), None),
        last_probe=next(filter(None, map(known.last_probe, names)), None),
        is_served=any(model.name in names for model in known.served),
    )


def _planned(name: str, plan: Callable[[str], Plan]) -> tuple[Plan | None, str | None]:
    try:
        return plan(name), None
    except WorkbenchError as exc:
        return None, exc.message
    except OSError as exc:  # a folder that cannot be read is one line of the table
        return None, f"{exc.filename}: {exc.strerror}"


def _on_disk(folder: Path) -> OnDisk | None:
    fetched = fetched_in(folder)
    if fetched:
        missing = sum(file.size_bytes for file in fetched.missing)
        size = fetched.size_bytes - missing
        return OnDisk(folder=folder, size_bytes=size, missing_bytes=missing)
    if not (folder / "config.json").is_file():
        return None
    # A link that leads nowhere has no size.
    files = [file for file in folder.glob("*.safetensors") if file.exists()]
    return OnDisk(folder=folder, size_bytes=sum(file.stat().st_size for file in files))


def _last_boots(path: Path) -> dict[str, LastBoot]:
    """Read the latest boot of each model; a key ends with the model's name."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    except OSError as exc:
        logger.warning("Earlier boots are not in the table: %s", exc)
        return {}
    return dict(filter(None, map(_boot, lines)))


def _boot(line: str) -> tuple[str, LastBoot] | None:
    """Read a line of boots.jsonl; ``None`` for one that a killed process tore."""
    try:
        entry = json.loads(line)
        name = str(entry["key"]).rpartition(" ")[2]
        at, total_s = datetime.fromisoformat(entry["at"]), float(entry["total_s"])
    except (ValueError, KeyError, TypeError):
        return None
    return name, LastBoot(at=at, total_s=total_s)
