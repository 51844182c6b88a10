"""The lint on whole files: the guide's, the same mended, this project's own; and its secrecy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.servers.scripted_docker import docker_command
from workbench.doctor import Report, lint
from workbench.errors import ConfigError
from workbench.records import Verdict

PROJECT = Path(__file__).resolve().parents[2]
DATA = PROJECT / "tests" / "data" / "compose"

CUDA = (DATA / "clean-cuda.yml").read_text()

LintText = Callable[..., Report]

NINETEEN = (
    "unknown-top-level-key",
    "shell-without-c",
    "site-packages-hard-coded",
    "legacy-stack-only",
    "bind-creates-directory",
    "torch-bundled-libhsa",
    "host-network",
    "openai-api-key-in-server",
    "hf-token-not-passed",
    "max-model-len-missing",
    "gpu-memory-utilization-default",
    "health-check-too-early",
    "ipc-host-and-shm-size",
    "logging-variables-unread",
    "cache-not-kept",
    "model-fixed-in-file",
    "restart-missing",
    "tool-calls-off",
    "image-deprecated",
)


def test_all_nineteen_faults_of_the_guides_file_are_found():
    """One id for each, and one for its curl, which the image may not have."""
    found = Counter(finding.id for finding in lint(DATA / "guide.yml", {}).findings)

    assert len(NINETEEN) == 19
    assert found == Counter([*NINETEEN, "health-check-tool"])


def test_the_guides_file_with_every_fix_is_clean():
    """The fixes go together, and none brings a fault of its own."""
    assert lint(DATA / "guide-mended.yml", {}).findings == ()


def test_nothing_is_found_in_this_projects_own_file():
    """In none of its profiles."""
    report = lint(PROJECT / "docker-compose.yml", {})

    assert report.findings == ()
    assert {service.name for service in report.services} == {
        "wsl-legacy",
        "wsl-rocdxg",
        "rocm",
        "cuda",
        "cpu",
    }


IMAGES = {
    "vllm/vllm-openai-rocm:v0.31.0": "wsl-rocdxg",
    "vllm/vllm-openai-rocm:v0.26.0": "wsl-rocdxg",
    "rocm/vllm-dev:rocm6.4.2_navi_ubuntu22.04_py3.10_pytorch_2.7_vllm_0.9.2": "wsl-legacy",
    "rocm/vllm-dev:rocm7.2_navi_ubuntu24.04_py3.12_pytorch_2.9_vllm_0.14.0rc0": "wsl-legacy",
}


@pytest.mark.parametrize("profile", [None, "its own"])
@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_meant_for_the_service_that_it_suits(image: str, profile: str | None):
    """All services take it from one variable, one of them runs: the others are no fault."""
    named = IMAGES[image] if profile else None

    report = lint(PROJECT / "docker-compose.yml", {"WORKBENCH_IMAGE": image}, profile=named)

    assert report.findings == ()


@pytest.mark.parametrize(
    "choice",
    [{"profile": "wsl-legacy"}, {"environ": {"COMPOSE_PROFILES": "cpu, wsl-legacy"}}],
    ids=["named", "active"],
)
def test_an_image_that_does_not_suit_what_runs_is_a_fault(choice: dict[str, Any]):
    """The host's old runtime goes into no new image."""
    environ = {"WORKBENCH_IMAGE": "vllm/vllm-openai-rocm:v0.31.0", **choice.pop("environ", {})}

    report = lint(PROJECT / "docker-compose.yml", environ, **choice)

    assert [found.id for found in report.findings] == ["legacy-library-in-new-image"]
    assert not report.ok


def test_a_profile_is_linted_alone(lint_text: LintText):
    """What another service has wrong is no reason not to start this one."""
    text = CUDA.replace("  vllm:\n", "  good: &good\n", 1).replace(
        "volumes:\n  vllm-cache",
        "  bad:\n    <<: *good\n    privileged: true\n    comand: x\nvolumes:\n  vllm-cache",
    )

    good, bad = (lint_text(text, profile=name) for name in ("good", "bad"))

    assert (good.findings, good.ok, [each.name for each in good.services]) == ((), True, ["good"])
    assert {found.id for found in bad.findings} == {"unknown-service-key", "privileged"}
    assert not bad.ok


