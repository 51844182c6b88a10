"""
``${NAME:-default}`` in a compose file, put in as Compose does. Pure.

All of Compose's forms: ``$A``, ``${A}``, ``${A:-d}``, ``${A-d}``, ``${A:+r}``,
``${A+r}``, ``${A:?e}``, ``${A?e}``, nested to any depth, and ``$$`` for a
dollar. With a colon an empty value counts as none.

Source:
    https://docs.docker.com/reference/compose-file/interpolation/; what it
    leaves open was tried with Compose 2.26 (a ``$`` before anything else stays).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-+?]")


@dataclass(frozen=True, slots=True)
class Interpolated:
    """
    A value as Compose would read it.

    Args:
        unset: Variables that are not set and have no default; they became nothing.

        required: Variables asked for with ``?`` that are not set: Compose stops there.
    """

    text: str
    unset: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


def interpolate(raw: str, given: Mapping[str, str]) -> Interpolated:
    """
    Put variables in.

    Raises:
        ValueError: An expression that Compose would refuse.
    """
    if "$" not in raw:
        return Interpolated(raw)
    text, at = "", 0
    unset: list[str] = []
    required: list[str] = []
    while (dollar := raw.find("$", at)) >= 0:
        put, after = _expression(raw, dollar, given)
        text += raw[at:dollar] + put.text
        unset += put.unset
        required += put.required
        at = after
    return Interpolated(text + raw[at:], tuple(unset), tuple(required))


def literal_part(raw: str) -> str:
    """Cut all variables out, with their defaults: what is left is fixed by the file."""
    text, at = "", 0
    while (dollar := raw.find("$", at)) >= 0:
        put, after = _expression(raw, dollar, {})
        is_variable = bool(put.unset) or raw.startswith("${", dollar)
        text += raw[at:dollar] + ("" if is_variable else raw[dollar:after])
        at = after
    return text + raw[at:]


def _expression(raw: str, dollar: int, given: Mapping[str, str]) -> tuple[Interpolated, int]:
    """Evaluate what begins at a dollar; return it and the place behind it."""
    following = raw[dollar + 1 : dollar + 2]
    if following == "$":
        return Interpolated("$"), dollar + 2
    if following == "{":
        closing = _closing(raw, dollar + 2)
        return _braced(raw[dollar + 2 : closing], given), closing + 1
    name = _NAME.match(raw, dollar + 1)
    if name is None:
        return Interpolated("$"), dollar + 1
    return _plain(name.group(), given), name.end()


def _closing(raw: str, start: int) -> int:
    """Find the brace that closes the expression whose inside begins at *start*."""
    depth = 1
    for at in range(start, len(raw)):
        if raw[at] == "{":
            depth += 1
        elif raw[at] == "}":
            depth -= 1
            if depth == 0:
                return at
    raise ValueError(f"${{{_shown(raw[start:])} has no closing brace")


def _braced(inside: str, given: Mapping[str, str]) -> Interpolated:
    name = _NAME.match(inside)
    operator = _OPERATOR.match(inside, name.end()) if name else None
    if name is None or (operator is None and name.end() < len(inside)):
        raise ValueError(f"${{{_shown(inside)}}} is not a variable")
    if operator is None:
        return _plain(name.group(), given)
    value = given.get(name.group())
    present = bool(value) if operator.group().startswith(":") else value is not None
    operand = inside[operator.end() :]
    kind = operator.group()[-1]
    if kind == "+":
        return interpolate(operand, given) if present else Interpolated("")
    if present:
        return Interpolated(value or "")
    return (
        interpolate(operand, given) if kind == "-" else Interpolated("", required=(name.group(),))
    )


def _plain(name: str, given: Mapping[str, str]) -> Interpolated:
    value = given.get(name)
    return Interpolated("", unset=(name,)) if value is None else Interpolated(value)


def _shown(inside: str) -> str:
    """Quote an expression without its default, which may be a secret."""
    return re.split(r"[:?+-]", inside, maxsplit=1)[0]
