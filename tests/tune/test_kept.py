"""What a tune leaves on the disk, and another goes on from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.tune.trials import SETUP, flag, run, trial
from workbench.bench import vllm_json
from workbench.errors import ConfigError
from workbench.tune.candidates import Candidate
from workbench.tune.kept import Kept, hash_of, latest
from workbench.tune.quality import Quality
from workbench.tune.trial import Failure, Role

WITH_LOAD = replace(SETUP, load={"input_len": 64, "prompts": ("a", "b")})


def test_trials_come_back_as_they_were(tmp_path: Path):
    """With their runs; what was chosen from them is chosen anew."""
    kept = Kept(tmp_path / "tune")
    made = run(100)
    file = kept.keep_run(made, "--max-num-seqs 4")
    candidate = Candidate(factor="seqs", add=("--max-num-seqs", "4"), why="why")
    trials = [
        trial(None, (), runs=(made,), files=(file,)),
        trial(candidate, (), runs=(made,), files=(file,), quality=Quality(same=1, of=2)),
        trial(flag("nope"), (), failure=Failure(cause="unknown", line="error: …"), boot_s=None),
        trial(candidate, (), role=Role.AGAIN),
    ]

    kept.keep(WITH_LOAD, trials)
    setup, read = kept.read()

    assert setup == WITH_LOAD.as_json()
    assert [(each.role, each.candidate, each.quality, each.failure) for each in read] == [
        (each.role, each.candidate, each.quality, each.failure) for each in trials[:3]
    ]
    assert read[1].runs == (made,)
    assert all(each.resumed for each in read)


def test_a_run_is_a_file_of_vllms_form(tmp_path: Path):
    """Under a name that says what it is of, and that no other run has."""
    kept = Kept(tmp_path)

    names = [kept.keep_run(run(100), "--override-x '{\"a/b\": 1}'") for _ in range(2)]

    assert names == ["run001-override-x_a_b_1.json", "run002-override-x_a_b_1.json"]
    assert vllm_json.read(tmp_path / names[0]).metrics.output_throughput_tps == pytest.approx(100)


def test_texts_are_not_written(tmp_path: Path):
    """Prompts may be anybody's: their hash tells two tunes apart."""
    Kept(tmp_path).keep(WITH_LOAD, [])

    assert '"a"' not in (tmp_path / "tune.json").read_text()
    assert WITH_LOAD.as_json()["load"]["input_len"] == 64


def test_the_last_tune_is_the_one_to_go_on_with(tmp_path: Path):
    """Without one there is nothing to go on with."""
    with pytest.raises(ConfigError, match="no tune"):
        latest(tmp_path)
    Kept(tmp_path / "a").keep(WITH_LOAD, [])

    assert latest(tmp_path) == tmp_path / "a"


def test_a_file_that_is_torn_is_said(tmp_path: Path):
    """With the file's name."""
    (tmp_path / "tune.json").write_text('{"setup": ')

    with pytest.raises(ConfigError, match=r"tune\.json"):
        Kept(tmp_path).read()


def test_where_a_server_listens_is_no_difference():
    """A port that is free may be another the next time."""
    assert hash_of({"port": 1, "a": 2}) == hash_of({"a": 2, "port": 3})
    assert hash_of({"a": 2}) != hash_of({"a": 3})
