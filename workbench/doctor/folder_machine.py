"""
A machine in a folder: what another one answered, in ``machine.toml``.

``tests/data/hosts/README.md`` says what stands there. ``workbench report --capture`` writes one.
"""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .checks import CHECKS
from .checks.base import HostCheck
from .host import HostReport, examine
from .machine import Machine, Owner, Ran, Reply, Streamed

HOME = Path("/home/me/workbench")

TABLES = ("files", "commands", "urls", "streams", "owners", "variables", "free_bytes", "modes")

FILE = "machine.toml"

DEEPEST = 5
"""Machines that are laid one over the other."""


def described(folder: Path, *, above: int = 0) -> dict[str, Any]:
    """
    Read a machine, laid over the one that it is like.

    Raises:
        ConfigError: There is none, or it cannot be read.
    """
    own = _read(folder)
    if "like" in own and above > DEEPEST:
        raise _no_machine(folder, "it is like one that is like it")
    under = described(folder.parent / own["like"], above=above + 1) if "like" in own else {}
    merged = {**under, **own}
    for table in TABLES:
        merged[table] = {**under.get(table, {}), **own.get(table, {})}
    for path in own.get("gone", ()):
        merged["files"].pop(path, None)
    return merged


def _read(folder: Path) -> dict[str, Any]:
    try:
        own = tomllib.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise _no_machine(folder, str(exc)) from exc
    for name in TABLES:
        if not isinstance(own.get(name, {}), dict):
            raise _no_machine(folder, f"{name} is no table")
    texts = [
        own.get("like", ""),
        *own.get("files", {}).values(),
        *own.get("variables", {}).values(),
    ]
    for name in ("gone", "folders", "denied"):
        listed = own.get(name, [])
        if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
            raise _no_machine(folder, f"{name} is no list of texts")
    if not all(isinstance(text, str) for text in texts):
        raise _no_machine(folder, "like, files and variables are text")
    return own


def _no_machine(folder: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{folder / FILE} cannot be read as a machine: {why}",
        hint="Make one: workbench report --capture FOLDER",
        key="machine",
        source=str(folder / FILE),
    )


def examine_folder(folder: Path, *, checks: Sequence[HostCheck] = CHECKS) -> HostReport:
    """Run the checks on the machine in a folder."""
    with tempfile.TemporaryDirectory(prefix="wb-machine-") as root:
        return examine(FolderMachine(folder, Path(root)), checks=checks)


class FolderMachine(Machine):
    """
    Args:
        root: An empty folder, into which the machine's files are laid.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self._host = described(folder)
        for path, text in self._host["files"].items():
            file = _below(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
        for path in self._host.get("folders", ()):
            _below(root, path).mkdir(parents=True, exist_ok=True)
        variables = {"HOME": str(HOME.parent), **self._host["variables"]}
        # The folder may be a stranger's: no program is looked for where it says.
        variables.pop("PATH", None)
        super().__init__(HOME, variables, root)

    def may_use(self, path: str | Path) -> bool:
        """Whether it is not among those that are denied."""
        return str(path) not in self._host.get("denied", ())

    def mode(self, path: str | Path) -> int | None:
        """Return what is written; 600 if nothing is."""
        return int(self._host["modes"].get(str(path), "600"), 8)

    def free_bytes(self, path: str | Path) -> int | None:
        """Return what is written of the folder, or of all."""
        free: int | None = self._host["free_bytes"].get(str(path))
        if free is None and "free_gib" in self._host:
            return int(float(self._host["free_gib"]) * 2**30)
        return free

    def processor(self) -> str:
        """Return what is written."""
        return str(self._host.get("processor", "x86_64"))

    def now_s(self) -> float:
        """Return what is written."""
        return float(self._host["now"].timestamp())

    def owner_of(self, inode: str) -> Owner | None:
        """Return what is written of a socket."""
        owner = self._host["owners"].get(inode)
        return Owner(**owner) if owner else None

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Reply | None:
        """Return what is written of the URL, asked with a key or without, or of one above it."""
        keyed = f"key {url}" if headers and "Authorization" in headers else ""
        reply = self._host["urls"].get(keyed) or _longest_prefix(self._host["urls"], url)
        return Reply(**reply) if reply and reply != "none" else None

    def stream(
        self, url: str, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> Streamed | None:
        """Return what is written."""
        found = self._host["streams"].get(url)
        return Streamed(found["status"], tuple(found.get("at_s", ()))) if found else None

    def _run(self, argv: tuple[str, ...], timeout_s: float) -> Ran:
        said = _longest_prefix(self._host["commands"], " ".join(argv))
        if said is None or said == "missing":
            return Ran(None, missing=True)
        if said == "hangs":
            return Ran(None)
        return Ran(0, said) if isinstance(said, str) else Ran(**{"status": 0, **said})


def _below(root: Path, path: str) -> Path:
    """Say where a file is laid; a stranger's folder writes nowhere else."""
    if ".." in Path(path).parts or "\0" in path:
        raise ConfigError(
            f"No machine has a file {path!r}.",
            hint="Nothing of this folder was used. Ask whoever made it for another one.",
            key="machine",
            source=FILE,
        )
    return root / path.lstrip("/")


def _longest_prefix(table: Mapping[str, Any], text: str) -> Any:
    fitting = [key for key in table if text == key or text.startswith((f"{key} ", f"{key}/"))]
    return table[max(fitting, key=len)] if fitting else None
