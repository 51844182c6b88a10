"""
TypeScript against a server: a file, or a notebook's cell, run by Node.

Everything that a program may import lies in ``notebooks/typescript``; ``make
setup`` installs it there. The program learns of the server by its environment
alone: a command line is shown by ``ps`` to everybody on the machine.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, TYPE_CHECKING

from .errors import MissingDependencyError, TypeScriptError
from .urls import is_loopback

if TYPE_CHECKING:
    from .session import Session

FOLDER = Path("notebooks", "typescript")
"""Below the project's home."""

OLDEST_NODE = 20
"""The oldest that the folder's files were run with; older ones lack ``--import``."""

# vLLM without --api-key takes any; the SDK insists on one.
NO_KEY = "none"

HIDDEN = "***"
SHORTEST_SECRET = 8
"""Shorter keys are placeholders (EMPTY, none), and hiding "a" would eat the answer."""

STDERR_TAIL_BYTES = 65536
MESSAGE_LINES = 4

HINT_NODE = f"Install Node {OLDEST_NODE} or newer (https://nodejs.org), then: make setup"

# Codes and class names, which stay when the wording changes.
_HINTS = {
    "APIConnectionError": "Is the server up? %wb status tells; `workbench up` starts it.",
    "ERR_MODULE_NOT_FOUND": f"What can be imported is in {FOLDER}: its files, "
    "and the packages that its package.json names.",
}

_ERROR = re.compile(r"[\w.$]*Error\b( \[\w+\])?(:|$)")
_FRAME = re.compile(r"    at .*?([^\s(]+\.m?ts):(\d+):\d+\)?")
_NODES_OWN = re.compile(r"Node\.js v\d|\(Use `node ")


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeScript:
    """
    Programs in one folder, and the server they talk to.

    Args:
        folder: Where ``package.json`` and ``node_modules`` are.

        api_key: If the server asks for one. Should a program print it, it is
            hidden.

        model: The served model name; ``None`` lets the program take the first
            that is served.
    """

    folder: Path
    base_url: str
    api_key: str | None = field(default=None, repr=False)
    model: str | None = None

    def run(self, path: Path | str, *arguments: str) -> Generator[str]:
        """
        Run a file and yield the lines of its output as they come.

        What it writes to stderr comes last, since it is the explanation if it
        fails. A program that is left alone or interrupted is killed, with
        every process that it has started.

        Args:
            path: Below the folder, or absolute.

            arguments: The program's own. They are no place for secrets.

        Raises:
            MissingDependencyError: Node or the packages are not installed.

            TypeScriptError: It ended with another exit status than 0.
        """
        yield from self._lines([self._node(), "--import", "tsx", str(path), *arguments])

    def run_source(self, source: str) -> Generator[str]:
        """
        Run a piece of source as if it were a file of the folder; see :meth:`run`.
        """
        node = self._node()  # before anything is written
        with NamedTemporaryFile(
            "w", dir=self.folder, prefix=".cell-", suffix=".ts", encoding="utf-8"
        ) as cell:
            cell.write(source)
            cell.flush()
            yield from self._lines([node, "--import", "tsx", cell.name])

    def environment(self) -> dict[str, str]:
        """Name the server for OpenAI's SDK and ``server.ts``, on top of what is inherited."""
        told = {
            "OPENAI_BASE_URL": self.base_url,
            # Never the inherited key: it may be OpenAI's, and is nothing for this server.
            "OPENAI_API_KEY": self.api_key or NO_KEY,
            "WORKBENCH_MODEL": self.model or "",
            # Jupyter asks every child for colours, which would be in what is read here.
            "FORCE_COLOR": "0",
            # tsx would keep a copy of every cell in /tmp.
            "TSX_DISABLE_CACHE": "1",
        }
        if is_loopback(self.base_url):
            told["NODE_USE_ENV_PROXY"] = "0"  # a proxy would look on its own machine
        return {**os.environ, **told}

    def _node(self) -> str:
        node = find_node()
        if not (self.folder / "node_modules" / "tsx").is_dir():
            raise MissingDependencyError(
                f"The packages for TypeScript are not installed in {self.folder}.",
                hint="Type `make setup` in the workbench's folder; WORKBENCH_HOME names another.",
                package="tsx",
                key="typescript",
                source=str(self.folder),
            )
        return node

    def _lines(self, command: Sequence[str]) -> Iterator[str]:
        # A file, not a pipe: nobody reads it before the end, and a full pipe would block.
        with TemporaryFile() as stderr:
            with _group(command, self.folder, self.environment(), stderr) as process:
                assert process.stdout is not None  # PIPE
                for line in process.stdout:
                    yield self._hidden(line.rstrip("\n"))
                exit_code = process.wait()
            complaints = self._tail(stderr)
        if exit_code:
            raise _failed(exit_code, complaints)
        yield from complaints

    def _tail(self, stderr: IO[bytes]) -> tuple[str, ...]:
        """Read the end of what it complained of, with names that mean something to a reader."""
        stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - STDERR_TAIL_BYTES))
        text = self._hidden(stderr.read().decode(errors="replace"))
        folder = self.folder.resolve()  # as Node does
        for place in (folder.as_uri(), str(folder), str(self.folder)):
            text = text.replace(f"{place}/", "")
        return tuple(re.sub(r"\.cell-\w+\.ts", "cell.ts", text).splitlines())

    def _hidden(self, text: str) -> str:
        if self.api_key is None or len(self.api_key) < SHORTEST_SECRET:
            return text
        return text.replace(self.api_key, HIDDEN)


