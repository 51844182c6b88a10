"""
Where everything is wired, and where the verbs live.

A session is a server, a client of it and the telemetry between them, made
from one :class:`~workbench.settings.Settings`. Magics, panels and the command
line parse, call one verb here, and show; none of them decides anything.
"""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

from . import settings as settings_module
from .boot import BootOutcome, History, boot
from .catalogue import LocalModel, find_model, looks_like_hub_name, parser_of_family
from .errors import ConfigError
from .records import (
    Generation,
    Outcome,
    Progress,
    SamplingParams,
    ServedModel,
    ServerStatus,
    ToolRun,
)
from .servers.base import Server
from .servers.command import ServeSpec
from .servers.embedded import EmbeddedServer
from .servers.engine import Engine
from .servers.gpu import gpus
from .servers.remote import RemoteServer
from .servers.running import Running
from .settings import (
    COMPOSE_GPU_MEMORY_UTILIZATION,
    COMPOSE_MAX_MODEL_LEN,
    COMPOSE_MODEL,
    EMBEDDED_MAX_MODEL_LEN,
    EMBEDDED_MODEL,
    Settings,
)

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    import pandas as pd

    from .client import Ask, Client, Messages, Stream
    from .conversation import Conversation
    from .planning import Planner
    from .predictions import Prediction
    from .probe import Probe
    from .servers.compose import ComposeServer
    from .servers.variables import Wanted
    from .smoke import SmokeReport
    from .telemetry import Telemetry
    from .vram import Plan

# The client and telemetry are imported where they are first needed: `status`
# and `down` need neither, and have 0.3 s for everything.

DEFAULT_PARAMS = SamplingParams()

COMPOSE_ARGUMENTS = ("image", "port", "max_model_len", "gpu_memory_utilization")
"""Settings that the compose file has a variable for; the model's is made of more than one."""


class PlanFlags(TypedDict, total=False):
    """Flags of vLLM that a plan depends on."""

    max_model_len: int | None
    max_num_batched_tokens: int | None
    max_num_seqs: int | None
    kv_cache_dtype: str
    enforce_eager: bool


def quiet(_progress: Progress) -> None:
    """Show nothing of long work."""


