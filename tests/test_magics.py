"""``%wb``, ``%%chat`` and ``%%ts`` in a real IPython shell, without a server."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from IPython.core.error import UsageError

from tests.client.test_tools import asks, call, says
from tests.conftest import PROJECT
from tests.helpers import eventually, lives
from tests.scripted import HELLO, ROLE, Do, ScriptedServer, reply, stream, text
from tests.telemetry.sinks_for_tests import ScriptedSink
from workbench.cells import Canvas, generation_html
from workbench.errors import (
    ConfigError,
    MissingDependencyError,
    RequestRejectedError,
    ServerUnreachableError,
    SinkError,
    StreamInterruptedError,
    TypeScriptError,
)
from workbench.records import Generation, SamplingParams, Timings
from workbench.session import Session
from workbench.typescript import FOLDER


@pytest.fixture
def shell(ip, project, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(project))
    monkeypatch.setenv("WORKBENCH_PORT", "9")  # nothing answers at "discard"
    ip.run_line_magic("load_ext", "workbench")
    return ip


def test_loading_twice_keeps_the_session(shell):
    """A cell that is run again does not lose what the notebook has."""
    before = shell.run_line_magic("wb", "session")
    shell.run_line_magic("load_ext", "workbench")
    shell.run_line_magic("reload_ext", "workbench")

    assert isinstance(before, Session)
    shell.run_line_magic("unload_ext", "workbench")
    assert shell.find_line_magic("wb") is None
    assert shell.find_cell_magic("chat") is None
    assert shell.find_cell_magic("ts") is None
    shell.run_line_magic("load_ext", "workbench")
    assert shell.run_line_magic("wb", "session") is not before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stauts", "status"),
        ("status --jsn", "Did you mean '--json'"),
        ("up --port many", "--port"),
        ("chat 'open", "quotation"),
    ],
)
def test_a_wrong_argument_is_a_usage_error_in_one_line(shell, line: str, said: str):
    """IPython shows a UsageError without a stack; the message suggests what was meant."""
    with pytest.raises(UsageError, match=said) as caught:
        shell.run_line_magic("wb", line)

    assert "\n" not in str(caught.value)


def test_a_cell_magic_with_a_wrong_option_asks_nobody(shell):
    """The prompt is not sent if the line above it is wrong."""
    with pytest.raises(UsageError, match="--temperature"):
        shell.run_cell_magic("chat", "--temprature 1", "Hello")
    with pytest.raises(UsageError, match="variable"):
        shell.run_cell_magic("chat", "--into 2nd", "Hello")


@pytest.fixture
def asked(shell) -> Iterator[ScriptedServer]:
    """A scripted server that the notebook's session talks to."""
    server = ScriptedServer()
    cell = shell.magics_manager.registry["WorkbenchMagics"].cell
    with cell.configured(base_url=server.base_url):
        pass
    yield server
    cell.session.close()
    server.close()


def turns(server: ScriptedServer, number: int) -> list[str]:
    return [turn["content"] for turn in server.chat_requests[number].json["messages"]]  # type: ignore[attr-defined]


def test_a_conversation_goes_on_in_the_next_cell(shell, asked: ScriptedServer):
    """Begun by the first cell that names it, and there for Python too."""
    shell.run_cell_magic("chat", '-c talk --system "Be brief."', "first")
    shell.run_cell_magic("chat", "-c talk", "second")

    assert turns(asked, 1) == ["Be brief.", "first", "Hello", "second"]
    assert len(shell.user_ns["talk"]) == 2


def test_a_name_that_is_no_conversation_is_refused(shell, asked: ScriptedServer):
    """Before anything is sent, and what the variable holds stays."""
    shell.user_ns["talk"] = 5
    with pytest.raises(UsageError, match="talk is a int"):
        shell.run_cell_magic("chat", "-c talk", "Hi")

    assert asked.chat_requests == []


def test_a_benchmark_typed_in_a_cell_is_a_table_with_pictures(shell, asked: ScriptedServer):
    """Of the notebook's own server; it can be assigned, and gives results and figures."""
    few = "--num-prompts 4 --input-len 5 --output-len 2"
    shell.run_cell(f"found = %wb bench {few} --concurrency 1,2").raise_error()
    found = shell.user_ns["found"]

    assert [each.metrics.completed for each in found.results] == [4, 4]
    assert "latency against load" in found.pictures()
    assert "<table" in found.html()


def test_a_wrong_option_of_a_benchmark_is_one_line(shell, asked: ScriptedServer):
    """As with every verb; nothing was asked."""
    with pytest.raises(UsageError, match="--goodput or --preset"):
        shell.run_line_magic("wb", "bench --budget 10m")

    assert asked.chat_requests == []


