"""From what somebody wants to measure to plans."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scripted import ScriptedServer, reply
from workbench.bench.plan import Plan, Ramp
from workbench.bench.result import Result
from workbench.bench.series import Series, run_series
from workbench.bench.workload import Prompt
from workbench.errors import ConfigError


def plans(**fields: object) -> list[Plan]:
    return list(Series(**{"num_prompts": 4, "input_len": 5, "output_len": 3, **fields}).plans())


def test_each_concurrency_has_prompts_of_its_own():
    """The prefix cache knows none of the second measurement's; all is the same for a seed."""
    first, second = plans(concurrency=(1, 2))

    assert (first.concurrency, second.concurrency) == (1, 2)
    assert not {each.text for each in first.prompts} & {each.text for each in second.prompts}
    assert plans(concurrency=(1, 2)) == [first, second]


def test_without_a_word_one_request_is_under_way():
    """With a rate as many as are due."""
    assert plans()[0].concurrency == 1
    assert plans(request_rate_rps=2.0)[0].concurrency is None


def test_a_rate_has_one_concurrency():
    """The most at once."""
    assert plans(request_rate_rps=2.0, concurrency=(3,))[0].concurrency == 3
    with pytest.raises(ConfigError, match="one concurrency"):
        plans(request_rate_rps=2.0, concurrency=(1, 2))


@pytest.mark.parametrize(
    "fields",
    [
        {"request_rate_rps": 1.0, "ramp": Ramp(start_rps=1, end_rps=2)},
        {"concurrency": (0,)},
        {"prompts": ()},
    ],
)
def test_what_makes_no_load_is_refused(fields: dict):
    """Before anything is sent."""
    with pytest.raises(ConfigError):
        plans(**fields)


def test_a_duration_has_as_many_prompts_as_it_may_need():
    """At 10 a second for 60 s more than 600, which a Poisson process goes beyond by chance."""
    (plan,) = Series(request_rate_rps=10, duration_s=60, input_len=1, output_len=1).plans()

    assert 660 < len(plan.prompts) < 800
    assert plan.duration_s == 60


def test_vllms_own_parameters_are_for_vllm():
    """Another server would refuse ignore_eos; and own prompts end where they end."""
    (other,) = Series(num_prompts=1).plans()
    (vllm,) = Series(num_prompts=1).plans(vllm=True)
    (own,) = Series(num_prompts=1, prompts=("What?",)).plans(vllm=True)

    assert other.body == own.body == {"temperature": 0}
    assert vllm.body == {"temperature": 0, "ignore_eos": True}


def test_what_is_said_goes_before_what_is_usual():
    """Also what is usual with vLLM."""
    (plan,) = Series(num_prompts=1, body={"temperature": 1, "ignore_eos": False}).plans(vllm=True)

    assert plan.body == {"temperature": 1, "ignore_eos": False}


def test_turns_share_their_past():
    """Two conversations of two turns: all first turns, then all second, with what was said."""
    (plan,) = plans(turns=2)
    first, other, second, _ = plan.prompts

    assert first.history == other.history == ()
    assert second.history[0] == first.text
    assert len(second.history) == 2


def test_a_trace_is_replayed_from_its_first_request(tmp_path: Path):
    """In order of its times, with its lengths; a word is a token where nobody counts."""
    rows = [(5500, 4, 2), (5000, 3, 9)]
    names = ("timestamp", "input_length", "output_length")
    lines = [json.dumps(dict(zip(names, row, strict=True))) for row in rows]
    (tmp_path / "trace.jsonl").write_text("\n".join(lines))

    (plan,) = Series(trace=tmp_path / "trace.jsonl").plans()

    assert plan.due_s() == (0.0, 0.5)
    assert [len(prompt.text.split()) for prompt in plan.prompts] == [3, 4]
    assert [prompt.output_tokens for prompt in plan.prompts] == [9, 2]


@pytest.mark.parametrize("text", ["", "{}", "[1]", "no"])
def test_another_file_is_no_trace(tmp_path: Path, text: str):
    """It is told with its name."""
    (tmp_path / "trace.jsonl").write_text(text)

    with pytest.raises(ConfigError, match=r"trace\.jsonl"):
        list(Series(trace=tmp_path / "trace.jsonl").plans())


def test_the_hash_is_of_the_very_prompts():
    """Another word, another length or another body is another workload."""
    base = Plan(prompts=(Prompt("a", 1),))
    others = [
        Plan(prompts=(Prompt("b", 1),)),
        Plan(prompts=(Prompt("a", 2),)),
        Plan(prompts=(Prompt("a", 1, history=("x", "y")),)),
        Plan(prompts=(Prompt("a", 1),), body={"temperature": 0}),
    ]

    assert base.workload_hash == Plan(prompts=(Prompt("a", 1),), concurrency=7).workload_hash
    assert len({each.workload_hash for each in (base, *others)}) == 5


def test_lengths_are_those_of_the_servers_tokenizer(server: ScriptedServer):
    """It counts two tokens a word: prompts of six tokens are three words."""
    server.others = {
        "/tokenize": [reply(200, {"count": 1}), reply(200, {"count": 1000})],
    }

    run_series(server.base_url, Series(num_prompts=2, input_len=6, output_len=1, warmup=0))

    said = [request.json["messages"][0]["content"] for request in server.chat_requests]
    assert [len(text.split()) for text in said] == [3, 3]


def test_each_result_is_told_when_it_is_there(server: ScriptedServer):
    """A series that is killed has lost only what it was measuring."""
    told: list[Result] = []

    results = run_series(
        server.base_url,
        Series(concurrency=(1, 2), num_prompts=2, input_len=1, output_len=1),
        on_result=told.append,
    )

    assert [each.settings.concurrency for each in told] == [1, 2]
    assert tuple(told) == results
