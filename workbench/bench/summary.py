"""
From requests to the numbers people compare. Pure, and the same for the same requests.

Mean, standard deviation (of the population) and percentiles (linear between
the two nearest) are those of ``vllm bench serve`` (``benchmarks/serve.py``,
``calculate_metrics``, read at 0.32): numpy's defaults. Of what it leaves open:

- A percentile's interval is that of order statistics: it holds for any
  distribution. Values are taken for independent, which requests that wait for
  each other are not quite; repeated runs tell more.
- A mean has Student's interval. The gaps between tokens are alike within an
  answer, so theirs comes from drawing whole answers anew (a seeded bootstrap),
  and their percentiles have none.
- There is no p99 below 100 values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from .intervals import CONFIDENCE, RESAMPLES, Interval, Z, of_mean
from .result import Distribution, Lag, Metrics, Percentile, Request
from .slo import Slo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PERCENTILES = (50, 90, 95, 99)
LEAST_FOR_P99 = 100
EXACT_UP_TO = 1000
"""So many values have their ranks from the binomial itself; above, from the normal near it."""


def summarize(
    requests: Sequence[Request], *, duration_s: float, slo: Slo | None = None, seed: int = 0
) -> Metrics:
    """
    Work out all metrics of a run's requests.

    Args:
        duration_s: Of the run, on the client's clock.

        seed: Of the bootstrap.
    """
    done = [request for request in requests if request.ok]
    counted = [request for request in done if request.output_tokens is not None]
    return Metrics(
        duration_s=duration_s,
        sent=len(requests),
        completed=len(done),
        failed=len(requests) - len(done),
        unanswered=sum(request.ttft_s is None for request in done),
        counted=len(counted),
        input_tokens=_all_or_none(request.input_tokens for request in done),
        output_tokens=_all_or_none(request.output_tokens for request in done),
        cached_tokens=_all_or_none(request.cached_tokens for request in done),
        ttft=distribution(_known(request.ttft_s for request in done)),
        tpot=distribution(_known(request.tpot_s for request in done)),
        itl=_pooled([request.itls_s for request in done], seed=seed),
        e2el=distribution(_known(request.e2el_s for request in done)),
        queue=distribution([request.queue_s for request in done]),
        peak_concurrency=peak_concurrency(requests),
        slo=slo,
        good=None if slo is None else sum(_is_good(request, slo) for request in done),
    )


def distribution(values: Sequence[float]) -> Distribution | None:
    """Describe independent values; ``None`` of none."""
    import numpy as np

    if not len(values):
        return None
    kept = np.sort(np.asarray(values, dtype=float))
    mean = float(kept.mean())
    return Distribution(
        count=len(kept),
        mean=of_mean(list(values)) or Interval(mean, mean, mean),
        std=float(kept.std()),
        percentiles={percent: _percentile(kept, percent) for percent in PERCENTILES},
    )


def _pooled(gaps: Sequence[Sequence[float]], *, seed: int) -> Distribution | None:
    """Describe the gaps of all answers together."""
    import numpy as np

    parts = [np.asarray(each, dtype=float) for each in gaps if len(each)]
    if not parts:
        return None
    kept = np.concatenate(parts)
    kept.sort()
    low, high = _mean_of_answers(parts, seed=seed)
    percentiles = {
        percent: None
        if percent == 99 and len(kept) < LEAST_FOR_P99
        else Percentile(value=float(np.percentile(kept, percent)))
        for percent in PERCENTILES
    }
    return Distribution(
        count=len(kept),
        mean=Interval(float(kept.mean()), low, high),
        std=float(kept.std()),
        percentiles=percentiles,
    )


def _mean_of_answers(parts: Sequence[NDArray[np.float64]], *, seed: int) -> tuple[float, float]:
    """Bound the mean gap, by drawing as many answers as there are, with replacement."""
    import numpy as np

    sums = np.array([part.sum() for part in parts])
    sizes = np.array([part.size for part in parts])
    chance = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        drawn = chance.integers(len(parts), size=len(parts))
        means[number] = sums[drawn].sum() / sizes[drawn].sum()
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [outside, 1 - outside])
    return float(low), float(high)


def _percentile(ordered: NDArray[np.float64], percent: int) -> Percentile | None:
    import numpy as np

    count = len(ordered)
    if percent == 99 and count < LEAST_FOR_P99:
        return None
    low, high = ranks(count, percent / 100)
    return Percentile(
        value=float(np.percentile(ordered, percent)),
        low=float(ordered[low - 1]) if low >= 1 else None,
        high=float(ordered[high - 1]) if high <= count else None,
    )


def ranks(count: int, share: float) -> tuple[int, int]:
    """
    Say between which of *count* ordered values a quantile lies with 95 % confidence.

    How many values are below the true quantile is binomial: the ends leave out
    at most 2.5 % on either side.

    Returns:
        Ranks from 1. Rank 0 and *count* + 1 are values that were not seen.

    Source: H. A. David, H. N. Nagaraja, Order Statistics (2003), section 7.1
    """
    outside = (1 - CONFIDENCE) / 2
    if count > EXACT_UP_TO:
        reach = Z * math.sqrt(count * share * (1 - share))
        return math.floor(count * share - reach), math.ceil(count * share + reach) + 1
    below = list(accumulate(_binomial(count, share)))
    # The largest rank that so few values fall short of, and the smallest that so many reach.
    low = sum(1 for chance in below if chance <= outside)
    high = next((k for k, chance in enumerate(below) if chance >= 1 - outside), count) + 1
    return low, high


def _binomial(count: int, share: float) -> Iterable[float]:
    for hits in range(count + 1):
        ways = math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)
        yield math.exp(ways + hits * math.log(share) + (count - hits) * math.log(1 - share))


def peak_concurrency(requests: Iterable[Request]) -> int:
    """Count the most that were between sent and answered at one time."""
    edges: list[tuple[float, int]] = []
    for request in requests:
        if request.start_s is not None and request.e2el_s is not None:
            edges += [(request.start_s, 1), (request.start_s + request.e2el_s, -1)]
    return max(accumulate(step for _, step in sorted(edges)), default=0)


def lag(read_late_s: Sequence[float], requests: Sequence[Request], *, kernel_stamps: bool) -> Lag:
    """
    Work out how late the client was, and how much of what is measured that may be.

    By its own clock a late read moves a token's time by as much. By the
    kernel's it moves none, unless the answer's next token lies there too: then
    both have the later one's time. So the share is at most that of the gaps
    that are nothing, and at most what reading was later than a gap is long.
    """
    import numpy as np

    read = np.asarray(read_late_s, dtype=float)
    sent = np.asarray([r.late_s for r in requests if r.start_s is not None], dtype=float)
    gaps = np.concatenate([np.asarray(r.itls_s, dtype=float) for r in requests] or [read[:0]])
    first = np.asarray(_known(request.ttft_s for request in requests))
    ttft_s, gap_s = _median(first), _median(gaps)
    share = 0.0
    if kernel_stamps and gap_s:
        moved = float(np.maximum(0.0, read - gap_s).mean()) / gap_s if read.size else 0.0
        share = min(moved, float((gaps == 0).mean()))
    elif not kernel_stamps and read.size:
        share = float(read.mean()) / (min(filter(None, (gap_s, ttft_s)), default=0.0) or np.inf)
    return Lag(
        kernel_stamps=kernel_stamps,
        read_mean_s=float(read.mean()) if read.size else None,
        read_p99_s=float(np.percentile(read, 99)) if read.size else None,
        send_mean_s=float(sent.mean()) if sent.size else None,
        send_p99_s=float(np.percentile(sent, 99)) if sent.size else None,
        share=max(share, float(sent.mean()) / ttft_s if sent.size and ttft_s else 0.0),
    )


def _median(values: NDArray[np.float64]) -> float:
    import numpy as np

    return float(np.median(values)) if values.size else 0.0


def _is_good(request: Request, slo: Slo) -> bool:
    if request.ttft_s is None or request.e2el_s is None:
        return False
    return slo.is_met(ttft_s=request.ttft_s, tpot_s=request.tpot_s, e2el_s=request.e2el_s)


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _all_or_none(counts: Iterable[int | None]) -> int | None:
    """Add them up, unless one is unknown: a part of the tokens is no throughput."""
    found = list(counts)
    known = [count for count in found if count is not None]
    return sum(known) if found and len(known) == len(found) else None