@pytest.mark.processes
@pytest.mark.parametrize("name", ["compose.yaml", "compose.yml", "docker-compose.yaml"])
def test_the_verb_reads_the_file_that_compose_reads(name: str, project: Path):
    """Compose knows four names; --profile leaves the other services out of the exit status too."""
    text = CUDA.replace("  vllm:\n", "  good: &good\n", 1)
    bad = "  bad:\n    <<: *good\n    comand: x\n"
    (project / name).write_text(
        text.replace("volumes:\n  vllm-cache", bad + "volumes:\n  vllm-cache")
    )

    def doctor(*options: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "workbench", "doctor", "--json", *options],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": str(project), "WORKBENCH_HOME": str(project)},
        )
        return done.returncode, Path(json.loads(done.stdout)["path"]).name

    assert doctor("--profile", "bad") == (1, name)
    assert doctor("--profile", "good") == (0, name)


def test_another_program_in_vllms_image_is_no_vllm(lint_text: LintText):
    """It has a Python for others too, and what holds for a start of vLLM does not hold for them."""
    text = """
        services:
          sidecar:
            image: vllm/vllm-openai:v0.33.0
            entrypoint: [python3, -m, workbench, telemetry, serve]
        """
    assert [finding.id for finding in lint_text(text).findings] == ["no-vllm-service"]


def test_a_profile_that_is_not_there_is_said_with_those_that_are(lint_text: LintText):
    """An empty report would look like a clean one."""
    with pytest.raises(ConfigError, match="no service 'gpu' that runs vLLM; those it has: vllm"):
        lint_text(CUDA, profile="gpu")


def test_what_the_guides_file_would_really_run():
    """With the entrypoint before it, the command is not what it seems."""
    (service,) = lint(DATA / "guide.yml", {}).services

    assert service.argv[:3] == ("/bin/bash", "bash", "-c")
    assert service.argv[3].startswith("sed -i 's/is_rocm = False/is_rocm = True/g' /opt/conda/")
    assert service.mounts[0] == "/usr/lib/wsl/lib/libdxcore.so:/usr/lib/libdxcore.so:ro"
    assert service.environment == (
        "LOGGING_LEVEL=info",
        "LOGGING_ENDPOINT=http://localhost:5000/logs",
        "OPENAI_API_KEY=***",
    )
    assert (service.devices, service.ports, service.restart) == (("/dev/dxg",), (), "no")


@pytest.mark.parametrize(
    ("image", "argv"),
    [
        ("vllm/vllm-openai:v0.33.0", ("vllm", "serve", "x")),
        ("docker.io/vllm/vllm-openai-cpu:v0.33.0-x86_64", ("vllm", "serve", "x")),
        ("vllm/vllm-openai:v0.10.2", ("python3", "-m", "vllm.entrypoints.openai.api_server", "x")),
        ("rocm/vllm-dev:nightly", ("/bin/bash", "x")),
        ("registry.local:5000/me/vllm-fork", ("(the image's own entrypoint)", "x")),
    ],
)
def test_the_entrypoint_is_the_images_where_it_is_known(
    image: str, argv: tuple[str, ...], lint_text: LintText
):
    """Families differ; of others nothing is claimed."""
    text = f"services:\n  s:\n    image: {image}\n    command: x\n"

    assert lint_text(text).services[0].argv == argv


SECRET = "sesame-0pen-up"


