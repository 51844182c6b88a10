"""The compose file itself, as Compose reads it: every profile, what is asked for, what is safe."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from workbench.catalogue import parser_of_family
from workbench.servers.profiles import PROFILES
from workbench.settings import (
    COMPOSE_GPU_MEMORY_UTILIZATION,
    COMPOSE_MAX_MODEL_LEN,
    COMPOSE_MODEL,
)

PROJECT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.docker


def config(folder: Path, profile: str, **variables: str) -> tuple[dict, str]:
    """Return what Compose makes of the file for a profile, and what it complains of."""
    command = ["docker", "compose", "--profile", profile, "config", "--format", "json"]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["services"][profile], done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with nothing but the file: no ``.env``."""
    (tmp_path / "docker-compose.yml").symlink_to(PROJECT / "docker-compose.yml")
    return tmp_path


def flag(service: dict, name: str) -> str | None:
    command = service["command"]
    return command[command.index(name) + 1] if name in command else None


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_clean(folder: Path, profile: str):
    """Not a word of complaint, with no ``.env`` at all."""
    assert config(folder, profile)[1] == ""


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_listens_on_this_machine_only(folder: Path, profile: str):
    """Published on the loopback; no host networking, no privileges, capabilities dropped."""
    service, _ = config(folder, profile)

    assert [port["host_ip"] for port in service["ports"]] == ["127.0.0.1"]
    assert "network_mode" not in service
    assert not service.get("privileged")
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("profile", PROFILES)
def test_the_defaults_fit_24_gb_under_wsl(folder: Path, profile: str):
    """A share below what WSL leaves free (0.88), and a context that is stated."""
    service, _ = config(folder, profile)

    assert COMPOSE_GPU_MEMORY_UTILIZATION < 0.88
    assert float(flag(service, "--gpu-memory-utilization")) == COMPOSE_GPU_MEMORY_UTILIZATION
    assert int(flag(service, "--max-model-len")) == COMPOSE_MAX_MODEL_LEN


@pytest.mark.parametrize("profile", PROFILES)
def test_a_library_that_is_missing_is_not_made_a_folder(folder: Path, profile: str):
    """Everything mounted from outside of the project is read-only and must be there."""
    mounts = config(folder, profile)[0]["volumes"]
    outside = [m for m in mounts if m["type"] == "bind" and not m["source"].startswith(str(folder))]

    assert all(mount["read_only"] for mount in outside)
    assert not any((mount.get("bind") or {}).get("create_host_path") for mount in outside)
    assert bool(outside) == profile.startswith("wsl-")


def test_env_variables_do_what_they_say(folder: Path):
    """Each variable of ``.env`` arrives where vLLM looks for it."""
    (folder / ".env").write_text(
        "WORKBENCH_MODEL=Qwen/Qwen3-8B\nWORKBENCH_SERVED_MODEL_NAME=local\n"
        "WORKBENCH_REVISION=v1\nWORKBENCH_MAX_MODEL_LEN=4096\nWORKBENCH_DTYPE=float16\n"
        "WORKBENCH_GPU_MEMORY_UTILIZATION=0.8\nWORKBENCH_KV_CACHE_DTYPE=fp8\n"
        "WORKBENCH_QUANTIZATION=awq\nWORKBENCH_TOOL_CALL_PARSER=hermes\n"
        "WORKBENCH_EXTRA_ARGS=--enforce-eager --hf-overrides '{\"a\": 1}'\n"
        "WORKBENCH_IMAGE=my/vllm:1\nWORKBENCH_PORT=8123\nWORKBENCH_RESTART=unless-stopped\n"
        "HUGGING_FACE_HUB_TOKEN=hf_old\nVLLM_API_KEY=sk-1\nLOGGING_LEVEL=debug\n"
        "LOGGING_ENDPOINT=http://localhost:5000/logs\n"
    )
    service, said = config(folder, "rocm")

    assert said == ""
    assert service["command"][0] == "Qwen/Qwen3-8B"
    assert service["command"][-3:] == ["--enforce-eager", "--hf-overrides", '{"a": 1}']
    assert {name: flag(service, name) for name in service["command"] if name in FLAGS} == FLAGS
    assert service["image"] == "my/vllm:1"
    assert service["ports"][0]["published"] == "8123"
    assert service["restart"] == "unless-stopped"
    environment = service["environment"]
    assert environment["HF_TOKEN"] == "hf_old"
    assert environment["VLLM_API_KEY"] == "sk-1"
    assert environment["VLLM_LOGGING_LEVEL"] == "debug"
    assert environment["LOGGING_ENDPOINT"] == "http://localhost:5000/logs"


@pytest.mark.parametrize("length", ["auto", "-1"])
def test_a_context_that_vllm_chooses_arrives(folder: Path, length: str):
    """The workbench has no number for it and says nothing; Compose reads it by itself."""
    (folder / ".env").write_text(f"WORKBENCH_MAX_MODEL_LEN={length}\n")

    assert flag(config(folder, "wsl-rocdxg")[0], "--max-model-len") == length


def test_the_files_model_is_the_one_that_the_workbench_knows(folder: Path):
    """Who reads its tool calls is told by the workbench; by hand there is nobody."""
    service, _ = config(folder, "wsl-rocdxg")

    assert service["command"][0] == COMPOSE_MODEL
    assert "--tool-call-parser" not in service["command"]
    assert parser_of_family(COMPOSE_MODEL) == "llama3_json"


FLAGS = {
    "--served-model-name": "local",
    "--revision": "v1",
    "--max-model-len": "4096",
    "--gpu-memory-utilization": "0.8",
    "--dtype": "float16",
    "--kv-cache-dtype": "fp8",
    "--quantization": "awq",
    "--tool-call-parser": "hermes",
}


def test_an_exported_token_reaches_the_container(folder: Path):
    """The shell wins over ``.env``, and the new name over the old one."""
    (folder / ".env").write_text("HF_TOKEN=hf_env\n")

    service, _ = config(folder, "cuda", HF_TOKEN="hf_shell", HUGGING_FACE_HUB_TOKEN="hf_old")

    assert service["environment"]["HF_TOKEN"] == "hf_shell"


def test_the_example_names_every_variable_and_their_defaults(folder: Path):
    """Copied as it is, it changes nothing; uncommented as it is, nearly nothing."""
    text = (PROJECT / "docker-compose.yml").read_text()
    example = (PROJECT / ".env.example").read_text()
    used = {*re.findall(r"\$\{(\w+)", text)}
    offered = {*re.findall(r"^#?(\w+)=", example, re.MULTILINE)}

    assert used - offered == {"HUGGING_FACE_HUB_TOKEN", "WORKBENCH_SHM_SIZE"}
    before, _ = config(folder, "wsl-rocdxg")
    (folder / ".env").write_text(example)
    assert config(folder, "wsl-rocdxg")[0] == before
    # Each default that the example states is the file's own.
    stated = dict(re.findall(r"^#(WORKBENCH_\w+)=(.+)$", example, re.MULTILINE))
    ours = dict(re.findall(r"\$\{(WORKBENCH_\w+):-([^$}]+)\}", text))
    differing = {n: (v, ours[n]) for n, v in stated.items() if n in ours and v != ours[n]}
    assert {*differing} <= {"WORKBENCH_IMAGE"}, differing
