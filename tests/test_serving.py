"""What the compose file is told: what was asked for, and what else would suit."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workbench import settings
from workbench.catalogue import find_entry
from workbench.errors import ConfigError
from workbench.servers.processes import ProcessGroup
from workbench.servers.running import Running
from workbench.servers.variables import Wanted
from workbench.serving import (
    open_server,
    serve_spec,
    to_fetch,
    wanted_of_compose,
    where_is,
)


def wanted(home: Path, profile: str, environ: dict[str, str] | None = None, **arguments) -> Wanted:
    told = settings.load(
        environ={"WORKBENCH_HOME": str(home), **(environ or {})}, backend="compose", **arguments
    )
    return wanted_of_compose(told, profile)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project whose models folder has the pocket model itself, not a link to it."""
    folder = tmp_path / "models" / "pocket"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"max_position_embeddings": 2048}')
    (folder / "chat_template.jinja").write_text("<tool_call>")
    return tmp_path


def test_without_a_model_the_cpu_would_get_the_pocket(home: Path):
    """Nobody asked for it, so that whatever runs instead is left alone."""
    assert wanted(home, "cpu") == Wanted(
        asked={},
        otherwise={
            "WORKBENCH_MODEL": "pocket",
            "WORKBENCH_TOOL_CALL_PARSER": "hermes",
            "WORKBENCH_MAX_MODEL_LEN": "2048",
        },
    )


def test_without_a_model_a_gpu_gets_the_files_own_and_its_parser(home: Path):
    """The file names the model; who reads its tool calls it leaves to us."""
    assert wanted(home, "wsl-rocdxg") == Wanted(
        asked={}, otherwise={"WORKBENCH_TOOL_CALL_PARSER": "llama3_json"}
    )


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_a_model_that_is_named_is_asked_for_with_its_parser(home: Path, how: str):
    """By whatever way it is named."""
    name = "Qwen/Qwen3-8B"
    if how == "argument":
        found = wanted(home, "rocm", model=name)
    else:
        found = wanted(home, "rocm", {"WORKBENCH_MODEL": name})

    assert found == Wanted(
        asked={"WORKBENCH_MODEL": name, "WORKBENCH_TOOL_CALL_PARSER": "hermes"}, otherwise={}
    )


def test_a_parser_that_is_named_is_left_alone(home: Path):
    """Who sets one knows better."""
    found = wanted(home, "cuda", {"WORKBENCH_TOOL_CALL_PARSER": "mine"}, model="Qwen/Qwen3-8B")

    assert found.asked == {"WORKBENCH_MODEL": "Qwen/Qwen3-8B"}


def test_a_path_below_models_is_the_folders_name_in_the_container(home: Path):
    """The working folder there is /models."""
    found = wanted(home, "cpu", model=str(home / "models" / "pocket"), max_model_len=512)

    assert found.asked["WORKBENCH_MODEL"] == "pocket"
    assert found.asked["WORKBENCH_MAX_MODEL_LEN"] == "512"


def test_a_model_shorter_than_the_files_length_gets_its_own(home: Path):
    """Unless somebody named a length; and a path that a shell completed is no name of the hub."""
    found = wanted(home, "cpu", model="pocket")

    assert found.asked["WORKBENCH_MODEL"] == "pocket"
    assert found.otherwise == {"WORKBENCH_MAX_MODEL_LEN": "2048"}


def test_a_folder_with_a_space_is_refused(home: Path):
    """Compose would make two words of it, and vLLM complain of the second."""
    folder = home / "models" / "my model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")

    with pytest.raises(ConfigError, match="space"):
        wanted(home, "cpu", model="my model")


def test_a_folder_elsewhere_is_refused_also_behind_a_link(home: Path, tmp_path: Path):
    """The container sees ./models and nothing else of this machine."""
    outside = tmp_path / "elsewhere" / "llama"
    outside.mkdir(parents=True)
    (outside / "config.json").write_text("{}")
    (home / "models" / "linked").symlink_to(outside)

    for model in (str(outside), "linked"):
        with pytest.raises(ConfigError, match="sees only what is below") as caught:
            wanted(home, "cpu", model=model)
        assert "a link does not help" in caught.value.hint


def test_an_exported_value_needs_no_telling(home: Path):
    """Compose reads the environment and ``.env`` itself; only arguments are passed on."""
    environ = {"WORKBENCH_GPU_MEMORY_UTILIZATION": "0.8", "WORKBENCH_PORT": "8123"}

    assert wanted(home, "rocm", environ).asked == {}
    assert wanted(home, "rocm", environ, gpu_memory_utilization=0.7).asked == {
        "WORKBENCH_GPU_MEMORY_UTILIZATION": "0.7"
    }


@pytest.mark.parametrize("model", ["big", "Big-8B", "somebody/Big-8B"])
def test_a_share_of_memory_is_an_entrys_or_somebodys(home: Path, model: str):
    """It comes with a model, by whatever name the container has it, if it is the entry's own."""
    (home / "models" / "catalogue.toml").write_text(
        '[big]\nmodel = "somebody/Big-8B"\nwhy = "large"\ngpu_memory_utilization = 0.95\n'
    )
    told = settings.load(environ={"WORKBENCH_HOME": str(home)}, backend="compose")
    came_with, share = open_server(told).came_with, "WORKBENCH_GPU_MEMORY_UTILIZATION"

    assert came_with(model, share, "0.95")
    assert not came_with(model, share, "0.9")
    assert not came_with("pocket", share, "0.95")


@pytest.mark.parametrize("folder", ["qwen3-0.6b", "Qwen3-0.6B"])
def test_a_model_is_found_by_either_name_that_it_was_fetched_by(home: Path, folder: str):
    """By the catalogue's or the hub's: 1.5 GB do not come twice."""
    there = home / "models" / folder
    there.mkdir()
    (there / "config.json").write_text("{}")
    record = {"repo": "Qwen/Qwen3-0.6B", "revision": "main", "commit": "c0ffee", "files": []}
    (there / "fetched.json").write_text(json.dumps(record | {"fetched_at": "2026-01-02T03:04:05"}))
    told = settings.load(environ={}, cwd=home, model="qwen3-0.6b")
    entry = find_entry("qwen3-0.6b", models_dir=told.models_dir)

    assert where_is("qwen3-0.6b", entry, told) == folder
    assert to_fetch(told) is None


@pytest.mark.parametrize(("model", "length"), [("pocket", 128), ("pocket-mini", 2048)])
def test_a_length_is_kept_for_the_model_that_it_was_given_for(
    project: Path, model: str, length: int
):
    """Another model gets its own, as its plan says."""

    def told(**arguments: object) -> settings.Settings:
        return settings.load(environ={}, cwd=project, **arguments)

    spec = serve_spec(told(model="pocket", max_model_len=128), None)
    running = Running(
        group=ProcessGroup(leader=1, started_ticks=1, boot_id="b"),
        spec=spec,
        log_path=project,
        tmp=project,
        started_at=datetime.now(UTC),
    )

    assert serve_spec(told(model=model), running).max_model_len == length
