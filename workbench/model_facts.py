"""
What the planner needs to know of a model, from wherever it is.

A folder or a ``config.json`` on this disk, the facts of well-known models that
come with the workbench, or the hub, which is asked last.
"""

from __future__ import annotations

import difflib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from .errors import ConfigError, WorkbenchError
from .hubfiles import taken

Hub = Callable[[str, str | None], tuple[dict[str, Any], int | None]]
"""Asks the hub for a model's ``config.json`` and the bytes of its weights, by name and revision."""

HEADER_LIMIT_BYTES = 100 * 2**20
"""A safetensors header is no longer than this; what says otherwise is no such file."""

# Bits of an element; https://github.com/huggingface/safetensors, ``Dtype``.
_BITS = {"F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F4": 4, "F6_E2M3": 6}
_BITS |= {"F6_E3M2": 6, "F16": 16, "BF16": 16, "I16": 16, "U16": 16}

SERVED_FLOAT_BITS = 16
"""vLLM serves wider floats in 16 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """
    A model's configuration, and how large its weights are.

    Args:
        weights_bytes: As vLLM loads them; ``None``: not known.

        source: Where it was read.
    """

    name: str
    config: dict[str, Any]
    weights_bytes: int | None
    source: str


def read_facts(
    name: str,
    *,
    models_dir: Path,
    revision: str | None = None,
    hub: Hub | None = None,
    others: Iterable[str] = (),
) -> ModelFacts:
    """
    Find a model by a folder's name below *models_dir*, a path, or a name of the hub.

    Args:
        hub: How to ask the hub; ``None``: it is not asked.

        others: Further names that may have been meant, for a suggestion.

    Raises:
        ConfigError: There is no such model, or what is there cannot be read.
    """
    home = Path(os.path.expanduser(name))  # noqa: PTH111  an unknown ~user is no exception here
    for path in (models_dir / name, models_dir.parent / home):
        if path.is_file():
            return ModelFacts(
                name=path.parent.name, config=_config(path), weights_bytes=None, source=str(path)
            )
        if (path / "config.json").is_file():
            return _of_folder(path)
    if revision is None and (known := known_models().get(name.lower())):
        return known
    if hub is None or name.count("/") != 1:
        raise _no_such(name, models_dir, others)
    return _of_hub(name, revision, hub)


def _of_folder(path: Path) -> ModelFacts:
    config = _config(path / "config.json")
    tied = bool(config.get("tie_word_embeddings"))
    # As vLLM takes them: weights that are there in two forms count once.
    names = taken(sorted(file.name for file in path.glob("*.safetensors")))
    sizes = [_weights_bytes(path / name, tied=tied) for name in names]
    return ModelFacts(
        name=path.name,
        config=config,
        weights_bytes=sum(sizes) if sizes else None,
        source=str(path),
    )


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as exc:
        raise _unreadable(path, exc) from exc
    if not isinstance(config, dict):
        raise _unreadable(path, f"it holds a {type(config).__name__}, and not an object")
    return config


def _unreadable(path: Path, why: object) -> ConfigError:
    return ConfigError(
        f"{path} cannot be read: {why}",
        hint="A model's config.json lies beside its weights; fetch it again.",
        key="model",
        source=str(path),
    )


def _weights_bytes(path: Path, *, tied: bool) -> int:
    """Add up what vLLM loads of one file: not an output head that is the embedding table."""
    return sum(
        size for name, size in _tensors(path) if not (tied and name.endswith("lm_head.weight"))
    )


def _tensors(path: Path) -> Iterator[tuple[str, int]]:
    """
    Read a safetensors header: eight bytes of length, then JSON.

    Source: https://github.com/huggingface/safetensors#format
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > HEADER_LIMIT_BYTES:
                raise ValueError(f"its header would have {length:,} bytes")
            header = json.loads(file.read(length))
        for name, tensor in header.items():
            if name != "__metadata__":
                yield name, _size_bytes(tensor["dtype"], tensor["shape"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise _unreadable(path, exc) from exc


def _size_bytes(dtype: str, shape: list[int]) -> int:
    bits = _BITS.get(dtype, 8)
    if dtype.startswith("F"):
        bits = min(bits, SERVED_FLOAT_BITS)
    return math.prod(shape) * bits // 8


@cache
def known_models() -> dict[str, ModelFacts]:
    """Read the facts that come with the workbench, by the hub's names in small letters."""
    found = {}
    for file in resources.files(__package__).joinpath("known_models").iterdir():
        if file.name.endswith(".json"):
            entry = json.loads(file.read_text())
            found[entry["name"].lower()] = ModelFacts(
                name=entry["name"],
                config=entry["config"],
                weights_bytes=entry["weights_bytes"],
                source=f"{entry['source']}, {entry['as_of']}",
            )
    return found


def _no_such(name: str, models_dir: Path, others: Iterable[str]) -> ConfigError:
    known = sorted(facts.name for facts in known_models().values())
    candidates = [each for each in (*others, *known) if each != name]
    close = difflib.get_close_matches(name, candidates, n=1)
    meant = f"Did you mean {close[0]}? " if close else ""
    return ConfigError(
        f"There is no model {name!r} in {models_dir}, and it is not among the known: "
        f"{', '.join(known)}.",
        hint=f"{meant}Give the path of a folder with config.json, or of a config.json.",
        key="model",
        source=name,
    )


def _of_hub(name: str, revision: str | None, hub: Hub) -> ModelFacts:
    try:
        config, weights_bytes = hub(name, revision)
    except WorkbenchError as exc:
        raise ConfigError(
            f"The facts of {name} are not here, and the hub did not give them: {exc.message}",
            hint=f"{exc.hint or 'Try again'} · or give its config.json: workbench plan FILE",
            key="model",
            source=name,
        ) from exc
    return ModelFacts(name=name, config=config, weights_bytes=weights_bytes, source="the hub")
