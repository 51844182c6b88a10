"""One fault at a time, in a file that has no other."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from workbench.doctor import Report
from workbench.doctor.compose_rules import RULES
from workbench.records import Verdict

DATA = Path(__file__).resolve().parents[1] / "data" / "compose"
CUDA, ROCDXG, LEGACY = (
    (DATA / f"clean-{name}.yml").read_text() for name in ("cuda", "rocdxg", "legacy")
)

LintText = Callable[[str], Report]

LIBDXCORE = ROCDXG[
    ROCDXG.index("      - type: bind") : ROCDXG.index("      - type: bind\n        source: /opt")
]
HEALTH = CUDA[CUDA.index("    healthcheck:") : CUDA.index("volumes:\n  vllm-cache")]
COMMAND = "command: >-\n      --model ${MODEL:-Qwen/Qwen3-8B}"

# id: the file, what stands there, what stands there instead. As it is, nothing is found in it.
FAULTS = {
    # The process.
    "unknown-top-level-key": (CUDA, "services:", 'a version: "3.8"\nservices:'),
    "unknown-service-key": (CUDA, "    restart:", "    comand: [x]\n    restart:"),
    "no-vllm-service": (CUDA, "vllm/vllm-openai:v0.33.0", "nginx:1"),
    "other-file-not-read": (CUDA, "services:", "include: ['https://h/r.git']\nservices:"),
    "other-file-missing": (CUDA, "services:", "include: [other.yml]\nservices:"),
    "variable-required": (CUDA, "${VLLM_API_KEY:-}", "${VLLM_API_KEY:?set it}"),
    "variable-unset": (CUDA, "${VLLM_API_KEY:-}", "${VLLM_API_KEY}"),
    "env-file-missing": (CUDA, "    restart:", "    env_file: no.env\n    restart:"),
    "shell-without-c": (
        CUDA,
        COMMAND,
        f"entrypoint: /bin/bash\n    {COMMAND}".replace("--model", "vllm serve --model"),
    ),
    "shell-c-takes-one-word": (
        CUDA,
        COMMAND,
        f"entrypoint: [sh, -c]\n    {COMMAND}".replace("--model", "vllm serve --model"),
    ),
    "command-for-other-entrypoint": (CUDA, "--model $", "vllm serve --model $"),
    "platform-patch-missing": (ROCDXG, "v0.31.0", "v0.19.1"),
    "uva-not-available": (ROCDXG, "v0.31.0", "v0.30.0"),
    "attention-backend-flag-unknown": (
        CUDA,
        "v0.33.0\n    command: >-",
        "v0.11.2\n    command: >-\n      --attention-backend X",
    ),
    "vllm-use-v1-gone": (CUDA, "    environment:", '    environment:\n      VLLM_USE_V1: "1"'),
    "site-packages-hard-coded": (
        CUDA,
        COMMAND + "\n      --enable",
        "entrypoint: [bash, -c]\n    command:\n"
        "     - sed -i s/a/b/ /lib/site-packages/vllm/x.py && vllm serve $$MODEL --enable",
    ),
    "number-refused": (CUDA, "--model $", "--tensor-parallel-size 0 --model $"),
    "tool-calls-off": (CUDA, "--enable-auto-tool-choice --tool-call-parser hermes", ""),
    # The card under WSL.
    "kfd-on-wsl": (ROCDXG, "- /dev/dxg", "- /dev/dxg\n      - /dev/kfd"),
    "wsl-parts-missing": (ROCDXG, LIBDXCORE, ""),
    "legacy-stack-only": (
        ROCDXG,
        "source: /opt/rocm/lib/librocdxg.so",
        "source: /opt/rocm/lib/libhsa-runtime64.so.1",
    ),
    "legacy-library-in-new-image": (
        LEGACY,
        "rocm6.4.2_navi_ubuntu24.04_py3.12_pytorch_2.7_vllm_0.9.2",
        "rocm7.2.1_navi_ubuntu24.04_py3.12_pytorch_2.9_vllm_0.16.0",
    ),
    "rocdxg-library-in-old-image": (
        LEGACY,
        "source: /opt/rocm/lib/libhsa-runtime64.so.1",
        "source: /opt/rocm/lib/librocdxg.so",
    ),
    "torch-bundled-libhsa": (
        LEGACY,
        "entrypoint: [python3, /workbench/start.py, vllm, serve]",
        "entrypoint: [bash, -c]\n    command: ['grep is_rocm x; vllm serve $$M --task embed"
        " --max-model-len 1 --gpu-memory-utilization 0.5']",
    ),
    "image-deprecated": (
        ROCDXG,
        "image: vllm/vllm-openai-rocm:v0.31.0",
        "image: rocm/vllm:rocm7.13.0_gfx110X-all_ubuntu24.04_py3.13_pytorch_2.10.0_vllm_0.19.1"
        "\n    entrypoint: [/start, vllm, serve]",
    ),
    "dxg-detection-missing": (ROCDXG, 'HSA_ENABLE_DXG_DETECTION: "1"', "A: b"),
    "gfx-version-overridden": (
        ROCDXG,
        "    environment:",
        "    environment:\n      HSA_OVERRIDE_GFX_VERSION: 11.0.0",
    ),
    "visible-devices-differ": (
        ROCDXG,
        "    environment:",
        "    environment:\n      HIP_VISIBLE_DEVICES: 0\n      CUDA_VISIBLE_DEVICES: 1",
    ),
    "tensor-parallel-on-wsl": (
        ROCDXG,
        "--max-model-len",
        "--tensor-parallel-size 2 --max-model-len",
    ),
    # Memory.
    "max-model-len-missing": (ROCDXG, "--max-model-len 8192", ""),
    "gpu-memory-utilization-default": (ROCDXG, "--gpu-memory-utilization 0.85", ""),
    "gpu-memory-utilization-too-high": (ROCDXG, "0.85", "${SHARE:-0.9}"),
    "ipc-host-and-shm-size": (
        CUDA,
        "    restart:",
        "    ipc: host\n    shm_size: 8g\n    restart:",
    ),
    # Who gets in, what gets out.
    "hf-token-not-passed": (CUDA, "Qwen/Qwen3-8B", "meta-llama/Llama-3.1-8B-Instruct"),
    "secret-in-file": (CUDA, "${VLLM_API_KEY:-}", "sesame-open"),
    "port-open-without-key": (CUDA, '"127.0.0.1:8000:8000"', '"8000:8000"'),
    "host-network": (CUDA, '    ports:\n      - "127.0.0.1:8000:8000"', "    network_mode: host"),
    "ports-without-effect": (CUDA, COMMAND, f"network_mode: host\n    {COMMAND} --host 127.0.0.1"),
    "openai-api-key-in-server": (
        CUDA,
        "VLLM_API_KEY: ${VLLM_API_KEY:-}",
        "OPENAI_API_KEY: local-dev",
    ),
    "privileged": (CUDA, "    restart:", "    privileged: true\n    restart:"),
    "logging-variables-unread": (
        CUDA,
        "    environment:",
        "    environment:\n      LOGGING_LEVEL: info",
    ),
    # What does not last.
    "bind-creates-directory": (
        ROCDXG,
        LIBDXCORE,
        "      - /usr/lib/wsl/lib/libdxcore.so:/usr/lib/libdxcore.so:ro\n",
    ),
    "health-check-missing": (CUDA, HEALTH, ""),
    "health-check-too-early": (CUDA, "      start_period: 30m\n", "      interval: 30s\n"),
    "health-check-tool": (
        CUDA,
        '["CMD", "python3", "-c", "pass"]',
        "curl -f http://localhost:8000/health || exit 1",
    ),
    "cache-not-kept": (CUDA, "      - vllm-cache:/root/.cache/vllm\n", ""),
    "restart-missing": (CUDA, "    restart: unless-stopped\n", ""),
    "model-fixed-in-file": (CUDA, "${MODEL:-Qwen/Qwen3-8B}", "Qwen/Qwen3-8B"),
    "mount-on-windows-drive": (CUDA, "./models:", "/mnt/d/models:"),
    "image-not-pinned": (CUDA, ":v0.33.0", ""),
}

# A fault that brings others with it.
COMPANY = {"legacy-stack-only": {"legacy-library-in-new-image", "torch-bundled-libhsa"}}


@pytest.mark.parametrize("text", [CUDA, ROCDXG, LEGACY], ids=["cuda", "rocdxg", "legacy"])
def test_nothing_is_found_where_nothing_is_wrong(text: str, lint_text: LintText):
    """The files that the faults below are put into."""
    assert lint_text(text).findings == ()


@pytest.mark.parametrize("id", FAULTS)
def test_one_fault_is_one_finding(id: str, lint_text: LintText):
    """It is found, and nothing else is."""
    text, good, bad = FAULTS[id]
    assert good in text

    report = lint_text(text.replace(good, bad, 1))

    assert {each.id for each in report.findings} == {id} | COMPANY.get(id, set())


@pytest.mark.parametrize("id", FAULTS)
def test_a_finding_says_where_and_its_fix_is_yaml(id: str, lint_text: LintText):
    """The lines it names are lines of the file, and what is to be pasted can be read."""
    text, good, bad = FAULTS[id]
    bad_text = text.replace(good, bad, 1)
    found = next(each for each in lint_text(bad_text).findings if each.id == id)

    assert re.search(r"^line \d+: \S", found.seen)
    for number, quoted in re.findall(r"^line (\d+): (.*)$", found.seen, re.MULTILINE):
        if "***" not in quoted and "services: " not in quoted and not id.startswith("other-file-"):
            assert bad_text.splitlines()[int(number) - 1].strip().startswith(quoted)
    yaml.compose(found.fix, Loader=yaml.SafeLoader)


def test_every_rule_has_its_fault():
    """Each rule has one id, so that a rule without a fault in the table is missed here."""
    other_files = {"other-file-not-read", "other-file-missing"}
    of_the_file = {"unknown-top-level-key", "no-vllm-service", *other_files}

    assert len(FAULTS) == len(RULES) + len(of_the_file)


@pytest.mark.parametrize(
    ("command", "id"),
    [
        ("--model x", "command-for-other-entrypoint"),
        ("vllm serve x", "shell-without-c"),
        ("bash -c 'vllm serve x'", "shell-without-c"),
        ("-c 'vllm serve x'", None),
        ("-lc 'python3 -m vllm.entrypoints.openai.api_server --model x'", None),
    ],
)
def test_what_amds_images_make_of_a_command(command: str, id: str | None, lint_text: LintText):
    """Their entrypoint is /bin/bash, which wants its -c; one finding says so, not two."""
    report = lint_text(f"services:\n  s: {{image: rocm/vllm-dev:nightly, command: {command}}}\n")
    about = {"command-for-other-entrypoint", "shell-without-c", "shell-c-takes-one-word"}

    assert {each.id for each in report.findings} & about == ({id} if id else set())


@pytest.mark.parametrize(
    "change",
    [
        ("--model $", "--max-model-len -1 --model $"),
        ("    environment:", "    environment:\n      HSA_OVERRIDE_GFX_VERSION: 11.0.0"),
        (
            "    environment:",
            "    environment:\n      HIP_VISIBLE_DEVICES: 0\n      CUDA_VISIBLE_DEVICES: 1",
        ),
        ("--model $", "--gpu-memory-utilization 0.95 --tensor-parallel-size 4 --model $"),
    ],
)
def test_rules_for_radeons_leave_other_cards_alone(change: tuple[str, str], lint_text: LintText):
    """What is wrong on ROCm or under WSL may be right with CUDA."""
    assert lint_text(CUDA.replace(*change, 1)).findings == ()


@pytest.mark.parametrize(
    ("option", "is_refused"),
    [
        ("--max-model-len abc", True),
        ("--max-model-len 1.5K", True),
        ("--max-model-len 0", True),
        ("--max-model-len auto", False),
        ("--max-model-len -1", False),
        ("--max-model-len 8k", False),
        ("--max-model-len 25.6k", False),
        ("--gpu-memory-utilization 1.5", True),
        ("--gpu_memory_utilization=0", True),
        ("--gpu-memory-utilization .9", False),
        ("--port 99999999999", True),
        ("--port 8000 a/model", False),
        ("-tp 0", True),
        ("-tp ٢", True),
        ("--max-num-seqs $$SEQUENCES", False),
    ],
)
def test_numbers_are_what_vllm_takes(option: str, is_refused: bool, lint_text: LintText):
    """As its own parser reads them; of what a shell puts in later nothing is claimed."""
    found = lint_text(CUDA.replace("--model $", f"{option} --model $", 1)).findings

    assert ("number-refused" in {each.id for each in found}) is is_refused


def test_what_mends_a_number_keeps_the_model_behind_it(lint_text: LintText):
    """An option takes one word; the next one is vLLM's own argument."""
    text = CUDA.replace("--model ${MODEL:-Qwen/Qwen3-8B}", "-tp 0 --max-model-len -2 ${MODEL:-a/m}")

    (found,) = (each for each in lint_text(text).findings if each.id == "number-refused")

    assert "a/m" in found.fix
    assert "--tensor-parallel-size 1" in found.fix
    assert not re.search(r"-2|-tp|size 0", found.fix)


