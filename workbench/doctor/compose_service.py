"""
One service of a compose file, in the terms Docker runs it by. Pure.

Volumes, ports and devices have a short and a long form, commands are strings
or lists, the environment is a list or a mapping; here each is one thing, and
every thing keeps its line.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from ..errors import ConfigError
from .compose_file import ComposeFile, Fields, Items, Node, Text, by_name, scalars
from .interpolation import interpolate

_WINDOWS_PATH = re.compile(r"^[A-Za-z]:[\\/]")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}


@dataclass(frozen=True, slots=True)
class Variable:
    """
    One variable of a container's environment.

    Args:
        raw: As it stands in the file; empty if it comes from an ``env_file``.

        line: Where; 0 if it comes from an ``env_file``.
    """

    value: str
    raw: str
    line: int


@dataclass(frozen=True, slots=True)
class Mount:
    """
    A folder, file or volume of the host, and where the container sees it.

    Args:
        source: As written; empty for an anonymous volume or a tmpfs.

        creates_source: Whether Docker makes a directory where the source is missing.
    """

    kind: str
    source: str
    target: str
    read_only: bool
    creates_source: bool
    line: int

    @property
    def name(self) -> str:
        """The last part of the source."""
        return PurePosixPath(self.source).name

    def __str__(self) -> str:
        return f"{self.source or self.kind}:{self.target}{':ro' if self.read_only else ''}"


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the container, and where the host has it; an empty address is every one."""

    address: str
    published: str
    target: str
    line: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.address.strip("[]") in ("localhost", "::1") or self.address.startswith("127.")

    def __str__(self) -> str:
        return f"{self.address or '0.0.0.0'}:{self.published or '(any)'}->{self.target}"


@dataclass(frozen=True)
class Service:
    """A service; its parts are read when they are asked for."""

    name: str
    line: int
    fields: Fields
    file: ComposeFile

    @property
    def image(self) -> str:
        """The image's name; empty if it is built."""
        return self.text("image") or ""

    def get(self, *path: str) -> Node | None:
        """Walk down from the service by names."""
        return self.fields.get(*path)

    def text(self, *path: str) -> str | None:
        """Return a scalar's value, ``None`` if there is none."""
        node = self.get(*path)
        return node.value if isinstance(node, Text) and not node.is_null else None

    def texts(self, *path: str) -> tuple[Text, ...]:
        """List the scalars of a list, or the one there is."""
        return scalars(self.get(*path))

    def line_of(self, name: str) -> int:
        """Tell the line of a key of this service; its own if it has none."""
        return self.fields.key_lines.get(name, self.line)

    @cached_property
    def entrypoint(self) -> tuple[str, ...] | None:
        """The words of the entrypoint; ``None`` is the image's own."""
        return self._words("entrypoint")

    @cached_property
    def command(self) -> tuple[str, ...] | None:
        """The words of the command; ``None`` is the image's own."""
        return self._words("command")

    def _words(self, key: str) -> tuple[str, ...] | None:
        node = self.get(key)
        if node is None or (isinstance(node, Text) and node.is_null):
            return None
        if not isinstance(node, Text):
            return tuple(item.value for item in scalars(node))
        try:
            return tuple(shlex.split(node.value))
        except ValueError as exc:
            raise ConfigError(
                f"{self.file.path} cannot be understood at line {node.line}: "
                f"the {key} of {self.name!r} cannot be split into words ({exc}).",
                hint="Close the quote, or write it as a list.",
                key="compose",
                source=f"{self.file.path}:{node.line}",
            ) from exc

    @cached_property
    def environment(self) -> Mapping[str, Variable]:
        """What the container's environment has: ``env_file`` first, ``environment`` over it."""
        found, given = dict(self._from_files()), self.file.environ
        for name, node in by_name(self.get("environment")).nodes.items():
            if not isinstance(node, Text):
                continue
            if not node.is_null:
                found[name] = Variable(node.value, node.raw, node.line)
            elif name in given:  # a bare name passes the host's on
                found[name] = Variable(given[name], "", node.line)
        return found

    def value(self, name: str) -> str:
        """Return a variable's value; empty if it is not there, as vLLM reads it too."""
        variable = self.environment.get(name)
        return variable.value if variable else ""

    def passes(self, *names: str) -> bool:
        """Whether the file hands one of these on, be it empty today."""
        written = by_name(self.get("environment")).nodes
        return any(name in written or name in self.environment for name in names)

    @cached_property
    def env_files(self) -> tuple[tuple[Path, int, bool], ...]:
        """Each ``env_file``: its path, the line that names it, whether it must be there."""
        node = self.get("env_file")
        items = node.nodes if isinstance(node, Items) else (node,) if node else ()
        found = []
        for item in items:
            path = item.get("path") if isinstance(item, Fields) else item
            required = item.get("required") if isinstance(item, Fields) else None
            if isinstance(path, Text) and not path.is_null:
                must = not (isinstance(required, Text) and required.value == "false")
                found.append((self.file.path.parent / path.value, path.line, must))
        return tuple(found)

    def _from_files(self) -> Iterator[tuple[str, Variable]]:
        for path, _, _ in self.env_files:
            if path.is_file():
                for name, value in _env_file(path.read_text(errors="replace"), self.file.environ):
                    yield name, Variable(value, "", 0)

    @cached_property
    def mounts(self) -> tuple[Mount, ...]:
        """Its volumes; of two with one target the later one."""
        node = self.get("volumes")
        found = [_mount(item) for item in node.nodes] if isinstance(node, Items) else []
        return tuple({mount.target: mount for mount in found}.values())

    @cached_property
    def ports(self) -> tuple[Port, ...]:
        """Its published ports."""
        node = self.get("ports")
        return tuple(_port(item) for item in node.nodes) if isinstance(node, Items) else ()

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """The host's devices that it gets."""
        return tuple(item.value.split(":")[0] for item in self.texts("devices"))