@pytest.mark.parametrize(
    "change",
    [
        ("${VLLM_API_KEY:-}", SECRET),
        ("${VLLM_API_KEY:-}", f"${{VLLM_API_KEY:-{SECRET}}}"),
        ("--model $", f"--api-key {SECRET} --model $"),
        ("--model $", f"--api-key={SECRET} --model $"),
        ("--model $", "--api-key $${VLLM_API_KEY} --api-key ${GIVEN} --model $"),
        ("    environment:", f"    environment:\n      HF_TOKEN: {SECRET}"),
        ("    environment:", f"    environment:\n      ENDPOINT: http://me:{SECRET}@host/"),
        ("    environment:", f"    environment:\n      ENDPOINT: https://{SECRET}@mirror/"),
        ("    environment:", f"    environment:\n      ENDPOINT: https://me:p@{SECRET}@mirror/"),
        ("    environment:", f"    environment:\n      ENDPOINT: https://h/log?code={SECRET}"),
        ("    environment:", f"    environment:\n      LOGGING_ENDPOINT: http://h?a=b&c={SECRET}"),
        ("    environment:", f"    environment:\n      HF_TOKEN_READ: {SECRET}"),
        ("    environment:", f"    environment:\n      API_KEY_1: {SECRET}"),
        ("    environment:", f"    environment:\n      OPTIONS: --set=API_KEY_1={SECRET}"),
        ("services:", f"include: ['https://{SECRET}@host/repo.git']\nservices:"),
        (
            "    command: >-",
            f"    entrypoint: bash -c 'API_KEY_1=\"{SECRET}\" vllm serve'\n    command: >-",
        ),
        (
            "    command: >-",
            f"    entrypoint: bash -c 'HF_TOKEN={SECRET} vllm serve'\n    command: >-",
        ),
        ("    restart:", "    env_file: secret.env\n    restart:"),
        ("services:", f"API_KEY: {SECRET}\nservices:"),
        ("    environment:", f"    environment:\n      DB_PASS: {SECRET}"),
        ("    environment:", f"    environment:\n      MY_PASSPHRASE: {SECRET}"),
        ("    environment:", f"    environment:\n      AUTHORIZATION: Bearer {SECRET}"),
        ("    environment:", f"    environment:\n      GIT_PAT: {SECRET}"),
        ("    environment:", f"    environment:\n      ANYTHING: ghp_{SECRET}"),
        ("    environment:", f"    environment:\n      HTTPS_PROXY: http://{SECRET}@host"),
        ("image: vllm/", f"image: me:{SECRET}@registry.local/vllm/"),
        (
            "    restart:",
            f"    labels: ['curl -H \"Authorization: Bearer {SECRET}\"']\n    restart:",
        ),
        (
            "    command: >-",
            f"    entrypoint: bash -c \"export VLLM_API_KEY='sk-1 {SECRET}' && vllm serve\"\n"
            "    command: >-",
        ),
        ("    command: >-", f"    entrypoint: bash --api-key {SECRET}\n    command: >-"),
    ],
)
def test_a_secret_is_nowhere_in_the_report(
    change: tuple[str, str], tmp_path: Path, lint_text: LintText
):
    """Neither in the evidence nor in the fix nor in what would run."""
    (tmp_path / "secret.env").write_text(f"HF_TOKEN={SECRET}\n")
    text = CUDA.replace(*change, 1)
    assert text != CUDA
    text = text.replace("    restart: unless-stopped\n", "    network_mode: host\n")

    report = lint_text(text, {"GIVEN": SECRET, "VLLM_API_KEY": ""})

    assert SECRET not in str(report)
    assert report.findings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_NUM_BATCHED_TOKENS", "8192"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("VLLM_SHARED_EXPERTS_STREAM_TOKEN_THRESHOLD", "2048"),
        ("HF_TOKEN_PATH", "/run/secrets/hf"),
        ("HF_ENDPOINT", "https://huggingface.co/a/b"),
        ("PATCHES", "all-of-them"),
        ("IMAGE", "vllm:v0.33.0@sha256:0123"),
    ],
)
def test_what_is_no_secret_is_shown(name: str, value: str, lint_text: LintText):
    """A number of tokens is no token, and a path to a key no key."""
    text = CUDA.replace("    environment:", f'    environment:\n      {name}: "{value}"', 1)

    assert f"{name}={value}" in lint_text(text).services[0].environment


def test_of_a_url_all_but_login_and_query_is_shown(lint_text: LintText):
    """Where a log goes to is worth reading."""
    url = "https://me@logs.example/v1/push?code=sesame"
    text = CUDA.replace("    environment:", f"    environment:\n      TO: {url}", 1)

    assert "TO=https://***@logs.example/v1/push?***" in lint_text(text).services[0].environment


def test_a_health_checks_key_is_hidden(lint_text: LintText):
    """It goes into a header there."""
    check = f"[CMD, curl, -H, 'Authorization: Bearer {SECRET}', 'http://localhost:8000/health']"
    text = "services:\n  s:\n    image: vllm/vllm-openai:v0.33.0\n    healthcheck:\n"

    report = lint_text(f"{text}      test: {check}\n")

    assert SECRET not in str(report)
    assert "Authorization: Bearer ***" in report.services[0].health


