"""
A machine in a folder: ``tests/data/hosts/NAME/machine.toml``. See the README there.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.doctor import Machine
from workbench.doctor.machine import Ran, Reply

HOSTS = Path(__file__).parent.parent / "data/hosts"

HOME = Path("/home/me/workbench")

TABLES = ("files", "commands", "urls", "variables")


def described(name: str) -> dict[str, Any]:
    """Read a host, laid over the one that it is like."""
    own = tomllib.loads((HOSTS / name / "machine.toml").read_text())
    under = described(own["like"]) if "like" in own else {}
    merged = {**under, **own}
    for table in TABLES:
        merged[table] = {**under.get(table, {}), **own.get(table, {})}
    for path in own.get("gone", ()):
        del merged["files"][path]
    return merged


class FolderMachine(Machine):
    """
    Args:
        root: An empty folder, into which the host's files are laid.
    """

    def __init__(self, name: str, root: Path) -> None:
        self._host = described(name)
        for path, text in self._host["files"].items():
            file = root / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
        variables = {"HOME": "/home/me", **self._host["variables"]}
        super().__init__(HOME, variables, root)

    def may_use(self, path: str | Path) -> bool:
        return str(path) not in self._host.get("denied", ())

    def mode(self, path: str | Path) -> int | None:
        return int(self._host.get("modes", {}).get(str(path), "600"), 8)

    def free_bytes(self, path: str | Path) -> int | None:
        return int(self._host["free_gib"] * 2**30)

    def processor(self) -> str:
        return str(self._host["processor"])

    def now_s(self) -> float:
        return float(self._host["now"].timestamp())

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Reply | None:
        reply = _longest_prefix(self._host["urls"], url)
        return Reply(**reply) if reply else None

    def _run(self, argv: tuple[str, ...], timeout_s: float) -> Ran:
        said = _longest_prefix(self._host["commands"], " ".join(argv))
        if said is None or said == "missing":
            return Ran(None, missing=True)
        if said == "hangs":
            return Ran(None)
        return Ran(0, said) if isinstance(said, str) else Ran(**{"status": 0, **said})


def _longest_prefix(table: Mapping[str, Any], text: str) -> Any:
    fitting = [key for key in table if text == key or text.startswith((f"{key} ", f"{key}/"))]
    return table[max(fitting, key=len)] if fitting else None
