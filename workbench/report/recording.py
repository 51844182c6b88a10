"""
A machine that notes what it is asked, and what it answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..doctor import Machine
from ..doctor.machine import COMMAND_S, Owner, Ran, Reply, Streamed


@dataclass
class Answers:
    """
    What was answered, by what was asked. The first answer counts: a second look may see another.

    Args:
        keyed: URLs that were asked with a key.
    """

    files: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    modes: dict[str, int] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    free_bytes: dict[str, int] = field(default_factory=dict)
    commands: dict[tuple[str, ...], Ran] = field(default_factory=dict)
    urls: dict[str, Reply | None] = field(default_factory=dict)
    keyed: dict[str, Reply | None] = field(default_factory=dict)
    streams: dict[str, Streamed | None] = field(default_factory=dict)
    owners: dict[str, Owner | None] = field(default_factory=dict)
    now_s: float | None = None


class Variables(dict[str, str]):
    """Variables that remember which of them somebody wanted."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, and note that it was wanted."""
        self.asked.add(name)
        return super().get(name, default)


class Recording(Machine):
    """
    Args:
        shown: The machine that is asked.
    """

    def __init__(self, shown: Machine) -> None:
        super().__init__(shown.home, shown.variables, shown.root)
        self.shown = shown
        self.asked = Variables(shown.variables)
        self.variables = self.asked
        self.answers = Answers()

    def read(self, path: str | Path) -> str | None:
        """Read a file, and keep its text."""
        text = self.shown.read(path)
        if text is not None:
            self.answers.files.setdefault(str(path), "")
            self.answers.files[str(path)] = self.answers.files[str(path)] or text
        return text

    def exists(self, path: str | Path) -> bool:
        """Look whether it is there, and keep that it is."""
        there = self.shown.exists(path)
        if there and not self.is_folder(path):
            self.answers.files.setdefault(str(path), "")
        return there

    def is_folder(self, path: str | Path) -> bool:
        """Look whether it is a folder, and keep that it is."""
        there = self.shown.is_folder(path)
        if there:
            self.answers.folders.add(str(path))
        return there

    def is_in_the_way(self, path: str | Path) -> bool:
        """Look whether something is there that is no folder; it is kept as an empty file."""
        in_the_way = self.shown.is_in_the_way(path)
        if in_the_way:
            self.answers.files.setdefault(str(path), "")
        return in_the_way

    def glob(self, pattern: str) -> tuple[str, ...]:
        """List paths, and keep each."""
        found = self.shown.glob(pattern)
        for path in found:
            self.exists(path)
        return found

    def mode(self, path: str | Path) -> int | None:
        """Keep who may do what."""
        mode = self.shown.mode(path)
        if mode is not None:
            self.answers.modes.setdefault(str(path), mode)
        return mode

    def may_use(self, path: str | Path) -> bool:
        """Keep what may not be used."""
        may = self.shown.may_use(path)
        if not may:
            self.answers.denied.add(str(path))
        return may

    def free_bytes(self, path: str | Path) -> int | None:
        """Keep the room."""
        free = self.shown.free_bytes(path)
        if free is not None:
            self.answers.free_bytes.setdefault(str(path), free)
        return free

    def processor(self) -> str:
        """Ask the machine."""
        return self.shown.processor()

    def now_s(self) -> float:
        """Keep the first look at the clock."""
        now_s = self.shown.now_s()
        self.answers.now_s = self.answers.now_s or now_s
        return now_s

    def owner_of(self, inode: str) -> Owner | None:
        """Keep whose socket it is."""
        return self.answers.owners.setdefault(inode, self.shown.owner_of(inode))

    def end_commands(self) -> None:
        """Have the machine end what it still runs."""
        self.shown.end_commands()

    def run(self, *argv: str, timeout_s: float = COMMAND_S) -> Ran:
        """Keep what a command came to."""
        return self.answers.commands.setdefault(argv, self.shown.run(*argv, timeout_s=timeout_s))

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Reply | None:
        """Keep the reply, apart from that to a question with a key."""
        reply = self.shown.get(url, headers=headers)
        has_key = headers and "Authorization" in headers
        (self.answers.keyed if has_key else self.answers.urls).setdefault(url, reply)
        return reply

    def stream(
        self, url: str, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> Streamed | None:
        """Keep when the pieces came."""
        return self.answers.streams.setdefault(url, self.shown.stream(url, body, headers=headers))
