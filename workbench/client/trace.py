"""
The ids by which a request is found again in the server's own spans.

Source:
    W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header
"""

from __future__ import annotations

import os
from dataclasses import dataclass

HEADER = "traceparent"
_SAMPLED = "01"


@dataclass(frozen=True, slots=True)
class Trace:
    """
    A request as a span of its own trace.

    Args:
        trace_id: 32 hexadecimal digits.

        span_id: 16 hexadecimal digits; the server's spans name it as their parent.
    """

    trace_id: str
    span_id: str

    @property
    def header(self) -> str:
        """The value of ``traceparent``: version, trace, span, and that it is recorded."""
        return f"00-{self.trace_id}-{self.span_id}-{_SAMPLED}"


def new_trace() -> Trace:
    """Draw both ids at random."""
    drawn = os.urandom(24).hex()
    return Trace(drawn[:32], drawn[32:])
