"""
One request seen from two sides: what its client measured, what the server counted. Pure.

The client has a request's TTFT and E2E latency (``metrics``). The server has
histograms, whose sums grow by the same requests; so the means of both sides
can be laid beside each other, if nobody else asked in between::

    client's TTFT = queue + prefill          + rest of the server + outside
    client's E2E  = queue + prefill + decode + rest of the server + outside

*Queue*, *prefill* and *decode* are the engine's, by a clock that only goes
forward. The *rest of the server* is its own TTFT or E2E less these: reading
the request, the template, tokenizing, the way to the engine and back. *Outside*
is the client's less the server's: the network, a proxy, the client itself.
vLLM's own TTFT and E2E are by the wall clock (``time.time``,
``v1/metrics/stats.py``, 0.9.2 to 0.33.0): set back or forward meanwhile, they
are wrong, and the parts do not add up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from . import units
from .records import Scrape
from .scrapes import began_anew, increase, mean, observed

TOLERANCE_S = 0.05
"""A part outside of the engine may take so long before it is flagged …"""

TOLERANCE_SHARE = 0.2
"""… or this share of what the client saw, whichever is more."""

CLOCKS_S = 0.005
"""
How much longer the server may have taken than the client saw, besides one token's time: the
token that ends an answer has no text, so the client's clock has stopped before it.
"""

COLD_S = 0.25
"""A prefill below this is not looked at: nobody waits for it."""

BURST_SHARE = 0.5
"""A stream that came in less than this share of the time it was decoded in was held back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    A request as its client saw it.

    Args:
        ttft_s: ``None`` if it was not streamed.
    """

    ttft_s: float | None
    e2e_latency_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Where time went, a request on average: until the first token, and until the last."""

    name: str
    ttft_s: float | None
    e2e_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """
    Something that does not agree.

    Args:
        id: Stable, in kebab case.

        seen: The numbers.

        means: What that may be, and what to look at.
    """

    id: str
    seen: str
    means: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """
    Both sides of the requests in a window.

    Args:
        asked: Requests that the client saw to their end.

        finished: Those that the server counted; ``None`` where it does not count.

        parts: The client's first, then where it went.

        flags: What does not agree; empty is good.
    """

    window_s: float
    asked: int
    finished: int | None
    parts: tuple[Part, ...]
    flags: tuple[Flag, ...]

    @property
    def ok(self) -> bool:
        """Whether both sides agree."""
        return not self.flags


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """Means of both sides, in seconds; what is unknown is ``None``."""

    asked: int
    finished: int | None
    anew: bool
    client_ttft: float | None
    client_e2e: float | None
    ttft: float | None
    e2e: float | None
    queue: float | None
    prefill: float | None
    decode: float | None
    prompt_tokens: float | None
    itl: float | None

    @property
    def outside_ttft(self) -> float | None:
        return _less(self.client_ttft, self.ttft)

    @property
    def outside_e2e(self) -> float | None:
        return _less(self.client_e2e, self.e2e)

    @property
    def rest_ttft(self) -> float | None:
        return _less(self.ttft, self.queue, self.prefill)

    @property
    def rest_e2e(self) -> float | None:
        return _less(self.e2e, self.queue, self.prefill, self.decode)


def reconcile(asked: Sequence[Asked], before: Scrape, after: Scrape) -> Reconciliation:
    """
    Lay the two sides of the requests between two pages beside each other.

    Args:
        asked: Those that were sent and ended between them.
    """
    sides = _sides(asked, before, after)
    return Reconciliation(
        window_s=after.at_s - before.at_s,
        asked=sides.asked,
        finished=sides.finished,
        parts=_parts(sides),
        flags=tuple(flag for check in _CHECKS if (flag := check(sides))),
    )


def finished(before: Scrape, after: Scrape) -> int | None:
    """Count the requests that the server answered to their end between two pages."""
    whole = observed(before, after, "e2e")
    return None if whole is None else round(whole.count)


def _sides(asked: Sequence[Asked], before: Scrape, after: Scrape) -> _Sides:
    first = [request.ttft_s for request in asked if request.ttft_s is not None]
    last = [request.e2e_latency_s for request in asked]
    count = finished(before, after)
    tokens = increase(before, after, "prompt_tokens")
    return _Sides(
        asked=len(asked),
        finished=count,
        anew=began_anew(before, after),
        # A mean over some of the requests is not comparable with the server's over all.
        client_ttft=fmean(first) if first and len(first) == len(asked) else None,
        client_e2e=fmean(last) if last else None,
        prompt_tokens=tokens / count if count and tokens is not None else None,
        **{
            name: mean(observed(before, after, name))
            for name in ("ttft", "e2e", "queue", "prefill", "decode", "itl")
        },
    )


def _parts(sides: _Sides) -> tuple[Part, ...]:
    return (
        Part(name="client", ttft_s=sides.client_ttft, e2e_s=sides.client_e2e),
        Part(name="queue", ttft_s=sides.queue, e2e_s=sides.queue),
        Part(name="prefill", ttft_s=sides.prefill, e2e_s=sides.prefill),
        Part(name="decode", ttft_s=None, e2e_s=sides.decode),
        Part(name="rest of the server", ttft_s=sides.rest_ttft, e2e_s=sides.rest_e2e),
        Part(name="outside", ttft_s=sides.outside_ttft, e2e_s=sides.outside_e2e),
    )


def _started_anew(sides: _Sides) -> Flag | None:
    if not sides.anew:
        return None
    return Flag(
        id="server-restarted",
        seen="the server was started anew in between",
        means="What it counted before is lost. Compare again, from now on.",
    )


