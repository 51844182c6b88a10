"""``workbench models fetch`` in the shell and ``%wb models fetch``, killed and interrupted too."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import eventually
from tests.scripted_hub import GATED, REPOSITORY, Hub, hub
from workbench.catalogue import local_models
from workbench.session import Session

PROJECT = Path(__file__).resolve().parent.parent.parent
POCKET = PROJECT / "models" / "pocket"


@pytest.fixture
def pocket_hub() -> Iterator[Hub]:
    """A hub that has the real pocket."""
    with hub(POCKET) as server:
        yield server


def start(home: Path, hub: Hub, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "workbench", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "PYTHONPATH": str(PROJECT),
            "WORKBENCH_HOME": str(home),
            "HF_ENDPOINT": hub.endpoint,
            **environment,
        },
    )


def parts(home: Path) -> int:
    return sum(path.stat().st_size for path in home.glob("models/pocket/.parts/*"))


@pytest.mark.processes
def test_the_shell_fetches_into_an_empty_folder(tmp_path: Path, pocket_hub: Hub):
    """A table for people, JSON for programs, progress beside both; the next line to type."""
    first = start(tmp_path, pocket_hub, "models", "fetch", REPOSITORY)
    out, err = first.communicate()

    assert first.returncode == 0
    assert "Serve it: workbench use pocket" in out
    assert "model.safetensors … (" in err
    second = start(tmp_path, pocket_hub, "models", "fetch", REPOSITORY, "--json")
    out, err = second.communicate()
    assert (json.loads(out)["repo"], err) == (REPOSITORY, "")


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_fetch_that_is_killed_goes_on_where_it_was(
    tmp_path: Path, pocket_hub: Hub, number: signal.Signals
):
    """What came stays, is no model, and is not asked for again."""
    pocket_hub.go_on.clear()
    process = start(tmp_path, pocket_hub, "models", "fetch", REPOSITORY)
    weights = (POCKET / "model.safetensors").stat().st_size
    assert eventually(lambda: parts(tmp_path) > weights / 2)
    process.send_signal(number)
    _, said = process.communicate()
    kept = parts(tmp_path)
    assert local_models(tmp_path / "models") == []
    if number is signal.SIGINT:
        assert process.returncode == 130
        assert "Interrupted with" in said

    pocket_hub.go_on.set()
    again = start(tmp_path, pocket_hub, "models", "fetch", REPOSITORY, "--json")
    found = json.loads(again.communicate()[0])
    total = sum(file["size_bytes"] for file in found["files"])
    assert found["come_bytes"] == total - kept
    for file in found["files"]:
        assert (tmp_path / "models/pocket" / file["name"]).read_bytes() == (
            POCKET / file["name"]
        ).read_bytes()


@pytest.mark.processes
@pytest.mark.parametrize(
    ("arguments", "environment", "status", "said"),
    [
        ((GATED,), {}, 5, "Accept it on the model's page"),
        ((REPOSITORY,), {"HF_TOKEN": "hf_wrong"}, 5, "does not take the token"),
        (("somebody/poket",), {}, 1, "Did you mean somebody/pocket?"),
        (("../pocket",), {}, 2, "organisation/name"),
        ((REPOSITORY,), {"HF_HUB_OFFLINE": "1"}, 1, "HF_HUB_OFFLINE is set"),
        ((REPOSITORY,), {"HF_ENDPOINT": "hub.example"}, 2, "looks like https://huggingface.co"),
        ((), {}, 2, "NAME"),
    ],
    ids=["gated", "token", "spelling", "path", "offline", "endpoint", "nothing"],
)
def test_what_goes_wrong_is_a_sentence_and_a_status(
    tmp_path: Path, pocket_hub: Hub, arguments, environment, status: int, said: str
):
    """2 usage, 5 a person must act, 1 anything else; no traceback."""
    process = start(tmp_path, pocket_hub, "models", "fetch", *arguments, **environment)
    out, err = process.communicate()

    assert (process.returncode, out) == (status, "")
    assert said in err
    assert "Traceback" not in err
    assert "hf_wrong" not in err


@pytest.mark.processes
def test_the_hubs_settings_come_from_dotenv_too(tmp_path: Path, pocket_hub: Hub):
    """The variables of huggingface_hub, read as all settings are."""
    (tmp_path / ".env").write_text(f"HF_ENDPOINT={pocket_hub.endpoint}/\nHF_HUB_OFFLINE=1\n")
    process = start(tmp_path, pocket_hub, "models", "fetch", REPOSITORY, HF_ENDPOINT="")
    _, err = process.communicate()

    assert "HF_HUB_OFFLINE is set" in err
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(tmp_path))
        settings = Session().settings
    assert (settings.hf_endpoint, settings.offline) == (pocket_hub.endpoint, True)


def test_in_a_notebook_it_is_drawn_in_its_cell(ip, tmp_path, pocket_hub: Hub, monkeypatch, capsys):
    """The same verb; its table is the cell's value."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", pocket_hub.endpoint)
    ip.run_line_magic("load_ext", "workbench")
    shown = ip.run_line_magic("wb", f"models fetch {REPOSITORY}")

    assert dict(shown.rows)["model"] == REPOSITORY
    assert shown.data["fetched_at"]
    assert local_models(tmp_path / "models") == ["pocket"]


@pytest.mark.engine
def test_what_was_fetched_is_served(tmp_path: Path, pocket_hub: Hub, monkeypatch):
    """From a hub into an empty project, by its real library, to an answer of the real vLLM."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    with Session(
        model="pocket",
        port=0,
        state_dir=tmp_path / "state",
        engine_dir=PROJECT / ".engine",
        hf_endpoint=pocket_hub.endpoint,
    ) as session:
        session.fetch(REPOSITORY)
        try:
            status = session.up()
            assert {model.root for model in status.models} == {str(tmp_path / "models" / "pocket")}
            assert session.chat("What is a KV cache?").text
        finally:
            session.down()
