"""A model's facts, from a folder, a file, what comes with the workbench, or the hub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.errors import ConfigError, ServerUnreachableError
from workbench.model_facts import known_models, read_facts
from workbench.vram import read_shape
from workbench.vram.weights import in_file_bytes


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """An empty models folder."""
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def write_model(folder: Path, tensors: dict[str, tuple[str, list[int]]], **config: object) -> None:
    """Write a folder with a safetensors header: no tensor's bytes are read."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"hidden_size": 4} | config))
    header = {
        name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]}
        for name, (dtype, shape) in tensors.items()
    }
    text = json.dumps(header | {"__metadata__": {"format": "pt"}}).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)


def test_weights_are_what_the_headers_say(models: Path):
    """2 · 3 · 4 elements of two bytes, 10 of one; eight bytes of length, then JSON."""
    write_model(models / "m", {"a": ("BF16", [2, 3, 4]), "b": ("I8", [10])})

    facts = read_facts("m", models_dir=models)

    assert facts.weights_bytes == 2 * 24 + 10


@pytest.mark.parametrize(("tied", "expected"), [(True, 200), (False, 400)])
def test_an_output_head_that_is_the_embedding_table_is_not_loaded(models, tied, expected):
    """It may be in the files twice."""
    tensors = {"model.embed_tokens.weight": ("F16", [100]), "lm_head.weight": ("F16", [100])}
    write_model(models / "m", tensors, tie_word_embeddings=tied)

    assert read_facts("m", models_dir=models).weights_bytes == expected


def test_weights_that_are_there_in_two_forms_count_once(models: Path):
    """Mistral's own file beside the hub's: vLLM takes the hub's."""
    write_model(models / "m", {"a": ("BF16", [100])})
    one = (models / "m" / "model.safetensors").read_bytes()
    (models / "m" / "consolidated.safetensors").write_bytes(one)

    assert read_facts("m", models_dir=models).weights_bytes == 200


def test_float32_files_are_served_in_16_bits(models: Path):
    """Half of what the file holds."""
    write_model(models / "m", {"a": ("F32", [100])})

    assert read_facts("m", models_dir=models).weights_bytes == 200


def test_the_pocket_models_formula_is_their_files(project: Path):
    """What the shape says and what the header says is the same, to the byte."""
    for name in ("pocket", "pocket-mini"):
        facts = read_facts(name, models_dir=project / "models")

        assert in_file_bytes(read_shape(facts.config)) == facts.weights_bytes


def test_a_file_has_a_configuration_and_no_weights(models: Path, tmp_path: Path):
    """A config.json alone, by its path from the project folder."""
    (tmp_path / "config.json").write_text('{"hidden_size": 4}')

    facts = read_facts("config.json", models_dir=models)

    assert (facts.config, facts.weights_bytes) == ({"hidden_size": 4}, None)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
def test_what_is_no_configuration_is_named(models: Path, text: str):
    """The file's path, and what to do."""
    (models / "m").mkdir()
    (models / "m" / "config.json").write_text(text)

    with pytest.raises(ConfigError) as caught:
        read_facts("m", models_dir=models)

    assert "config.json" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, (10).to_bytes(8, "little") + b"no JSON", b"\x02" + b"\0" * 7]
)
def test_a_torn_weights_file_is_named(models: Path, content: bytes):
    """A download that was cut, or something else under that name."""
    write_model(models / "m", {})
    (models / "m" / "model.safetensors").write_bytes(content)

    with pytest.raises(ConfigError, match=r"model\.safetensors"):
        read_facts("m", models_dir=models)


def test_well_known_models_need_no_hub(models: Path):
    """By the hub's name, however it is capitalised; the source is said."""
    facts = read_facts("qwen/QWEN3-8B", models_dir=models)

    assert facts.config["num_hidden_layers"] == 36
    assert "2026" in facts.source


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 8.03),
        ("Qwen/Qwen2.5-7B-Instruct", 7.62),
        ("Qwen/Qwen3-8B", 8.19),
        ("Qwen/Qwen3-0.6B", 0.596),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 0.135),
        ("HuggingFaceTB/SmolLM2-360M-Instruct", 0.362),
        ("mistralai/Mistral-7B-Instruct-v0.3", 7.25),
    ],
)
def test_known_sizes_give_the_parameters_on_the_model_card(name: str, billions: float):
    """Two bytes each; the cards round to two or three digits."""
    shape = read_shape(known_models()[name.lower()].config)

    assert in_file_bytes(shape) / 2e9 == pytest.approx(billions, rel=0.006)


def test_every_known_model_can_be_read():
    """And says where its facts are from."""
    for facts in known_models().values():
        assert read_shape(facts.config).layers
        assert facts.source


def test_the_hub_is_asked_last(models: Path):
    """By name and revision."""
    asked = []

    def hub(name: str, revision: str | None) -> tuple[dict, int | None]:
        asked.append((name, revision))
        return {"hidden_size": 4}, 123

    facts = read_facts("someone/model", models_dir=models, revision="v1", hub=hub)

    assert asked == [("someone/model", "v1")]
    assert facts.weights_bytes == 123


def test_a_hub_that_does_not_answer_leaves_a_way(models: Path):
    """Its own sentence, and that a config.json will do."""

    def hub(name: str, revision: str | None) -> tuple[dict, int | None]:
        raise ServerUnreachableError("No route to huggingface.co.", hint="Look at the network")

    with pytest.raises(ConfigError) as caught:
        read_facts("someone/model", models_dir=models, hub=hub)

    assert "No route" in caught.value.message
    assert "config.json" in caught.value.hint


def test_a_name_that_is_nothing_is_told_what_there_is(models: Path):
    """Neither a folder nor known, and no hub to ask."""
    with pytest.raises(ConfigError) as caught:
        read_facts("nothing", models_dir=models)

    assert "Qwen/Qwen3-8B" in caught.value.message


def test_a_name_is_no_suggestion_for_itself(models: Path):
    """The catalogue knows pocket, and its folder is not in this project."""
    with pytest.raises(ConfigError) as caught:
        read_facts("pocket", models_dir=models, others=["pocket"])

    assert "Did you mean" not in caught.value.hint
