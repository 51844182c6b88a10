"""Whether answers are as good as before."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.scripted import ScriptedServer, completion, reply
from workbench.tune import quality
from workbench.tune.quality import PROMPTS, TEXTS, Answer, Answers, Quality, Verdict, compare

BEFORE = Answers(answers=(Answer(tokens=("a", "b", "c")), Answer(tokens=("d", "e"))), nll=1.0)


def test_equal_answers_are_the_same():
    """To the last token; the texts as probable as before."""
    found = compare(BEFORE, BEFORE)

    assert (found.same, found.of, found.parts_at, found.perplexity) == (2, 2, None, 0.0)
    assert found.verdict is Verdict.SAME


def test_where_answers_part_is_said():
    """Of three tokens the second differs: one was the same. One that stops early parts there."""
    other = replace(BEFORE, answers=(Answer(tokens=("a", "x", "c")), BEFORE.answers[1]))
    short = replace(BEFORE, answers=(Answer(tokens=("a", "b")), BEFORE.answers[1]))

    assert (compare(BEFORE, other).same, compare(BEFORE, other).parts_at) == (1, 1)
    assert compare(BEFORE, short).parts_at == 2


@pytest.mark.parametrize(
    ("nll", "verdict", "is_kept"),
    [
        (1.0 + math.log(1.01), Verdict.CHANGED, True),
        (1.0 + math.log(1.03), Verdict.WORSE, False),
        (1.0 - math.log(1.05), Verdict.CHANGED, True),
        (None, Verdict.UNKNOWN, False),
    ],
    ids=["1 % more", "3 % more", "less", "unknown"],
)
def test_changed_answers_are_judged_by_perplexity(nll, verdict, is_kept):
    """Beyond 2 % more it is a loss; where nobody says, nobody recommends."""
    other = Answers(answers=(Answer(tokens=("x",)), BEFORE.answers[1]), nll=nll)

    assert compare(BEFORE, other).verdict is verdict
    assert compare(BEFORE, other).is_kept is is_kept


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(), "empty"),
        (Answer(tokens=(" ", "\n")), "empty"),
        (Answer(tokens=("The", *["!"] * 16)), "again and again"),
        (Answer(tokens=("\ufffd",) * 3), "no text"),
        (Answer(error="no answer: 500"), "500"),
    ],
)
def test_what_is_no_answer_is_worse(answer: Answer, said: str):
    """Whatever the perplexity is."""
    other = replace(BEFORE, answers=(answer, BEFORE.answers[1]))

    found = compare(BEFORE, other)
    assert found.verdict is Verdict.WORSE
    assert said in found.wrong[0]


def test_what_was_no_answer_before_is_no_loss():
    """A tiny model repeats itself with any flags."""
    loop = Answer(tokens=("!",) * 16)
    before = Answers(answers=(loop,), nll=1.0)

    assert compare(before, before).verdict is Verdict.SAME


def test_counting_repeats_nothing():
    """Sixteen tokens that are not all one are an answer."""
    assert Answer(tokens=tuple(str(number) for number in range(16))).wrong is None


@pytest.fixture
def server():
    running = ScriptedServer()
    yield running
    running.close()


def asked(server: ScriptedServer) -> Answers:
    return quality.ask(SimpleNamespace(base_url=server.base_url, api_key=None), "pocket")


def test_tokens_and_probabilities_are_read_as_vllm_writes_them(server: ScriptedServer):
    """A text's first token has no probability; −1 and −3 are 2 on average."""
    content = [{"token": "Hel"}, {"token": "lo"}]
    choice = {"message": {"content": "Hello"}, "logprobs": {"content": content}}
    server.chats = [reply(200, {"choices": [choice]})]
    said = [None, {"7": {"logprob": -1.0}}, {"8": {"logprob": -3.0}}]
    server.others["/v1/completions"] = [reply(200, {"choices": [{"prompt_logprobs": said}]})]

    found = asked(server)

    assert found.nll == pytest.approx(2.0)
    assert found.answers == (Answer(tokens=("Hel", "lo")),) * len(PROMPTS)
    bodies = [each.json for each in server.requests if each.path == "/v1/completions"]
    assert [body["prompt"] for body in bodies] == list(TEXTS)


def test_a_server_that_names_no_tokens_is_read_by_characters(server: ScriptedServer):
    """And one that has no probabilities leaves the perplexity unknown."""
    server.chats = [completion("Hi")]

    found = asked(server)

    assert found.answers[0].tokens == ("H", "i")
    assert found.nll is None


def test_quality_of_nothing_wrong_is_kept():
    """The form that a tune's file has."""
    assert Quality(same=1, of=1).is_kept
