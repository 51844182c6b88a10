"""``${NAME:-default}`` and its like, as Compose reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from workbench.doctor.interpolation import interpolate, literal_part

ComposeConfig = Callable[[Path, Mapping[str, str]], dict[str, Any]]

ENVIRON = {"SET": "s", "EMPTY": ""}

# What `docker compose config` (2.26) gives; the test below asks it again where there is one.
VALUES = {
    "$SET": "s",
    "${SET}": "s",
    "a$SET-b": "as-b",
    "${UNSET:-d}": "d",
    "${UNSET-d}": "d",
    "${EMPTY:-d}": "d",
    "${EMPTY-d}": "",
    "${SET:-d}": "s",
    "${SET:+r}": "r",
    "${EMPTY:+r}": "",
    "${EMPTY+r}": "r",
    "${UNSET+r}": "",
    "${SET:?needed}": "s",
    "${EMPTY?needed}": "",
    "${UNSET:-${SET}}": "s",
    "${UNSET:-a${SET}b}c": "asbc",
    "${UNSET:-${EMPTY:-${SET}}}": "s",
    "${SET:+--flag ${SET:-}}": "--flag s",
    "${UNSET:-{}}": "{}",
    "${UNSET:-}}": "}",
    "${UNSET:-a$$b}": "a$b",
    '${UNSET:-"x y"}': '"x y"',
    "$$SET": "$SET",
    "$${SET}": "${SET}",
    "$$$SET": "$s",
    "$": "$",
    "5 $ and $1": "5 $ and $1",
}


@pytest.mark.parametrize("raw", VALUES)
def test_a_variable_is_put_in(raw: str):
    """Every form, nested too; a dollar that begins nothing stays."""
    assert interpolate(raw, ENVIRON).text == VALUES[raw]


def test_compose_puts_it_in_the_same_way(compose_config: ComposeConfig, tmp_path: Path):
    """The table above is Compose's, not ours."""
    environment = {f"V{number}": raw for number, raw in enumerate(VALUES)}
    path = tmp_path / "docker-compose.yml"
    path.write_text(json.dumps({"services": {"s": {"image": "i", "environment": environment}}}))

    read = compose_config(path, ENVIRON)["s"]["environment"]

    # In its output Compose doubles the dollars again.
    assert [read[name].replace("$$", "$") for name in environment] == list(VALUES.values())


@pytest.mark.parametrize("raw", ["${SET", "${}", "${SET!x}", "${-a}", "${UNSET:-${SET}"])
def test_what_compose_refuses_is_refused(raw: str):
    """An expression without an end, a name or a known operator."""
    with pytest.raises(ValueError, match=r"\$\{"):
        interpolate(raw, ENVIRON)


def test_what_is_missing_is_named():
    """A variable without value and default is one thing, one that is required another."""
    put = interpolate("${A} ${B:-x} ${C:?say it} ${D:-$E}", {})

    assert put.unset == ("A", "E")
    assert put.required == ("C",)


@pytest.mark.parametrize(
    ("raw", "literal"),
    [("a ${B:-c} d", "a  d"), ("${A:-${B}}", ""), ("$${A} $B", "$${A} "), ("plain", "plain")],
)
def test_what_stands_in_the_file_itself(raw: str, literal: str):
    """A default is not fixed: it can be changed from outside."""
    assert literal_part(raw) == literal
