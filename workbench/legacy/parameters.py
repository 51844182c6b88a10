"""
The parameter map: ``parameters.toml``, as records.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

_OWN = {"becomes", "vllm", "off", "change", "decide", "server", "note", "source"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What becomes of one parameter; the file says what the fields are."""

    name: str
    becomes: str | None = None
    vllm: object = None
    off: tuple[str, ...] = ()
    change: str | None = None
    decide: str | None = None
    server: str | None = None
    note: bool = False
    source: str | None = None
    defaults: Mapping[str, object] = field(default_factory=dict)

    @property
    def extra(self) -> str | None:
        """Its new name below ``extra_body``, if it belongs there."""
        head, dot, tail = (self.becomes or "").partition(".")
        return tail if dot and head == "extra_body" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A way in which code asks a model for something."""

    name: str
    title: str
    becomes: str
    table: str
    default: str
    positional: tuple[str, ...] = ()
    answer: Mapping[str, str] = field(default_factory=dict)
    chunk: Mapping[str, str] = field(default_factory=dict)
    change: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterMap:
    """The whole file."""

    interfaces: Mapping[str, Interface]
    rules: Mapping[str, Mapping[str, Rule]]
    paths: Mapping[str, Interface]
    path_decide: Mapping[str, str]
    methods: Mapping[str, Interface]
    method_same: Mapping[str, str]
    method_decide: Mapping[str, str]
    langchain: Mapping[str, tuple[str, str]]
    commands: Mapping[str, str]
    flags: Mapping[str, str]

    def defaults(self, interface: Interface) -> dict[str, object]:
        """Return what an interface did when nothing was said, by the old names."""
        return {
            rule.name: rule.defaults[interface.default]
            for rule in self.rules[interface.table].values()
            if interface.default in rule.defaults
        }


@cache
def parameter_map() -> ParameterMap:
    """Read the file that comes with the package."""
    text = resources.files(__package__).joinpath("parameters.toml").read_text(encoding="utf-8")
    said = tomllib.loads(text)
    interfaces = {
        name: Interface(name=name, **_tuples(fields)) for name, fields in said["interface"].items()
    }
    return ParameterMap(
        interfaces=interfaces,
        rules={table: _rules(rules) for table, rules in said["parameter"].items()},
        paths={path: interfaces[name] for path, name in said["path"].items()},
        path_decide=said["path_decide"],
        methods={method: interfaces[name] for method, name in said["method"].items()},
        method_same=said["method_same"],
        method_decide=said["method_decide"],
        langchain={name: (kind, whose) for name, (kind, whose) in said["langchain"].items()},
        commands=said["command"],
        flags=said["flag"],
    )


def _rules(said: Mapping[str, Any]) -> dict[str, Rule]:
    rules = {name: Rule(name=name, becomes=name) for name in said.get("same", ())}
    rules |= {name: Rule(name=name, becomes=f"extra_body.{name}") for name in said.get("extra", ())}
    rules |= {name: Rule(name=name) for name in said.get("nothing", ())}
    for name, fields in said.items():
        if isinstance(fields, dict):
            defaults = {key: value for key, value in fields.items() if key not in _OWN}
            own = {key: value for key, value in fields.items() if key in _OWN}
            rules[name] = Rule(name=name, defaults=defaults, **_tuples(own))
    return rules


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