def test_two_benchmarks_are_compared_in_a_cell(shell, asked: ScriptedServer, tmp_path: Path):
    """
    With files that a cell has saved. Other lengths are another question: refused, and that is
    shown and not raised, for a notebook goes on.
    """
    few = "--num-prompts 4 --input-len 5 --save-detailed"
    for name, length in (("a", 2), ("b", 2), ("longer", 3)):
        line = f"bench {few} --output-len {length} --save {tmp_path / name}.json"
        shell.run_line_magic("wb", line)
    same = shell.run_line_magic("wb", f"compare {tmp_path / 'a.json'} {tmp_path / 'b.json'}")
    other = shell.run_line_magic("wb", f"compare {tmp_path / 'a.json'} {tmp_path / 'longer.json'}")

    assert "TTFT mean" in {row[0] for row in same.rows}
    assert other.rows == ()
    assert "workload DIFFERS" in str(other)


def test_functions_of_the_notebook_are_tools(shell, asked: ScriptedServer, capsys):
    """Only those that are named; every call is shown."""
    shell.run_cell("def get_time(zone: str) -> str:\n    'Tell the time.'\n    return 'noon'")
    asked.answer(asks(call(0, "get_time", {"zone": "CET"})), says("It is noon."))
    shell.run_cell_magic("chat", "--tools get_time -c talk", "What time is it?")

    assert 'get_time({"zone": "CET"}) → noon' in capsys.readouterr().out
    assert shell.user_ns["talk"].messages[-1].content == "It is noon."


def test_a_tool_that_is_not_there_is_refused(shell, asked: ScriptedServer):
    """Before anything is sent."""
    with pytest.raises(UsageError, match="no function 'get_time'"):
        shell.run_cell_magic("chat", "--tools get_time", "Hi")

    assert asked.chat_requests == []


def test_a_server_that_is_down_is_told_with_the_next_step(shell):
    """The error is ours, short, and says how to start one."""
    with pytest.raises(ServerUnreachableError) as caught:
        shell.run_cell_magic("chat", "", "Hello")

    assert len(caught.value._render_traceback_()) <= 2
    assert "up" in str(caught.value.hint)


def test_status_has_a_text_and_an_html_form(shell):
    """The same object reads in a terminal and draws in a notebook."""
    shown = shell.run_line_magic("wb", "status")

    assert "stopped" in str(shown)
    assert "stopped" in shown._repr_mimebundle_()["text/html"]


def test_help_is_printed_and_nothing_returned(shell, capsys):
    """``%wb --help`` lists the verbs."""
    assert shell.run_line_magic("wb", "--help") is None
    assert "telemetry" in capsys.readouterr().out


def test_settings_that_worked_stay_for_the_notebook(shell):
    """What a verb was given is kept for the next one; "" and nothing change nothing."""
    cell = shell.magics_manager.registry["WorkbenchMagics"].cell
    with cell.configured(port=7, model=""):
        pass
    with cell.configured(port=None) as session:
        assert session.settings.port == 7

    assert cell.session.settings.port == 7


def test_settings_that_failed_are_forgotten(shell):
    """A refused ``%wb up`` leaves the notebook as it was, and every verb still works."""
    before = shell.run_line_magic("wb", "session")
    with pytest.raises(ConfigError, match="needs the server's URL"):
        shell.run_line_magic("wb", "up --backend remote")

    assert shell.run_line_magic("wb", "session") is before
    assert "stopped" in str(shell.run_line_magic("wb", "status"))


def test_an_answer_that_never_began_is_not_kept(shell):
    """``--into`` of a cell that failed gets neither an earlier answer nor an empty one."""
    shell.user_ns["answer"] = "mine"
    with pytest.raises(ServerUnreachableError):
        shell.run_cell_magic("chat", "--into answer", "Hello")

    assert shell.user_ns["answer"] == "mine"


def test_a_cell_that_failed_keeps_its_own_half(shell, asked: ScriptedServer):
    """``--into`` gets what arrived before the break, and nothing of a cell before."""
    asked.answer(stream(*HELLO), stream(ROLE, text("ha"), Do.CUT), reply(400, {}))
    shell.run_cell_magic("chat", "--into whole", "Hi")
    with pytest.raises(StreamInterruptedError):
        shell.run_cell_magic("chat", "--into half", "Hi")
    with pytest.raises(RequestRejectedError):
        shell.run_cell_magic("chat", "--into none", "Hi")
    with pytest.raises(UsageError):
        shell.run_cell_magic("chat", "--into none --tools nowhere", "Hi")

    assert [shell.user_ns[name].text for name in ("whole", "half")] == ["Hello", "ha"]
    assert "none" not in shell.user_ns


def test_telemetry_is_a_dataframe(shell):
    """``%wb telemetry`` returns what pandas can work with, also before the first request."""
    frame = shell.run_line_magic("wb", "telemetry -n 5")

    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns)[:3] == ["timestamp", "model", "status"]
    assert {"ttft_s", "duration_s"} <= set(frame.columns)


def test_telemetry_has_the_shells_verbs_too(shell, tmp_path):
    """What is filtered is a DataFrame still; status and export are as in the shell."""
    frame = shell.run_line_magic("wb", "telemetry --model pocket --status error --since 7d")
    status = shell.run_line_magic("wb", "telemetry status")
    shell.run_line_magic("wb", f"telemetry export {tmp_path / 'all.csv'}")

    assert isinstance(frame, pd.DataFrame)
    assert "0 requests" in str(status)
    assert (tmp_path / "all.csv").read_text().startswith("id,schema_version,timestamp")


