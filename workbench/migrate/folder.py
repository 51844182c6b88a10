"""
An application's files: read, and written back where a change is certain.
"""

from __future__ import annotations

import io
import re
import shutil
import tokenize
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from ..errors import ConfigError
from ..legacy import READERS, Place, Reading, is_read, read, shared_models
from ..legacy.places import State
from ..records import Progress
from .checklist import Item, checklist

BACKUP = ".migrate-backup"
"""Below the folder: files as they were before the first change. Never written twice."""

ADAPTERS = {
    "llm_client.py": ("class LLM", "SERVER", "MODEL"),
    "llm_langchain.py": ("def chat_model", "def completion_model"),
    "llmClient.ts": ("llmClient", "llmModel"),
}
"""What applications get, and what code asks of each."""

_SKIPPED = {"node_modules", "site-packages", "venv", "env", "build", "dist", "__pycache__"}

MAX_FILE_BYTES = 8 * 2**20
"""What is larger was written by a machine; but for notebooks, which have pictures in them."""


MANY = 200
"""Files that take so long that somebody wants to know how far it is."""

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRead:
    """
    A file, as it is and as it would be.

    Args:
        error: Why it could not be read.

        encoding: Of its bytes; Python's may say another one than UTF-8 in their first lines.
    """

    path: Path
    text: str
    reading: Reading
    error: str | None = None
    encoding: str = "utf-8"

    @property
    def changes(self) -> bool:
        """Whether there is something to write."""
        return self.reading.text != self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """
    What was found in a file or folder.

    Args:
        path: What was asked for.

        root: The folder that backups are kept below.

        written: Files that were changed or added.
    """

    path: Path
    root: Path
    files: tuple[FileRead, ...]
    written: tuple[Path, ...] = ()

    @property
    def places(self) -> tuple[tuple[Path, Place], ...]:
        """Every place, with its file."""
        return tuple((file.path, place) for file in self.files for place in file.reading.places)

    @property
    def left(self) -> tuple[tuple[Path, Place], ...]:
        """The places that are not moved yet."""
        return tuple(each for each in self.places if each[1].state is not State.MOVED)

    @property
    def unread(self) -> tuple[FileRead, ...]:
        """Files that could not be read."""
        return tuple(file for file in self.files if file.error)

    @property
    def checklist(self) -> tuple[Item, ...]:
        """The points of the checklist."""
        return checklist(place for _path, place in self.places)


def examine(path: Path, on_progress: OnProgress | None = None) -> Migration:
    """
    Read a file, or every file of a folder.

    Hidden folders, environments, ``node_modules`` and the like are left out.

    Raises:
        ConfigError: It is not there, or no file that can be read.
    """
    if not path.exists() or (path.is_file() and not is_read(path)):
        raise ConfigError(
            f"There is nothing to read at {path}.",
            hint=f"Name a folder, or a file that ends in {', '.join(READERS)}; or a Dockerfile, a "
            "compose file, requirements.txt and the like.",
            key="path",
            source="argument",
        )
    paths = [path] if path.is_file() else sorted(_files(path))
    files = _read_all(paths, on_progress)
    return Migration(path=path, root=path if path.is_dir() else path.parent, files=files)


def _files(folder: Path) -> Iterator[Path]:
    try:
        inside = list(folder.iterdir())
    except OSError:
        yield folder  # which is then named among what could not be read
        return
    for path in inside:
        if path.is_symlink() or path.name.startswith(".") or path.name in _SKIPPED:
            continue
        if path.is_dir():
            # An environment has any name, and this file in it.
            if not (path / "pyvenv.cfg").exists():
                yield from _files(path)
        elif is_read(path) and not _is_adapter(path) and _is_small(path):
            yield path


def _is_adapter(path: Path) -> bool:
    """Tell whether a file is an adapter, changed or not, and not the application's own."""
    if path.name not in ADAPTERS:
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    return all(word in text for word in ADAPTERS[path.name])


def _is_small(path: Path) -> bool:
    return path.suffix == ".ipynb" or path.stat().st_size <= MAX_FILE_BYTES


def _read_all(paths: Sequence[Path], on_progress: OnProgress | None = None) -> tuple[FileRead, ...]:
    """Read files that may use each other's models."""
    shared: dict[str, str] = {}
    for path in _told("looking", paths, on_progress):
        shared |= shared_models(path, _glance(path))
    return tuple(_read(path, shared) for path in _told("reading", paths, on_progress))


def _glance(path: Path) -> str:
    """Read a file for what is in plain letters; if that fails, its reading says why."""
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return ""


def _told(label: str, paths: Sequence[Path], on_progress: OnProgress | None) -> Iterator[Path]:
    total = len(paths)
    tell = on_progress if total > MANY else None
    for done, path in enumerate(paths):
        if tell:
            tell(Progress(label=label, done=done, total=total, unit="files"))
        yield path
    if tell:
        tell(Progress(label=label, done=total, total=total, unit="files"))


