"""``workbench bench`` as it is typed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import psutil
import pytest

from tests.bench.against import exact
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


SERVED = ("--ttft-ms=20", "--itl-ms=2", "--tokens=3")
FEW = ("--num-prompts", "6", "--input-len", "5", "--output-len", "3", "--warmup", "0")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Session]:
    """A session at the yardstick: three tokens, the first after 20 ms, the others 2 ms apart."""
    with (
        exact(*SERVED) as to,
        Session(base_url=f"http://{to.host}:{to.port}/v1", state_dir=str(tmp_path)) as made,
    ):
        yield made


@pytest.mark.parametrize(
    "words",
    [
        ("--goodput", "1"),
        ("--goodput", "0"),
        ("--preset", "poem"),
        ("--sweep", "3"),
        ("--processes", "0"),
        ("--goodput", "0.9", "--budget", "0"),
        ("--goodput", "0.9", "--budget", "soon"),
        ("--watts", "much"),
        ("--watts", "-300"),
        ("--watts", "inf"),
    ],
    ids=" ".join,
)
def test_a_value_that_cannot_be_is_said_with_its_option(session: Session, words: tuple[str, ...]):
    """Before anything is asked."""
    with pytest.raises(click.BadParameter) as refused:
        typed(session, *SMALL, *words)

    said = refused.value.format_message()
    assert words[-2] in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "1m"), "--goodput or --preset"),
        (("--goodput", "0.9", "--ramp", "1:2"), "its own loads"),
        (("--goodput", "0.9", "--concurrency", "4"), "its own loads"),
        (("--preset", "rag", "--sweep", "8"), "its own loads"),
        (("--goodput", "0.9", "--html", "report.html"), "at the rate that it finds"),
        (("--goodput", "0.9", "--gpu", "7900xtx"), "at the rate that it finds"),
        (("--price", "0.30EUR"), "--watts"),
        (("--sweep", "8", "--concurrency", "4"), "so does --concurrency"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options_that_do_not_go_together_are_not_passed_over(
    session: Session, words: tuple[str, ...], said: str
):
    """A usage error that says what would."""
    with pytest.raises(click.UsageError) as refused:
        typed(session, *SMALL, *words)

    assert said in refused.value.format_message()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--slo", "itl=3ms"), "--slo ttft=200ms,tpot=50ms"),
        (("--goodput", "0.9", "--slo", "fast"), "--slo ttft=200ms,tpot=50ms"),
        (("--watts", "300", "--price", "cheap"), "--price 0.30EUR"),
        (("--workers", "head"), "ray://HOST:10001"),
        (("--workers", "local"), "--processes N"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_read_comes_with_an_example(
    session: Session, server: ScriptedServer, words: tuple[str, ...], hint: str
):
    """And no request has been sent."""
    with pytest.raises(ConfigError) as refused:
        typed(session, *SMALL, *words)

    assert hint in str(refused.value.hint)
    assert server.chat_requests == []


def test_good_answers_are_counted_by_the_limits(served: Session):
    """20 ms are within a second, and not within a millisecond."""
    good = typed(served, *FEW, "--slo", "ttft=1s,e2el=5s")
    bad = typed(served, *FEW, "--slo", "ttft=1ms")

    assert isinstance(good, BenchView)
    assert isinstance(bad, BenchView)
    assert (good.results[0].metrics.good, bad.results[0].metrics.good) == (6, 0)
    assert "good (TTFT ≤ 1.00 s, E2EL ≤ 5.00 s)" in str(good)


def test_a_sweep_doubles_the_concurrency_and_finds_the_knee(served: Session):
    """1, 2, 4 and 5 itself; a server that takes any number has no knee there yet."""
    view = typed(served, *FEW, "--num-prompts", "20", "--sweep", "5")

    assert isinstance(view, BenchView)
    assert [each.settings.concurrency for each in view.results] == [1, 2, 4, 5]
    assert "knee: " in (view.note or "")


def test_declared_watts_and_a_price_are_told_for_1000_tokens(served: Session):
    """
    360 W for the run's seconds, in watt-hours (3,600 J), for its 18 tokens, times 1,000; a
    kilowatt-hour of it at 0.50.
    """
    view = typed(served, *FEW, "--watts", "360W", "--price", "0.50EUR")

    assert isinstance(view, BenchView)
    metrics = view.results[0].metrics
    assert metrics.output_tokens == 18
    wh = 360 * metrics.duration_s / 3600 / 18 * 1000
    said = f"energy: 360 W (declared), {wh:.3g} Wh for 1,000 output tokens, {wh / 2000:.3g} EUR"
    assert said in (view.note or "")


def test_measured_watts_are_a_meters_or_nothing(served: Session):
    """A machine without one has no line of energy, and no zero."""
    view = typed(served, *FEW, "--watts", "measured")

    assert isinstance(view, BenchView)
    energy = [line for line in (view.note or "").splitlines() if line.startswith("energy")]
    assert all("(measured: " in line for line in energy)


def test_a_named_card_gives_the_share_of_what_its_memory_allows(served: Session):
    """The model's shape is that of models/pocket; the yardstick is far below the card."""
    view = typed(served, *FEW, "--model", "pocket", "--gpu", "7900xtx")

    assert "that 7900xtx's 960 GB/s allow for" in str(view.note)


