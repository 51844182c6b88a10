"""
An answer as it grows. Pure: no clock and no network, replayed offline in tests.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from .. import metrics
from ..records import Choice, Generation, Timings, TokenLogprob, ToolCall, Usage
from .base import ChatRequest, Counted, Delta, Ended, Event, Finished, Opened, ToolCallPart


class Draft:
    """
    What is known of one answer so far.

    One thread adds; any thread may ask for :meth:`generation` meanwhile and
    gets a copy. (Lists only grow, so a copy is at worst one chunk behind.)

    Args:
        streamed: Whether the stamps of deltas say when tokens came. Without a
            stream they only say when the body did, and are not kept.
    """

    def __init__(
        self,
        request: ChatRequest,
        *,
        base_url: str,
        started_at: datetime,
        sent_s: float,
        streamed: bool = True,
    ) -> None:
        self.request = request
        self.base_url = base_url
        self.started_at = started_at
        self.sent_s = sent_s
        self.usage: Usage | None = None
        self.request_id: str | None = None
        self.served_model: str | None = None
        self.server_version: str | None = None
        self.ended_s: float | None = None
        self.attempts = 1
        self._streamed = streamed
        self._first = _Answer()
        self._others: dict[int, _Answer] = {}
        self._chunks_s: list[float] = []

    @property
    def finish_reason(self) -> str | None:
        """Why the (first) answer ended."""
        return self._first.finish_reason

    @property
    def is_complete(self) -> bool:
        """
        Whether the answer is all here: its finish reason came, or its end.

        A server that dies between the finish reason and ``[DONE]`` takes the
        usage with it, but nothing of the answer.
        """
        if self.ended_s is not None:
            return True
        answers = [self._first, *self._others.values()]
        return len(answers) >= (self.request.params.n or 1) and all(
            answer.finish_reason is not None for answer in answers
        )

    @property
    def num_chunks(self) -> int:
        """How many chunks with tokens came."""
        return len(self._chunks_s)

    def add(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case Delta():
                self._add_delta(event)
            case Opened(request_id, model):
                self.request_id = self.request_id or request_id
                self.served_model = self.served_model or model
            case Finished(reason, choice):
                self._answer(choice).finish_reason = reason
            case Counted(usage):
                self.usage = usage
            case Ended(at_s):
                self.ended_s = at_s
            case _:
                assert_never(event)

    def begin_again(self) -> None:
        """Forget an attempt that delivered nothing; the clocks go on."""
        self.attempts += 1
        self.request_id = self.served_model = self.usage = self.ended_s = None
        self._first, self._others = _Answer(), {}

    def _answer(self, choice: int) -> _Answer:
        return self._first if choice == 0 else self._others.setdefault(choice, _Answer())

    def _add_delta(self, delta: Delta) -> None:
        if self._streamed and delta.has_tokens:
            self._chunks_s.append(delta.at_s)
        self._answer(delta.choice).add(delta)

    def timings(self, now_s: float) -> Timings:
        """Return the timings, ended at the server's end or else at *now_s*."""
        return Timings(
            started_at=self.started_at,
            sent_s=self.sent_s,
            chunks_s=tuple(self._chunks_s),
            done_s=now_s if self.ended_s is None else self.ended_s,
        )

    def generation(self, now_s: float) -> Generation:
        """
        Return the answer as it stands.

        End-to-end latency stays unknown until the answer is complete: the time
        to where it broke off is not the latency of an answer.
        """
        timings = self.timings(now_s)
        alternatives = tuple(
            answer.choice(index) for index, answer in sorted(self._others.copy().items())
        )
        # Chunks of several answers come interleaved, so their gaps are nobody's.
        output_tokens = self.usage.output_tokens if self.usage and not alternatives else None
        first = self._first.choice(0)
        return Generation(
            text=first.text,
            model=self.request.model,
            messages=self.request.messages,
            params=self.request.params,
            reasoning=first.reasoning,
            tool_calls=first.tool_calls,
            finish_reason=first.finish_reason,
            logprobs=first.logprobs,
            alternatives=alternatives,
            usage=self.usage,
            attempts=self.attempts,
            timings=timings,
            ttft_s=metrics.ttft_s(timings),
            tpot_s=metrics.tpot_s(timings, output_tokens=output_tokens),
            e2e_latency_s=metrics.e2e_latency_s(timings) if self.is_complete else None,
            request_id=self.request_id,
            base_url=self.base_url,
            served_model=self.served_model,
            server_version=self.server_version,
            trace_id=self.request.trace.trace_id if self.request.trace else None,
            span_id=self.request.trace.span_id if self.request.trace else None,
            tags=self.request.tags,
        )


class _Answer:
    """One answer of a request; there are several when ``n`` is above 1."""

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, list[ToolCallPart]] = {}
        self._logprobs: list[TokenLogprob] = []

    def add(self, delta: Delta) -> None:
        if delta.text:
            self._text.append(delta.text)
        if delta.reasoning:
            self._reasoning.append(delta.reasoning)
        if delta.logprobs:
            self._logprobs.extend(delta.logprobs)
        for part in delta.tool_calls:
            self._calls.setdefault(part.index, []).append(part)

    def choice(self, index: int) -> Choice:
        return Choice(
            index=index,
            text="".join(self._text),
            reasoning="".join(self._reasoning) if self._reasoning else None,
            tool_calls=tuple(_assemble(parts) for _, parts in sorted(self._calls.copy().items())),
            finish_reason=self.finish_reason,
            logprobs=tuple(self._logprobs),
        )


def _assemble(parts: list[ToolCallPart]) -> ToolCall:
    # Id and name come whole, with the first part; some servers repeat them.
    return ToolCall(
        id=next((part.id for part in parts if part.id), ""),
        name=next((part.name for part in parts if part.name), ""),
        arguments="".join([part.arguments for part in parts]),
    )