@pytest.mark.parametrize("version", ["v0.22.0", "v0.26.0", "v0.30.0"])
def test_what_a_wrapper_may_mend_is_not_claimed(version: str, lint_text: LintText):
    """A program before vLLM can patch it and set its variables, as container/start.py does."""
    bare = ROCDXG.replace("v0.31.0", version)
    wrapped = bare.replace("    command:", "    entrypoint: [/start, vllm, serve]\n    command:", 1)

    assert not {"uva-not-available"} - {each.id for each in lint_text(bare).findings}
    assert lint_text(wrapped).findings == ()


def test_without_pinned_memory_the_newer_model_runner_fails(lint_text: LintText):
    """From 0.28 on vLLM can pin memory under WSL, if the kernel lets it: a warning, no verdict."""
    verdicts = {
        version: next(
            each.verdict
            for each in lint_text(ROCDXG.replace("v0.31.0", version)).findings
            if each.id == "uva-not-available"
        )
        for version in ("v0.27.0", "v0.28.0")
    }

    assert verdicts == {"v0.27.0": Verdict.FAIL, "v0.28.0": Verdict.WARN}


def test_the_advice_names_the_engine_that_knows_start_interval(lint_text: LintText):
    """Compose refuses the whole file where Docker's engine is older than 25."""
    advised = [
        each.fix
        for text in (CUDA.replace(HEALTH, ""), CUDA.replace("      start_period: 30m\n", ""))
        for each in lint_text(text).findings
    ]

    assert len(advised) == 2
    assert all("start_interval: 5s  # needs Docker Engine 25" in fix for fix in advised)


