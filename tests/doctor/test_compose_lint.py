"""The lint on whole files: the guide's, the same mended, this project's own; and its secrecy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.doctor import Report, lint
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
        (
            "    command: >-",
            f"    entrypoint: bash -c 'HF_TOKEN={SECRET} vllm serve'\n    command: >-",
        ),
        ("    restart:", "    env_file: secret.env\n    restart:"),
        ("services:", f"API_KEY: {SECRET}\nservices:"),
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


def test_a_report_without_a_failure_is_ok(lint_text: LintText):
    """What is unsafe or surprising does not keep it from working."""
    report = lint_text(CUDA.replace("    restart: unless-stopped\n", ""))

    assert {finding.id for finding in report.findings} == {"restart-missing"}
    assert {finding.verdict for finding in report.findings} == {Verdict.WARN}
    assert report.ok