def _others(sides: _Sides) -> Flag | None:
    if sides.finished is None or sides.finished <= sides.asked:
        return None
    return Flag(
        id="other-requests",
        seen=f"the server finished {sides.finished} requests, and {sides.asked} were recorded",
        means="Somebody else asks this server, or asks it without recording (another folder, "
        "curl, WORKBENCH_TELEMETRY=0), one was cut off, or asked for several answers (n). Its "
        "means are over all of them: compare when it is idle.",
    )


def _elsewhere(sides: _Sides) -> Flag | None:
    if sides.finished is None or sides.finished >= sides.asked:
        return None
    return Flag(
        id="not-all-seen",
        seen=f"{sides.asked} requests were recorded, and the server finished {sides.finished}",
        means="Others were answered by somebody else: a proxy with a cache, another replica "
        "behind the same address. Ask each replica's /metrics by its own address.",
    )


def _before_it_was_sent(sides: _Sides) -> Flag | None:
    pairs = {"TTFT": sides.outside_ttft, "E2E latency": sides.outside_e2e}
    least = -CLOCKS_S - (sides.itl or 0.0)
    below = {name: left for name, left in pairs.items() if left is not None and left < least}
    if not below or sides.asked != sides.finished:
        return None
    name, left = next(iter(below.items()))
    return Flag(
        id="clock",
        seen=f"the server's {name} is {units.seconds(-left)} longer than the client's",
        means="No server can take longer than its client waits. vLLM measures these by the wall "
        "clock: it was set forward meanwhile (WSL after the machine slept, NTP). If it stays so, "
        "look at the clock of the server's machine.",
    )


def _clock_within(sides: _Sides) -> Flag | None:
    if sides.rest_e2e is None or sides.rest_e2e >= -CLOCKS_S:
        return None
    return Flag(
        id="clock",
        seen=f"queue, prefill and decode are {units.seconds(-sides.rest_e2e)} longer than the "
        "server's own E2E latency",
        means="The parts are by a clock that only goes forward, the whole by the wall clock: "
        "that was set back meanwhile (WSL after the machine slept, NTP).",
    )


def _held_back(sides: _Sides) -> Flag | None:
    arriving = _less(sides.client_e2e, sides.client_ttft)
    if arriving is None or sides.decode is None or sides.decode < TOLERANCE_S:
        return None
    if arriving >= BURST_SHARE * sides.decode:
        return None
    return Flag(
        id="buffered",
        seen=f"decoded in {units.seconds(sides.decode)}, and came within "
        f"{units.seconds(max(arriving, 0.0))}",
        means="Something between collects the stream and passes it on at once: a proxy that "
        "buffers (nginx: proxy_buffering off), a gateway, compression. The client's TTFT then "
        "says nothing about the server. Or the client was too busy to read.",
    )


def _far(sides: _Sides) -> Flag | None:
    left, whole = sides.outside_ttft, sides.client_ttft
    if left is None or whole is None:
        left, whole = sides.outside_e2e, sides.client_e2e
    if left is None or whole is None or left <= _tolerated(whole):
        return None
    return Flag(
        id="slow-outside",
        seen=f"{units.seconds(left)} of the client's {units.seconds(whole)} passed outside of the "
        "server",
        means="The network, a proxy or gateway before the server, a name that is looked up each "
        "time, a client or server without CPU time, a request that was sent more than once "
        "(attempts), or first tokens without text: the beginning of a tool call, half a letter. "
        "Compare with a client on the server's machine.",
    )


def _slow_front(sides: _Sides) -> Flag | None:
    if sides.rest_ttft is None or sides.ttft is None or sides.rest_ttft <= _tolerated(sides.ttft):
        return None
    return Flag(
        id="slow-front",
        seen=f"{units.seconds(sides.rest_ttft)} of the server's TTFT of "
        f"{units.seconds(sides.ttft)} were neither queue nor prefill",
        means="vLLM's API process is short of CPU time, or does much for each request: a long "
        "prompt to tokenize, pictures, a grammar to compile. Give it cores.",
    )


def _cold(sides: _Sides) -> Flag | None:
    if sides.prefill is None or sides.prefill < COLD_S:
        return None
    if not sides.itl or not sides.prompt_tokens:
        return None
    if sides.prefill <= sides.prompt_tokens * sides.itl:
        return None
    return Flag(
        id="cold",
        seen=f"prefill of {sides.prompt_tokens:,.0f} tokens took {units.seconds(sides.prefill)}; "
        f"a decoded token takes {units.seconds(sides.itl)}",
        means="To read a prompt at once cannot take longer than to decode as many tokens one by "
        "one, unless kernels were compiled for its shape, the GPU's clock was low, or prompts of "
        "others were read in the same steps. Ask again: a cold server is slow once.",
    )


def _queued(sides: _Sides) -> Flag | None:
    whole = sides.ttft
    if sides.queue is None or whole is None or sides.queue <= _tolerated(whole):
        return None
    return Flag(
        id="queued",
        seen=f"{units.seconds(sides.queue)} of the server's TTFT of {units.seconds(whole)} "
        "were waiting",
        means="More requests than fit into a batch, or into the KV cache: see waiting and "
        "kv_cache_usage in workbench telemetry server. Fewer at once, a smaller context, or "
        "more memory.",
    )


def _tolerated(whole_s: float) -> float:
    return max(TOLERANCE_S, TOLERANCE_SHARE * whole_s)


def _less(whole: float | None, *parts: float | None) -> float | None:
    known = [part for part in parts if part is not None]
    return None if whole is None or len(known) < len(parts) else whole - sum(known)


_CHECKS: tuple[Callable[[_Sides], Flag | None], ...] = (
    _started_anew,
    _others,
    _elsewhere,
    _before_it_was_sent,
    _clock_within,
    _held_back,
    _far,
    _slow_front,
    _cold,
    _queued,
)
