"""
A compose file, read with the line of everything in it.

YAML is read to its nodes, not to plain values, because a finding has to say
where it looked. Aliases, merge keys and variables are put in as Compose does
(checked against Compose 2.26); ``extends`` is followed within the file. What
stands in another file (``include``, ``extends: {file: …}``) is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

from ..errors import ConfigError
from .interpolation import interpolate

MERGE = "<<"

LARGEST_BYTES = 250_000
MOST_NODES = 100_000
LONGEST_TEXT = 16_384
"""Far more than anybody writes; a file that is made to be large would take minutes."""


@dataclass(frozen=True, slots=True)
class Text:
    """
    One scalar.

    Args:
        value: With its variables put in; empty where the file has nothing (``null``).

        raw: As it stands in the file.
    """

    value: str
    raw: str
    line: int
    last_line: int
    is_null: bool = False
    unset: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence."""

    nodes: tuple[Node, ...]
    line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping; *key_lines* has the lines of its keys."""

    nodes: Mapping[str, Node]
    key_lines: Mapping[str, int]
    line: int
    last_line: int

    def get(self, *path: str) -> Node | None:
        """Walk down by names; ``None`` where the way ends."""
        node: Node | None = self
        for name in path:
            node = node.nodes.get(name) if isinstance(node, Fields) else None
        return node


Node: TypeAlias = Text | Items | Fields


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """
    A whole file.

    Args:
        root: The top level.

        services: The services by name, with what they extend put in.

        unread: Places that name another file, which was not read.

        environ: What the variables were taken from.
    """

    path: Path
    lines: tuple[str, ...]
    root: Fields
    services: Mapping[str, Fields]
    lines_of_services: Mapping[str, int]
    unread: tuple[Text, ...]
    environ: Mapping[str, str]


def read_compose_file(path: Path, environ: Mapping[str, str]) -> ComposeFile:
    """
    Read a compose file.

    Args:
        environ: What ``${NAME}`` is taken from: the environment, over the ``.env`` beside the file.

    Raises:
        ConfigError: It is not there, is no YAML, or is no compose file.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise _too_large(path, f"it has more than {LARGEST_BYTES:,} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"{path} cannot be read: {exc}",
            hint="Name the compose file: workbench doctor --compose docker-compose.yml",
            key="compose",
            source=str(path),
        ) from exc
    try:
        return _resolved(path, text, environ)
    except RecursionError as exc:
        raise ConfigError(
            f"{path} cannot be understood: it is nested too deeply.",
            hint="Look for brackets, or `${…}`, within each other: a few levels are enough.",
            key="compose",
            source=str(path),
        ) from exc


def _resolved(path: Path, text: str, environ: Mapping[str, str]) -> ComposeFile:
    reader = _Reader(path, environ)
    root = reader.root(text)
    included = tuple(_included(root.get("include")))
    services = root.get("services")
    if services is None and included:
        services = Fields({}, {}, root.line, root.line)
    elif not isinstance(services, Fields) or not services.nodes:
        raise _no_compose_file(path, root.line, "it has no services")
    resolved = {name: reader.service(name, services) for name in services.nodes}
    return ComposeFile(
        path=path,
        lines=tuple(text.splitlines()),
        root=root,
        services=resolved,
        lines_of_services=services.key_lines,
        unread=(*included, *reader.unread),
        environ=environ,
    )


