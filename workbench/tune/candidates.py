"""
Which flags are worth a try for a load, and which would tell nothing. Pure.

A start costs a minute or more, so a value that cannot change anything at the
load that is measured is not tried, and why is said. The values follow from the
load and from what runs: vLLM's own ``benchmarks/auto_tune`` takes lists that
somebody writes. Meanings: vLLM, docs/configuration/optimization.md.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from .flags import Words, grouped, name_of

Version = tuple[int, ...]

SMALLEST_STEP, LARGEST_STEP = 256, 65_536
"""Tokens a step of --max-num-batched-tokens: a decode step of many, and more than a card fills."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """
    How the server runs that is to become faster; what is unknown is ``None``.

    Args:
        eager: Whether it runs without graphs.

        can_capture: Whether there are graphs here at all: not on a CPU, and not where the
            embedded engine leaves them out.

        on_cpu: Whether vLLM computes on the processor.
    """

    version: Version | None = None
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    prefix_caching: bool | None = None
    chunked_prefill: bool | None = None
    eager: bool | None = None
    can_capture: bool = True
    on_cpu: bool = False
    quantization: str | None = None
    kv_cache_dtype: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """
    What the candidates are measured with.

    Args:
        input_len: Tokens a prompt; ``None``: they are somebody's own.

        shares_prefix: Whether prompts begin alike, so that a prefix cache has something to find.
    """

    concurrency: int
    input_len: int | None
    shares_prefix: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the model's entry in the catalogue has, for a server that runs without."""

    quantization: str | None = None
    kv_cache_dtype: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """
    Flags to try.

    Args:
        factor: What they are about; of one factor only one candidate can win.

        add: The words to add, in the place of what sets the same.

        drop: Flags to leave out.

        why: What may come of it.
    """

    factor: str
    add: Words = ()
    drop: Words = ()
    why: str = ""

    @property
    def name(self) -> str:
        """Say what it changes, as it is typed."""
        return shlex.join(self.add) or f"without {shlex.join(self.drop)}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """What is not tried, and why not."""

    name: str
    why: str


Found = Iterator[Candidate | Skipped]


def candidates(
    facts: Facts,
    load: Load,
    profile: Profile,
    *,
    own: Sequence[str] = (),
    only: Iterable[str] | None = None,
) -> tuple[tuple[Candidate, ...], tuple[Skipped, ...]]:
    """
    List what to try, the first of each factor first, and what is left out.

    Args:
        own: Flags that somebody wants tried, each text a candidate; they come first.

        only: Names of factors; ``None``: all.
    """
    wanted = FACTORS if only is None else {name: FACTORS[name] for name in only}
    by_factor = [list(find(facts, load, profile)) for find in wanted.values()]
    skipped = [each for found in by_factor for each in found if isinstance(each, Skipped)]
    tried = [[each for each in found if isinstance(each, Candidate)] for found in by_factor]
    turns = chain.from_iterable(zip_longest(*tried))
    mine = (Candidate(factor=text, add=tuple(shlex.split(text)), why="asked for") for text in own)
    return (*mine, *(each for each in turns if each is not None)), tuple(skipped)


def _batched_tokens(facts: Facts, load: Load, _profile: Profile) -> Found:
    """Prompt and output tokens computed in one step: more for TTFT, fewer for even gaps."""
    now = facts.max_num_batched_tokens
    factor, flag = "batched-tokens", "--max-num-batched-tokens"
    at_once = None if load.input_len is None else load.concurrency * (load.input_len + 1)
    values = [now * 2, now * 4, now // 2, now // 4] if now else [2048, 8192, 512]
    values += [_power_below(at_once)] if at_once else []
    seen = {_useful(now, at_once)} if now else set()
    refused: dict[str, list[int]] = {}
    for value in dict.fromkeys(values):
        useful = _useful(value, at_once)
        reason = _no_step(value, facts)
        if useful in seen:
            reason = f"all that is under way at once is {at_once} tokens, so nothing changes"
        if reason:
            refused.setdefault(reason, []).append(value)
            continue
        seen.add(useful)
        more = now is None or value > now
        why = "prompts in fewer steps" if more else "shorter steps, and more even gaps"
        yield Candidate(factor=factor, add=(flag, str(value)), why=why)
    for reason, each in refused.items():
        yield Skipped(f"{flag} {', '.join(map(str, sorted(each)))}", reason)


def _power_below(number: int) -> int:
    return 1 << ((number - 1).bit_length() - 1) if number > 1 else 1


def _useful(value: int, at_once: int | None) -> int:
    return value if at_once is None else min(value, at_once)


def _no_step(value: int, facts: Facts) -> str | None:
    """Say why vLLM would not start with it: ``SchedulerConfig.verify_max_model_len``."""
    if not SMALLEST_STEP <= value <= LARGEST_STEP:
        return f"outside of {SMALLEST_STEP} to {LARGEST_STEP}"
    if facts.max_num_seqs and value < facts.max_num_seqs:
        return f"below --max-num-seqs, {facts.max_num_seqs}: vLLM refuses it"
    if facts.chunked_prefill is False and facts.max_model_len and value < facts.max_model_len:
        return "without chunked prefill it is at least the context: vLLM refuses it"
    return None


def _seqs(facts: Facts, load: Load, _profile: Profile) -> Found:
    """Requests in one batch; what is beyond waits."""
    factor, flag, now = "seqs", "--max-num-seqs", facts.max_num_seqs
    enough = 1 << (load.concurrency - 1).bit_length()
    if now is not None and now < load.concurrency:
        why = f"now {load.concurrency - now} of {load.concurrency} wait"
        yield Candidate(factor=factor, add=(flag, str(enough)), why=why)
    elif now == enough:
        yield Skipped(f"{flag} {enough}", "it runs with that")
    elif facts.can_capture and not facts.eager:
        why = "graphs for no larger batches: their memory goes to the KV cache"
        yield Candidate(factor=factor, add=(flag, str(enough)), why=why)
    else:
        # Nothing is captured for batches that do not come.
        yield Skipped(f"{flag} {enough}", f"no more than {load.concurrency} are under way anyway")
    half = load.concurrency // 2
    if half >= 1 and half != now:
        why = "half of them wait, and the others are quicker"
        yield Candidate(factor=factor, add=(flag, str(half)), why=why)


def _prefix_caching(facts: Facts, load: Load, _profile: Profile) -> Found:
    """Prompts that begin alike computed once."""
    name = "--enable-prefix-caching"
    if not load.shares_prefix:
        yield Skipped(
            f"{name}, yes or no",
            "prompts of this load share nothing, so it would not tell: --shared-prefix, --turns, "
            "or your own --prompts",
        )
    elif facts.prefix_caching is False:
        yield Candidate(factor="prefix-caching", add=(name,), why="what is alike is computed once")
    else:
        why = "no looking up; what is alike is computed each time"
        yield Candidate(factor="prefix-caching", add=("--no-enable-prefix-caching",), why=why)


def _chunked_prefill(facts: Facts, _load: Load, _profile: Profile) -> Found:
    """Long prompts in parts, between other requests' tokens."""
    if facts.chunked_prefill is False:
        why = "a long prompt no longer holds up the others"
        yield Candidate(factor="chunked-prefill", add=("--enable-chunked-prefill",), why=why)
        return
    more: Words = ()
    step, longest = facts.max_num_batched_tokens, facts.max_model_len
    if step and longest and step < longest:
        more = ("--max-num-batched-tokens", str(longest))  # without, vLLM refuses to start
    why = "whole prompts at once: a shorter TTFT, and gaps for the others"
    add = ("--no-enable-chunked-prefill", *more)
    yield Candidate(factor="chunked-prefill", add=add, why=why)