@pytest.fixture
def compose(tmp_path: Path, monkeypatch) -> Callable[[str], dict[str, str]]:
    """Put a ``docker`` that says this on its error output; an environment that has it."""

    def refusing(said: str) -> dict[str, str]:
        docker_command(tmp_path, monkeypatch, config=None, **{"--quiet": f"{said} >&2; exit 15"})
        return {"PATH": os.environ["PATH"]}

    return refusing


def test_what_compose_refuses_is_said_in_its_words(compose, lint_text: LintText):
    """It knows more than is checked here; its warnings are no reason, and no secret is quoted."""
    said = f"echo 'time=1 level=warning msg=no'; echo 'invalid size: big {SECRET}'"
    environ = compose(said) | {"MY_TOKEN": SECRET}

    (found,) = lint_text(CUDA, environ).findings

    assert (found.id, found.verdict) == ("compose-refuses", Verdict.FAIL)
    assert found.seen == "invalid size: big ***"


def test_nothing_is_fetched_to_ask_compose(compose, tmp_path: Path, lint_text: LintText):
    """A repository that a stranger's file includes stays where it is."""
    report = lint_text(f"include: ['https://h/r.git']\n{CUDA}", compose("echo no"))

    assert [each.id for each in report.findings] == ["other-file-not-read"]
    assert not (tmp_path / "said").exists()


def test_a_strangers_dotenv_is_no_environment_of_a_command(compose, tmp_path, lint_text: LintText):
    """A library or a plugin that it names would run."""
    environ = compose(f"env > {tmp_path}/env") | {"LD_PRELOAD": "./theirs.so"}

    lint_text(CUDA, environ)

    assert "theirs" not in (tmp_path / "env").read_text()


@pytest.mark.parametrize(
    ("said", "text", "ids"),
    [
        ("echo additional property comand", CUDA.replace("restart:", "comand:"), 1),
        ("echo \"docker: 'compose' is not a docker command.\"", CUDA, 0),
        ("echo 'unknown flag: --file'", CUDA, 0),
    ],
    ids=["known already", "no plugin", "no plugin, an option first"],
)
def test_compose_is_quoted_only_where_it_says_something_new(
    said: str, text: str, ids: int, compose, lint_text: LintText
):
    """One fault is one finding; and a docker without Compose says nothing about the file."""
    failed = [each.id for each in lint_text(text, compose(said)).findings if each.verdict == "fail"]

    assert failed == ["unknown-service-key"] * ids


def test_a_number_of_a_variable_is_composes_to_refuse(tmp_path: Path, compose_config):
    """The real one, on this project's own file."""
    text = (PROJECT / "docker-compose.yml").read_text()
    (tmp_path / "docker-compose.yml").write_text(text)
    (tmp_path / ".env").write_text("WORKBENCH_SHM_SIZE=big\n")

    report = lint(tmp_path / "docker-compose.yml", {"PATH": os.environ["PATH"]})

    assert [each.id for each in report.findings if each.verdict == "fail"] == ["compose-refuses"]
    assert "big" in report.findings[0].seen


def test_a_file_that_only_includes_names_what_to_look_at(tmp_path: Path, lint_text: LintText):
    """Compose takes it; that there is no service in it is no fault."""
    for name in ("one.yml", "two.yml", "three.yml"):
        (tmp_path / name).write_text(CUDA)

    report = lint_text("include:\n  - one.yml\n  - path: [two.yml, three.yml]\n")

    assert (report.ok, report.services) == (True, ())
    assert [each.fix for each in report.findings] == [
        f"workbench doctor --compose {name}" for name in ("one.yml", "two.yml", "three.yml")
    ]


def test_a_base_in_a_file_that_is_not_there_is_a_fault(lint_text: LintText):
    """Compose stops; and that the service is no vLLM cannot be said without its base."""
    report = lint_text("services:\n  s:\n    extends: {file: base.yml, service: s}\n")

    assert [(each.id, each.verdict) for each in report.findings] == [
        ("other-file-missing", Verdict.FAIL)
    ]
    assert report.findings[0].seen == "line 3: base.yml"


def test_a_report_without_a_failure_is_ok(lint_text: LintText):
    """What is unsafe or surprising does not keep it from working."""
    report = lint_text(CUDA.replace("    restart: unless-stopped\n", ""))

    assert {finding.id for finding in report.findings} == {"restart-missing"}
    assert {finding.verdict for finding in report.findings} == {Verdict.WARN}
    assert report.ok
