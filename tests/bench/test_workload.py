"""What is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.bench import workload
from workbench.bench.workload import Lengths, Prompt
from workbench.errors import ConfigError


def two_a_word(text: str) -> int:
    """Count as a tokenizer that gives each word two tokens."""
    return 2 * len(text.split())


def test_the_same_seed_asks_the_same():
    """And another one something else."""
    lengths = Lengths(input=20, output=5)

    assert workload.synthetic(3, lengths, seed=1) == workload.synthetic(3, lengths, seed=1)
    assert workload.synthetic(3, lengths, seed=1) != workload.synthetic(3, lengths, seed=2)


def test_lengths_are_those_of_the_servers_tokenizer():
    """Where a word is two tokens, 40 tokens are 20 words."""
    (prompt,) = workload.synthetic(1, Lengths(input=40, output=5), count=two_a_word)

    assert len(prompt.text.split()) == 20
    assert prompt.output_tokens == 5


def test_a_spread_is_uniform_around_the_length():
    """Half of 100 either way: from 50 to 150, and both ends are met in a thousand."""
    prompts = workload.synthetic(1000, Lengths(input=100, output=100, spread=0.5))
    inputs = {len(prompt.text.split()) for prompt in prompts}
    outputs = {prompt.output_tokens for prompt in prompts}

    assert (min(inputs), max(inputs)) == (min(outputs), max(outputs)) == (50, 150)


def test_prompts_share_their_prefix_and_nothing_more():
    """The server's prefix cache can hold the first line, and no second one."""
    prompts = workload.synthetic(50, Lengths(input=20, output=1, shared_prefix=30))
    lines = [prompt.text.split("\n") for prompt in prompts]

    assert len({first for first, _ in lines}) == 1
    assert len(lines[0][0].split()) == 30
    assert len({rest for _, rest in lines}) == 50


@pytest.mark.parametrize(
    "lengths",
    [Lengths(input=0, output=1), Lengths(input=1, output=0), Lengths(input=1, output=1, spread=1)],
)
def test_lengths_that_no_prompt_has_are_refused(lengths: Lengths):
    """Before anything is sent."""
    with pytest.raises(ConfigError):
        workload.synthetic(1, lengths)


def test_a_text_file_has_a_prompt_a_line(tmp_path: Path):
    """Empty lines are none."""
    (tmp_path / "own.txt").write_text("What?\n\nWhy?\n")

    found = workload.read(tmp_path / "own.txt", output_tokens=9)

    assert found == (Prompt("What?", 9), Prompt("Why?", 9))


def test_json_lines_may_say_how_long_an_answer_is(tmp_path: Path):
    """Those that do not have the length of all."""
    (tmp_path / "own.jsonl").write_text('{"prompt": "A", "output_tokens": 3}\n{"prompt": "B"}\n')

    found = workload.read(tmp_path / "own.jsonl", output_tokens=9)

    assert found == (Prompt("A", 3), Prompt("B", 9))


def test_sharegpt_asks_the_first_question_for_as_long_an_answer(tmp_path: Path):
    """Turns below four tokens, and conversations without an answer, are left out."""
    talks = [["a b c", "d e f g h"], ["a", "b c d"], ["a b c d"]]
    turns = [{"conversations": [{"value": text} for text in talk]} for talk in talks]
    (tmp_path / "talks.json").write_text(json.dumps(turns))

    found = workload.read(tmp_path / "talks.json", output_tokens=1, count=two_a_word)

    assert found == (Prompt("a b c", 10),)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", "{"), ("a.json", "[1]"), ("a.jsonl", "{}"), ("a.jsonl", "[]"), ("a.txt", "")],
)
def test_a_file_without_prompts_is_told(tmp_path: Path, name: str, text: str):
    """With its name, whatever is wrong in it."""
    (tmp_path / name).write_text(text)

    with pytest.raises(ConfigError, match=name):
        workload.read(tmp_path / name, output_tokens=1)


def test_all_prompts_come_before_one_comes_twice():
    """Three of three, then again: nothing is asked more often than it must be."""
    prompts = workload.own("abc", output_tokens=1)

    taken = workload.drawn(prompts, 7, seed=3)

    assert sorted(prompt.text for prompt in taken[:3]) == ["a", "b", "c"]
    assert sorted(prompt.text for prompt in taken[3:6]) == ["a", "b", "c"]
    assert len(taken) == 7


def test_a_later_turn_carries_what_was_said_before():
    """User and assistant in turns; the answers are as long as answers are to be."""
    ((first, second, third),) = workload.talks(1, Lengths(input=4, output=6), turns=3)

    assert first.history == ()
    assert second.history[0] == first.text
    assert third.history[:2] == second.history
    assert third.history[2] == second.text
    assert [len(text.split()) for text in third.history] == [4, 6, 4, 6]


def test_only_the_first_turn_has_the_shared_prefix():
    """It is a system prompt's place, and is said once."""
    talks = workload.talks(2, Lengths(input=4, output=6, shared_prefix=9), turns=2)

    assert len({first.text.split("\n")[0] for first, _ in talks}) == 1
    assert all("\n" not in second.text for _, second in talks)


def test_sharegpts_turns_carry_the_files_answers(tmp_path: Path):
    """Of five values two turns: the last question has no answer that says how long."""
    said = ["one two", "three four", "five six", "seven eight nine", "ten"]
    talk = {"conversations": [{"value": text} for text in said]}
    (tmp_path / "talks.json").write_text(json.dumps([talk]))

    found = workload.read_talks(tmp_path / "talks.json", turns=3, output_tokens=1, count=two_a_word)

    assert found == ((Prompt("one two", 4), Prompt("five six", 6, ("one two", "three four"))),)


def test_all_first_turns_come_before_the_second_ones():
    """Conversations may have different lengths."""
    a, b, c = Prompt("a", 1), Prompt("b", 1), Prompt("c", 1)

    assert workload.by_turns([(a, b), (c,)]) == (a, c, b)