@pytest.mark.parametrize("retries", ["²", "٣", "9" * 5000, "-1", "three"])
def test_retries_that_are_no_number_count_as_not_given(retries: str, lint_text: LintText):
    """A superscript two is a digit to Python, and no number."""
    text = CUDA.replace("      start_period: 30m\n", f'      retries: "{retries}"\n')

    (found,) = lint_text(text).findings

    assert "unhealthy after 90 s" in found.seen


def test_a_fault_of_an_anchor_is_told_once(lint_text: LintText):
    """Two services with one line have one fault."""
    text = CUDA.replace(
        "    restart: unless-stopped\n", "    restart: always\n    privileged: true\n"
    )
    text = text.replace("  vllm:\n    image", "  vllm: &vllm\n    image", 1)
    text = text.replace(
        "volumes:\n  vllm-cache", "  second:\n    <<: *vllm\nvolumes:\n  vllm-cache"
    )

    assert [found.id for found in lint_text(text).findings] == ["privileged"]


def test_what_fails_stands_before_what_is_unsafe(lint_text: LintText):
    """The first finding is the first to mend."""
    text = CUDA.replace("    restart: unless-stopped\n", "    comand: x\n", 1)

    report = lint_text(text)

    assert [found.id for found in report.findings] == ["unknown-service-key", "restart-missing"]
    assert not report.ok
