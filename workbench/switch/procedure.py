"""
The steps of a switch, and the way back.

fetch → drain → replace → ready → check → commit. Whatever stops it after the
old server was told to end, the old one is started again from its recipe.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..boot import BootOutcome, History, boot
from ..errors import BootInterruptedError, SwitchError, WorkbenchError
from ..records import Progress, SwitchReport, SwitchStep
from ..servers.base import Recipe, Server
from .drain import drain
from .journal import Journal, Stage, Underway
from .steps import Seen, Steps, cause

HINT_STILL_DOWN = "Why: workbench logs · try once more: workbench up · leave it: workbench down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """
    What a switch works with.

    Args:
        server: Of the settings that it switches to.

        history: Of the boots of what it switches to.

        check: Asks the new server something, and says what came.

        learn: Keeps what the new model's boot said of memory.

        commit: Has later commands mean the new model.
    """

    server: Server
    journal: Journal
    history: History
    boot_timeout_s: float
    check: Callable[[], Seen]
    learn: Callable[[BootOutcome], None]
    commit: Callable[[], Seen]
    on_progress: Callable[[Progress], None]


class Switch:
    """
    One switch. What has been done is in :meth:`report` at any time.

    Args:
        steps: What has been done before: a plan, a download.
    """

    def __init__(
        self, means: Means, underway: Underway, steps: tuple[SwitchStep, ...] = ()
    ) -> None:
        self._means = means
        self._underway = underway
        self._steps = Steps(steps)
        self._began_s = time.monotonic() - sum(step.duration_s for step in steps)
        self._down_at_s: float | None = None
        self._up_at_s: float | None = None

    def run(self, *, drain_timeout_s: float) -> SwitchReport:
        """
        Switch. As for all that changes something here, the caller holds the journal.

        Raises:
            SwitchError: It failed; the report in it says at what, and whether
                the old model serves again.

            BootInterruptedError: The wait was interrupted, and a container goes on starting;
                the next command finishes the switch or goes back.
        """
        self._means.journal.begin(self._underway)
        return self._guarded(lambda: self._forward(drain_timeout_s))

    def keep(self) -> SwitchReport:
        """The model runs already: only have later commands mean it."""
        self._steps.do("commit", self._means.commit)
        return self.report(switched=True)

    def finish(self) -> SwitchReport:
        """Go on with a switch whose new server runs, after whoever began it was killed."""
        return self._guarded(lambda: self._serve(self._means.server.start))

    def go_back(self) -> SwitchReport:
        """Bring the old server back, after whoever began the switch was killed."""
        self._back()
        return self.report(switched=False)

    def report(self, *, switched: bool) -> SwitchReport:
        """Say what has been done so far."""
        down_s, up_s = self._down_at_s, self._up_at_s
        return SwitchReport(
            model=self._underway.model,
            before=self._underway.name,
            steps=tuple(self._steps.done),
            switched=switched,
            duration_s=time.monotonic() - self._began_s,
            unavailable_s=None if down_s is None or up_s is None else up_s - down_s,
        )

    def _forward(self, drain_timeout_s: float) -> None:
        means = self._means
        if self._underway.before:
            self._steps.do(
                "drain",
                lambda: drain(
                    means.server, within_s=drain_timeout_s, on_progress=means.on_progress
                ),
            )
            self._down_at_s = time.monotonic()
        means.journal.note(Stage.REPLACE)
        self._serve(means.server.replace)

    def _serve(self, begin: Callable[[], bool]) -> None:
        """From the new server's start to the last step."""
        self._steps.do("ready", lambda: self._ready(begin))
        self._up_at_s = time.monotonic()
        self._steps.do("check", self._means.check)
        self._steps.do("commit", self._means.commit)
        self._means.journal.end()

    def _ready(self, begin: Callable[[], bool]) -> str:
        outcome = self._boot(begin, self._means.history)
        if outcome.started:
            self._means.learn(outcome)
        return _decodes(outcome)

    def _boot(self, begin: Callable[[], bool], history: History) -> BootOutcome:
        return boot(
            self._means.server,
            history=history,
            on_progress=self._means.on_progress,
            timeout_s=self._means.boot_timeout_s,
            begin=begin,
        )

    def _guarded(self, forward: Callable[[], None]) -> SwitchReport:
        try:
            forward()
        except BaseException as exc:
            if _goes_on(self._means.server, exc):
                raise
            self._undo(exc)
            if not isinstance(exc, WorkbenchError):
                raise  # Ctrl-C, a signal; the old one is there again
            raise self._failed(exc) from exc
        return self.report(switched=True)

    def _undo(self, why: BaseException) -> None:
        try:
            self._back()
        except (WorkbenchError, OSError) as exc:
            raise SwitchError(
                f"The switch to {self._underway.model} failed: {cause(why)}\n"
                f"{self._underway.name} did not start again either: {cause(exc)}",
                hint=HINT_STILL_DOWN,
                report=self.report(switched=False),
            ) from why

    def _back(self) -> None:
        """Have the old server serve again, or nothing if nothing did."""
        means, before = self._means, self._underway.before
        stage = means.journal.read()
        if before is None:
            means.server.stop()
        elif stage is None or stage.stage is not Stage.DRAIN:
            means.journal.note(Stage.BACK)
            self._steps.do("back", lambda: self._ready_again(before))
        self._up_at_s = time.monotonic()
        means.journal.end()

    def _ready_again(self, before: Recipe) -> str:
        # No boot to learn an ETA from: the settings are the new model's, and so would be the key.
        history = replace(self._means.history, key=f"back to {self._underway.name}")
        return _decodes(self._boot(lambda: self._means.server.replace(before), history))

    def _failed(self, exc: WorkbenchError) -> SwitchError:
        before = self._underway
        now = f"{before.name} serves, as before." if before.before else "Nothing runs, as before."
        return SwitchError(
            f"The switch to {self._underway.model} failed: {cause(exc)}\n{now}",
            hint=exc.hint,
            report=self.report(switched=False),
        )


def _decodes(outcome: BootOutcome) -> str:
    names = " = ".join(model.name for model in outcome.status.models)
    return f"{names} decodes"


def _goes_on(server: Server, exc: BaseException) -> bool:
    """Tell whether the new server goes on starting without whoever waited for it."""
    left = server.outlasts_waiting and not isinstance(exc, Exception)
    return left or isinstance(exc, BootInterruptedError)
