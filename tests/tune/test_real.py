"""A tune of the real vLLM with the pocket model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import eventually
from workbench.bench import vllm_json
from workbench.records import SamplingParams
from workbench.session import Session
from workbench.switch.journal import Journal
from workbench.tune.quality import Verdict
from workbench.tune.trial import Finding

pytestmark = pytest.mark.engine

GREEDY = SamplingParams(temperature=0, max_tokens=12)
CATALOGUE = """
[pocket]
model = "pocket"
why = "one request at a time: what a tune should find"
extra_args = ["--max-num-seqs", "1"]
"""
LOAD = {"input_len": 16, "output_len": 24}


@pytest.fixture
def session(project: Path) -> Iterator[Session]:
    """A server of its own that batches nothing, in a project of its own."""
    (project / "models" / "catalogue.toml").write_text(CATALOGUE)
    engine = Session().settings.engine_dir
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(project))
        patch.setenv("WORKBENCH_ENGINE_DIR", str(engine))
        patch.setenv("WORKBENCH_STATE_DIR", str(project / ".workbench"))
        patch.setenv("WORKBENCH_PORT", "0")
        with Session(model="pocket", boot_timeout_s=300) as session:
            session.up()
            yield session
            session.down()


def test_a_server_that_batches_nothing_is_told_to(session: Session):
    """
    With eight at once and one place seven wait, which is nearly all of a first token's time: the
    flag for eight is found, and confirmed. (More tokens a second too, but a busy machine hides it.)

    An option that vLLM refuses is a finding with vLLM's own words; answers are the same; the server
    runs as before; and what a run measured is in a file.
    """
    before, answer = session.server.recipe(), session.chat("What is vLLM?", GREEDY).text

    tuned = session.tune(
        goal="ttft", concurrency=8, num_prompts=24, repeats=3, budget_s=1800,
        tries=("--nope", "--max-num-seqs 8"), only=(), **LOAD,
    )  # fmt: skip

    refused = next(each for each in tuned.found.judged if each.finding is Finding.REFUSED)
    assert "--nope" in refused.trial.failure.cause
    assert tuned.found.choice.add == ("--max-num-seqs", "8")
    assert tuned.found.confirmed
    assert tuned.found.evidence.gain.low > 0.5
    assert tuned.found.evidence.trial.quality.verdict in (Verdict.SAME, Verdict.CHANGED)
    assert tuned.found.evidence.trial.quality.perplexity == pytest.approx(0.0, abs=0.005)
    assert 'extra_args = ["--max-num-seqs", "8"]' in "\n".join(tuned.keep)
    assert session.server.recipe() == before
    assert session.chat("What is vLLM?", GREEDY).text == answer
    kept = [vllm_json.read(tuned.folder / name) for name in tuned.found.evidence.trial.files]
    assert tuple(kept) == tuned.found.evidence.trial.runs


def test_killed_in_the_middle_the_next_up_goes_back(session: Session, project: Path):
    """While a candidate starts; what ran comes back, to the last flag."""
    before = session.server.recipe()
    words = ["--concurrency", "2", "--num-prompts", "4", "--repeats", "2", "--only", "none"]
    words += ["--input-len", "16", "--output-len", "8", "--try", "--max-num-seqs 2"]
    child = subprocess.Popen(
        [sys.executable, "-m", "workbench", "tune", *words],
        env={**os.environ, "WORKBENCH_MODEL": "pocket"},
        stderr=subprocess.DEVNULL,
    )
    assert eventually(
        lambda: (session.server.recipe() or before)["further_flags"] != before["further_flags"],
        within_s=180,
    )
    child.kill()
    child.wait()

    cut_off = Journal(session.settings.state_dir).cut_off()
    assert cut_off is not None
    assert json.loads(json.dumps(cut_off.before)) == before
    with Session() as next_one:
        next_one.up()
        assert next_one.server.recipe() == before
        assert next_one.chat("What is vLLM?", GREEDY).text
    assert list((project / "results" / "tune").glob("*/run001-before.json"))
