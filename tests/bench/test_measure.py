"""A measurement from end to end, against servers that do what a healthy one does not."""

from __future__ import annotations

import threading
from array import array

import pytest

import workbench
from tests.scripted import DONE, HELLO, ROLE, STOP, Do, ScriptedServer, reply, stream, text
from workbench.bench.load import Interrupted, Load, Sent
from workbench.bench.loop import Loop
from workbench.bench.measure import NEVER_ENDED, measure, row
from workbench.bench.plan import Plan
from workbench.bench.slo import Slo
from workbench.bench.workload import Prompt
from workbench.errors import (
    AuthenticationError,
    ConfigError,
    ServerFailureError,
    ServerUnreachableError,
)
from workbench.records import Progress, Usage

PROMPTS = tuple(Prompt(f"What is {number}?", 2) for number in range(4))


def asked_texts(server: ScriptedServer) -> list[str]:
    return [request.json["messages"][-1]["content"] for request in server.chat_requests]


def test_every_request_is_a_row_and_the_metrics_are_of_all(server: ScriptedServer):
    """Four answers of two tokens to prompts of three, as the server counted them."""
    result = measure(server.base_url, Plan(prompts=PROMPTS, concurrency=2))

    assert [request.number for request in result.requests] == [0, 1, 2, 3]
    assert {request.request_id for request in result.requests} == {"chatcmpl-1"}
    assert (result.metrics.completed, result.metrics.failed) == (4, 0)
    assert (result.metrics.input_tokens, result.metrics.output_tokens) == (12, 8)
    assert result.metrics.peak_concurrency in (1, 2)  # an answer may end before the next is sent
    assert result.metrics.ttft.count == 4


def test_cold_requests_are_apart_and_ask_something_else(server: ScriptedServer):
    """As many as are under way at once; the prefix cache learns nothing from them."""
    result = measure(server.base_url, Plan(prompts=PROMPTS, concurrency=2))
    cold, warm = asked_texts(server)[:2], asked_texts(server)[2:]

    assert result.cold.sent == 2
    assert result.metrics.sent == 4
    assert sorted(warm) == [prompt.text for prompt in PROMPTS]
    assert not {text.split()[0] for text in cold} & {text.split()[0] for text in warm}


def test_without_a_warm_up_nothing_is_cold(server: ScriptedServer):
    """Only what is measured is asked."""
    result = measure(server.base_url, Plan(prompts=PROMPTS, concurrency=1, warmup=0))

    assert result.cold is None
    assert len(server.chat_requests) == 4


def test_a_request_says_what_the_plan_says(server: ScriptedServer):
    """The history before the prompt, the most tokens, the body; and asks for a count."""
    prompt = Prompt("And now?", 7, history=("Before?", "This."))

    measure(
        server.base_url,
        Plan(prompts=(prompt,), warmup=0, body={"temperature": 0.5}),
        api_key="sk-one",
    )
    (request,) = server.chat_requests

    assert request.json["messages"] == [
        {"role": "user", "content": "Before?"},
        {"role": "assistant", "content": "This."},
        {"role": "user", "content": "And now?"},
    ]
    assert (request.json["max_tokens"], request.json["temperature"]) == (7, 0.5)
    assert request.json["stream_options"] == {"include_usage": True}
    assert request.json["model"] == "pocket"
    assert request.headers["authorization"] == "Bearer sk-one"


def test_what_fails_is_a_row_with_its_reason(server: ScriptedServer):
    """A refusal, a cut stream, a whole answer: one of three is in the averages."""
    refused = reply(429, {"error": {"message": "slower"}})
    server.answer(refused, stream(ROLE, text("Hel"), Do.CUT), stream(*HELLO))

    result = measure(server.base_url, Plan(prompts=PROMPTS[:3], concurrency=1, warmup=0))

    assert [request.error for request in result.requests] == [
        "HTTP 429: slower",
        "The connection was closed before the answer was complete.",
        None,
    ]
    assert (result.metrics.completed, result.metrics.failed) == (1, 2)
    assert result.metrics.ttft.count == 1


def test_without_usage_tokens_are_unknown(server: ScriptedServer):
    """Two chunks came, and nobody says how many tokens that were."""
    server.answer(stream(ROLE, text("Hel"), text("lo"), STOP, DONE))

    result = measure(server.base_url, Plan(prompts=PROMPTS, concurrency=1, warmup=0))

    assert result.metrics.counted == 0
    assert result.metrics.output_tokens is None
    assert result.metrics.tpot is None
    assert result.metrics.itl.count == 4


def test_goodput_counts_by_the_limits(server: ScriptedServer):
    """All keep to a minute."""
    result = measure(
        server.base_url, Plan(prompts=PROMPTS, concurrency=1, warmup=0), slo=Slo(ttft_s=60)
    )

    assert result.metrics.good == 4


def test_a_server_without_metrics_is_measured_too(server: ScriptedServer):
    """Nor has it a version."""
    result = measure(server.base_url, Plan(prompts=PROMPTS, concurrency=1, warmup=0))

    assert result.server is None
    assert result.fingerprint.server is None
    assert result.fingerprint.model == "pocket"
    assert result.fingerprint.client_version == workbench.__version__
    assert result.fingerprint.workload_hash == Plan(prompts=PROMPTS).workload_hash


