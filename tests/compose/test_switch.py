"""Switching models in a real container: at the same address, and back if vLLM refuses."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.compose.project import Project
from tests.helpers import eventually
from workbench.errors import SwitchError
from workbench.records import SamplingParams, Verdict
from workbench.servers import variables
from workbench.session import Session

pytestmark = pytest.mark.docker

Make = Callable[..., Project]

GREEDY = SamplingParams(temperature=0, max_tokens=12)

CATALOGUE = """
[pocket]
model = "pocket"
why = "quick to start"
extra_args = ["--enforce-eager"]

[pocket-mini]
model = "pocket-mini"
why = "quick to start"
extra_args = ["--enforce-eager"]

[broken]
model = "pocket"
why = "a flag that vLLM does not have"
extra_args = ["--nope"]
"""

# The command's words become the shell's, and it sleeps.
ASLEEP = {
    "entrypoint": ["/bin/sh", "-c", "exec sleep 600", "vllm", "serve"],
    "stop_grace_period": "1s",
}


def names(session: Session) -> list[str]:
    return [model.name for model in session.status().models]


def test_a_switch_keeps_address_key_and_alias_and_goes_back_if_vllm_refuses(
    make: Make, monkeypatch: pytest.MonkeyPatch
):
    """An application that asks for the alias sees another model, and nothing else."""
    project = make(WORKBENCH_EXTRA_ARGS="")
    (project.folder / "models" / "catalogue.toml").write_text(CATALOGUE)
    with project.session(monkeypatch, model="pocket") as session:
        session.up()
        url, key = session.server.base_url, session.server.api_key
        first = session.chat("What is vLLM?", GREEDY, model="default").text
        container = session.server.container().id

        plan = session.plan_use("pocket-mini")
        assert "pocket-mini default" in plan.command
        assert "--enforce-eager" in plan.command
        assert key not in plan.command
        assert session.server.container().id == container

        report = session.use("pocket-mini")
        assert [step.name for step in report.steps[-4:]] == ["drain", "ready", "check", "commit"]
        assert {step.verdict for step in report.steps[-4:]} == {Verdict.PASS}
        assert names(session) == ["pocket-mini", "default"]
        assert (session.server.base_url, session.server.api_key) == (url, key)
        second = session.chat("What is vLLM?", GREEDY, model="default").text
        assert second != first

        with pytest.raises(SwitchError, match="--nope") as caught:
            session.use("broken")
        assert [step.name for step in caught.value.report.steps[-3:]] == ["drain", "ready", "back"]
        assert names(session) == ["pocket-mini", "default"]
        assert (session.server.base_url, session.server.api_key) == (url, key)
        assert session.chat("What is vLLM?", GREEDY, model="default").text == second
        assert session.is_mine


@contextmanager
def switching(session: Session) -> Iterator[subprocess.Popen[str]]:
    """Type ``workbench use pocket-mini`` in a shell, up to where its container was made."""
    with subprocess.Popen(
        [sys.executable, "-m", "workbench", "use", "pocket-mini"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as shell:
        try:
            assert eventually(lambda: model_in_container(session) == "pocket-mini", within_s=60)
            yield shell
        finally:
            shell.kill()


def model_in_container(session: Session) -> str | None:
    container = session.server.container()
    return variables.model(container.argv) if container and container.runs else None


def test_ctrl_c_leaves_it_starting_and_if_it_dies_up_goes_back(
    make: Make, monkeypatch: pytest.MonkeyPatch
):
    """The container is Docker's; what is to become of the switch is in the journal."""
    project = make()
    project.override(**ASLEEP)
    with project.session(monkeypatch) as session:
        session.server.start()
        journal = session.settings.state_dir / "switch.json"
        with switching(session) as shell:
            assert " … (" in shell.stderr.readline()  # it has begun to wait
            shell.send_signal(signal.SIGINT)
            _, said = shell.communicate(timeout=30)

        assert shell.returncode == 1
        assert "goes on starting" in said
        assert model_in_container(session) == "pocket-mini"
        assert "was cut off" in session.status().detail

        subprocess.run(["docker", "rm", "--force", session.server.container().id], check=True)
        project.override()
        session.up()
        assert names(session) == ["pocket", "default"]
        assert not journal.exists()


def test_after_a_sigkill_the_next_up_finishes_the_switch(
    make: Make, monkeypatch: pytest.MonkeyPatch
):
    """The container that was made starts on by itself: it is waited for, checked and kept."""
    project = make()
    project.override(**ASLEEP)
    with project.session(monkeypatch) as session:
        session.server.start()
        project.override()
        with switching(session) as shell:
            shell.kill()
        container = session.server.container().id

        session.up()

        assert names(session) == ["pocket-mini", "default"]
        assert session.server.container().id == container
        assert session.settings.model == "pocket-mini"
        assert not (session.settings.state_dir / "switch.json").exists()
