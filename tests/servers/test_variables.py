"""Reading back what a container was started with."""

from __future__ import annotations

import pytest

from workbench.servers import variables

OURS = (
    *("python3", "/workbench/start.py", "vllm", "serve", "Qwen/Qwen3-8B"),
    *("--served-model-name", "local", "--host", "0.0.0.0", "--port", "8000"),
    *("--max-model-len", "8192", "--gpu-memory-utilization", "0.85", "--dtype", "auto"),
    *("--kv-cache-dtype", "auto", "--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
)


def test_the_command_gives_its_variables_back():
    """Each flag of docker-compose.yml, by its variable's name."""
    assert variables.of_command(OURS) == {
        "WORKBENCH_MODEL": "Qwen/Qwen3-8B",
        "WORKBENCH_SERVED_MODEL_NAME": "local",
        "WORKBENCH_MAX_MODEL_LEN": "8192",
        "WORKBENCH_GPU_MEMORY_UTILIZATION": "0.85",
        "WORKBENCH_DTYPE": "auto",
        "WORKBENCH_KV_CACHE_DTYPE": "auto",
        "WORKBENCH_TOOL_CALL_PARSER": "hermes",
    }


def test_what_follows_are_the_extra_arguments_quoted_as_a_shell_reads_them():
    """Compose splits them again."""
    found = variables.of_command([*OURS, "--enforce-eager", "--hf-overrides", '{"a": 1}'])

    assert found["WORKBENCH_EXTRA_ARGS"] == """--enforce-eager --hf-overrides '{"a": 1}'"""


def test_without_a_tool_parser_the_extra_arguments_are_the_same():
    """The parser and the quantization may be there or not."""
    plain = OURS[: OURS.index("--enable-auto-tool-choice")]

    for more in ((), ("--quantization", "awq")):
        found = variables.of_command([*plain, *more, "--enforce-eager"])
        assert found["WORKBENCH_EXTRA_ARGS"] == "--enforce-eager"
        assert "WORKBENCH_TOOL_CALL_PARSER" not in found


@pytest.mark.parametrize(
    ("argv", "model"),
    [
        (["vllm", "serve", "pocket", "--port", "8000"], "pocket"),
        (["pocket", "--port", "8000"], "pocket"),
        (["serve", "pocket"], "pocket"),
        (["/opt/bin/vllm", "serve", "pocket"], "pocket"),
        (["pocket", "--served-model-name", "serve", "--host", "0.0.0.0"], "pocket"),
        (["vllm", "serve", "--model", "pocket"], "pocket"),
        (["python3", "-m", "api_server", "--model", "pocket"], "pocket"),
        (["--port", "8000"], None),
        ([], None),
    ],
)
def test_the_model_is_found_in_other_peoples_commands(argv, model):
    """vLLM can be started in several ways; one that names no model has none."""
    assert variables.model(argv) == model


def nothing(_model: str, _name: str, _value: str) -> bool:
    """Say of all variables that somebody chose them."""
    return False


@pytest.mark.parametrize("names", [["Qwen/Qwen3-8B"], ["Qwen/Qwen3-8B", "default"]])
def test_with_another_model_goes_what_was_the_old_ones(names: list[str]):
    """Its revision, length, types and parsers, and a name that nobody chose."""
    flags = ("--revision", "v1", "--quantization", "awq")
    argv = [*OURS, *flags, "--reasoning-parser", "qwen3", "--enforce-eager"]
    at = argv.index("local")
    argv[at : at + 1] = names

    assert variables.kept(argv, {"WORKBENCH_MODEL": "pocket"}, nothing) == {
        "WORKBENCH_MODEL": "Qwen/Qwen3-8B",
        "WORKBENCH_GPU_MEMORY_UTILIZATION": "0.85",
        "WORKBENCH_EXTRA_ARGS": "--enforce-eager",
    }
    for asked in ({}, {"WORKBENCH_MODEL": "Qwen/Qwen3-8B"}):
        assert variables.kept(argv, asked, nothing) == variables.of_command(argv)


def test_a_served_name_that_somebody_chose_outlasts_its_model():
    """That is what such a name is for."""
    kept = variables.kept(OURS, {"WORKBENCH_MODEL": "pocket"}, nothing)

    assert kept["WORKBENCH_SERVED_MODEL_NAME"] == "local"


def test_what_came_with_a_model_goes_with_it():
    """Its entry's share of memory and arguments are not the next one's; a chosen share is."""
    entry = {"WORKBENCH_GPU_MEMORY_UTILIZATION": "0.85", "WORKBENCH_EXTRA_ARGS": "--enforce-eager"}
    argv = [*OURS, "--enforce-eager"]

    def came_with(model: str, name: str, value: str) -> bool:
        return model == "Qwen/Qwen3-8B" and entry.get(name) == value

    kept = variables.kept(argv, {"WORKBENCH_MODEL": "pocket"}, came_with)
    assert kept.keys() & entry.keys() == set()

    argv[argv.index("0.85")] = "0.7"
    kept = variables.kept(argv, {"WORKBENCH_MODEL": "pocket"}, came_with)
    assert kept["WORKBENCH_GPU_MEMORY_UTILIZATION"] == "0.7"
    assert variables.kept(argv, {}, came_with) == variables.of_command(argv)
