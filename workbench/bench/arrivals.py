"""
When each request is due, in seconds after the start. Pure, and the same for the same seed.

Burstiness has vLLM's meaning: the gaps are gamma-distributed with it as their
shape, so 1 is a Poisson process, less comes in bursts and more is steadier
(``vllm/benchmarks/serve.py``, ``get_request``, read at 0.32). As there, the
times of a fixed rate are scaled so that the last request comes at
``count / rate``: two seeds offer the same load.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from random import Random
from typing import Literal

from ..errors import ConfigError

Ramp = Literal["linear", "exponential"]
Times = tuple[float, ...]


def at_once(count: int) -> Times:
    """Return the closed loop's times: a request is due as soon as another one has ended."""
    return (0.0,) * count


def constant(rate_rps: float, count: int) -> Times:
    """Space the requests evenly."""
    _check_rate(rate_rps)
    return tuple(number / rate_rps for number in range(1, count + 1))


def random(rate_rps: float, count: int, *, burstiness: float = 1.0, seed: int = 0) -> Times:
    """
    Let the requests come by chance, at *rate_rps* on average.

    Raises:
        ConfigError: Rate or burstiness is not above zero.
    """
    _check_rate(rate_rps)
    times = tuple(accumulate(_gaps([rate_rps] * count, burstiness, seed)))
    scale = count / rate_rps / times[-1] if times else 1.0
    return tuple(at_s * scale for at_s in times)


def ramp(
    start_rps: float,
    end_rps: float,
    count: int,
    *,
    shape: Ramp = "linear",
    burstiness: float = 1.0,
    seed: int = 0,
) -> Times:
    """
    Let the rate grow (or fall) from the first request to the last.

    Raises:
        ConfigError: A rate or the burstiness is not above zero.
    """
    _check_rate(start_rps)
    _check_rate(end_rps)
    shares = [number / max(1, count - 1) for number in range(count)]
    if shape == "linear":
        rates = [start_rps + (end_rps - start_rps) * share for share in shares]
    else:
        rates = [start_rps * (end_rps / start_rps) ** share for share in shares]
    return tuple(accumulate(_gaps(rates, burstiness, seed)))


def replay(stamps_s: Iterable[float], *, faster: float = 1.0) -> Times:
    """
    Let the requests come as a trace says, the first of them at once.

    Args:
        stamps_s: In any order, on any clock.

        faster: Play it so many times as fast.

    Raises:
        ConfigError: *faster* is not above zero.
    """
    if not faster > 0:
        raise ConfigError(f"A trace cannot be played {faster:g} times as fast.", key="faster")
    ordered = sorted(stamps_s)
    return tuple((at_s - ordered[0]) / faster for at_s in ordered)


def _gaps(rates_rps: list[float], burstiness: float, seed: int) -> Iterable[float]:
    if not burstiness > 0:
        raise ConfigError(f"Burstiness is above zero, not {burstiness:g}.", key="burstiness")
    chance = Random(seed)
    return [chance.gammavariate(burstiness, 1 / (rate * burstiness)) for rate in rates_rps]


def _check_rate(rate_rps: float) -> None:
    if not rate_rps > 0:
        raise ConfigError(
            f"A rate of requests is above zero, not {rate_rps:g}.",
            hint="For as many as the server takes, give a concurrency and no rate.",
            key="request_rate",
        )