def _read(path: Path, shared: Mapping[str, str]) -> FileRead:
    text, encoding = "", "utf-8"
    try:
        text, encoding = _decoded(path)
        reading = _with_its_line_ends(path, text, shared)
        return FileRead(path=path, text=text, reading=reading, encoding=encoding)
    except Exception as exc:
        # Whatever a parser says of a file that is none must not hide the others.
        reason = f"{type(exc).__name__}: {exc}".splitlines()[0]
        return FileRead(path=path, text=text, reading=Reading(text=text), error=reason)


DOTS = "…"


def _decoded(path: Path) -> tuple[str, str]:
    """Read a file as text: Python's by the encoding that it says."""
    if path.is_dir():
        raise PermissionError("this folder cannot be listed")
    data = path.read_bytes()
    if path.suffix != ".py" or data.startswith(_BOM.encode()):
        return data.decode("utf-8"), "utf-8"
    encoding, _lines = tokenize.detect_encoding(io.BytesIO(data).readline)
    text = data.decode(encoding)
    if _dots(encoding) != DOTS:
        # Comments that were written are to be known again.
        text = _COMMENT.sub(lambda found: found[0].replace(_dots(encoding), DOTS), text)
    return text, encoding


_COMMENT = re.compile(r"^[ \t]*#.*", re.MULTILINE)


def _dots(encoding: str) -> str:
    """Return how an encoding writes what is left out."""
    try:
        DOTS.encode(encoding)
    except UnicodeEncodeError:
        return "..."
    return DOTS


def _with_its_line_ends(path: Path, text: str, shared: Mapping[str, str]) -> Reading:
    bare = text.removeprefix(_BOM)
    plain = bare.replace("\r\n", "\n")
    reading = read(path, plain, shared)
    if reading.text == plain:
        return replace(reading, text=text)
    begin, end = text[: len(text) - len(bare)], "\r\n" if "\r\n" in text else "\n"
    return replace(reading, text=begin + reading.text.replace("\n", end))


_BOM = "\ufeff"


def write(migration: Migration) -> Migration:
    """
    Write what is certain, and comments where a person must decide; then read again.

    Each file is kept as it was in :data:`BACKUP` before its first change. A
    second call changes nothing.

    Raises:
        ConfigError: The application has a module of an adapter's name, or a file cannot be
            written.
    """
    written: list[Path] = []
    _refuse_others(migration)
    for file in migration.files:
        try:
            written += _write_one(file, migration.root)
        except OSError as exc:
            raise ConfigError(
                f"{file.path} cannot be written: {exc.strerror or exc}. {len(written)} files are.",
                hint="What is written is whole, and the old files are in .migrate-backup. When it "
                "can be written: the same command again.",
                key="path",
                source="argument",
            ) from exc
    again = _read_all([file.path for file in migration.files])
    return replace(migration, files=again, written=tuple(written))


def _write_one(file: FileRead, root: Path) -> list[Path]:
    # First: whoever is stopped in between has a file that runs, and not one without its import.
    written = [path for name in file.reading.adapters for path in _add_adapter(name, file.path)]
    if not file.changes:
        return written
    _keep(file.path, root)
    _replace(file.path, file.reading.text, file.encoding)
    return [*written, file.path]


def _refuse_others(migration: Migration) -> None:
    """Refuse before anything is written, if what is imported then would be another module."""
    wanted = {
        _import_root(file.path) / name for file in migration.files for name in file.reading.adapters
    }
    for path in sorted(wanted):
        if path.exists() and not _is_adapter(path):
            raise ConfigError(
                f"{path} is the application's own, and what would be written imports that name.",
                hint="Give it another name, and what imports it. Then again.",
                key="path",
                source="argument",
            )


def _keep(path: Path, root: Path) -> None:
    # Whoever moved the file alone, or its folder, has it there.
    kept = (folder / BACKUP / path.relative_to(folder) for folder in path.parents)
    backup = root / BACKUP / path.relative_to(root)
    if not any(each.exists() for each in kept):
        backup.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: half a copy would be taken for the file as it was.
        fresh = backup.with_name(f".{backup.name}.migrate")
        shutil.copy2(path, fresh)
        fresh.replace(backup)


def _replace(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Write the file beside itself first, so that a full disk leaves the old one; a link stays."""
    path = path.resolve()
    fresh = path.with_name(f".{path.name}.migrate")
    fresh.write_bytes(text.replace(DOTS, _dots(encoding)).encode(encoding))
    if path.exists():
        shutil.copymode(path, fresh)
    fresh.replace(path)


def _add_adapter(name: str, user: Path) -> list[Path]:
    """Put an adapter where the file's imports find it; one that is there stays as it is."""
    target = _import_root(user) / name
    if target.exists():
        return []
    source = resources.files(__package__).joinpath("adapters", name)
    _replace(target, source.read_text(encoding="utf-8"))
    return [target]


def _import_root(path: Path) -> Path:
    """Return the folder that ``import`` looks in: the first above that is no package."""
    # A script that is run by a link imports from where it really is.
    folder = (path.resolve() if path.is_symlink() else path).parent
    while (folder / "__init__.py").exists() and folder.parent != folder:
        folder = folder.parent
    return folder