def test_a_flush_that_leaves_something_is_not_ok(shell, monkeypatch):
    """The table says which sink, how much waits and why; as exit status 1 in the shell."""
    sink = ScriptedSink(*[SinkError("it is down", sink="scripted")] * 9)
    monkeypatch.setattr("workbench.telemetry.sinks.open_sinks", lambda _settings: [sink])
    monkeypatch.setattr("workbench.telemetry.sinks.names_of", lambda _settings: (sink.name,))
    session = shell.run_line_magic("wb", "session")
    with pytest.raises(ServerUnreachableError):
        session.chat("Hi", model="pocket")
    left = shell.run_line_magic("wb", "telemetry flush --timeout 5")
    sink.script.clear()
    done = shell.run_line_magic("wb", "telemetry flush")

    assert (left.ok, done.ok) == (False, True)
    assert "scripted" in str(left)
    assert "failing since" in str(left)
    assert "it is down" in str(left)
    assert len(set(sink.ids)) == 1


def test_a_cell_is_redrawn_at_most_twenty_times_a_second(shell):
    """However fast the tokens come, the browser gets a drawing every 50 ms, and the last one."""
    from IPython.utils.capture import capture_output

    with capture_output() as captured:
        canvas, before_s = Canvas(), time.monotonic()
        while time.monotonic() - before_s < 0.3:
            canvas.draw("<p>text</p>", "text")
        canvas.draw("<p>end</p>", "end", now=True)

    assert 2 <= len(captured.outputs) <= 8
    assert captured.outputs[-1].data == {"text/html": "<p>end</p>", "text/plain": "end"}


def test_what_came_too_soon_is_drawn_a_moment_later(shell):
    """A server that says nothing more for a while has its last words shown."""
    from IPython.utils.capture import capture_output

    with capture_output() as captured:
        canvas = Canvas()
        canvas.draw("<p>One</p>", "One")
        canvas.draw("<p>One two</p>", "One two")
        assert eventually(lambda: len(captured.outputs) == 2)

    assert captured.outputs[-1].data["text/plain"] == "One two"


def test_what_a_model_says_is_not_html():
    """A kept answer shows its text, whatever is in it."""
    moment = Timings(started_at=datetime.now(UTC), sent_s=0.0, done_s=1.0)
    answer = Generation(
        text="<script>alert(1)</script>",
        model="pocket",
        messages=(),
        params=SamplingParams(),
        timings=moment,
    )

    assert "<script>" not in generation_html(answer)


def test_typescript_explains_itself(shell, capsys):
    """``%%ts --help`` has the line that a program begins with, and runs none."""
    assert shell.run_cell_magic("ts", "--help", "throw 1") is None
    assert 'from "./server.ts"' in capsys.readouterr().out
    with pytest.raises(UsageError, match="--temperature"):
        shell.run_cell_magic("ts", "--temperature 0", "throw 1")


def test_typescript_without_node_says_what_to_install(shell, monkeypatch):
    """Two lines in the cell, no stack."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingDependencyError, match="Install Node") as caught:
        shell.run_cell_magic("ts", "", "console.log(1)")

    assert len(caught.value._render_traceback_()) == 2


@pytest.fixture
def with_typescript(shell, project):
    """The project's own TypeScript folder in the shell's project."""
    folder = PROJECT / FOLDER
    if not (shutil.which("node") and (folder / "node_modules" / "tsx").is_dir()):
        pytest.skip("TypeScript's packages are not installed: Node 20 or newer, then make setup")
    (project / FOLDER).parent.mkdir()
    (project / FOLDER).symlink_to(folder)
    return shell


@pytest.mark.processes
def test_a_cell_of_typescript_is_told_the_sessions_server(with_typescript, capsys):
    """Its output is the cell's."""
    source = "console.log(process.env.OPENAI_BASE_URL)"
    with_typescript.run_cell_magic("ts", "", source)

    assert capsys.readouterr().out == "http://127.0.0.1:9/v1\n"


@pytest.mark.processes
def test_an_interrupted_cell_of_typescript_stops_its_program(with_typescript, tmp_path):
    """The program itself presses Ctrl-C here; the cells after it would not run."""
    told = tmp_path / "pid"
    source = f"""
        import {{ writeFileSync }} from "node:fs";
        writeFileSync({json.dumps(str(told))}, String(process.pid));
        process.kill(process.ppid, "SIGINT");
        await new Promise(() => setInterval(() => {{}}, 1000));
        """
    with pytest.raises(TypeScriptError, match="interrupted"):
        with_typescript.run_cell_magic("ts", "", source)

    assert eventually(lambda: not lives(int(told.read_text())))
    assert list((PROJECT / FOLDER).glob(".cell-*")) == []


def test_a_panel_is_of_the_session_of_then(shell):
    """``%wb panel`` follows the magics' session; a wrong name is one line with the right ones."""
    panel = shell.run_line_magic("wb", "panel server")

    assert panel.session is shell.run_line_magic("wb", "session")
    with pytest.raises(UsageError, match="server, chat, models"):
        shell.run_line_magic("wb", "panel sevrer")
    panel.dispose()
