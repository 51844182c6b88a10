"""
The machine that is looked at: the one place where the checks read files, run commands and ask URLs,
and where what can be mended is written.

What cannot be had is ``None``, never an exception: that a file is missing is what a check is about.
A folder can stand in for a machine (``tests/doctor/folder_machine.py``).
"""

from __future__ import annotations

import codecs
import http.client
import json
import os
import platform
import selectors
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..urls import is_loopback

COMMAND_S = 2.0
"""A command that answers at all does so in a tenth of this."""

ANSWER_S = 1.5
"""For a URL; a hub far away needs half a second."""

STREAM_S = 2.0
"""For an answer that streams."""

LARGEST_CHARS = 4_000_000
"""Of a file or an answer. The largest that is read is dpkg's list of packages."""


UNREADABLE = (OSError, ValueError)
"""What looking at a path may end with; a name with a zero byte in it is a ValueError."""


@dataclass(frozen=True, slots=True)
class Ran:
    """
    What a command came to.

    Args:
        status: Its exit status; ``None`` if it did not end in time, or is not there.

        missing: There is no such program.
    """

    status: int | None
    out: str = ""
    err: str = ""
    missing: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.status == 0

    @property
    def hung(self) -> bool:
        """Whether it was ended because it took too long."""
        return self.status is None and not self.missing

    @property
    def said(self) -> str:
        """All that it wrote."""
        return f"{self.out}\n{self.err}".strip()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a URL answered; *date* is the clock of who answered."""

    status: int
    body: str = ""
    date: str | None = None


@dataclass(frozen=True, slots=True)
class Streamed:
    """
    How a streamed answer came in.

    Args:
        at_s: When each piece came, after the request was sent.
    """

    status: int
    at_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose socket it is."""

    pid: int
    name: str


