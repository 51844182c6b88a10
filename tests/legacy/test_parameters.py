"""The parameter map is whole: against llama-cpp-python's signatures, and in itself."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from workbench.legacy.parameters import parameter_map

MAP = parameter_map()
RECORDED = json.loads((Path(__file__).parents[1] / "data/migrate/llama_cpp.json").read_text())
METHODS = {"create_chat_completion": "llama_chat", "create_completion": "llama_completion"}
RULES = [(table, name, rule) for table, rules in MAP.rules.items() for name, rule in rules.items()]


@pytest.mark.parametrize(("method", "interface"), METHODS.items())
def test_every_parameter_of_llama_cpp_python_has_a_rule(method: str, interface: str):
    """Of the two methods that ask a model; a newer one would be missed otherwise."""
    known = MAP.rules[MAP.interfaces[interface].table]

    assert set(RECORDED["methods"][method]) - set(known) == set()


@pytest.mark.parametrize("method", ["__init__", "from_pretrained"])
def test_every_parameter_of_a_model_that_is_loaded_is_known(method: str):
    """What is not, is asked about, and nobody can answer that of a library's own parameter."""
    assert set(RECORDED["methods"][method]) - set(MAP.rules["llama_cpp_server"]) == set()


@pytest.mark.parametrize(("method", "interface"), METHODS.items())
def test_defaults_and_order_are_llama_cpp_pythons(method: str, interface: str):
    """As its source has them."""
    recorded = RECORDED["methods"][method]
    positional = MAP.interfaces[interface].positional

    assert list(recorded)[: len(positional)] == list(positional)
    for name, default in MAP.defaults(MAP.interfaces[interface]).items():
        assert default == ast.literal_eval(recorded[name])


def test_every_method_of_llama_cpp_python_is_known():
    """It is moved, stays as it is, or is asked about."""
    known = {*MAP.methods, *MAP.method_same, *MAP.method_decide}
    elsewhere = {"__init__", "__call__", "from_pretrained", "close"}
    # What has to do with the process that holds the model; whoever uses it has read llama.cpp.
    inside = {"ctx", "model", "eval_tokens", "eval_logits", "tokenizer", "pooling_type"}
    inside |= {"logits_to_logprobs", "longest_token_prefix"}

    assert set(RECORDED["methods"]) - known - elsewhere - inside == set()


@pytest.mark.parametrize(("table", "name", "rule"), RULES, ids=lambda each: str(each)[:30])
def test_what_changes_an_answer_is_not_dropped_in_silence(table: str, name: str, rule):
    """A rule that says nothing at all is about how a model was loaded, and not what it answers."""
    silent = not (rule.becomes or rule.decide or rule.server or rule.change or rule.off)
    loading = {"batch_size", "threads", "num_gpu", "num_thread", "id_slot", "n_gpu_layers"}
    loading |= {"n_batch", "n_threads", "f16_kv", "verbose", "use_mmap", "keep_alive"}

    assert not silent or name in loading or table.endswith("_server"), table


def test_every_interface_has_its_table_and_its_ways():
    """Names that lead nowhere would be found out by a user otherwise."""
    assert {each.table for each in MAP.interfaces.values()} <= set(MAP.rules)
    assert {each.becomes for each in MAP.interfaces.values()} == {"chat", "complete", "embeddings"}
