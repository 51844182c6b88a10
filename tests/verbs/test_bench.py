"""``workbench bench`` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from tests.scripted import ScriptedServer, reply
from workbench import verbs
from workbench.bench import vllm_json
from workbench.display import Json, View
from workbench.errors import ConfigError, ServerUnreachableError
from workbench.records import Progress
from workbench.session import Session
from workbench.views import BenchView

SMALL = ("--num-prompts", "4", "--input-len", "5", "--output-len", "2")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    running = ScriptedServer()
    yield running
    running.close()


@pytest.fixture
def session(server: ScriptedServer, tmp_path: Path) -> Iterator[Session]:
    with Session(base_url=server.base_url, state_dir=str(tmp_path)) as made:
        yield made


@contextmanager
def quiet() -> Iterator[Callable[[Progress], None]]:
    yield lambda _progress: None


def typed(session: Session, *words: str) -> View | Json:
    """Type the command, as the skins call it."""
    skin = SimpleNamespace(session=session, progress=quiet)
    shown: Any = verbs.workbench.main(["bench", *words], obj=skin, standalone_mode=False)
    return shown


def test_a_table_comes_with_its_results(session: Session):
    """A notebook draws them; all four were answered."""
    view = typed(session, *SMALL)

    assert isinstance(view, BenchView)
    assert view.results[0].metrics.completed == 4
    assert "TTFT" in str(view)


def test_each_concurrency_is_saved_as_soon_as_it_is_measured(session: Session, tmp_path: Path):
    """Under vLLM's names, in a folder that did not exist."""
    typed(session, *SMALL, "--concurrency", "1,2", "--save", str(tmp_path / "results" / "bench"))
    names = sorted(path.name for path in (tmp_path / "results" / "bench").iterdir())

    assert [name.split("-")[2] for name in names] == ["concurrency1", "concurrency2"]


def test_a_file_has_the_name_it_was_given(session: Session, tmp_path: Path):
    """With a value for each request if they are asked for."""
    typed(session, *SMALL, "--save", str(tmp_path / "a.json"))
    typed(session, *SMALL, "--save", str(tmp_path / "b.json"), "--save-detailed")

    assert vllm_json.read(tmp_path / "a.json").requests == ()
    assert len(vllm_json.read(tmp_path / "b.json").requests) == 4


def test_several_in_one_file_are_several_files(session: Session, tmp_path: Path):
    """The one that is measured last does not take the others' place."""
    typed(session, *SMALL, "--concurrency", "1,2", "--save", str(tmp_path / "a.json"))

    assert (tmp_path / "a-concurrency1.json").exists()
    assert (tmp_path / "a-concurrency2.json").exists()


def test_a_place_that_cannot_be_written_is_said(session: Session, tmp_path: Path):
    """With the system's reason."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="cannot be written"):
        typed(session, *SMALL, "--save", str(tmp_path / "file" / "a.json"))


def test_a_program_gets_vllms_json(session: Session):
    """And nothing else."""
    shown = typed(session, *SMALL, "--json")

    assert json.loads(str(shown))["completed"] == 4


def test_a_report_is_one_file(session: Session, tmp_path: Path):
    """In a folder that did not exist."""
    typed(session, *SMALL, "--html", str(tmp_path / "out" / "report.html"))

    assert "<html" in (tmp_path / "out" / "report.html").read_text()


def test_what_is_typed_is_what_is_sent(session: Session, server: ScriptedServer):
    """Own prompts, a temperature, a body."""
    server.others["/version"] = [reply(200, {"version": "0.32.0"})]
    file = session.settings.state_dir / "mine.txt"
    file.write_text("What is a KV cache?\n")

    typed(
        session,
        *("--prompts", str(file), "--num-prompts", "1", "--warmup", "0", "--output-len", "9"),
        *("--temperature", "0.5", "--extra-body", '{"top_p": 0.9}', "--model", "pocket"),
    )
    (request,) = server.chat_requests

    assert request.json["messages"] == [{"role": "user", "content": "What is a KV cache?"}]
    sent = {name: request.json[name] for name in ("temperature", "top_p", "max_tokens")}
    assert sent == {"temperature": 0.5, "top_p": 0.9, "max_tokens": 9}
    assert "ignore_eos" not in request.json


def test_another_server_is_measured_by_its_address(session: Session):
    """The session stays where it is."""
    with pytest.raises(ServerUnreachableError, match=r"127\.0\.0\.1:9/v1"):
        typed(session, *SMALL, "--base-url", "http://127.0.0.1:9/v1")

    assert "127.0.0.1:9/v1" not in session.server.base_url


@pytest.mark.parametrize(
    "words",
    [
        ("--concurrency", "1,x"),
        ("--concurrency", "0"),
        ("--ramp", "1"),
        ("--ramp", "1:2:sideways"),
        ("--extra-body", "[1]"),
        ("--extra-body", "{"),
        ("--request-rate", "0"),
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_a_line(session: Session, words: tuple[str, ...]):
    """Before anything is asked."""
    with pytest.raises(click.BadParameter):
        typed(session, *SMALL, *words)


def test_python_measures_a_dataframes_column(session: Session, server: ScriptedServer):
    """Texts in any order of their own; and a concurrency that is one number."""
    import pandas as pd

    column = pd.Series(["one", "two"])

    (result,) = session.bench(prompts=column, concurrency=2, num_prompts=2, output_len=1, warmup=0)

    asked = {request.json["messages"][0]["content"] for request in server.chat_requests}
    assert asked == {"one", "two"}
    assert result.settings.concurrency == 2