@dataclass
class _Once:
    """An answer that several checks want and that is asked for once."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    ran: Ran | None = None


class Machine:
    """
    This machine.

    Args:
        home: The project folder.

        environ: The environment, over ``.env``, kept as *variables*. On its ``PATH`` commands are
            looked for.

        root: Where the files are; paths are given from ``/``.
    """

    def __init__(self, home: Path, environ: Mapping[str, str], root: Path = Path("/")) -> None:
        self.home = home
        self.variables = dict(environ)
        self.root = root
        self._running: set[subprocess.Popen[bytes]] = set()
        self._asked: dict[tuple[str, ...], _Once] = {}
        self._lock = threading.Lock()

    def at(self, path: str | Path) -> Path:
        """Return where a path of the machine is."""
        return self.root / str(path).lstrip("/")

    def read(self, path: str | Path) -> str | None:
        """Return a file's text, with its line ends as they are; ``None`` if it cannot be read."""
        try:
            with self.at(path).open(encoding="utf-8", errors="replace", newline="") as file:
                return file.read(LARGEST_CHARS)
        except UNREADABLE:
            return None

    def exists(self, path: str | Path) -> bool:
        """Whether there is such a file, folder or device."""
        try:
            return self.at(path).exists()
        except UNREADABLE:
            return False

    def is_folder(self, path: str | Path) -> bool:
        """Whether it is a folder."""
        try:
            return self.at(path).is_dir()
        except UNREADABLE:
            return False

    def is_in_the_way(self, path: str | Path) -> bool:
        """Whether something is there that is no folder; a link may lead nowhere."""
        try:
            found = self.at(path)
            return not found.is_dir() and (found.exists() or found.is_symlink())
        except UNREADABLE:
            return False

    def glob(self, pattern: str) -> tuple[str, ...]:
        """List the paths that match, in order."""
        try:
            found = sorted(self.root.glob(pattern.lstrip("/")))
        except UNREADABLE:
            return ()
        return tuple(f"/{path.relative_to(self.root)}" for path in found)

    def mode(self, path: str | Path) -> int | None:
        """Return who may do what with a file, as ``chmod`` has it."""
        try:
            return self.at(path).stat().st_mode & 0o777
        except UNREADABLE:
            return None

    def may_use(self, path: str | Path) -> bool:
        """Whether this user may read and write it."""
        try:
            return os.access(self.at(path), os.R_OK | os.W_OK)
        except ValueError:
            return False

    def set_mode(self, path: str | Path, mode: int) -> None:
        """Say who may do what with a file."""
        self.at(path).chmod(mode)

    def make_folder(self, path: str | Path) -> None:
        """Make a folder, and those above it."""
        self.at(path).mkdir(parents=True, exist_ok=True)

    def replace_in(self, path: str | Path, old: bytes, new: bytes) -> None:
        """Replace bytes in a file, wholly or not at all; owner, mode and links to it stay."""
        file = self.at(path).resolve()
        was = file.stat()
        beside = file.with_name(f".{file.name}.new")
        try:
            beside.touch(0o600)
            beside.write_bytes(file.read_bytes().replace(old, new))
            os.chown(beside, was.st_uid, was.st_gid)
            beside.chmod(was.st_mode)
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)  # it may hold a key, and somebody may have refused

    def free_bytes(self, path: str | Path) -> int | None:
        """Return the room on the disk of a folder, or of the nearest one above it that is there."""
        folder = self.at(path)
        try:
            while not folder.exists() and folder != folder.parent:
                folder = folder.parent
            return shutil.disk_usage(folder).free
        except UNREADABLE:
            return None

    def processor(self) -> str:
        """Return the architecture: ``x86_64``, ``aarch64``."""
        return platform.machine()

    def now_s(self) -> float:
        """Return the clock."""
        return time.time()

    def run(self, *argv: str, timeout_s: float = COMMAND_S) -> Ran:
        """Run a command that only looks; the same one is run once, whoever asks."""
        with self._lock:
            once = self._asked.setdefault(argv, _Once())
        with once.lock:
            if once.ran is None:
                once.ran = self._run(argv, timeout_s)
            return once.ran

    def owner_of(self, inode: str) -> Owner | None:
        """Find the process that has a socket; ``None`` if it is another user's, or gone."""
        wanted = f"socket:[{inode}]"
        for process in self.at("/proc").glob("[0-9]*"):
            try:
                if any(str(held.readlink()) == wanted for held in process.glob("fd/*")):
                    return Owner(int(process.name), (process / "comm").read_text().strip())
            except OSError:  # it ended, or it is not ours to look into
                continue
        return None

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Reply | None:
        """Ask a URL; ``None`` if nothing answers in time."""
        if not url.startswith(("http://", "https://")):
            return None
        try:
            request = urllib.request.Request(url, headers=dict(headers or {}))
            with _opener(url).open(request, timeout=ANSWER_S) as reply:
                return Reply(reply.status, _text(reply.read(LARGEST_CHARS)), reply.headers["Date"])
        except urllib.error.HTTPError as exc:
            return Reply(exc.code, "", exc.headers["Date"])
        except (OSError, ValueError, http.client.HTTPException):
            return None

    def stream(
        self, url: str, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> Streamed | None:
        """POST JSON, and note when the pieces of the answer come; ``None`` if none does in time."""
        content = json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        began_s = time.monotonic()
        at_s: list[float] = []
        try:
            request = urllib.request.Request(url, data=content, headers=sent)
            with _opener(url).open(request, timeout=ANSWER_S) as reply:
                while reply.read1() and time.monotonic() - began_s < STREAM_S:
                    at_s.append(time.monotonic() - began_s)
                return Streamed(reply.status, tuple(at_s))
        except urllib.error.HTTPError as exc:
            return Streamed(exc.code)
        except (OSError, ValueError, http.client.HTTPException):
            return None

    def end_commands(self) -> None:
        """End what still runs: nobody waits for it any more."""
        for child in tuple(self._running):
            _kill(child)

    def _run(self, argv: tuple[str, ...], timeout_s: float) -> Ran:
        program = shutil.which(argv[0], path=self.variables.get("PATH", os.defpath))
        if program is None:
            return Ran(None, missing=True)
        try:
            child = subprocess.Popen(
                [program, *argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C"},
                start_new_session=True,
            )
        except OSError as exc:
            return Ran(126, err=str(exc))
        self._running.add(child)
        try:
            return _ended(child, timeout_s)
        finally:
            self._running.discard(child)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follow nowhere: a key in a header is for the address that was named."""

    def redirect_request(self, *_asked: object, **_more: object) -> None:
        """Take the redirection itself for the answer."""


def _opener(url: str) -> urllib.request.OpenerDirector:
    # A proxy would look for this machine's address on its own.
    proxies = urllib.request.ProxyHandler({} if is_loopback(url) else None)
    return urllib.request.build_opener(proxies, _Stay)


def _text(content: bytes) -> str:
    """
    Read what a program wrote. Programs of Windows write UTF-16, with or without its mark: then
    every second byte of plain text is zero.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    if b"\0" in content[1:200:2] and content[1:200:2].count(0) > len(content[1:200:2]) // 2:
        return content.decode("utf-16-le", "replace")
    return content.decode("utf-8-sig", "replace")


def _ended(child: subprocess.Popen[bytes], timeout_s: float) -> Ran:
    """Read what it says until it ends, takes too long, or says more than anybody would read."""
    deadline_s = time.monotonic() + timeout_s
    said = {child.stdout: bytearray(), child.stderr: bytearray()}
    with child, selectors.DefaultSelector() as waiting:
        for pipe in said:
            waiting.register(pipe, selectors.EVENT_READ)  # type: ignore[arg-type]  # it is a pipe
        while waiting.get_map():
            ready = waiting.select(max(0.0, deadline_s - time.monotonic()))
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                said[key.fileobj] += piece  # type: ignore[index]
                if not piece:
                    waiting.unregister(key.fileobj)
            if not ready or max(map(len, said.values())) > LARGEST_CHARS:
                _kill(child)
                return Ran(None)
        try:
            child.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:  # it closed its output, and goes on
            _kill(child)
            return Ran(None)
    out, err = (_text(bytes(piece)) for piece in said.values())
    return Ran(child.returncode, out, err)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End it with its children: they hold the pipes too."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
