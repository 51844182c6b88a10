"""
A model from the hub into a plain folder below ``models/``, which vLLM serves as it stands.

A folder is a model when it has a ``config.json``: that is what the catalogue looks for. All
that comes lies in ``.parts/`` until it is whole and checked. Only then are the files moved to
their places, ``config.json`` last; where another revision is replaced, the old one's goes
first. So a fetch may be killed at any moment, and what it leaves is no model or a whole one.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeGuard

from .. import units
from ..errors import FetchError, FetchInterruptedError, FolderRefusedError, NotEnoughDiskError
from ..filelock import only_one
from ..hubfiles import is_weights
from ..records import Progress
from . import disk, record
from .api import Hub
from .download import PARTS, Part, damaged, download, stored
from .facts import CONFIG, HubFile, ModelFacts, check_name, listed, offline_error, read_config
from .meter import Meter
from .record import Fetched, StoredFile

LOCK = ".fetch.lock"
MOUNTS = Path("/proc/mounts")

OnProgress = Callable[[Progress], None]


def fetch(
    repo: str,
    *,
    into: Path,
    revision: str | None = None,
    token: str | None = None,
    endpoint: str,
    offline: bool = False,
    verify: bool = False,
    mounts: str | None = None,
    on_progress: OnProgress = lambda _progress: None,
) -> Fetched:
    """
    Have *repo* in the folder *into*, whole and checked; go on where an earlier fetch ended.

    Revisions are pinned: without one, what is here or half-way here keeps its commit,
    and only a first fetch takes ``main``. A model that is wholly here is returned without
    asking anybody.

    Args:
        revision: A branch, a tag or a commit.

        verify: Read every file that is here; otherwise one whose size and time are as they
            were left is trusted.

        mounts: Instead of ``/proc/mounts``.

    Raises:
        FetchError: errors.py has its kinds. What came is kept.

        ConfigError: *repo* is no name of a model on a hub.
    """
    check_name(repo)
    disk.check_place(into, MOUNTS.read_text() if mounts is None else mounts, repo=repo)
    known = _own(into, repo)
    if _is_asked_for(known, revision, verify=verify):
        return known
    if offline:
        return _without_hub(known, repo, revision, verify=verify)
    hub = Hub(repo=repo, endpoint=endpoint, token=token)
    found = _servable(hub, revision or (known.commit if known else None))
    with _alone(into, repo, on_progress):
        known = _own(into, repo)  # whoever was waited for may have fetched it
        if _is_asked_for(known, revision, verify=verify):
            return known
        asked = revision or (known.revision if known else "main")
        return _Work(hub, found, into, asked, known, Meter(found.size_bytes, on_progress)).run(
            trusting=not verify
        )


def _is_asked_for(
    known: Fetched | None, revision: str | None, *, verify: bool
) -> TypeGuard[Fetched]:
    """Tell whether what is here needs nothing: a branch may be another commit by now."""
    return known is not None and not verify and revision in (None, known.commit) and known.is_whole


def _without_hub(
    known: Fetched | None, repo: str, revision: str | None, *, verify: bool
) -> Fetched:
    """
    Return what is here, if it is whole.

    Raises:
        HubOfflineError: Something would have to be fetched; it says what.
    """
    if known is None:
        raise offline_error(repo, f"the model {repo}")
    if revision not in (None, known.commit, known.revision):
        raise offline_error(repo, f"revision {revision!r} of {repo}")
    missing = damaged(known) if verify else known.missing
    if missing or known.fetched_at is None:
        size = units.size(sum(file.size_bytes for file in missing))
        names = ", ".join(file.name for file in missing)
        raise offline_error(repo, f"{size} of {repo} ({names})")
    return known


def _servable(hub: Hub, revision: str | None) -> ModelFacts:
    """
    Ask what there is to fetch, before a folder is made for it.

    Raises:
        FetchError: Nothing that vLLM could serve, or nothing that is given to this token.
    """
    found = listed(hub, revision)
    names = [file.name for file in found.files]
    if CONFIG not in names or not any(map(is_weights, names)):
        raise FetchError(
            f"{hub.repo} has no {CONFIG} with weights beside it; vLLM cannot serve it from a "
            "folder.",
            hint="GGUF and diffusion repositories are of this kind; look for the model's own "
            f"repository. Its files: {hub.page}/tree/main",
            repo=hub.repo,
        )
    return read_config(hub, found)


def _own(folder: Path, repo: str) -> Fetched | None:
    """
    Read what an earlier fetch of this model left.

    Raises:
        FolderRefusedError: What lies there is somebody else's.
    """
    known = record.read(folder)
    if known is None and (not folder.exists() or _is_empty(folder)):
        return None
    if known is None or known.repo != repo:
        what = f"holds {known.repo}" if known else f"was not fetched from {repo}"
        raise FolderRefusedError(
            f"{folder} is there, and {what}; nothing in it was touched.",
            hint=f"Move it away, or serve what it is: workbench up --model {folder.name}",
            repo=repo,
            path=folder,
        )
    return known


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and all(path.name == LOCK for path in folder.iterdir())


@contextmanager
def _alone(folder: Path, repo: str, on_progress: OnProgress) -> Iterator[None]:
    """Be the only fetch into this folder; whoever comes second waits."""

    def on_wait() -> None:
        label = "waiting for another fetch of the same model"
        on_progress(Progress(label=label, done=0, total=None, unit="bytes"))

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with only_one(folder / LOCK, on_wait=on_wait):
            yield
    except OSError as exc:
        raise _translated(exc, folder, repo) from exc


def _translated(exc: OSError, folder: Path, repo: str) -> Exception:
    if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
        return FolderRefusedError(
            f"{folder} cannot be written: {exc.strerror}.",
            hint="Give yourself the right to, or name another project folder: WORKBENCH_HOME.",
            repo=repo,
            path=folder,
        )
    return exc


@dataclass
class _Work:
    """One fetch: what the hub has, what is here, and the way from one to the other."""

    hub: Hub
    found: ModelFacts
    folder: Path
    asked: str
    known: Fetched | None
    meter: Meter

    def run(self, *, trusting: bool) -> Fetched:
        """Bring what is missing, then put all in its place."""
        try:
            here = self._here(trusting=trusting)
            missing = [file for file in self.found.files if file.name not in here]
            mended = [file.name for file in missing if (self.folder / file.name).exists()]
            parts = self._come(missing)
            return self._settle(here, parts, mended)
        except KeyboardInterrupt:
            raise self._interrupted() from None
        except OSError as exc:
            if exc.errno != errno.ENOSPC:
                raise
            raise self._no_room() from exc

    def _here(self, *, trusting: bool) -> dict[str, StoredFile]:
        """Find the files that need not come, and count them as done."""
        here = {}
        for file in self.found.files:
            known = self.known.file(file) if self.known else None
            if known is None or not trusting or not known.is_untouched(self.folder):
                known = self._checked(file)
            if known:
                here[file.name] = known
                self.meter.here(file.size_bytes)
        return here

    def _checked(self, file: HubFile) -> StoredFile | None:
        if not (self.folder / file.name).exists():
            return None
        self.meter.begin("checking what is here", file.size_bytes)
        return stored(self.folder, file)

    def _come(self, missing: Sequence[HubFile]) -> list[Part]:
        """Fetch what is missing, the small files first."""
        here_bytes = sum(Part(self.folder, file).size_bytes for file in missing)
        needed_bytes = sum(file.size_bytes for file in missing) - here_bytes
        disk.check_room(self.folder, needed_bytes, repo=self.hub.repo)
        if self.known is None or self.known.fetched_at is None:
            # Whose folder this is, and at which commit a second try goes on.
            record.write(self._record({}))
        return [
            download(self.hub, self.found.commit, file, self.folder, self.meter)
            for file in sorted(missing, key=lambda file: (is_weights(file.name), file.name))
        ]

    def _settle(
        self, here: dict[str, StoredFile], parts: Sequence[Part], mended: Sequence[str]
    ) -> Fetched:
        """Move all to their places, which is a matter of milliseconds."""
        if parts:
            self._be_no_model_for_now(here)
        for part in sorted(parts, key=lambda part: part.name == CONFIG):
            here[part.name] = part.place(self.folder)
        if parts and CONFIG not in {part.name for part in parts}:
            (self.folder / PARTS / CONFIG).replace(self.folder / CONFIG)
        whole = replace(
            self._record(here),
            fetched_at=datetime.now(UTC),
            come_bytes=self.meter.come_bytes,
            mended=tuple(mended) if self._is_same_commit else (),
        )
        record.write(whole)
        shutil.rmtree(self.folder / PARTS, ignore_errors=True)
        return whole

    @property
    def _is_same_commit(self) -> bool:
        return self.known is not None and self.known.commit == self.found.commit

    def _be_no_model_for_now(self, here: Mapping[str, StoredFile]) -> None:
        """Take the configuration away, and what only the earlier revision had."""
        if (self.folder / CONFIG).exists():
            (self.folder / CONFIG).replace(self.folder / PARTS / CONFIG)
        record.write(self._record(here))
        names = {file.name for file in self.found.files}
        for file in self.known.files if self.known else ():
            if file.name not in names:  # vLLM would load it too
                (self.folder / file.name).unlink(missing_ok=True)

    def _record(self, here: Mapping[str, StoredFile]) -> Fetched:
        return Fetched(
            repo=self.hub.repo,
            folder=self.folder,
            revision=self.asked,
            commit=self.found.commit,
            files=tuple(
                here.get(file.name)
                or StoredFile(name=file.name, size_bytes=file.size_bytes, key=file.key)
                for file in self.found.files
            ),
        )

    def _interrupted(self) -> FetchInterruptedError:
        done, total = self.meter.done_bytes, self.meter.total_bytes
        return FetchInterruptedError(
            f"Interrupted with {units.size(done)} of {units.size(total)} of {self.hub.repo} here.",
            hint="It is kept; the same command goes on from there.",
            repo=self.hub.repo,
            done_bytes=done,
            total_bytes=total,
        )

    def _no_room(self) -> NotEnoughDiskError:
        missing = self.meter.total_bytes - self.meter.done_bytes
        free = shutil.disk_usage(self.folder).free
        return disk.no_room(self.folder, missing, free, repo=self.hub.repo)
