"""Both sides of a request: what is left between them, and what it means."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf

import pytest

from workbench.reconcile import Asked, Reconciliation, reconcile
from workbench.records import Histogram, Scrape, Value

LABELS = (("engine", "0"), ("model_name", "pocket"))


def page(count: int, *, started_s: float = 1.0, **sums_s: float) -> Scrape:
    """A page on which *count* requests took so long together."""
    tokens = sums_s.pop("prompt_tokens", 0.0)
    series: dict[str, dict[tuple[tuple[str, str], ...], Value]] = {
        name: {LABELS: Histogram(((inf, count),), count, total)} for name, total in sums_s.items()
    }
    series["prompt_tokens"] = {LABELS: tokens}
    return Scrape(at=datetime.now(UTC), at_s=float(count), series=series, started_s=started_s)


PARTS = ("ttft", "e2e", "queue", "prefill", "decode", "itl")
BEFORE = page(0, **dict.fromkeys(PARTS, 0.0))
# One request: 1 ms in the queue, 40 ms of prefill, 200 ms of decode; 4 ms and 5 ms besides.
SERVER = {"ttft": 0.045, "e2e": 0.246, "queue": 0.001, "prefill": 0.04, "decode": 0.2, "itl": 0.01}
CLIENT = Asked(ttft_s=0.050, e2e_latency_s=0.252)


def compared(
    *, asked: tuple[Asked, ...] = (CLIENT,), count: int = 1, started_s: float = 1.0, **server: float
) -> Reconciliation:
    values = {"prompt_tokens": 100.0} | SERVER | server
    after = page(count, started_s=started_s, **{k: v * count for k, v in values.items()})
    return reconcile(asked, BEFORE, after)


def ids(found: Reconciliation) -> list[str]:
    return [flag.id for flag in found.flags]


def test_the_parts_are_all_of_what_the_client_saw():
    """50 ms to the first token = 1 + 40 + 4 + 5; 252 ms to the end = 1 + 40 + 200 + 5 + 6."""
    found = compared()
    client, *parts = found.parts

    assert found.ok
    assert [round((part.ttft_s or 0) * 1000, 6) for part in parts] == [1, 40, 0, 4, 5]
    assert [round((part.e2e_s or 0) * 1000, 6) for part in parts] == [1, 40, 200, 5, 6]
    assert (client.ttft_s, client.e2e_s) == (0.050, 0.252)


def test_several_requests_are_compared_by_their_means():
    """Both sides' are over the same requests."""
    fast, slow = Asked(ttft_s=0.04, e2e_latency_s=0.25), Asked(ttft_s=0.06, e2e_latency_s=0.254)
    found = compared(asked=(fast, slow), count=2)

    assert (found.asked, found.finished) == (2, 2)
    assert found.parts[0].ttft_s == pytest.approx(0.05)
    assert found.parts[-1].e2e_s == pytest.approx(0.006)


def test_without_a_stream_there_is_no_first_token():
    """And where only some streamed, a mean over them is none of all."""
    whole = Asked(ttft_s=None, e2e_latency_s=0.252)

    for asked in ((whole,), (whole, CLIENT)):
        found = compared(asked=asked, count=len(asked))
        assert found.parts[0].ttft_s is None
        assert found.parts[-1].ttft_s is None
        assert found.parts[-1].e2e_s == pytest.approx(0.006)


def test_nothing_asked_is_nothing_to_compare():
    """An idle window: all unknown, and nothing is wrong."""
    found = reconcile([], BEFORE, BEFORE)

    assert found.ok
    assert {(part.ttft_s, part.e2e_s) for part in found.parts} == {(None, None)}


@pytest.mark.parametrize(
    ("flag", "change"),
    [
        ("other-requests", {"count": 3}),
        ("not-all-seen", {"asked": (CLIENT, CLIENT)}),
        ("server-restarted", {"started_s": 2.0}),
        # 0.6 s of 0.65 s to the first token, and all the rest came as it was decoded.
        ("slow-outside", {"asked": (Asked(ttft_s=0.65, e2e_latency_s=0.852),)}),
        # Decoded in 200 ms, and all of it came within 2 ms.
        ("buffered", {"asked": (Asked(ttft_s=0.25, e2e_latency_s=0.252),)}),
        # The server's 0.4 s to the end are longer than the client's 0.252 s.
        ("clock", {"e2e": 0.4}),
        # Queue, prefill and decode are 241 ms, and the server's whole is 100 ms.
        ("clock", {"e2e": 0.1}),
        ("slow-front", {"ttft": 0.6, "asked": (Asked(ttft_s=0.61, e2e_latency_s=0.85),)}),
        # 3 s for 100 tokens; decoded one by one they would take 1 s.
        ("cold", {"prefill": 3.0, "ttft": 3.0, "asked": (Asked(ttft_s=3.0, e2e_latency_s=3.2),)}),
        ("queued", {"queue": 1.0, "ttft": 1.05, "asked": (Asked(ttft_s=1.06, e2e_latency_s=1.3),)}),
    ],
)
def test_a_disagreement_has_a_name_and_its_numbers(flag: str, change: dict[str, object]):
    """Each with what it may be, and what to look at."""
    found = compared(**change)  # type: ignore[arg-type]
    (named,) = [each for each in found.flags if each.id == flag]

    assert not found.ok
    assert any(character.isdigit() for character in named.seen) or flag == "server-restarted"
    assert named.means.endswith(".")


def test_a_last_token_without_text_is_no_wrong_clock():
    """An answer that stops ends with a token of which the client sees nothing: 10 ms of ITL."""
    found = compared(asked=(Asked(ttft_s=0.05, e2e_latency_s=0.238),))

    assert found.parts[-1].e2e_s == pytest.approx(-0.008)
    assert ids(found) == []


def test_a_long_prompt_is_not_cold():
    """3 s for 2,000 tokens of 10 ms each is what reading them costs."""
    asked = (Asked(ttft_s=3.01, e2e_latency_s=3.21),)

    found = compared(prefill=3.0, ttft=3.005, e2e=3.206, prompt_tokens=2000.0, asked=asked)

    assert ids(found) == []