def _graphs(facts: Facts, _load: Load, _profile: Profile) -> Found:
    """Recorded kernel launches."""
    if facts.eager and facts.can_capture:
        why = "graphs: less waiting for the processor at each step; a longer start, more memory"
        yield Candidate(factor="graphs", drop=("--enforce-eager",), why=why)


def _async_scheduling(facts: Facts, _load: Load, _profile: Profile) -> Found:
    """
    The next step planned while one is computed.

    Source: vLLM's release notes: sound since 0.11.1, the default since 0.14.0, not on a CPU.
    """
    name = "--async-scheduling"
    if facts.on_cpu:
        yield Skipped(name, "vLLM has it on no CPU")
    elif facts.version is None or facts.version < (0, 11, 1):
        yield Skipped(name, "this vLLM has none that is sound: it needs 0.11.1")
    elif facts.version < (0, 14):
        why = "the next step is planned while one is computed"
        yield Candidate(factor="async-scheduling", add=(name,), why=why)


def _performance_mode(facts: Facts, load: Load, _profile: Profile) -> Found:
    """
    Limits and graphs as vLLM chooses them.

    Source: vLLM 0.32, ``engine/arg_utils.py`` (limits), ``config/vllm.py`` (graphs); since 0.17
    """
    name = "--performance-mode"
    if facts.on_cpu or not facts.can_capture:
        yield Skipped(name, "it is about graphs and the limits that are tried one by one")
    elif facts.version is None or facts.version < (0, 17):
        yield Skipped(name, "this vLLM does not know it: it needs 0.17")
    else:
        mode = "interactivity" if load.concurrency <= 8 else "throughput"
        why = "graphs for each small batch" if load.concurrency <= 8 else "limits twice as high"
        yield Candidate(factor="performance-mode", add=(name, mode), why=why)


def _quantization(facts: Facts, _load: Load, profile: Profile) -> Found:
    """The catalogue's profile, where the server runs without it."""
    if profile.quantization and profile.quantization != facts.quantization:
        add = ("--quantization", profile.quantization)
        yield Candidate(factor="quantization", add=add, why="the catalogue's; smaller weights")
    if profile.kv_cache_dtype and profile.kv_cache_dtype != facts.kv_cache_dtype:
        add = ("--kv-cache-dtype", profile.kv_cache_dtype)
        yield Candidate(factor="kv-cache-dtype", add=add, why="the catalogue's; a smaller cache")
    if not (profile.quantization or profile.kv_cache_dtype):
        yield Skipped(
            "--quantization, --kv-cache-dtype",
            "the model's entry in the catalogue names none; another: --try '--kv-cache-dtype fp8'",
        )


FACTORS: dict[str, Callable[[Facts, Load, Profile], Found]] = {
    "batched-tokens": _batched_tokens,
    "seqs": _seqs,
    "prefix-caching": _prefix_caching,
    "chunked-prefill": _chunked_prefill,
    "graphs": _graphs,
    "async-scheduling": _async_scheduling,
    "performance-mode": _performance_mode,
    "quantization": _quantization,
}


def excludes(one: Candidate, other: Candidate) -> bool:
    """Tell whether two are about the same: of one factor, or with a flag that both set."""
    flags = [
        {name_of(group[0]) for group in grouped((*each.add, *each.drop))} for each in (one, other)
    ]
    return one.factor == other.factor or bool(flags[0] & flags[1])


def together(winners: Sequence[Candidate]) -> Candidate:
    """Make one of several, each of another factor."""
    return Candidate(
        factor=" + ".join(each.factor for each in winners),
        add=tuple(word for each in winners for word in each.add),
        drop=tuple(word for each in winners for word in each.drop),
        why="what won, together",
    )
