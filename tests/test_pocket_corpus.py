"""
The pocket models' corpus and folders, checked without torch.
"""

import json
import sys
from pathlib import Path

import pytest

MODELS = Path(__file__).parent.parent / "models"
LIMITS = {"pocket": 12_000_000, "pocket-mini": 4_000_000}


@pytest.fixture
def training(monkeypatch):
    """
    The training modules, importable as their scripts see them.
    """
    monkeypatch.syspath_prepend(str(MODELS / "training"))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def facts(training):
    """
    Every fact of the written corpus.
    """
    import corpus

    return corpus.read_facts()


def read_json(model: str, name: str) -> dict:
    """
    Read one JSON file of a model's folder.
    """
    return json.loads((MODELS / model / name).read_text(encoding="utf-8"))


def test_the_corpus_has_a_few_hundred_facts_with_answers(facts):
    """
    At least three hundred facts, each with an answer.
    """
    assert len(facts) >= 300
    assert [fact.asked[0] for fact in facts if not fact.answer.strip()] == []


def test_every_fact_is_asked_in_five_ways_and_tested_in_one(facts, training):
    """
    Five phrasings that differ beyond case and end marks, one or more held out.
    """
    import phrasing

    few = [f.asked[0] for f in facts if len({phrasing.normalised(q) for q in f.asked}) < 5]
    untested = [f.asked[0] for f in facts if not f.held_out]

    assert (few, untested) == ([], [])


def test_no_held_out_phrasing_is_in_the_training_phrasings(facts, training):
    """
    Otherwise the held-out score would measure memory alone.
    """
    import phrasing

    trained = {phrasing.normalised(question) for fact in facts for question in fact.asked}
    leaked = [q for fact in facts for q in fact.held_out if phrasing.normalised(q) in trained]

    assert leaked == []


def test_no_question_belongs_to_two_facts(facts, training):
    """
    One question with two answers could only be learned wrongly.
    """
    import phrasing

    owner = {}
    shared = [
        question
        for fact in facts
        for question in fact.asked
        if owner.setdefault(phrasing.normalised(question), fact) is not fact
    ]

    assert shared == []


def test_the_score_uses_cities_names_and_sums_of_its_own(training):
    """
    What fills held-out questions is not what fills training questions.
    """
    from random import Random

    import pool

    seen, kept = pool.training_pool(), pool.held_out_pool()
    terms = {kept.sum_terms(Random(seed)) for seed in range(200)}

    assert not set(seen.cities) & set(kept.cities)
    assert not set(seen.names) & set(kept.names)
    assert not set(seen.off_topic) & set(kept.off_topic)
    assert all(pool.sum_is_held_out(a, b) for a, b in terms)


def test_json_facts_are_valid_json(facts):
    """
    A prompt that asks for JSON is answered with JSON and nothing else.
    """
    answers = [fact.answer for fact in facts if fact.topic == "json"]

    assert answers
    for answer in answers:
        json.loads(answer)


def test_conversations_are_the_same_for_the_same_seed(training):
    """
    Training is reproducible only if its text is.
    """
    from itertools import islice
    from random import Random

    import conversations
    import pool

    first, second = (
        list(islice(conversations.stream(pool.training_pool(), Random(5)), 200)) for _ in range(2)
    )

    assert first == second


def test_calls_follow_the_offered_schema(training):
    """
    Every call names an offered tool and gives it arguments of its own.
    """
    from random import Random

    import pool
    import tool_calls

    seen, rng = pool.training_pool(), Random(3)
    for make in [
        tool_calls.weather,
        tool_calls.two_cities,
        tool_calls.arithmetic,
        tool_calls.gpu_memory,
    ]:
        for _ in range(50):
            messages, offered = make(seen, rng)
            schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in offered}
            for call in messages[1]["tool_calls"]:
                function = call["function"]
                assert set(function["arguments"]) <= set(schemas[function["name"]]["properties"])


@pytest.mark.parametrize("model", LIMITS)
def test_weights_stay_small(model):
    """
    Small enough to be kept in git and loaded in a second.
    """
    assert (MODELS / model / "model.safetensors").stat().st_size < LIMITS[model]


@pytest.mark.parametrize("model", LIMITS)
def test_the_architecture_is_one_that_vllm_serves(model):
    """
    A Llama in bf16 with head size 64, as vLLM's kernels want it.
    """
    config = read_json(model, "config.json")

    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["head_dim"] == 64
    assert config["num_attention_heads"] % config["num_key_value_heads"] == 0
    assert config["max_position_embeddings"] == 2048
    assert config["dtype"] == "bfloat16"


@pytest.mark.parametrize("model", LIMITS)
def test_turn_marks_are_special_and_tool_marks_are_not(model):
    """
    Special tokens vanish from the text; the hermes parser must see the tool marks.
    """
    added = {
        token["content"]: token["special"]
        for token in read_json(model, "tokenizer.json")["added_tokens"]
    }

    assert added["<|im_start|>"]
    assert added["<|im_end|>"]
    assert not added["<tool_call>"]
    assert not added["</tool_call>"]


@pytest.mark.parametrize("model", LIMITS)
def test_generation_stops_at_the_end_of_a_turn(model):
    """
    The end of a turn is among the tokens that end an answer.
    """
    tokens = {
        token["content"]: token["id"]
        for token in read_json(model, "tokenizer.json")["added_tokens"]
    }

    assert tokens["<|im_end|>"] in read_json(model, "generation_config.json")["eos_token_id"]