def _mount(node: Node) -> Mount:
    if isinstance(node, Fields):
        return _long_mount(node)
    text = node.value if isinstance(node, Text) else ""
    drive = 2 if _WINDOWS_PATH.match(text) else 0
    first, _, rest = text[drive:].partition(":")
    source, (target, _, mode) = (text[:drive] + first, rest.partition(":"))
    if not rest:
        return Mount("volume", "", source, False, False, node.line)
    bind = source.startswith((".", "/", "~")) or bool(drive)
    kind = "bind" if bind else "volume"
    return Mount(kind, source, target, "ro" in mode.split(","), bind, node.line)


def _long_mount(node: Fields) -> Mount:
    def word(*path: str) -> str:
        found = node.get(*path)
        return found.value if isinstance(found, Text) else ""

    kind = word("type") or "volume"
    return Mount(
        kind,
        word("source"),
        word("target"),
        word("read_only") == "true",
        # What Compose does with a long form that does not say has changed between its versions.
        kind == "bind" and word("bind", "create_host_path") != "false",
        node.line,
    )


def _port(node: Node) -> Port:
    if isinstance(node, Fields):
        words = {name: item.value for name, item in node.nodes.items() if isinstance(item, Text)}
        return Port(
            words.get("host_ip", ""), words.get("published", ""), words.get("target", ""), node.line
        )
    text = (node.value if isinstance(node, Text) else "").partition("/")[0]
    rest, _, target = text.rpartition(":")
    address, _, published = rest.rpartition(":")
    return Port(address, published, target, node.line)


def _env_file(text: str, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Read ``NAME=value`` lines; quotes are taken off, and single ones keep their dollars."""
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or name.startswith("#"):
            continue
        value = value.strip()
        if value[:1] in ("'", '"') and value[-1:] == value[:1] and len(value) > 1:
            quote, value = value[0], value[1:-1]
        else:
            quote, value = "", value.partition(" #")[0].rstrip()
        try:
            yield name.strip(), value if quote == "'" else interpolate(value, given).text
        except ValueError:
            yield name.strip(), value


def duration_s(text: str) -> float | None:
    """Read a Go duration, ``1h30m``; ``None`` if it is none."""
    if not text or _DURATION.sub("", text):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
