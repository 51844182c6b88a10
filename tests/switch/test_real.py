"""A switch on the real vLLM, with an application that goes on asking."""

from __future__ import annotations

import json
import random
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.errors import SwitchError
from workbench.records import SamplingParams, Verdict
from workbench.session import Session

pytestmark = pytest.mark.engine

GREEDY = SamplingParams(temperature=0, max_tokens=12)
CATALOGUE = """
[pocket]
model = "pocket"
why = "takes adapters while it runs"
extra_args = ["--enable-lora", "--max-lora-rank", "8"]

[broken]
model = "pocket"
why = "a flag that vLLM does not have"
extra_args = ["--nope"]

[loud]
model = "loud"
why = "an adapter with random weights, so that it answers otherwise"
adapter_of = "pocket"
"""
RANK = 4


@pytest.fixture
def session(project: Path) -> Iterator[Session]:
    """A server of its own, in a project of its own, with this project's engine."""
    (project / "models" / "catalogue.toml").write_text(CATALOGUE)
    engine = Session().settings.engine_dir
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(project))
        patch.setenv("WORKBENCH_ENGINE_DIR", str(engine))
        patch.setenv("WORKBENCH_STATE_DIR", str(project / ".workbench"))
        patch.setenv("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "1")
        with Session(port=0, model="pocket", boot_timeout_s=300) as session:
            session.up()
            yield session
            session.down()


def test_an_application_that_asks_for_the_alias_goes_on(session: Session):
    """No request fails; those that come meanwhile wait; then the other model answers."""
    asked, stop, answers, failures = threading.Event(), threading.Event(), [], []
    client = session.client

    def ask() -> None:
        while not stop.is_set():
            try:
                answers.append(client.chat("What is vLLM?", GREEDY, model="default").text)
            except Exception as exc:  # told below, on the test's own thread
                failures.append(exc)
                return
            asked.set()

    application = threading.Thread(target=ask)
    with Session(state_dir=str(session.settings.state_dir)) as shell:
        application.start()
        assert asked.wait(30)
        try:
            report = shell.use("pocket-mini")
        finally:
            stop.set()
            application.join(60)

        assert failures == []
        assert report.switched
        assert shell.chat("What is vLLM?", GREEDY, model="default").text == answers[-1]
        assert answers[0] != answers[-1]


def test_a_start_that_vllm_refuses_goes_back(session: Session):
    """vLLM's own words are the cause, and the old model answers as before."""
    before = session.chat("What is vLLM?", GREEDY).text

    with pytest.raises(SwitchError, match="--nope") as caught:
        session.use("broken")

    assert [step.verdict for step in caught.value.report.steps] == [
        *(Verdict.PASS, Verdict.PASS, Verdict.FAIL, Verdict.PASS)
    ]
    assert session.chat("What is vLLM?", GREEDY).text == before


def test_an_adapter_is_loaded_into_the_server_of_its_base(session: Session, project: Path):
    """By the same processes, in a moment; it has its own name, and all others mean the base."""
    make_adapter(project / "models" / "loud", project / "models" / "pocket")
    before, pids = session.chat("What is vLLM?", GREEDY).text, session.status().pids
    assert session.plan_use("pocket-mini").quicker[0].offered is True
    assert session.plan_use("pocket-mini").quicker[1].offered is False

    report = session.use("loud")

    assert (report.switched, report.unavailable_s) == (True, None)
    assert [step.name for step in report.steps] == ["load", "check", "call"]
    assert session.chat("What is vLLM?", GREEDY, model="loud").text != before
    assert session.chat("What is vLLM?", GREEDY, model="default").text == before
    assert session.status().pids == pids
    assert [step.name for step in session.use("loud").steps] == ["check", "call"]


def test_an_adapter_that_vllm_refuses_changes_nothing(session: Session, project: Path):
    """vLLM's own words, and the base serves on."""
    make_adapter(project / "models" / "loud", project / "models" / "pocket", rank=64)

    with pytest.raises(SwitchError, match="rank") as caught:
        session.use("loud")

    assert [step.verdict for step in caught.value.report.steps] == [Verdict.FAIL]
    assert [model.name for model in session.status().models] == ["pocket", "default"]


def make_adapter(folder: Path, base: Path, rank: int = RANK) -> None:
    """Write a LoRA adapter of random numbers, as PEFT would."""
    shape = json.loads((base / "config.json").read_text())
    width, tensors, numbers = shape["hidden_size"], {}, random.Random(1)
    data = b""
    for layer in range(shape["num_hidden_layers"]):
        for half, size in (("A", (rank, width)), ("B", (width, rank))):
            count = size[0] * size[1]
            values = struct.pack(f"<{count}f", *(numbers.uniform(-1, 1) for _ in range(count)))
            name = f"base_model.model.model.layers.{layer}.self_attn.q_proj.lora_{half}.weight"
            offsets = [len(data), len(data) + len(values)]
            tensors[name] = {"dtype": "F32", "shape": size, "data_offsets": offsets}
            data += values
    header = json.dumps(tensors).encode()
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(
        struct.pack("<Q", len(header)) + header + data
    )
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