class Session:
    """
    The workbench in Python.

    Args:
        arguments: Any setting by its name, for example ``model="pocket-mini"``
            or ``base_url="http://gpu-box:8000/v1"``; see
            :class:`~workbench.settings.Settings`.

    Raises:
        ConfigError: A setting cannot be read.

    Examples:
        ::

            with Session() as session:
                session.up()
                print(session.chat("What is a KV cache?").text)
    """

    def __init__(self, **arguments: Any) -> None:
        self.settings = settings_module.load(**arguments)
        self.id = uuid.uuid4().hex[:12]
        # Which start of the server is this session's own, if any.
        self._mine: object | None = None
        self._server: Server | None = None
        self._client: Client | None = None
        self._telemetry: Telemetry | None = None

    @property
    def server(self) -> Server:
        """The server of these settings; whether it runs is another question."""
        if self._server is None:
            self._server = _open_server(self.settings)
        return self._server

    @property
    def client(self) -> Client:
        """A client of this session's server; every call it makes is recorded."""
        from .client import Client

        base_url = self.server.base_url
        if self._client is None or self._client.base_url != base_url:
            # A server on "any free port" has another address after a restart.
            self.close_client()
            self._client = Client(
                base_url,
                api_key=self.server.api_key,
                model=_remote_model(self.settings),
                on_outcome=self._record,
            )
        return self._client

    @property
    def telemetry(self) -> Telemetry:
        """What was asked of this folder's servers, by every kernel and shell."""
        if self._telemetry is None:
            from .telemetry import Telemetry

            self._telemetry = Telemetry(
                self.settings.state_dir / "telemetry.db",
                session=self.id,
                user=self.settings.user or _login_name(),
                backend=self.settings.backend,
                base_url=self.server.base_url,
            )
        return self._telemetry

    def up(self, *, on_progress: Callable[[Progress], None] = quiet) -> ServerStatus:
        """
        Make the server ready: install what is missing, start it, wait for a token.

        stopped, failed → installs and starts · starting → waits for it ·
        ready → attaches at once.

        Raises:
            ServerError: It cannot be installed or started, or did not become
                ready; the message names the decisive line of its log.

            ServerUnreachableError: A remote server does not answer.
        """
        self.server.prepare(on_progress)
        return self._boot(on_progress)

    def _boot(self, on_progress: Callable[[Progress], None]) -> ServerStatus:
        history = self._history()
        settings_module.remember_backend(self.settings)
        outcome = boot(
            self.server,
            model=_remote_model(self.settings),
            history=history,
            on_progress=on_progress,
            timeout_s=self.settings.boot_timeout_s,
        )
        if outcome.started:
            self._mine = self.server.instance
            self._remember_memory(outcome)
            return outcome.status
        return replace(outcome.status, detail="it was running already; attached to it")

    def down(self, *, only_mine: bool = False) -> bool:
        """
        Stop the server and every process of it.

        Args:
            only_mine: Do nothing unless this session started it, so that a
                notebook leaves a server running that it found running.

        Returns:
            Whether there was anything to stop.
        """
        if only_mine and not self.is_mine:
            return False
        self.close_client()
        stopped = self.server.stop()
        settings_module.forget_backend(self.settings)
        self._mine = None
        return stopped

    @property
    def is_mine(self) -> bool:
        """Whether this session started the server that runs, and nobody has since."""
        return self._mine is not None and self._mine == self.server.instance

    def restart(self, *, on_progress: Callable[[Progress], None] = quiet) -> ServerStatus:
        """
        Stop the server and start it again; what is not set stays as it runs now.

        What the new one needs is checked and fetched before the old one is touched.
        """
        self.server.prepare(on_progress)
        self.down()
        return self._boot(on_progress)

    def status(self) -> ServerStatus:
        """Look at the server now; a server that is down is a status, not an error."""
        return self.server.status()

    def logs(self, *, follow: bool = False) -> Iterator[str]:
        """Yield the lines of the server's log since its last start."""
        return self.server.log(follow=follow)

    def models(self) -> tuple[ServedModel, ...]:
        """
        Ask the server what it serves.

        Raises:
            ServerUnreachableError: Nothing answers.
        """
        return self.client.models()

    def smoke(self) -> SmokeReport:
        """Ask what runs in each way that code will: Python, TypeScript, curl; compare."""
        from .smoke import smoke
        from .typescript import FOLDER

        return smoke(
            self.server.base_url,
            api_key=self.server.api_key,
            model=_remote_model(self.settings),
            folder=self.settings.home / FOLDER,
        )

    def probe(self, *, on_progress: Callable[[Progress], None] = quiet) -> Probe:
        """
        Ask the server everything that a program may want of it, and keep the verdicts.

        Raises:
            ClientError: It is down, refuses the key, or serves no model.
        """
        from .probe import keep, probe

        server, model = self.server, _remote_model(self.settings)
        found = probe(server.base_url, api_key=server.api_key, model=model, on_progress=on_progress)
        keep(found, self.settings.state_dir / "probes.jsonl")
        return found

    def chat(
        self, messages: Messages, params: SamplingParams = DEFAULT_PARAMS, **ask: Unpack[Ask]
    ) -> Generation:
        """
        Ask, and wait for the whole answer.

        Args:
            messages: A prompt, or the turns so far.

            ask: ``system``, ``tools``, ``output`` …: see
                :class:`~workbench.client.Ask`.

        Raises:
            ClientError: The server did not answer, refused, or broke off.
        """
        return self.client.chat(messages, params, **ask)

    def stream(
        self, messages: Messages, params: SamplingParams = DEFAULT_PARAMS, **ask: Unpack[Ask]
    ) -> Stream:
        """Ask, and iterate over the answer as it comes; see :class:`~workbench.client.Stream`."""
        return self.client.stream(messages, params, **ask)

    def run_tools(
        self,
        messages: Messages,
        functions: Sequence[Callable[..., object]],
        params: SamplingParams = DEFAULT_PARAMS,
        **how: Any,
    ) -> ToolRun:
        """Ask, and run the functions that the model calls; see ``Client.run_tools``."""
        return self.client.run_tools(messages, functions, params, **how)

    def plan(
        self,
        model: str | None = None,
        *,
        gpu: str | None = None,
        vram_gib: float | None = None,
        gpu_memory_utilization: float | None = None,
        vllm_version: str | None = None,
        **flags: Unpack[PlanFlags],
    ) -> Plan:
        """
        Work out whether a model fits, before anything is started.

        Args:
            model: A folder, a ``config.json`` or a hub name; default: the settings'.

            gpu: A card by its name, or ``cpu``; default: this machine's.

            vram_gib: A card by its memory.

            vllm_version: Of the vLLM that is to run; default: 0.25, whose memory was measured.

            flags: ``max_model_len``, ``max_num_batched_tokens``, ``max_num_seqs``,
                ``kv_cache_dtype``, ``enforce_eager``: vLLM's.

        Raises:
            ConfigError: There is no such model or card, or vLLM would refuse the flags.

            PlanError: A fact is missing.
        """
        from .planning import card_here, cpu
        from .vram import Ask, card_of, find_card

        if vram_gib is not None:
            card = card_of(vram_gib)
        elif gpu is not None:
            card = cpu() if gpu.lower() == "cpu" else find_card(gpu)
        else:
            card = card_here(gpus())
        share = gpu_memory_utilization
        if share is None:
            share = self.settings.gpu_memory_utilization or COMPOSE_GPU_MEMORY_UTILIZATION
        name = model or self.settings.model or COMPOSE_MODEL
        ask = Ask(gpu_memory_utilization=share, **flags)
        return self._planner().plan(name, card, ask, version=vllm_version)

    def predictions(self) -> list[Prediction]:
        """Read what was predicted for this folder's boots, and what they said; oldest first."""
        from .predictions import read

        return read(self._planner().history)

    def map(
        self,
        prompts: Iterable[Messages],
        params: SamplingParams = DEFAULT_PARAMS,
        *,
        concurrency: int = 8,
        keep: str | Path | None = None,
        progress: bool = True,
        **ask: Unpack[Ask],
    ) -> pd.DataFrame:
        """
        Ask many prompts, *concurrency* at a time; return a row for each, in their order.

        What fails is a row with ``error_type`` and ``error``. Interrupted or
        killed, the batch goes on where it was if it is called again with the
        same *keep*.

        Args:
            prompts: Texts or conversations.

            keep: A file that answers are written into as they come; those that
                are there are not asked for again.

            progress: Draw a bar.

        Raises:
            ClientError: The first answer says that none would be answered: the
                key or the model is wrong, or nobody is there.
        """
        from .batch import map_prompts

        return map_prompts(
            self.client,
            prompts,
            params,
            concurrency=concurrency,
            keep=keep,
            progress=progress,
            **ask,
        )

    def conversation(
        self, *, system: str | None = None, params: SamplingParams = DEFAULT_PARAMS
    ) -> Conversation:
        """Begin a conversation; see :class:`~workbench.conversation.Conversation`."""
        from .conversation import Conversation

        return Conversation(self, system=system, params=params)

    def take_over(self, other: Session) -> None:
        """Go on where *other* was, with other settings: what it started is this one's now."""
        if isinstance(self.server, EmbeddedServer) and isinstance(other.server, EmbeddedServer):
            self.server.take_over(other.server)
        if self.settings.backend == other.settings.backend:
            self._mine = other._mine

    def close_client(self) -> None:
        """Close the connections, if there are any."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def close(self) -> None:
        """Release what this session holds. A server goes on: :meth:`down` stops it."""
        self.close_client()
        if self._telemetry is not None:
            self._telemetry.close()
            self._telemetry = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Session({self.settings.backend}, {self.server.base_url})"

    def _record(self, outcome: Outcome) -> None:
        if self.settings.telemetry:
            self.telemetry.emit(outcome)

    def _planner(self) -> Planner:
        from .planning import Planner

        return Planner(
            models_dir=self.settings.models_dir,
            history=self.settings.state_dir / "predictions.jsonl",
            kv_cache_bytes=round(self.settings.kv_cache_gib * 2**30),
        )

    def _remember_memory(self, outcome: BootOutcome) -> None:
        """Keep what a boot said of memory beside what is predicted for it."""
        from .planning import card_here, cpu
        from .vram import Ask

        status, figures = outcome.status, outcome.figures
        profile = status.container.profile if status.container else "cpu"
        asked = self.settings.origins["model"] != "default" and self.settings.model
        ask = Ask(
            gpu_memory_utilization=self.settings.gpu_memory_utilization
            or COMPOSE_GPU_MEMORY_UTILIZATION,
            max_model_len=figures.max_model_len,
            enforce_eager=figures.compile_s is None and figures.graphs_gib is None,
        )
        self._planner().remember(
            asked or status.models[0].name,
            cpu() if profile == "cpu" else card_here(gpus()),
            ask,
            figures,
            version=status.version,
        )

    def _history(self) -> History:
        self.settings.state_dir.mkdir(parents=True, exist_ok=True)
        return History(path=self.settings.state_dir / "boots.jsonl", key=self.server.kind)


def _open_server(settings: Settings) -> Server:
    if settings.backend == "remote":
        return _remote_server(settings)
    if settings.backend == "compose":
        return _compose_server(settings)
    return EmbeddedServer(
        Engine(settings.engine_dir),
        lambda running: _serve_spec(settings, running),
        port=settings.port,
        state_dir=settings.state_dir,
    )


def _remote_server(settings: Settings) -> RemoteServer:
    if settings.base_url is None:
        raise ConfigError(
            "The remote backend needs the server's URL.",
            hint="Set WORKBENCH_BASE_URL=http://host:8000/v1",
            key="base_url",
            source="default",
        )
    key = settings.api_key.reveal() if settings.api_key else None
    return RemoteServer(settings.base_url, api_key=key, model=_remote_model(settings))


def _compose_server(settings: Settings) -> ComposeServer:
    from .servers.compose import ComposeServer

    return ComposeServer(
        settings.home,
        profile=settings.profile,
        want=lambda profile: wanted_of_compose(settings, profile),
        given=settings.named,
        port=settings.port,
        key=settings.vllm_api_key.reveal() if settings.vllm_api_key else None,
        hub_token=settings.hf_token.reveal() if settings.hf_token else None,
        state_dir=settings.state_dir,
    )


def wanted_of_compose(settings: Settings, profile: str) -> Wanted:
    """
    Say what the compose file must be told besides ``.env``.

    Asked for are the arguments, and what follows from a model that is named:
    who reads its tool calls. Where none is, the CPU gets the one that is in the
    repository.

    Raises:
        ConfigError: The model is a folder that the container does not see.
    """
    from .servers.variables import Wanted

    asked = {
        f"WORKBENCH_{name.upper()}": str(getattr(settings, name))
        for name in COMPOSE_ARGUMENTS
        if settings.origins[name] == "argument"
    }
    if settings.model:
        model = _model_in_container(settings.model, settings)
        return Wanted(asked=asked | _of_model(model, settings), otherwise=_length(model))
    if profile != "cpu":
        # The file names the model itself, and does not know its parser.
        return Wanted(asked=asked, otherwise=_parser(parser_of_family(COMPOSE_MODEL), settings))
    model = _model_in_container(EMBEDDED_MODEL, settings)
    return Wanted(asked=asked, otherwise=_length(model) | _of_model(model, settings))


def _of_model(model: LocalModel | str, settings: Settings) -> dict[str, str]:
    if isinstance(model, str):
        return {"WORKBENCH_MODEL": model, **_parser(parser_of_family(model), settings)}
    below = model.path.relative_to(settings.models_dir.resolve())
    return {"WORKBENCH_MODEL": str(below), **_parser(model.tool_call_parser, settings)}


def _length(model: LocalModel | str) -> dict[str, str]:
    """Say how long a context may be where the file's default is longer than the model's own."""
    longest = None if isinstance(model, str) else model.max_model_len
    if longest is None or longest >= COMPOSE_MAX_MODEL_LEN:
        return {}
    return {"WORKBENCH_MAX_MODEL_LEN": str(longest)}


def _parser(name: str | None, settings: Settings) -> dict[str, str]:
    """Name the tool parser, unless somebody did."""
    if name is None or "WORKBENCH_TOOL_CALL_PARSER" in settings.named:
        return {}
    return {"WORKBENCH_TOOL_CALL_PARSER": name}


def _model_in_container(model: str, settings: Settings) -> LocalModel | str:
    """Find a model that the container will see: a folder below models/, or a name of the hub."""
    if looks_like_hub_name(model, settings.models_dir):
        return model
    local = find_model(model, models_dir=settings.models_dir)
    if not local.path.is_relative_to(settings.models_dir.resolve()):
        raise ConfigError(
            f"The container sees only what is below {settings.models_dir}, "
            f"and {model!r} is in {local.path}.",
            hint="Put the model's folder there; a link does not help.",
            key="model",
            source=settings.origins["model"],
        )
    if " " in str(local.path.relative_to(settings.models_dir.resolve())):
        raise ConfigError(
            f"The compose file cannot name {local.path.name!r}: there is a space in it.",
            hint="Rename the folder.",
            key="model",
            source=settings.origins["model"],
        )
    return local


def _serve_spec(settings: Settings, running: Running | None) -> ServeSpec:
    """Say what to serve: what was asked for, else what runs, else the defaults."""

    def kept(name: str) -> bool:
        return settings.origins[name] == "default"

    name, port = settings.model or EMBEDDED_MODEL, settings.port
    max_model_len = settings.max_model_len or EMBEDDED_MAX_MODEL_LEN
    if running:
        name = str(running.model_path) if kept("model") else name
        port = running.port if kept("port") else port
        max_model_len = running.max_model_len if kept("max_model_len") else max_model_len
    model = find_model(name, models_dir=settings.models_dir)
    return ServeSpec(
        model_path=model.path,
        served_model_name=running.served_model_name if running and kept("model") else model.name,
        port=port,
        max_model_len=min(max_model_len, model.max_model_len or max_model_len),
        kv_cache_bytes=round(settings.kv_cache_gib * 2**30),
        tool_call_parser=model.tool_call_parser,
    )


def _login_name() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return None


def _remote_model(settings: Settings) -> str | None:
    """Name the model to ask a remote server for; ``None`` lets the client take the one it lists."""
    named = settings.backend == "remote" and settings.origins["model"] != "default"
    return settings.model if named else None
