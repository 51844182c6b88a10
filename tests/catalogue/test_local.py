"""Which models there are, and what their folders say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.catalogue import find_model, local_models, looks_like_hub_name, tool_call_parser
from workbench.errors import ConfigError


def test_the_pocket_models_are_found_with_their_facts(project: Path):
    """Name, context length and tool-call parser come from the folder itself."""
    found = find_model("pocket", models_dir=project / "models")

    assert local_models(project / "models") == ["pocket", "pocket-mini"]
    assert (found.name, found.max_model_len, found.tool_call_parser) == ("pocket", 2048, "hermes")


def test_a_path_serves_as_well_as_a_name(project: Path, tmp_path: Path):
    """A folder anywhere on the disk, with nested text settings as multimodal models have."""
    folder = tmp_path / "elsewhere" / "mine"
    folder.mkdir(parents=True)
    config = {"text_config": {"max_position_embeddings": 512}}
    (folder / "config.json").write_text(json.dumps(config))

    found = find_model(str(folder), models_dir=project / "models")

    assert (found.name, found.max_model_len, found.tool_call_parser) == ("mine", 512, None)


def test_an_unknown_model_gets_a_suggestion(project: Path):
    """The error lists what there is and guesses what was meant."""
    with pytest.raises(ConfigError, match="pocket, pocket-mini") as caught:
        find_model("poket", models_dir=project / "models")

    assert caught.value.hint == "Did you mean pocket?"


def test_a_damaged_configuration_is_named(tmp_path: Path):
    """A config.json that is no JSON is said to be the trouble."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "config.json").write_text("{")

    with pytest.raises(ConfigError, match="configuration of bad cannot be read"):
        find_model("bad", models_dir=tmp_path)


@pytest.mark.parametrize(
    ("template", "parser"),
    [
        pytest.param("…<tool_call>\n{…}", "hermes", id="hermes, qwen2.5, qwen3"),
        pytest.param("<tool_call>\n<function=name>", "qwen3_coder", id="qwen3-coder"),
        pytest.param("[TOOL_CALLS] [", "mistral", id="mistral"),
        pytest.param("<|python_tag|>", "llama3_json", id="llama 3.1"),
        pytest.param("{{ messages }}", None, id="no tools"),
    ],
)
def test_the_chat_template_tells_the_tool_call_parser(template: str, parser: str | None):
    """What the model writes around a call names the parser that reads it."""
    assert tool_call_parser(template) == parser


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        pytest.param("Qwen/Qwen3-8B", True, id="hub"),
        pytest.param("models/pocket", False, id="a-path-that-is-there"),
        pytest.param("org/na me", False, id="no-name-of-the-hub"),
        pytest.param("./pocket", False, id="relative"),
        pytest.param("pocket", False, id="one-word"),
    ],
)
def test_a_name_of_the_hub_is_told_from_a_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_one: bool
):
    """Typed where the shell stands: what is there is a folder."""
    monkeypatch.chdir(project)

    assert looks_like_hub_name(name, project / "models") is is_one


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b'{"max_position_embeddings": "4096"}'),
        ("config.json", b'{"max_position_embeddings": -1}'),
        ("chat_template.jinja", b"\xff\xfe"),
    ],
)
def test_what_cannot_be_read_of_a_folder_is_told(tmp_path: Path, file: str, content: bytes):
    """The context would be compared with a number, the template searched for tool calls."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    (tmp_path / "mine" / file).write_bytes(content)

    with pytest.raises(ConfigError, match="mine cannot be read"):
        find_model("mine", models_dir=tmp_path)


def test_a_tokenizer_that_is_no_object_has_no_template(tmp_path: Path):
    """The model may still be served; it calls no tools."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    (tmp_path / "mine" / "tokenizer_config.json").write_text("[]")

    assert find_model("mine", models_dir=tmp_path).tool_call_parser is None


def test_a_name_is_no_suggestion_for_itself(tmp_path: Path):
    """The catalogue knows pocket, and its folder is not in this project."""
    with pytest.raises(ConfigError) as caught:
        find_model("pocket", models_dir=tmp_path, others=["pocket"])

    assert caught.value.hint == "Put its folder there, or give a path."