def test_what_vllm_says_of_itself_is_in_the_fingerprint(server: ScriptedServer):
    """Version, prefix cache, where the model lies."""
    page = 'vllm:cache_config_info{block_size="16",enable_prefix_caching="True"} 1.0\n'
    server.others = {
        "/version": [reply(200, {"version": "0.32.0"})],
        "/metrics": [reply(200, page)],
    }

    result = measure(server.base_url, Plan(prompts=PROMPTS, concurrency=1, warmup=0))
    found = result.fingerprint

    assert (found.server, found.server_version) == ("vllm", "0.32.0")
    assert found.prefix_caching is True
    assert (found.model_root, found.max_model_len) == ("/models/pocket", 2048)


def counted(requests: int) -> str:
    """A page of a vLLM that has finished so many requests, each a second long."""
    return (
        f'vllm:e2e_request_latency_seconds_bucket{{model_name="pocket",le="+Inf"}} {requests}\n'
        f'vllm:e2e_request_latency_seconds_sum{{model_name="pocket"}} {requests}\n'
        f'vllm:e2e_request_latency_seconds_count{{model_name="pocket"}} {requests}\n'
        f'vllm:num_preemptions_total{{model_name="pocket"}} {requests}\n'
    )


def test_the_server_is_read_before_and_after(server: ScriptedServer):
    """Seven requests before, eleven after: four of them are these."""
    pages = [reply(200, counted(count)) for count in (7, 7, 11)]
    server.others = {"/metrics": pages}

    result = measure(server.base_url, Plan(prompts=PROMPTS, concurrency=1, warmup=0))

    assert result.server.sides.finished == 4
    assert result.server.sides.asked == 4
    assert result.server.preemptions == 4


def test_how_far_it_is_is_told_with_figures(server: ScriptedServer):
    """A second is long enough to be told of."""
    go = threading.Event()
    server.answer(stream(ROLE, text("Hel"), go, text("lo"), STOP, DONE))
    told: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        told.append(progress)
        if progress.done == 0 and "tok/s" in (progress.detail or ""):
            go.set()

    measure(
        server.base_url,
        Plan(prompts=PROMPTS[:1], concurrency=1, warmup=0),
        on_progress=on_progress,
    )

    assert told[0].label == "measuring"
    assert all(progress.total == 1 for progress in told)
    assert any("under way" in (progress.detail or "") for progress in told)


def test_an_interrupt_keeps_what_came(server: ScriptedServer, monkeypatch):
    """One answer was whole; the one under way is an error, and the rest was never sent."""
    whole, begun = Sent(0, 0.0, sent_s=0.0, done_s=0.5), Sent(1, 0.5, sent_s=0.5)
    whole.answer.stamps_s.extend([0.1, 0.4])
    whole.answer.usage = Usage(input_tokens=3, output_tokens=2)

    kept = Load(
        requests=[whole, begun],
        started_s=0.0,
        ended_s=0.75,
        read_late_s=array("d"),
        kernel_stamps=True,
    )

    def stopped(_loop: Loop) -> Load:
        raise Interrupted(kept)

    monkeypatch.setattr(Loop, "run", stopped)

    result = measure(server.base_url, Plan(prompts=PROMPTS, concurrency=1, warmup=0))

    assert result.interrupted
    assert [request.error for request in result.requests] == [None, NEVER_ENDED]
    assert (result.metrics.completed, result.metrics.failed) == (1, 1)
    assert result.metrics.duration_s == 0.75


def test_a_rows_times_are_after_the_start():
    """Due at 0.5 by the arrivals, room at 0.75, sent at 1, tokens at 2, 3 and 5: by hand."""
    sent = Sent(1, 100.75, sent_s=101.0, done_s=106.0)
    sent.answer.stamps_s.extend([102.0, 103.0, 105.0])
    sent.answer.usage = Usage(input_tokens=9, output_tokens=3, cached_tokens=4)

    found = row(sent, began_s=100.0, due_s=(0.0, 0.5))

    assert (found.start_s, found.queue_s, found.late_s) == (1.0, 0.5, 0.25)
    assert (found.ttft_s, found.e2el_s, found.tpot_s) == (1.0, 4.0, 1.5)
    assert list(found.itls_s) == [1.0, 2.0]
    assert (found.input_tokens, found.cached_tokens, found.output_tokens) == (9, 4, 3)


def test_an_answer_without_text_lasts_to_its_end():
    """It has no first token."""
    sent = Sent(0, 100.0, sent_s=100.0, done_s=102.0)

    found = row(sent, began_s=100.0, due_s=(0.0,))

    assert (found.ttft_s, found.e2el_s) == (None, 2.0)
    assert found.ok


def test_a_server_that_is_not_there_is_said():
    """With its address."""
    with pytest.raises(ServerUnreachableError, match=r"127\.0\.0\.1:9/v1"):
        measure("http://127.0.0.1:9/v1", Plan(prompts=PROMPTS))


def test_another_key_is_asked_for(server: ScriptedServer):
    """Before anything is sent."""
    server.listings = [reply(401, {"error": "no"})]

    with pytest.raises(AuthenticationError, match="401"):
        measure(server.base_url, Plan(prompts=PROMPTS))
    assert not server.chat_requests


def test_a_server_that_lists_nothing_wants_a_name(server: ScriptedServer):
    """With one it is measured."""
    server.listings = [reply(404, {})]

    with pytest.raises(ServerFailureError, match="lists no model"):
        measure(server.base_url, Plan(prompts=PROMPTS))
    named = measure(server.base_url, Plan(prompts=PROMPTS, model="mine", concurrency=1))

    assert named.metrics.completed == 4
    assert server.chat_requests[0].json["model"] == "mine"


def test_tls_is_refused_with_the_way_out():
    """A packet's time is not that of what is in it."""
    with pytest.raises(ConfigError, match="plain HTTP"):
        measure("https://example.invalid/v1", Plan(prompts=PROMPTS))
