"""The catalogue: what it has, how a reader's own file adds to it, and what is wrong with one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.catalogue import entries, find_entry, looks_like_hub_name
from workbench.errors import ConfigError

ENTRY = 'model = "somebody/model"\nwhy = "a test"\n'


def own(folder: Path, text: str) -> Path:
    """A models folder with a catalogue of its own."""
    (folder / "catalogue.toml").write_text(text)
    return folder


def test_what_is_shipped_has_the_pocket_models_and_names_of_the_hub(tmp_path: Path):
    """Each entry is in the repository or has a name that the hub knows, and says why it is here."""
    shipped = entries(tmp_path)

    assert {"pocket", "pocket-mini", "llama-3.1-8b", "smollm2-135m"} <= shipped.keys()
    for entry in shipped.values():
        assert entry.name.startswith("pocket") or looks_like_hub_name(entry.model, tmp_path)
        assert entry.why
        assert entry.licence


def test_no_entry_asks_rdna3_for_fp8(tmp_path: Path):
    """The card that the catalogue is made for has none."""
    assert all("fp8" not in str(entry).lower() for entry in entries(tmp_path).values())


def test_a_readers_file_adds_and_overrides(tmp_path: Path):
    """An entry of the same name takes the place of the shipped one; the others stay."""
    models = own(tmp_path, f"[mine]\n{ENTRY}max_model_len = 1024\n[pocket]\n{ENTRY}")

    found = entries(models)

    assert found["mine"].max_model_len == 1024
    assert found["pocket"].model == "somebody/model"
    assert found["pocket"].file == models / "catalogue.toml"
    assert "pocket-mini" in found
    assert find_entry("no-such", models_dir=models) is None


def test_an_entry_becomes_flags_of_vllm(tmp_path: Path):
    """By vLLM's own names; sampling defaults become the server's, so that every client has them."""
    text = f"""[mine]
{ENTRY}dtype = "float16"
quantization = "awq"
reasoning_parser = "qwen3"
sampling = {{temperature = 0.6, top_k = 20}}
extra_args = ["--max-num-seqs", "8"]
"""
    flags = find_entry("mine", models_dir=own(tmp_path, text)).flags()

    assert flags[:4] == ["--dtype", "float16", "--quantization", "awq"]
    assert flags[4:6] == ["--reasoning-parser", "qwen3"]
    assert flags[6] == "--override-generation-config"
    assert json.loads(flags[7]) == {"temperature": 0.6, "top_k": 20}
    assert flags[8:] == ["--max-num-seqs", "8"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("[mine", "cannot be read", id="no-toml"),
        pytest.param('mine = "x"', "an entry is a table", id="no-table"),
        pytest.param('[mine]\nwhy = "x"', "without model", id="no-model"),
        pytest.param('[mine]\nmodel = "x"', "without why", id="no-reason"),
        pytest.param(f'[mine]\n{ENTRY}dtipe = "x"', "did you mean dtype", id="unknown-field"),
        pytest.param(f'[mine]\n{ENTRY}max_model_len = "8k"', "of type int", id="text-as-length"),
        pytest.param(f"[mine]\n{ENTRY}max_model_len = true", "of type int", id="bool-as-length"),
        pytest.param(f"[my.8b]\n{ENTRY}", r'needs quotes: \["my.8b"\]', id="dotted-name"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, said: str):
    """With the file, the entry and the field."""
    models = own(tmp_path, text)

    with pytest.raises(ConfigError, match=said) as caught:
        entries(models)

    assert str(models / "catalogue.toml") in caught.value.message


@pytest.mark.parametrize(
    "line",
    [
        "max_model_len = 0",
        "max_model_len = -5",
        "gpu_memory_utilization = 1.5",
        "gpu_memory_utilization = nan",
        "extra_args = [8]",
    ],
)
def test_a_value_that_vllm_could_not_take_is_named(tmp_path: Path, line: str):
    """Where it was written, and not minutes later in vLLM's log."""
    key = line.partition(" ")[0]
    with pytest.raises(ConfigError, match=f"{key} = "):
        entries(own(tmp_path, f"[mine]\n{ENTRY}{line}\n"))
