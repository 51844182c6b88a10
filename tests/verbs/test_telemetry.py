"""What ``telemetry server``, ``reconcile`` and ``summary`` show, as they are typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pandas as pd
import pytest

from tests.scripted import HELLO, ScriptedServer, reply, stream
from workbench import verbs
from workbench.display import Json, View
from workbench.session import Session

PAGES = Path(__file__).parent.parent / "data/metrics"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    running = ScriptedServer()
    page = (PAGES / "assembled-0.33.0.txt").read_text()
    running.others["/metrics"] = [reply(200, page)]
    yield running
    running.close()


@pytest.fixture
def session(server: ScriptedServer, tmp_path: Path) -> Iterator[Session]:
    with Session(base_url=server.base_url, model="pocket", state_dir=str(tmp_path)) as made:
        yield made


def typed(session: Session, *words: str) -> View | Json:
    """Type a command of the group, as the skins call it."""
    skin = SimpleNamespace(session=session)
    shown: Any = verbs.telemetry.main(list(words), obj=skin, standalone_mode=False)
    return shown


def test_the_server_is_a_table_of_what_it_has(session: Session):
    """Quantiles with their unit; where vLLM's first bucket hides one, only that it is below."""
    text = str(typed(session, "server", "--window", "0"))
    lines = {line.split()[0]: " ".join(line.split()) for line in text.splitlines() if line.strip()}

    assert text.startswith("metrics since the server's start")
    # 30, 50 and 300 ms: rank 1.5 is half-way from 40 to 60 ms, 2.85 and 2.97 are 0.85 and 0.97 of
    # the way from 250 to 500 ms.
    assert "127 ms 50.0 ms 462 ms 492 ms" in lines["ttft"]
    assert "< 300 ms" in lines["queue"]
    assert "25.0%" in lines["kv_cache_usage"]
    assert "finished.stop" in lines
    assert "finished.abort" not in lines


def test_the_servers_json_has_every_number(session: Session):
    """Under the metric's name; unknown is null."""
    shown = typed(session, "server", "--window", "0", "--json")
    data = json.loads(str(shown))

    assert data["generation_tokens"]["count"] == 33
    assert data["running"]["p50"] is None


def test_reconcile_sends_nothing_by_itself(
    session: Session, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
):
    """The page has three requests, and this folder none: that is a disagreement, exit status 1."""
    monkeypatch.setattr("workbench.server_metrics.SETTLES_WITHIN_S", 0.1)
    shown = typed(session, "reconcile", "--window", "0")

    assert "other-requests" in str(shown)
    assert not shown.ok
    assert server.chat_requests == []


def test_reconcile_asks_what_it_is_told_to(
    session: Session, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
):
    """One request, between two pages."""
    monkeypatch.setattr("workbench.server_metrics.SETTLES_WITHIN_S", 0.1)
    server.answer(stream(*HELLO))
    shown = typed(session, "reconcile", "--ask", "Hello", "--json")

    assert len(server.chat_requests) == 1
    assert json.loads(str(shown))["asked"] == 1


def test_the_summary_is_by_model(session: Session, server: ScriptedServer):
    """One request of 3 tokens in and 2 out; a filter that nothing passes says so."""
    server.answer(stream(*HELLO))
    session.stream("Hello").read()

    row = str(typed(session, "summary")).splitlines()[1].split()
    assert row[:3] == ["pocket", "1", "0.0%"]
    assert row[-2:] == ["3", "2"]
    assert json.loads(str(typed(session, "summary", "--json")))["pocket"]["input_tokens"] == 3
    assert "Nothing" in str(typed(session, "summary", "--status", "error"))
    assert "Nothing" in str(typed(session, "summary", "--model", "other", "--since", "1h"))


@pytest.mark.parametrize(
    "words",
    [
        ("summary", "--since", "0001-01-01"),
        ("summary", "--since", "9999-12-31T23:59-10:00"),
        ("tail", "-n", "99999999999999999999"),
        ("flush", "--timeout", "1e300"),
    ],
)
def test_what_no_clock_or_file_can_hold_is_a_wrong_argument(session: Session, words: Any):
    """And no traceback."""
    with pytest.raises(click.BadParameter):
        typed(session, *words)


def test_longer_ago_than_any_clock_is_from_the_start(session: Session):
    """As many days as can be typed."""
    assert "Nothing" in str(typed(session, "summary", "--since", "999999d"))


def test_shell_and_notebook_have_the_same_commands(
    ip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One list for both; without one of them the requests are shown, as ever."""
    monkeypatch.setenv("WORKBENCH_STATE_DIR", str(tmp_path))
    assert {"server", "reconcile", "summary", "export"} <= verbs.telemetry.commands.keys()
    ip.run_line_magic("load_ext", "workbench")
    assert isinstance(ip.run_line_magic("wb", "telemetry summary"), View)
    assert isinstance(ip.run_line_magic("wb", "telemetry -n 1"), pd.DataFrame)


def test_the_slowest_come_first_when_asked(session: Session, server: ScriptedServer):
    """By any column; one that is not there is named with those that are."""
    server.answer(stream(*HELLO))
    for _ in range(3):
        session.stream("Hello").read()
    slowest = session.telemetry.frame()["duration_s"].max()

    told = json.loads(str(typed(session, "--sort", "duration_s", "-n", "1", "--json")))
    assert [row["duration_s"] for row in told] == [pytest.approx(slowest)]
    with pytest.raises(click.BadParameter, match="ttft_s"):
        typed(session, "--sort", "speed")
