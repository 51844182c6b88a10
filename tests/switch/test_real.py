"""A switch on the real vLLM, with an application that goes on asking."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.errors import SwitchError
from workbench.records import SamplingParams, Verdict
from workbench.session import Session

pytestmark = pytest.mark.engine

GREEDY = SamplingParams(temperature=0, max_tokens=12)
BROKEN = (
    '[broken]\nmodel = "pocket"\nwhy = "a flag that vLLM does not have"\nextra_args = ["--nope"]\n'
)


@pytest.fixture
def session(project: Path) -> Iterator[Session]:
    """A server of its own, in a project of its own, with this project's engine."""
    (project / "models" / "catalogue.toml").write_text(BROKEN)
    engine = Session().settings.engine_dir
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(project))
        patch.setenv("WORKBENCH_ENGINE_DIR", str(engine))
        patch.setenv("WORKBENCH_STATE_DIR", str(project / ".workbench"))
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
