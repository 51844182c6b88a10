"""
From timestamps to the numbers people compare. Pure: no clock, no network.

The definitions are vLLM's own (``vllm/benchmarks/serve.py``), with one
difference at both ends: only chunks that carry text, reasoning or tool-call
text count, so an empty role chunk neither starts nor ends a clock. Tools
disagree about these words; CONTRIBUTING has the table.
"""

from __future__ import annotations

from itertools import pairwise

from .records import Timings


def ttft_s(timings: Timings) -> float | None:
    """
    Time to first token: first chunk with content, minus request sent.

    Returns:
        Seconds, or ``None`` when nothing was streamed.
    """
    return timings.chunks_s[0] - timings.sent_s if timings.chunks_s else None


def tpot_s(timings: Timings, *, output_tokens: int | None) -> float | None:
    """
    Time per output token after the first: the decode speed of one request.

    Args:
        timings: When the chunks came.

        output_tokens: As the server counted them. Chunks are not counted
            instead: one chunk may hold several tokens.

    Returns:
        Seconds, or ``None`` with fewer than two tokens or an unknown count.
    """
    if output_tokens is None or output_tokens < 2 or not timings.chunks_s:
        return None
    return (timings.chunks_s[-1] - timings.chunks_s[0]) / (output_tokens - 1)


def itl_s(timings: Timings) -> tuple[float, ...]:
    """
    Inter-token latency: the gaps between consecutive chunks with content.

    They are gaps between *tokens* only if the server sends one token a chunk.
    """
    return tuple(later - earlier for earlier, later in pairwise(timings.chunks_s))


def e2e_latency_s(timings: Timings) -> float:
    """
    End-to-end latency: last chunk with content minus request sent.

    Without a stream it ends when the body was received.
    """
    last = timings.chunks_s[-1] if timings.chunks_s else timings.done_s
    return last - timings.sent_s


def output_tps(timings: Timings, *, output_tokens: int | None) -> float | None:
    """
    Output tokens per second of one request, from sent to complete.

    Prefill is inside it: it is what a person waits for, not the decode speed
    (that is ``1 / tpot_s``).
    """
    latency_s = e2e_latency_s(timings)
    if not output_tokens or latency_s <= 0:
        return None
    return output_tokens / latency_s
