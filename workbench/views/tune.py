"""
How a tune looks: what was tried, what is recommended, and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .. import units
from ..display import View
from .base import near, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..bench.compare import Change
    from ..bench.intervals import Interval
    from ..tune.dry_run import TunePlan
    from ..tune.trial import Goal, Judged, Trial
    from ..tune.tune import Tuned


@dataclass(frozen=True, kw_only=True)
class TuneView(View):
    """A tune as a table, with all of it and its picture at hand."""

    tuned: Tuned

    def pictures(self) -> dict[str, Figure]:
        """Draw the gains, as a notebook shows them."""
        from ..plots.tune import gains

        return {"gains": gains(self.tuned)}


def tune_view(tuned: Tuned) -> TuneView:
    """Show each trial, the recommendation above, and what one has to know below."""
    columns = ("tried", _goal(tuned).metric, "gain", "95 % interval", "TTFT", "TPOT", "answers", "")
    found = tuned.found
    return TuneView(
        title=_title(tuned),
        columns=columns,
        numeric=frozenset(columns[1:6]),
        rows=tuple(_row(each, _goal(tuned)) for each in found.judged),
        note="\n".join(_notes(tuned)),
        data=_data(tuned),
        ok=not tuned.interrupted,
        unsure=found.choice is not None and not found.confirmed,
        tuned=tuned,
    )


def tune_plan_view(plan: TunePlan) -> View:
    """Show what would be tried, in its order."""
    setup = plan.setup
    return View(
        title=f"{setup.model}: what would be tried for {setup.goal} at {_load(plan)}",
        columns=("flags", "about", "what may come of it"),
        rows=tuple((each.name, each.factor, each.why) for each in plan.candidates),
        note="\n".join(_plan_notes(plan)),
        data={
            "setup": setup.as_json(),
            "candidates": [asdict(each) | {"name": each.name} for each in plan.candidates],
            "not_tried": {each.name: each.why for each in plan.skipped},
            "budget_s": plan.budget_s,
            "start_s": plan.start_s,
            "run_s": plan.run_s,
            "fits": plan.fits,
        },
    )


def trial_line(trial: Trial, goal: Goal) -> str:
    """Say what came of a trial, in a line, as soon as it is known."""
    from ..tune.trial import value_of

    name = trial.candidate.name if trial.candidate else trial.role
    if trial.failure:
        return f"{name}: {trial.failure.cause}"
    given_up = ", clearly worse: given up" if trial.given_up else ""
    return f"{name}: {_number(value_of(trial, goal), goal)}{given_up}"


def _goal(tuned: Tuned) -> Goal:
    from ..tune.trial import GOALS

    return GOALS[tuned.setup.goal]


def _load(tuned: Tuned | TunePlan) -> str:
    load, setup = tuned.setup.load, tuned.setup
    lengths = [
        f"{load[name]} tokens {word}"
        for name, word in (("input_len", "in"), ("output_len", "out"))
        if name in load
    ]
    prompts = units.count(setup.num_prompts, "request")
    return ", ".join([f"concurrency {setup.concurrency}", *lengths, f"{prompts} a run"])


def _title(tuned: Tuned) -> str:
    found, what = tuned.found, f"for {tuned.setup.goal} at {_load(tuned)}"
    if found.choice is None or found.evidence is None or found.evidence.gain is None:
        return f"Keep the flags as they are: nothing tried is better beyond noise, {what}."
    surely = "" if found.confirmed else " (not measured once more: the budget is spent)"
    gain = found.evidence.gain
    return (
        f"Recommended: {found.choice.name}\n{_goal(tuned).metric} better by {gain.value:.1%} "
        f"({_ends(gain)} with 95 % confidence), {what}{surely}."
    )


def _row(each: Judged, goal: Goal) -> tuple[str, ...]:
    trial = each.trial
    name = trial.candidate.name if trial.candidate else trial.role.value
    again = f"{name}, once more" if trial.role == "once more" else name
    gain = None if trial.failure else each.gain
    return (
        again,
        _number(each.value, goal),
        units.UNKNOWN if gain is None else _share(gain.value),
        units.UNKNOWN if gain is None or gain.low == gain.high else _ends(gain),
        _mean(trial, "ttft"),
        _mean(trial, "tpot"),
        _answers(trial),
        f"{each.finding}, given up early" if trial.given_up else each.finding.value,
    )


def _number(value: float | None, goal: Goal) -> str:
    return units.seconds(value) if goal.unit == "s" else units.rate(value, goal.unit)


def _mean(trial: Trial, name: str) -> str:
    known = [found.mean.value for run in trial.runs if (found := getattr(run.metrics, name))]
    return units.seconds(sum(known) / len(known)) if known else units.UNKNOWN


def _answers(trial: Trial) -> str:
    quality = trial.quality
    if quality is None:
        return units.UNKNOWN
    if quality.wrong:
        return quality.wrong[0]
    parts = [f"{quality.same} of {quality.of} the same"]
    if quality.parts_at is not None:
        parts.append(f"first parts at token {quality.parts_at + 1}")
    if quality.perplexity is not None:
        parts.append(f"perplexity {_share(quality.perplexity)}")
    return ", ".join(parts)


def _share(value: float) -> str:
    """Write a share with its sign."""
    return f"{'−' if value < 0 else '+'}{abs(value):.1%}"


def _ends(interval: Interval) -> str:
    return f"{_share(interval.low)} to {_share(interval.high)}"


def _notes(tuned: Tuned) -> Iterator[str]:
    found = tuned.found
    if tuned.interrupted:
        yield "INTERRUPTED: this is what was measured until then."
    yield from _costs(tuned)
    if tuned.keep:
        first, *rest = tuned.keep
        yield f"To keep it, {first}"
        yield from (f"  {line}" for line in rest)
    for each in found.judged:
        if each.trial.failure:
            yield from _failed(each.trial)
    yield from _noise(tuned)
    if found.left_out:
        names = ", ".join(each.name for each in found.left_out)
        yield f"not tried, {found.why}: {names}. Go on with them: --resume, and more --budget"
    yield from (f"not tried: {each.name}: {each.why}" for each in tuned.skipped)
    took = f"{units.seconds(tuned.took_s)} of {units.seconds(tuned.budget_s)}"
    yield f"{took}; the server runs as before. All runs: {near(tuned.folder)}"


def _costs(tuned: Tuned) -> Iterator[str]:
    evidence = tuned.found.evidence
    if evidence is None:
        return
    sure = [text for each in tuned.found.costs if not _perhaps(each) and (text := _cost(each))]
    perhaps = [text for each in tuned.found.costs if _perhaps(each) and (text := _cost(each))]
    if sure or not perhaps:
        yield f"what it costs: {', '.join(sure) or 'nothing that was measured got worse'}"
    if perhaps:
        yield f"what it may cost: {', '.join(perhaps)}: too few runs to tell"
    quality = evidence.trial.quality
    if quality and quality.verdict == "changed":
        yield (
            "some answers changed, and the perplexity of fixed texts did not rise: batches of "
            "another size round otherwise. Look whether yours do."
        )


def _perhaps(change: Change) -> bool:
    return change.finding == "unsure"


def _cost(change: Change) -> str | None:
    if change.change is None:
        return None
    return f"{change.metric} {_share(change.change.value)} ({_ends(change.change)})"


def _failed(trial: Trial) -> Iterator[str]:
    failure = trial.failure
    if failure and trial.candidate:
        yield f"{trial.candidate.name}: {failure.cause}"
        if failure.line:
            yield wrapped(failure.line)


def _noise(tuned: Tuned) -> Iterator[str]:
    found = tuned.found
    if found.noise is None:
        yield "How much two starts of the same flags differ was not measured."
        return
    yield (
        f"Two starts with the same flags differed by {found.noise:.1%}: less is no gain. Intervals "
        f"are Welch's, over {tuned.setup.repeats} runs a start."
    )
    after = [each.trial.quality for each in found.judged if each.trial.is_baseline]
    if after[-1] is not None:
        quality = after[-1]
        yield f"Their answers: {quality.same} of {quality.of} the same."


def _plan_notes(plan: TunePlan) -> Iterator[str]:
    starts = f"a start takes about {units.seconds(plan.start_s)}"
    if plan.start_s is None:
        starts = "how long a start takes is not known here: a minute is assumed"
    yield (
        f"{starts}; a run about {units.seconds(plan.run_s)}, by one round of requests, and each "
        f"flag gets {plan.setup.repeats}, fewer if it is clearly worse."
    )
    yield (
        f"In {units.seconds(plan.budget_s)} that is about {plan.fits} of {len(plan.candidates)}, "
        "then the winners together, the best once more, and the flags from before again."
    )
    yield from (f"not tried: {each.name}: {each.why}" for each in plan.skipped)
    yield "While it goes on, requests of this folder's clients wait, others are refused."


def _data(tuned: Tuned) -> dict[str, object]:
    from ..tune.kept import trial_json

    found = tuned.found
    gain = found.evidence.gain if found.evidence else None
    return {
        "setup": tuned.setup.as_json(),
        "recommended": asdict(found.choice) | {"name": found.choice.name} if found.choice else None,
        "gain": asdict(gain) if gain else None,
        "costs": [asdict(each) for each in found.costs],
        "confirmed": found.confirmed,
        "noise": found.noise,
        "keep": list(tuned.keep),
        "trials": [
            trial_json(each.trial)
            | {
                "finding": each.finding,
                "value": each.value,
                "gain": asdict(each.gain) if each.gain else None,
            }
            for each in found.judged
        ],
        "left_out": [each.name for each in found.left_out],
        "not_tried": {each.name: each.why for each in tuned.skipped},
        "interrupted": tuned.interrupted,
        "why": found.why,
        "took_s": tuned.took_s,
        "budget_s": tuned.budget_s,
        "folder": str(tuned.folder),
    }
