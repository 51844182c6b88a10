"""
Where candidates are measured: the server of a session, started with other flags each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..boot import BootOutcome, History, boot
from ..errors import BootInterruptedError, ServerError, ServerFailureError, WorkbenchError
from ..records import Progress
from ..servers.base import Recipe
from ..switch.journal import Journal, Stage
from . import quality
from .candidates import Candidate
from .flags import with_flags
from .kept import Kept, Setup
from .quality import Answers
from .search import GoesOn
from .trial import Failure, Role, Trial

if TYPE_CHECKING:
    from ..bench.result import Result
    from ..session import Session

PATIENCE = 5
"""A start may take so many times as long as the longest known one, then it is given up."""

SHORTEST_PATIENCE_S = 120.0


class Lab:
    """
    One server, and the time there is for it. The caller holds the journal.

    Args:
        before: What ran, and is to run again.

        earlier_s: How long starts took, for when to give one up.

        shift: Added to seeds of what runs already: it may know the prompts of the others.
    """

    def __init__(
        self,
        session: Session,
        setup: Setup,
        kept: Kept,
        before: Recipe,
        *,
        budget_s: float,
        earlier_s: list[float],
        shift: int,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._session, self._setup, self._kept, self._before = session, setup, kept, before
        self._ends_s = time.monotonic() + budget_s
        self._earlier_s = [*earlier_s]
        self._shift = shift
        self._tell = on_progress
        self._journal = Journal(session.settings.state_dir)
        self._answers: Answers | None = None
        self._number = 0
        self._label = ""
        self._back_s: float | None = None
        self.touched = False

    def left_s(self) -> float:
        """How much of the budget is left."""
        return self._ends_s - time.monotonic()

    def measure(self, role: Role, candidate: Candidate | None, goes_on: GoesOn) -> Trial:
        """
        Start, measure, ask the fixed prompts.

        Raises:
            WorkbenchError: The flags from before cannot be measured. Of a candidate that is a
                finding.

            KeyboardInterrupt: Somebody has had enough.
        """
        self._number += 1
        began_s = time.monotonic()
        trial = Trial(role=role, candidate=candidate, boot_s=self._back_s)
        try:
            if candidate is not None:
                self._label = f"{self._number}. {candidate.name}"
                trial = replace(trial, boot_s=self._started(candidate))
            else:
                self._label = f"{self._number}. {role}"
            trial = self._measured(trial, goes_on)
        except BootInterruptedError as exc:
            raise KeyboardInterrupt from exc  # a container goes on starting; it is replaced
        except WorkbenchError as exc:
            if candidate is None:
                raise
            # What has been measured until then is in files, and no evidence of anything.
            trial = replace(trial, failure=_failure(exc))
        return replace(trial, took_s=time.monotonic() - began_s + (self._back_s or 0.0))

    def back(self) -> None:
        """
        Have the server run as before; nothing to do if it was not touched.

        Raises:
            ServerError: It does not start again; the next ``workbench up`` tries it once more.
        """
        if not self.touched:
            return
        self._label = "back to the flags from before"
        self._back_s = self._boot(self._before, timeout_s=self._session.settings.boot_timeout_s)
        self.touched = False
        # From here on there is nothing to take back.
        self._journal.note(Stage.DRAIN)

    def _started(self, candidate: Candidate) -> float:
        """Start with a candidate's flags; say how long it took."""
        recipe = with_flags(self._before, candidate.add, candidate.drop)
        self._journal.note(Stage.BACK)
        self.touched = True
        longest_s = max(self._earlier_s, default=0.0)
        limit_s = max(SHORTEST_PATIENCE_S, PATIENCE * longest_s)
        took_s = self._boot(recipe, timeout_s=min(limit_s, self._session.settings.boot_timeout_s))
        self._earlier_s.append(took_s)
        return took_s

    def _boot(self, recipe: Recipe, *, timeout_s: float) -> float:
        server, began_s = self._session.server, time.monotonic()
        self._wait(lambda: server.replace(recipe), timeout_s)
        return time.monotonic() - began_s

    def _wait(self, begin: Callable[[], bool], timeout_s: float) -> BootOutcome:
        # With other flags a start takes another time: it is none to learn an ETA from.
        usual = self._session.history()
        history = History(path=usual.path, key=f"{usual.key}, tuned")
        return boot(
            self._session.server,
            history=history,
            on_progress=self._progress,
            timeout_s=timeout_s,
            begin=begin,
        )

    def _measured(self, trial: Trial, goes_on: GoesOn) -> Trial:
        """Ask the prompts first: what answers nonsense need not be fast."""
        asking = Progress(label="the fixed prompts", done=0, total=None, unit="s")
        self._progress(asking)
        answers = quality.ask(self._session.server, self._setup.model)
        if self._answers is not None:
            trial = replace(trial, quality=quality.compare(self._answers, answers))
        else:
            self._answers = answers
        if trial.quality and trial.candidate and not trial.quality.is_kept:
            # One run, so that its table says what the loss would have bought.
            return self._with_a_run(trial)
        for _ in range(self._setup.repeats):
            trial = self._with_a_run(trial)
            if len(trial.runs) < self._setup.repeats and not goes_on(trial):
                return replace(trial, given_up=True)
        return trial

    def _with_a_run(self, trial: Trial) -> Trial:
        shift = self._shift if trial.role is Role.BEFORE else 0
        result = self._run(self._setup.seed + shift + len(trial.runs))
        file = self._kept.keep_run(result, trial.candidate.name if trial.candidate else "before")
        return replace(trial, runs=(*trial.runs, result), files=(*trial.files, file))

    def _run(self, seed: int) -> Result:
        setup = self._setup
        load: dict[str, Any] = dict(setup.load)
        (result,) = self._session.bench(
            concurrency=setup.concurrency,
            num_prompts=setup.num_prompts,
            seed=seed,
            slo=setup.slo,
            on_progress=self._progress,
            **load,
        )
        if result.interrupted:
            raise KeyboardInterrupt
        check_answered(result)
        return result

    def _progress(self, latest: Progress) -> None:
        left = f"{max(0.0, self.left_s()) / 60:.0f} min left"
        self._tell(replace(latest, label=f"{self._label} ({left}): {latest.label}"))


def check_answered(result: Result) -> None:
    """
    Refuse to go on with a load of which nothing is answered.

    Raises:
        ServerFailureError: With what the server says.
    """
    if result.metrics.completed:
        return
    error = next((each.error for each in result.requests if each.error), "unknown")
    raise ServerFailureError(
        f"None of {len(result.requests)} requests was answered: {error}",
        hint="Ask for what fits into the model's context: --input-len, --output-len. "
        "The server's side: workbench logs",
        base_url=result.fingerprint.base_url,
    )


def _failure(exc: WorkbenchError) -> Failure:
    found = exc.diagnosis if isinstance(exc, ServerError) else None
    if found is None:
        return Failure(cause=exc.message.splitlines()[0], fix=exc.hint)
    return Failure(cause=found.cause, line=found.line, fix=found.fix)
