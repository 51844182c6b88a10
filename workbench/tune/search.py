"""
In which order flags are tried, and what is recommended. Pure: whoever calls measures.

1. The flags from before, as they run.
2. Each candidate, one factor at a time. One that is clearly worse after a run is measured no
   further. What does not start is a finding.
3. The best of each factor that won, together, if there are several.
4. The best of all this, started once more: who picks the highest of many picks luck, too, so
   only what is measured after the choice counts as its gain.
5. The flags from before, started anew: how much two starts of the same differ is measured, and
   not assumed.

Without time for all of it candidates are left out, the last first, and never steps 4 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from ..bench.compare import Change
from .candidates import Candidate, excludes, together
from .trial import Finding, Goal, Judged, Role, Trial, costs_of, gain_of, judge, noise

GoesOn = Callable[[Trial], bool]
"""Asked after each run of a trial whether another is worth its time."""


class Lab(Protocol):
    """Where things are measured."""

    def measure(self, role: Role, candidate: Candidate | None, goes_on: GoesOn) -> Trial:
        """Start with the candidate's flags, unless it is what runs, and measure."""
        ...

    def left_s(self) -> float:
        """How much of the budget is left."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    What a search came to.

    Args:
        judged: All trials, in their order, by all that is known of the flags from before.

        choice: What is recommended; ``None``: nothing is better beyond noise.

        evidence: The trial that the recommendation's gain is of.

        costs: What else got worse with it, beyond noise.

        confirmed: Whether it was measured on a start of its own, after it was chosen.

        left_out: For want of time.

        noise: By how much two starts of the same flags differ, as a share.

        why: Why it ended.
    """

    judged: tuple[Judged, ...]
    choice: Candidate | None
    evidence: Judged | None
    costs: tuple[Change, ...]
    confirmed: bool
    left_out: tuple[Candidate, ...]
    noise: float | None
    why: str


class Search:
    """
    One search. What has been tried is in :attr:`trials` at any time.

    Args:
        earlier: Trials of a search that was cut off; they are not repeated.

        start_s: A guess of how long a start takes, until one was measured.

        on_trial: Told after each trial.
    """

    def __init__(
        self,
        lab: Lab,
        goal: Goal,
        candidates: Sequence[Candidate],
        *,
        earlier: Sequence[Trial] = (),
        start_s: float,
        on_trial: Callable[[Search], None] = lambda _search: None,
    ) -> None:
        self._lab, self._goal = lab, goal
        self._on_trial = on_trial
        self._candidates = tuple(candidates)
        self._start_s = start_s
        self.trials: list[Trial] = list(earlier)
        self.left_out: tuple[Candidate, ...] = ()
        self.why = "all was tried"

    def run(self) -> None:
        """Try everything, but for the last step: :meth:`after`."""
        self._try(Role.BEFORE, None)
        self._each()
        winners = self._winners()
        if len(winners) > 1 and self._has_time_for(2):
            self._try(Role.TOGETHER, together(winners))
        best = self._best()
        if best is not None and self._has_time_for(1):
            self._try(Role.AGAIN, best)

    def after(self) -> None:
        """Measure the flags from before, which have just been started anew."""
        self._try(Role.AFTER, None)

    def found(self) -> Found:
        """Say what is known by now."""
        judged = tuple(judge(each, self._baselines(), self._goal) for each in self.trials)
        again = [each for each in judged if each.trial.role is Role.AGAIN]
        evidence = again[-1] if again else self._best_of(judged)
        better = evidence is not None and evidence.finding is Finding.BETTER
        return Found(
            judged=judged,
            choice=evidence.trial.candidate if evidence and better else None,
            evidence=evidence if better else None,
            costs=costs_of(evidence.trial, self._baselines(), self._goal)
            if evidence and better
            else (),
            confirmed=bool(again),
            left_out=self.left_out,
            noise=noise(self._baselines(), self._goal),
            why=self.why,
        )

    def _each(self) -> None:
        done = {each.candidate for each in self.trials}
        todo = [each for each in self._candidates if each not in done]
        for at, candidate in enumerate(todo):
            # Beside this one there must be time for the chosen one's second start.
            if not self._has_time_for(2):
                self.left_out = tuple(todo[at:])
                self.why = "the budget is spent"
                return
            self._try(Role.CANDIDATE, candidate)

    def _try(self, role: Role, candidate: Candidate | None) -> None:
        trial = self._lab.measure(role, candidate, self._goes_on)
        self.trials.append(trial)
        self._on_trial(self)

    def _goes_on(self, trial: Trial) -> bool:
        """Give up what is clearly worse than the flags from before: they have several runs."""
        if trial.candidate is None or trial.role is Role.AGAIN:
            return True
        before = [run for each in self._baselines() for run in each.runs]
        gain = gain_of(before, trial.runs, self._goal)
        return gain is None or gain.high >= 0

    def _has_time_for(self, trials: int) -> bool:
        """Tell whether so many trials, and the way back with its runs, fit into the budget."""
        return (trials + 1) * self.trial_s() <= self._lab.left_s()

    def trial_s(self) -> float:
        """Say how long a trial takes: as the longer ones so far did."""
        whole = [each.took_s for each in self.trials if each.boot_s is not None and each.runs]
        if whole:
            return max(fmean(whole), whole[-1])
        return self._start_s + fmean([each.took_s for each in self.trials if each.runs] or [0.0])

    def _baselines(self) -> list[Trial]:
        return [each for each in self.trials if each.is_baseline]

    def _judged(self) -> list[Judged]:
        return [judge(each, self._baselines(), self._goal) for each in self.trials]

    def _winners(self) -> list[Candidate]:
        """Name what is better, the best first; of what sets the same only the best."""
        better = [each for each in self._judged() if each.finding is Finding.BETTER]
        winners: list[Candidate] = []
        for each in sorted(better, key=_gain, reverse=True):
            candidate = each.trial.candidate
            if candidate and not any(excludes(candidate, other) for other in winners):
                winners.append(candidate)
        return winners

    def _best(self) -> Candidate | None:
        best = self._best_of(self._judged())
        return best.trial.candidate if best else None

    @staticmethod
    def _best_of(judged: Sequence[Judged]) -> Judged | None:
        better = [each for each in judged if each.finding is Finding.BETTER]
        return max(better, key=_gain, default=None)


def _gain(judged: Judged) -> float:
    return judged.gain.value if judged.gain else 0.0
