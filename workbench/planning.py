"""
Will it fit here? The facts of a model and of a card, brought to :mod:`workbench.vram`.

And afterwards: what a boot's log said, beside what had been predicted for it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict, Unpack

from . import predictions
from .boot import BootOutcome
from .bootlog import Figures
from .catalogue import Entry, entries, find_entry
from .errors import ConfigError, WorkbenchError
from .model_facts import Hub, read_facts
from .predictions import Prediction, Sizes
from .records import GpuStatus
from .servers.engine import Engine
from .servers.gpu import gpus
from .serving import context_of, hub_access, profile_of, where_is
from .settings import (
    COMPOSE_CPU_CACHE_GIB,
    COMPOSE_GPU_MEMORY_UTILIZATION,
    COMPOSE_MODEL,
    Settings,
)
from .vram import (
    WSL_7900XTX,
    Ask,
    Card,
    Model,
    Plan,
    card_like,
    card_of,
    find_card,
    plan,
    read_shape,
)

logger = logging.getLogger(__name__)

GIB = 2**30

CPU = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """
    Makes plans for one project folder, and learns from its boots.

    Args:
        history: ``predictions.jsonl``.

        kv_cache_bytes: The KV cache that the CPU engine is given.

        hub: How the hub is asked for a model that is not here; ``None``: it is not.
    """

    models_dir: Path
    history: Path
    kv_cache_bytes: int
    hub: Hub | None = None

    def plan(self, name: str, card: Card, ask: Ask, *, version: str | None = None) -> Plan:
        """
        Plan a model for a card.

        Args:
            version: Of the vLLM that is to run; ``None``: the one whose memory was measured.

        Raises:
            ConfigError: There is no such model, or vLLM would refuse the flags.

            PlanError: A fact is missing.
        """
        facts = read_facts(
            name, models_dir=self.models_dir, hub=self.hub, others=entries(self.models_dir)
        )
        shape = read_shape(facts.config)
        if card.maker == CPU:
            ask = replace(ask, cache_bytes=self.kv_cache_bytes)
        if version:
            ask = replace(ask, version=_major_minor(version))
        learnt = predictions.correction(
            predictions.read(self.history), gpu=card.name, version=version, model=facts.name
        )
        model = Model(name=facts.name, shape=shape, file_bytes=facts.weights_bytes)
        return plan(model, card, ask, learnt)

    def remember(
        self, name: str, card: Card, ask: Ask, figures: Figures, *, version: str | None
    ) -> None:
        """Keep what a boot said; what cannot be planned is kept without a prediction."""
        told: Plan | None
        try:
            told = self.plan(name, card, ask, version=version)
        except WorkbenchError as exc:
            logger.warning("This boot's memory was not predicted: %s", exc.message)
            told = None
        measured = _measured(figures, told.budget_bytes if told else None)
        prediction = Prediction(
            at=predictions.now(),
            gpu=card.name,
            version=version,
            model=told.model if told else name,
            flags=told.flags if told else (),
            predicted=_predicted(told) if told else None,
            measured=measured,
            formula_overhead_bytes=told.formula_overhead_bytes if told else None,
            graphs_bytes=_bytes(figures.graphs_gib),
        )
        predictions.keep(prediction, self.history)


class PlanFlags(TypedDict, total=False):
    """Flags of vLLM that a plan depends on."""

    max_model_len: int | None
    max_num_batched_tokens: int | None
    max_num_seqs: int | None
    kv_cache_dtype: str | None
    enforce_eager: bool


def planned(
    settings: Settings,
    model: str | None = None,
    *,
    gpu: str | None = None,
    vram_gib: float | None = None,
    gpu_memory_utilization: float | None = None,
    vllm_version: str | None = None,
    ask_hub: bool = True,
    **flags: Unpack[PlanFlags],
) -> Plan:
    """
    Plan what the settings mean, with what is said here above what the catalogue has.

    Args:
        ask_hub: Whether the hub is asked for a model that is neither here nor well known.

    The others, and the errors, are those of :meth:`workbench.session.Session.plan`.
    """
    name = model or settings.model or COMPOSE_MODEL
    entry = find_entry(name, models_dir=settings.models_dir)
    ask = _ask(settings, entry, gpu_memory_utilization, **flags)
    card = card_named(gpu, vram_gib)
    planner = planner_of(settings)
    if not ask_hub:
        planner = replace(planner, hub=None)
    version = vllm_version or _version_here(settings, card)
    return planner.plan(where_is(name, entry, settings), card, ask, version=version)


def _ask(
    settings: Settings, entry: Entry | None, share: float | None = None, **flags: Unpack[PlanFlags]
) -> Ask:
    """Say what a server would be started with: what is said here, the settings, the catalogue."""
    of_entry = entry.gpu_memory_utilization if entry else None
    shares = (share, settings.gpu_memory_utilization, of_entry)
    # A switch that is not set says nothing: the catalogue may have it. A 0 is for vLLM to refuse.
    said = {
        flag: value for flag, value in flags.items() if value is not None and value is not False
    }
    return Ask(
        gpu_memory_utilization=next(
            (each for each in shares if each is not None), COMPOSE_GPU_MEMORY_UTILIZATION
        ),
        **(_flags_of(entry) | said),
    )


def _version_here(settings: Settings, card: Card) -> str | None:
    """Name the vLLM that would run: the embedded one, or the one that ran on this card last."""
    if card.maker == CPU:
        return Engine(settings.engine_dir).vllm_version
    return predictions.latest_version(predictions.read(_history(settings)), gpu=card.name)


def _history(settings: Settings) -> Path:
    return settings.state_dir / "predictions.jsonl"


def learn(settings: Settings, outcome: BootOutcome) -> None:
    """Keep what a boot said of memory beside what is predicted for it."""
    status, figures = outcome.status, outcome.figures
    profile = status.container.profile if status.container else CPU
    asked = settings.origins["model"] != "default" and settings.model
    name = asked or status.models[0].name
    entry = find_entry(name, models_dir=settings.models_dir)
    # What it was started with; where the log says it, as the log does.
    ask = replace(
        _ask(settings, entry, max_model_len=figures.max_model_len),
        enforce_eager=figures.compile_s is None and figures.graphs_gib is None,
    )
    planner_of(settings).remember(
        where_is(name, entry, settings),
        cpu() if profile == CPU else card_here(gpus()),
        ask,
        figures,
        version=status.version,
    )


def planner_of(settings: Settings) -> Planner:
    """Make the planner of a project folder; the hub is asked as a fetch asks it."""

    def hub_facts(repo: str, revision: str | None) -> tuple[dict[str, Any], int | None]:
        from . import hub

        found = hub.facts(repo, revision, **hub_access(settings))
        if found.config is None:
            raise ConfigError(
                f"{repo} gives its config.json to those only who have accepted its licence.",
                hint="Accept it on the model's page and set HF_TOKEN, or name a config.json.",
                key="model",
                source=repo,
            )
        return dict(found.config), found.safetensors_bytes

    return Planner(
        models_dir=settings.models_dir,
        history=_history(settings),
        kv_cache_bytes=round(_cpu_cache_gib(settings) * GIB),
        hub=hub_facts,
    )


def planned_to_serve(settings: Settings, model: str) -> Plan:
    """Plan what a server of these settings would be started with, where it would run."""
    on_cpu = settings.backend == "embedded" or profile_of(settings) == CPU
    return planned(
        settings, model, gpu=CPU if on_cpu else None, max_model_len=context_of(settings, model)
    )


def _cpu_cache_gib(settings: Settings) -> float:
    """Say how large a KV cache on the CPU is: a container's is the compose file's own."""
    is_default = settings.origins["kv_cache_gib"] == "default"
    return (
        COMPOSE_CPU_CACHE_GIB
        if settings.backend == "compose" and is_default
        else (settings.kv_cache_gib)
    )


def card_named(gpu: str | None, vram_gib: float | None) -> Card:
    """
    Find a card by its name or its memory; with neither it is this machine's.

    Raises:
        ConfigError: No card of that name is known.
    """
    if vram_gib is not None:
        return card_of(vram_gib)
    if gpu is not None:
        return cpu() if gpu.lower() == CPU else find_card(gpu)
    return card_here(gpus())


# What an entry's further arguments say that a plan depends on.
_COUNTED = {"--max-num-seqs": "max_num_seqs", "--max-num-batched-tokens": "max_num_batched_tokens"}


def _flags_of(entry: Entry | None) -> dict[str, Any]:
    """Read the flags of a catalogue's entry that a plan depends on."""
    if entry is None:
        return {}
    found: dict[str, Any] = {
        _COUNTED[word]: int(after)
        for word, after in pairwise(entry.extra_args)
        if word in _COUNTED and after.isdigit()
    }
    found["enforce_eager"] = "--enforce-eager" in entry.extra_args
    if entry.max_model_len:
        found["max_model_len"] = entry.max_model_len
    if entry.kv_cache_dtype:
        found["kv_cache_dtype"] = entry.kv_cache_dtype
    return found


