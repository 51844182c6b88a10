"""
Where everything is wired, and where the verbs live.

A session is a server, a client of it and the telemetry between them, made
from one :class:`~workbench.settings.Settings`. Magics, panels and the command
line parse, call one verb here, and show; none of them decides anything.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack

from . import lifecycle
from . import settings as settings_module
from .boot import History
from .records import (
    Generation,
    Outcome,
    Progress,
    SamplingParams,
    Scrape,
    ServedModel,
    ServerStatus,
    SwitchPlan,
    SwitchReport,
    ToolRun,
)
from .servers.base import Server
from .servers.embedded import EmbeddedServer
from .serving import hub_access, open_server, remote_model, wanted_of_hub

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    import pandas as pd

    from .bench.result import Result
    from .client import Ask, Client, Messages, Stream
    from .conversation import Conversation
    from .hub import Fetched
    from .inventory import Inventory
    from .planning import PlanFlags
    from .predictions import Prediction
    from .probe import Probe
    from .reconcile import Reconciliation
    from .report import Bundle
    from .smoke import SmokeReport
    from .telemetry import Telemetry
    from .tune.dry_run import TunePlan
    from .tune.trial import Trial
    from .tune.tune import Tuned
    from .vram import Plan

# The client and telemetry are imported where they are first needed: `status`
# and `down` need neither, and have 0.3 s for everything.

DEFAULT_PARAMS = SamplingParams()


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
        self.arguments = {
            name: value for name, value in arguments.items() if value not in (None, "")
        }
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
            self._server = open_server(self.settings)
        return self._server

    @property
    def client(self) -> Client:
        """A client of this session's server; every call it makes is recorded."""
        if self._client is None or self._client.base_url != self.server.base_url:
            from .recording import open_client

            # A server on "any free port" has another address after a restart.
            self.close_client()
            self._client = open_client(self.settings, self.server, self._record)
        return self._client

    @property
    def telemetry(self) -> Telemetry:
        """What was asked of this folder's servers, by every kernel and shell."""
        if self._telemetry is None:
            from .recording import open_telemetry

            self._telemetry = open_telemetry(
                self.settings, session=self.id, base_url=self.server.base_url
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
        return lifecycle.up(self, on_progress)

    def use(
        self,
        model: str,
        *,
        drain_timeout_s: float = 30.0,
        force: bool = False,
        on_progress: Callable[[Progress], None] = quiet,
        **arguments: Any,
    ) -> SwitchReport:
        """
        Switch to another model, and back if it fails; see :func:`workbench.switch.use`.

        Args:
            model: A name of the catalogue, a folder below ``models/``, or a name of the hub.

            drain_timeout_s: How long requests under way may take before they are cut off.

            force: Try it although the plan says that it does not fit.

            arguments: Settings to serve it with, for example ``max_model_len=1024``.

        Raises:
            SwitchError: It failed; its report says at what. The model before serves.
        """
        from .switch.use import use

        return use(
            self,
            model,
            drain_timeout_s=drain_timeout_s,
            force=force,
            on_progress=on_progress,
            **arguments,
        )

    def plan_use(
        self,
        model: str,
        *,
        drain_timeout_s: float = 30.0,
        force: bool = False,
        **arguments: Any,
    ) -> SwitchPlan:
        """Say what :meth:`use` would do, and touch nothing; see ``workbench.switch.dry_run``."""
        from .switch.dry_run import dry_run

        return dry_run(self, model, drain_timeout_s=drain_timeout_s, force=force, **arguments)

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
        return lifecycle.down(self)

    @property
    def is_mine(self) -> bool:
        """Whether this session started the server that runs, and nobody has since."""
        return self._mine is not None and self._mine == self.server.instance

    def restart(self, *, on_progress: Callable[[Progress], None] = quiet) -> ServerStatus:
        """
        Stop the server and start it again; what is not set stays as it runs now.

        What the new one needs is checked and fetched before the old one is touched.
        """
        return lifecycle.restart(self, on_progress)

    def status(self) -> ServerStatus:
        """Look at the server now; a server that is down is a status, not an error."""
        return lifecycle.status(self)

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

    def fetch(
        self,
        name: str,
        *,
        revision: str | None = None,
        verify: bool = False,
        on_progress: Callable[[Progress], None] = quiet,
    ) -> Fetched:
        """
        Have a model of the hub in ``models/``, whole and checked; see :func:`workbench.hub.fetch`.

        Args:
            name: Of the catalogue, whose folder has the same name, or
                ``organisation/name``; the folder gets the second half.

            revision: A branch, a tag or a commit; without one, what is here keeps its commit.

        Raises:
            FetchError: It asks for a licence, is not there, does not fit …; what came is kept.
        """
        from .hub import fetch

        wanted = wanted_of_hub(name, revision, models_dir=self.settings.models_dir)
        return fetch(
            wanted.repo,
            into=self.settings.models_dir / wanted.folder,
            revision=wanted.revision,
            verify=verify,
            on_progress=on_progress,
            **hub_access(self.settings),
        )

    def smoke(self) -> SmokeReport:
        """Ask what runs in each way that code will: Python, TypeScript, curl; compare."""
        from .smoke import smoke
        from .typescript import FOLDER

        return smoke(
            self.server.base_url,
            api_key=self.server.api_key,
            model=remote_model(self.settings),
            folder=self.settings.home / FOLDER,
        )

    def probe(self, *, on_progress: Callable[[Progress], None] = quiet) -> Probe:
        """
        Ask the server everything that a program may want of it, and keep the verdicts.

        Raises:
            ClientError: It is down, refuses the key, or serves no model.
        """
        from .probe import keep, probe

        server, model = self.server, remote_model(self.settings)
        found = probe(server.base_url, api_key=server.api_key, model=model, on_progress=on_progress)
        keep(found, self.settings.state_dir / "probes.jsonl")
        return found

    def report(self) -> Bundle:
        """Gather what an issue needs: no secret, prompt or name is in it."""
        from .report import gather

        def recorded() -> pd.DataFrame:
            return self.telemetry.frame()  # to open it a Docker may have to answer

        return gather(self.settings, self.server, recorded)

    def bench(
        self,
        *,
        slo: str | None = None,
        on_progress: Callable[[Progress], None] = quiet,
        on_result: Callable[[Result], None] = lambda _result: None,
        **load: Any,
    ) -> tuple[Result, ...]:
        """
        Measure the server's latency and throughput; see :class:`~workbench.bench.series.Series`.

        Args:
            slo: What goodput is counted by, for example ``ttft=200ms,tpot=50ms``.

            load: ``concurrency``, ``request_rate_rps``, ``num_prompts``, ``input_len``,
                ``output_len``, ``prompts`` … of a ``Series``.

        Returns:
            A result for each concurrency. An interrupt ends it, with what there is.
        """
        from .bench.session import bench

        return bench(self, slo=slo, on_progress=on_progress, on_result=on_result, **load)

    def tune(
        self,
        *,
        goal: str | None = None,
        budget_s: float = 1200.0,
        concurrency: int = 8,
        on_progress: Callable[[Progress], None] = quiet,
        on_trial: Callable[[Trial], None] = lambda _trial: None,
        **wish: Any,
    ) -> Tuned:
        """
        Try server flags for a load, and leave the server as it was; see :class:`.tune.wish.Wish`.

        Args:
            goal: ``throughput``, ``goodput``, ``ttft``, ``tpot`` or ``e2el``.

            wish: Other fields of a ``Wish``; the rest is the load, as of :meth:`bench`.

        Returns:
            What is recommended, with the evidence. Ctrl-C ends it, with what there is.

        Raises:
            ServerStateError: Nothing runs, or it is somebody else's.
        """
        from .tune.tune import tune
        from .tune.wish import wish_of

        told = wish_of(goal=goal, budget_s=budget_s, concurrency=concurrency, **wish)
        return tune(self, told, on_progress=on_progress, on_trial=on_trial)

    def plan_tune(self, **wish: Any) -> TunePlan:
        """Say what :meth:`tune` would try, and how long it takes; nothing is restarted."""
        from .tune.dry_run import plan_tune
        from .tune.wish import wish_of

        return plan_tune(self, wish_of(**wish))

    def scrape(self) -> Scrape:
        """
        Read what the server says of itself now: its ``/metrics`` page.

        Raises:
            ServerUnreachableError: Nothing answers.

            ServerFailureError: It has no such page, or not vLLM's.
        """
        from .server_metrics import scrape

        return scrape(self.server)

    def server_metrics(self, window_s: float = 10.0) -> pd.DataFrame:
        """
        Watch the server for *window_s*, and return its metrics: rates, quantiles, what is now.

        With 0 nothing is waited for, and the window is the time since the
        server's start. Columns are those of ``server_metrics.frame``.

        Raises:
            ClientError: As :meth:`scrape`.
        """
        from .server_metrics import frame, window

        return frame(*window(self.server, window_s))

    def reconcile(
        self,
        prompt: Messages | None = None,
        params: SamplingParams = DEFAULT_PARAMS,
        *,
        window_s: float = 10.0,
    ) -> Reconciliation:
        """
        Lay what the client measured beside what the server counted, and say where they differ.

        With a *prompt* one request is sent, between two readings of the
        server's metrics. Without one nothing is sent: the requests that this
        folder recorded during *window_s* are compared (0: since the server's start).

        Raises:
            ClientError: The request failed, or as :meth:`scrape`.
        """
        from .server_metrics import reconcile_between, reconcile_one, window

        if prompt is None:
            return reconcile_between(self.server, self.telemetry, *window(self.server, window_s))
        self.models()  # a first connection's set-up is nobody's latency
        return reconcile_one(self.server, lambda: self.stream(prompt, params).read())

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
            model: A name of the catalogue, a folder, a ``config.json`` or a hub name; default:
                the settings'.

            gpu: A card by its name, or ``cpu``; default: this machine's.

            vram_gib: A card by its memory.

            vllm_version: Of the vLLM that is to run; default: 0.25, whose memory was measured.

            flags: ``max_model_len``, ``max_num_batched_tokens``, ``max_num_seqs``,
                ``kv_cache_dtype``, ``enforce_eager``: vLLM's.

        Raises:
            ConfigError: There is no such model or card, or vLLM would refuse the flags.

            PlanError: A fact is missing.
        """
        from .planning import planned

        return planned(
            self.settings,
            model,
            gpu=gpu,
            vram_gib=vram_gib,
            gpu_memory_utilization=gpu_memory_utilization,
            vllm_version=vllm_version,
            **flags,
        )

    def inventory(self, *, gpu: str | None = None, vram_gib: float | None = None) -> Inventory:
        """
        List what there is to serve: the catalogue and the folders below ``models/``.

        Args:
            gpu, vram_gib: The card that the models are to fit; default: where they would run.
        """
        from .inventory import inventory

        return inventory(self.settings, self.server, gpu=gpu, vram_gib=vram_gib)

    def predictions(self) -> list[Prediction]:
        """Read what was predicted for this folder's boots, and what they said; oldest first."""
        from .predictions import read

        return read(self.settings.state_dir / "predictions.jsonl")

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
                are there, of the same server, are not asked for again.

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

    def like_this(self, *, without: Iterable[str] = (), **changes: Any) -> Session:
        """Make a session with the settings of this one, less some, and with others."""
        kept = {name: value for name, value in self.arguments.items() if name not in without}
        fresh = Session(**kept | changes)
        fresh.take_over(self)
        return fresh

    def become(self, other: Session, *, mine: bool) -> None:
        """
        Go on as *other*, which is used up.

        Args:
            mine: Whether what runs counts as started by this session.
        """
        goes_on = self.settings.backend == other.settings.backend
        if not goes_on or self.server.base_url != other.server.base_url:
            self.close()  # else a request that waits for the new model would be cut off
        self.arguments, self.settings = other.arguments, other.settings
        self._server = other.server
        self.claim(mine=mine)

    def claim(self, *, mine: bool) -> None:
        """Count what runs as started by this session, or not."""
        self._mine = self.server.instance if mine else None

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

    def history(self) -> History:
        """The earlier boots of what these settings mean."""
        self.settings.state_dir.mkdir(parents=True, exist_ok=True)
        return History(path=self.settings.state_dir / "boots.jsonl", key=self.server.kind)