class _Reader:
    """Turns PyYAML's nodes into ours; each once, so that an alias costs nothing."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.path = path
        self.environ = environ
        self.unread: list[Text] = []
        self._seen: dict[int, Node | None] = {}
        self._counts: dict[int, int] = {}

    def root(self, text: str) -> Fields:
        try:
            found = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as exc:
            raise self._no_yaml(exc) from exc
        if found is None:
            raise _no_compose_file(self.path, 1, "it is empty")
        root = self.node(found)
        if not isinstance(root, Fields):
            raise _no_compose_file(self.path, root.line, "it is not a mapping of names to values")
        return root

    def node(self, found: yaml.Node) -> Node:
        if id(found) in self._seen:
            made = self._seen[id(found)]
            if made is None:
                raise self._refused(found, "an alias contains itself")
            return made
        self._seen[id(found)] = None
        if isinstance(found, yaml.MappingNode):
            made = self._fields(found)
        elif isinstance(found, yaml.SequenceNode):
            made = Items(tuple(self.node(item) for item in found.value), *_place(found))
        else:
            made = self._text(found)
        self._seen[id(found)] = made
        self._count(found)
        return made

    def _count(self, found: yaml.Node) -> None:
        """Limit what all aliases together come to: ten lines can stand for a billion."""
        below: list[yaml.Node] = []
        if isinstance(found, yaml.MappingNode):
            below = [value for _, value in found.value]
        elif isinstance(found, yaml.SequenceNode):
            below = found.value
        count = self._counts[id(found)] = 1 + sum(self._counts[id(each)] for each in below)
        if count > MOST_NODES:
            line = found.start_mark.line + 1
            raise _too_large(
                self.path, f"what line {line} stands for has over {MOST_NODES:,} parts"
            )

    def _text(self, found: yaml.Node) -> Text:
        raw = str(found.value)
        if len(raw) > LONGEST_TEXT:
            line = found.start_mark.line + 1
            raise _too_large(
                self.path, f"line {line} has a text of over {LONGEST_TEXT:,} characters"
            )
        if found.tag == "tag:yaml.org,2002:null":
            return Text("", raw, *_place(found), is_null=True)
        try:
            put = interpolate(raw, self.environ)
        except ValueError as exc:
            raise self._refused(found, f"{exc}; a dollar that is meant is written $$") from exc
        return Text(put.text, raw, *_place(found), unset=put.unset, required=put.required)

    def _fields(self, found: yaml.MappingNode) -> Fields:
        nodes: dict[str, Node] = {}
        lines: dict[str, int] = {}
        merged: list[Node] = []
        for key, value in found.value:
            name = str(key.value)
            if name == MERGE:
                made = self.node(value)
                merged += made.nodes if isinstance(made, Items) else (made,)
                continue
            if name in nodes:
                raise self._refused(key, f"{name!r} is given twice")
            nodes[name] = self.node(value)
            lines[name] = key.start_mark.line + 1
        for other in merged:
            if not isinstance(other, Fields):
                raise self._refused(found, "`<<` takes a mapping")
            nodes = {**other.nodes, **nodes}
            lines = {**other.key_lines, **lines}
        return Fields(nodes, lines, *_place(found))

    def service(self, name: str, services: Fields, within: tuple[str, ...] = ()) -> Fields:
        """Read one service, with what it extends."""
        own = services.nodes[name]
        line = services.key_lines[name]
        if not isinstance(own, Fields):
            raise _no_compose_file(self.path, line, f"service {name!r} is not a mapping")
        extended = own.get("extends")
        if isinstance(extended, Fields) and isinstance(other := extended.get("file"), Text):
            self.unread.append(other)
            return own
        base = extended.get("service") if isinstance(extended, Fields) else extended
        if not isinstance(base, Text):
            return own
        if base.value not in services.nodes or base.value in (*within, name):
            raise self._refused_at(base.line, f"{name!r} cannot extend {base.value!r}")
        return _extended(self.service(base.value, services, (*within, name)), own)

    def _no_yaml(self, exc: yaml.YAMLError) -> ConfigError:
        mark = getattr(exc, "problem_mark", None)
        problem = getattr(exc, "problem", None) or str(exc).splitlines()[0]
        return self._refused_at(mark.line + 1 if mark else 1, problem)

    def _refused(self, found: yaml.Node, problem: str) -> ConfigError:
        return self._refused_at(found.start_mark.line + 1, problem)

    def _refused_at(self, line: int, problem: str) -> ConfigError:
        return ConfigError(
            f"{self.path} cannot be understood at line {line}: {problem}.",
            hint="Look at that line and the one above: an indentation, a quote or a bracket.",
            key="compose",
            source=f"{self.path}:{line}",
        )


def _too_large(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} is too large to be read: {why}.",
        hint="Name the compose file: workbench doctor --compose docker-compose.yml",
        key="compose",
        source=str(path),
    )


def _no_compose_file(path: Path, line: int, why: str) -> ConfigError:
    return ConfigError(
        f"{path} is no compose file: {why} (line {line}).",
        hint="A compose file has a mapping `services:` with at least one service in it.",
        key="compose",
        source=f"{path}:{line}",
    )


def _place(found: yaml.Node) -> tuple[int, int]:
    """Return the first and the last line; a block ends where the next thing begins, in column 0."""
    first, end = found.start_mark.line + 1, found.end_mark
    last = end.line if end.column == 0 and end.line >= first else end.line + 1
    return first, last


def _extended(base: Fields, own: Fields) -> Fields:
    """Put *own* over *base*: mappings by name, lists one after the other, all else replaced."""
    nodes = {name: node for name, node in base.nodes.items() if name != "extends"}
    for name, node in own.nodes.items():
        under = nodes.get(name)
        nodes[name] = node if under is None else _over(name, under, node)
    return Fields(nodes, {**base.key_lines, **own.key_lines}, own.line, own.last_line)


def _over(name: str, under: Node, node: Node) -> Node:
    if name in ("command", "entrypoint", "test"):
        return node
    if name == "environment":
        under, node = by_name(under), by_name(node)
    if isinstance(under, Fields) and isinstance(node, Fields):
        return _extended(under, node)
    if isinstance(under, Items) and isinstance(node, Items):
        return Items(under.nodes + node.nodes, node.line, node.last_line)
    return node


def _included(node: Node | None) -> Iterator[Text]:
    """List the files of ``include``: names, or mappings whose ``path`` has one or several."""
    for item in node.nodes if isinstance(node, Items) else (node,):
        yield from scalars(item.get("path") if isinstance(item, Fields) else item)


def by_name(node: Node | None) -> Fields:
    """Read ``environment`` in either form, ``- A=1`` or ``A: 1``, as the latter."""
    if isinstance(node, Fields):
        return node
    nodes: dict[str, Node] = {}
    lines: dict[str, int] = {}
    for item in scalars(node):
        name, equals, value = item.value.partition("=")
        raw = item.raw.partition("=")[2]
        nodes[name] = Text(
            value, raw, item.line, item.last_line, not equals, item.unset, item.required
        )
        lines[name] = item.line
    return Fields(nodes, lines, node.line if node else 0, node.last_line if node else 0)


def scalars(node: Node | None) -> tuple[Text, ...]:
    """List the scalars of a value that Compose takes as one or as a list."""
    if isinstance(node, Items):
        return tuple(item for item in node.nodes if isinstance(item, Text))
    return (node,) if isinstance(node, Text) and not node.is_null else ()


def walk(node: Node) -> Iterator[Text]:
    """Yield every scalar below a node."""
    if isinstance(node, Text):
        yield node
        return
    for below in node.nodes if isinstance(node, Items) else node.nodes.values():
        yield from walk(below)