def of_session(session: Session) -> TypeScript:
    """Run programs against *session*'s server, and the model that its own client asks."""
    settings = session.settings
    return TypeScript(
        folder=settings.home / FOLDER,
        base_url=session.server.base_url,
        api_key=session.server.api_key,
        # Elsewhere the setting is a folder or a hub name; the server knows what it is served as.
        model=settings.model if settings.backend == "remote" else None,
    )


def find_node() -> str:
    """
    Find a Node that is new enough.

    Raises:
        MissingDependencyError: There is none.
    """
    node = shutil.which("node")
    if node is None:
        raise _no_node("Node is not installed: TypeScript is run by it.")
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)", done.stdout)
    if found is None or int(found[1]) < OLDEST_NODE:
        said = done.stdout.strip() or f"of an unknown version (exit status {done.returncode})"
        raise _no_node(f"Node {OLDEST_NODE} is needed, and {node} is {said}.")
    return node


def _no_node(message: str) -> MissingDependencyError:
    return MissingDependencyError(
        message, hint=HINT_NODE, package="node", key="typescript", source="PATH"
    )


@contextmanager
def _group(
    command: Sequence[str], folder: Path, environment: dict[str, str], stderr: IO[bytes]
) -> Iterator[subprocess.Popen[str]]:
    """Start a process group of its own, and leave none of it behind when it is not waited for."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            # Until it has been waited for, its id is nobody else's, dead or alive.
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)


def _failed(exit_code: int, stderr: Sequence[str]) -> TypeScriptError:
    ended = (
        f"was ended by {signal.Signals(-exit_code).name}"
        if exit_code < 0
        else f"ended with exit status {exit_code}"
    )
    said = "\n".join(decisive_lines(stderr)) or "It wrote nothing to stderr."
    return TypeScriptError(
        f"The TypeScript program {ended}.\n{said}",
        hint=_hint(stderr),
        exit_code=exit_code,
        stderr=tuple(stderr),
    )


def decisive_lines(stderr: Sequence[str]) -> tuple[str, ...]:
    """
    Find the error among what Node writes around it: source line, stack, properties.

    The last one counts, because a program can write errors that it survives.
    """
    starts = [index for index, line in enumerate(stderr) if _ERROR.match(line)]
    if not starts:
        own = [line for line in stderr if line.strip() and not _NODES_OWN.match(line)]
        return tuple(own[-MESSAGE_LINES:])
    message = list(stderr[starts[-1] : starts[-1] + MESSAGE_LINES])
    ends = (index for index, line in enumerate(message) if line.startswith("    at ") or not line)
    return tuple(message[: next(ends, None)])


def _hint(stderr: Sequence[str]) -> str | None:
    """Say where to look: by what went wrong if that is known, else at the reader's own line."""
    for word, hint in _HINTS.items():
        if any(word in line for line in stderr):
            return hint
    frames = (_FRAME.fullmatch(line.removesuffix(" {")) for line in stderr)
    for frame in frames:
        if frame and not frame[1].startswith("node_modules"):
            return f"Look at line {frame[2]} of {frame[1]}."
    return None