def test_a_card_that_nobody_knows_is_said(served: Session):
    """In the line where the share would be; the measurement stays."""
    view = typed(served, *FEW, "--model", "pocket", "--gpu", "voodoo2")

    assert isinstance(view, BenchView)
    assert view.results[0].metrics.completed == 6
    assert "memory: the bandwidth of voodoo2 is not known here" in str(view.note)


@pytest.mark.processes
def test_so_many_processes_send_as_are_named(served: Session):
    """Two were there while it measured, and each request came once."""
    seen: set[int] = set()

    @contextmanager
    def looking() -> Iterator[Callable[[Progress], None]]:
        def look(_progress: Progress) -> None:
            for child in psutil.Process().children():
                with suppress(psutil.NoSuchProcess):  # it has just ended
                    if "workbench.bench.processes" in " ".join(child.cmdline()):
                        seen.add(child.pid)

        yield look

    skin = SimpleNamespace(session=served, progress=looking)
    words = [*FEW, "--num-prompts", "40", "--concurrency", "2", "--processes", "2"]
    shown: Any = verbs.workbench.main(["bench", *words], obj=skin, standalone_mode=False)

    assert len(seen) == 2
    assert shown.results[0].metrics.completed == 40


def test_a_search_begins_at_the_rate_and_ends_with_its_time(served: Session):
    """A minute of requests, of which two seconds are sent; what was found until then is told."""
    began_s = time.monotonic()
    words = ("--slo", "ttft=1s", "--goodput", "0.5", "--request-rate", "10", "--budget", "2s")
    view = typed(served, *FEW, "--num-prompts", "600", *words, "--json")
    found = json.loads(str(view))

    assert time.monotonic() - began_s < 20
    assert found["why"] == "its time is spent"
    assert found["rate_rps"] == 10
    assert found["levels"][0]["trials"][0]["requests"] < 60


def test_a_preset_brings_lengths_and_limits_and_what_is_said_goes_before(
    served: Session, tmp_path: Path
):
    """RAG's limits and 4,096 tokens a prompt; but answers are as long as was said."""
    saved = tmp_path / "runs"
    view = typed(
        served,
        *("--preset", "rag", "--output-len", "3", "--num-prompts", "10", "--warmup", "0"),
        *("--request-rate", "20", "--budget", "1s", "--save", str(saved)),
    )
    first = vllm_json.read(min(saved.iterdir()))

    assert "with TTFT ≤ 300 ms, TPOT ≤ 100 ms" in str(view)
    assert first.fingerprint.workload["input_len"] == 4096
    assert first.fingerprint.workload["output_len"] == 3
