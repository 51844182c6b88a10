"""In which order flags are tried, and what is recommended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from tests.tune.trials import flag, run, trial
from workbench.tune.candidates import Candidate
from workbench.tune.quality import Quality
from workbench.tune.search import Found, GoesOn, Search
from workbench.tune.trial import GOALS, Failure, Finding, Role, Trial

A, B, C = flag("a", "one"), flag("b", "one"), flag("c", "two")
SPREAD = (-1.0, 0.0, 1.0)
BOTH = ("--a", "--c")


@dataclass
class Paper:
    """
    A lab whose servers have the speed that is written here, by their flags.

    Args:
        again: What is written of a second start.

        budget_s: A trial takes a minute of it.
    """

    speeds: Mapping[tuple[str, ...], float]
    budget_s: float = 3600.0
    again: float | None = None
    spoilt: Sequence[tuple[str, ...]] = ()
    asked: list[str] = field(default_factory=list)

    def measure(self, role: Role, candidate: Candidate | None, goes_on: GoesOn) -> Trial:
        self.asked.append(candidate.name if candidate else role)
        self.budget_s -= 60.0
        words = candidate.add if candidate else ()
        if words not in self.speeds:
            return trial(candidate, (), role=role, boot_s=None, failure=Failure(cause="refused"))
        speed = self.again if role is Role.AGAIN and self.again else self.speeds[words]
        made = trial(candidate, (), role=role, boot_s=10.0 if candidate else None)
        if words in self.spoilt:
            made = replace(made, quality=Quality(same=0, of=10, perplexity=1.0))
        for each in SPREAD:
            made = replace(made, runs=(*made.runs, run(speed + each)))
            if len(made.runs) < len(SPREAD) and not goes_on(made):
                return replace(made, given_up=True)
        return made

    def left_s(self) -> float:
        return self.budget_s


def searched(
    paper: Paper, candidates: Sequence[Candidate] = (A, B, C), **more: object
) -> tuple[Search, Found]:
    search = Search(paper, GOALS["throughput"], candidates, start_s=30.0, **more)
    search.run()
    search.after()
    return search, search.found()


def test_winners_are_tried_together_and_once_more():
    """The best of each factor; a is better than b, and both are about the same thing."""
    paper = Paper({(): 100, ("--a",): 120, ("--b",): 110, ("--c",): 115, BOTH: 140})

    _, found = searched(paper)

    assert paper.asked == [
        *("as it runs", "--a", "--b", "--c", "--a --c", "--a --c"),
        "as before, started anew",
    ]
    assert found.choice.add == BOTH
    assert found.evidence.gain.value == pytest.approx(0.4)
    assert found.confirmed
    assert found.noise == pytest.approx(0.0)


def test_what_sets_the_same_flag_is_not_put_together():
    """One's own --try and a factor may be about one flag: the better of them counts."""
    own = Candidate(factor="--a 8", add=("--a", "8"))
    of_factor = Candidate(factor="seqs", add=("--a", "4"))
    paper = Paper({(): 100, ("--a", "8"): 120, ("--a", "4"): 110})

    _, found = searched(paper, (own, of_factor))

    assert paper.asked == [
        *("as it runs", "--a 8", "--a 4", "--a 8"),
        "as before, started anew",
    ]
    assert found.choice == own


def test_together_may_be_worse_than_alone():
    """Then the one alone is recommended."""
    paper = Paper({(): 100, ("--a",): 120, ("--c",): 115, BOTH: 101})

    _, found = searched(paper, (A, C))

    assert found.choice == A


def test_luck_is_not_recommended():
    """What was best is no better on a second start: the flags stay."""
    _, found = searched(Paper({(): 100, ("--a",): 120}, again=100), (A,))

    assert found.choice is None
    assert [each.finding for each in found.judged] == [
        *(Finding.BASELINE, Finding.BETTER, Finding.SAME, Finding.BASELINE)
    ]


def test_nothing_better_is_an_answer():
    """Nothing is started once more for it."""
    paper = Paper({(): 100, ("--a",): 101, ("--c",): 99})

    _, found = searched(paper, (A, C))

    assert (found.choice, found.evidence) == (None, None)
    assert paper.asked == ["as it runs", "--a", "--c", "as before, started anew"]


def test_what_is_clearly_worse_is_given_up():
    """After one run of three: 50 is far below 99 to 101."""
    search, found = searched(Paper({(): 100, ("--a",): 50}), (A,))

    assert search.trials[1].given_up
    assert len(search.trials[1].runs) == 1
    assert found.judged[1].finding is Finding.WORSE


def test_what_does_not_start_is_a_finding():
    """The others are tried all the same."""
    _, found = searched(Paper({(): 100, ("--c",): 120}), (A, C))

    assert [each.finding for each in found.judged[1:3]] == [Finding.REFUSED, Finding.BETTER]
    assert found.choice == C


def test_worse_answers_are_never_recommended():
    """Nor combined with others."""
    paper = Paper({(): 100, ("--a",): 300, ("--c",): 120}, spoilt=[("--a",)])

    _, found = searched(paper, (A, C))

    assert found.choice == C
    assert "--a --c" not in paper.asked


def test_a_budget_leaves_out_the_last_and_keeps_time_for_the_way_back():
    """
    A trial takes a minute, and 330 s are there.

    The first leaves 270 s, which are three trials with a start guessed as 30 s each. After a and b
    150 s are left: c would need 180 s with the second start and the way back.
    """
    paper = Paper({(): 100, ("--a",): 120, ("--b",): 110, ("--c",): 115}, budget_s=330.0)

    _, found = searched(paper)

    assert paper.asked == [
        *("as it runs", "--a", "--b", "--a"),
        "as before, started anew",
    ]
    assert found.left_out == (C,)
    assert found.why == "the budget is spent"
    assert paper.budget_s >= 0


def test_a_budget_that_is_too_short_tries_nothing():
    """And says what it did not."""
    _, found = searched(Paper({(): 100}, budget_s=120.0))

    assert found.left_out == (A, B, C)
    assert found.choice is None


def test_what_was_tried_before_a_kill_is_not_tried_again():
    """Its runs count, and those of the flags from before too."""
    earlier = (trial(None, (99, 100, 101)), trial(A, (119, 120, 121)))
    paper = Paper({(): 100, ("--a",): 120, ("--c",): 99})

    _, found = searched(paper, (A, C), earlier=earlier)

    assert paper.asked == ["as it runs", "--c", "--a", "as before, started anew"]
    assert found.choice == A
