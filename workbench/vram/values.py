"""
Values of a ``config.json``, which anybody may have written: each as its type, or a ``PlanError``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn

from ..errors import PlanError

Config = Mapping[str, Any]

LARGEST = 10**9
"""No size in a configuration comes near it: vocabularies and contexts have seven digits at most."""


def size(config: Config, name: str, *, at_most: int = LARGEST) -> int:
    """Read a whole number above zero, which has to be there."""
    value = config.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= at_most:
        return value
    raise PlanError(
        f"The configuration does not say {name} (found: {_shown(value)}).",
        hint="Take the config.json that lies beside the model's weights.",
        missing=name,
    )


def size_or(config: Config, name: str, otherwise: int) -> int:
    """Read a whole number above zero; where it is left out, ``null`` or 0 it is *otherwise*."""
    return size(config, name) if config.get(name) else otherwise


def number_or(config: Config, name: str, otherwise: float) -> float:
    """Read a number above zero; where it is left out, ``null`` or 0 it is *otherwise*."""
    value = config.get(name)
    if not value:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(name, value, "a number")
    if not 0 < value <= LARGEST or math.isnan(value):
        _refuse(name, value, "a number above zero")
    return float(value)


def table(config: Config, name: str) -> Config:
    """Read an object; empty where it is left out or ``null``."""
    value = config.get(name)
    if value is None:
        return {}
    return value if isinstance(value, Mapping) else _refuse(name, value, "an object")


def names(config: Config, name: str) -> tuple[str, ...]:
    """Read a list of names; empty where it is left out or ``null``."""
    value = config.get(name)
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    return _refuse(name, value, "a list of names")


def _refuse(name: str, value: object, kind: str) -> NoReturn:
    raise PlanError(
        f"The configuration has {name} = {_shown(value)}, which is not {kind}.",
        hint="Take the config.json that lies beside the model's weights.",
        missing=name,
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