def card_here(gpus: Sequence[GpuStatus]) -> Card:
    """
    Describe this machine's card, the largest if there are several.

    The others are a processor's own graphics, or look on. With ``/dev/dxg`` and no
    GPU that can be asked it is taken for a 7900 XTX under WSL; on a machine with no
    GPU it is the CPU with the host's memory.
    """
    if gpus:
        largest = max(gpus, key=lambda gpu: gpu.memory_total_bytes)
        return card_like(largest.name, largest.memory_total_bytes)
    if Path("/dev/dxg").exists():
        return replace(WSL_7900XTX, assumed=True)
    return cpu()


def cpu() -> Card:
    """Describe the CPU as a card: its memory is the host's."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Card(name="CPU", total_bytes=total, maker=CPU, source="the kernel")


def _predicted(told: Plan) -> Sizes:
    return Sizes(
        weights_bytes=told.weights_bytes,
        overhead_bytes=told.overhead_bytes,
        kv_cache_bytes=told.kv_cache_bytes,
        kv_cache_tokens=told.kv_cache_tokens,
    )


def _measured(figures: Figures, budget_bytes: int | None) -> Sizes:
    weights, cache = _bytes(figures.model_load_gib), _bytes(figures.kv_cache_gib)
    overhead = None
    if budget_bytes is not None and weights is not None and cache is not None:
        overhead = budget_bytes - weights - cache
    return Sizes(
        weights_bytes=weights,
        overhead_bytes=overhead,
        kv_cache_bytes=cache,
        kv_cache_tokens=figures.kv_cache_tokens,
    )


def _bytes(gib: float | None) -> int | None:
    return None if gib is None else round(gib * GIB)


def _major_minor(version: str) -> tuple[int, int]:
    """Read what matters of ``0.25.1`` or ``0.9.2.dev3+rocm``."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if found is None:
        raise ConfigError(
            f"{version!r} is no version of vLLM.",
            hint="Write it as vLLM does: 0.25.1",
            key="vllm_version",
            source=version,
        )
    return int(found[1]), int(found[2])
