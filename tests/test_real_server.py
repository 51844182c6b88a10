"""What is promised, kept by the real vLLM with the pocket model."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from dataclasses import fields
from pathlib import Path

import psutil
import pytest

from tests.helpers import ctrl_c_when, eventually, lives
from workbench.bootlog import BootReader
from workbench.cells import Canvas
from workbench.client import Client
from workbench.errors import (
    AnswerInterruptedError,
    AuthenticationError,
    ContextLengthError,
    ModelNotServedError,
    RequestRejectedError,
    ServerUnreachableError,
    StreamInterruptedError,
)
from workbench.records import OutputFormat, SamplingParams, ServerState
from workbench.servers import base
from workbench.session import Session
from workbench.urls import root_url

pytestmark = pytest.mark.engine

GREEDY = SamplingParams(temperature=0)
LONG = "Count from 1 to 50."

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "The city"}},
            "required": ["city"],
        },
    },
}


def running_requests(session: Session) -> float:
    url = f"{root_url(session.server.base_url)}/metrics"
    with urllib.request.urlopen(url) as response:
        text = response.read().decode()
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith("vllm:num_requests_running")
    )


def test_ready_means_listed_and_decoding(served: Session):
    """The status has the model, the version and the processes; a token comes."""
    status = served.status()

    assert status.state is ServerState.READY
    assert [model.name for model in status.models] == ["pocket", "default"]
    assert status.models[0].max_model_len == 2048
    assert status.version == "0.32.0"
    assert len(status.pids) >= 2
    assert served.chat("Hello", SamplingParams(max_tokens=1)).usage.output_tokens == 1


def test_greedy_answers_are_the_same_and_to_the_point(served: Session):
    """Asked twice, the same words; and they are about what was asked."""
    first = served.chat("What is vLLM?", GREEDY)
    second = served.chat("What is vLLM?", GREEDY)

    assert first.text == second.text
    assert "vLLM" in first.text
    assert first.finish_reason == "stop"


def test_a_stream_brings_the_same_text_in_steps(served: Session):
    """Piece by piece it is the answer that comes whole without streaming, with its times."""
    whole = served.chat("What is a KV cache?", GREEDY)

    with served.stream("What is a KV cache?", GREEDY) as stream:
        pieces = list(stream)

    answer = stream.generation
    assert "".join(pieces) == answer.text == whole.text
    # Chunks, not pieces: what arrives while nobody looks is handed over in one piece.
    assert len(answer.timings.chunks_s) > 3
    assert answer.usage.output_tokens == whole.usage.output_tokens
    assert 0 < answer.ttft_s < answer.e2e_latency_s
    assert answer.tpot_s == pytest.approx(
        (answer.timings.chunks_s[-1] - answer.timings.chunks_s[0])
        / (answer.usage.output_tokens - 1)
    )
    assert answer.request_id


def test_a_system_prompt_and_earlier_turns_are_part_of_the_prompt(served: Session):
    """The prompt grows with each turn, as the server counts it."""
    alone = served.chat("What is ROCm?", GREEDY)
    with_system = served.chat("What is ROCm?", GREEDY, system="You are a terse assistant.")

    assert with_system.usage.input_tokens > alone.usage.input_tokens


def test_an_offered_tool_is_called_with_json_arguments(served: Session):
    """vLLM's hermes parser reads what the model wrote, streamed or not."""
    whole = served.chat("What is the weather in Austin?", GREEDY, tools=[WEATHER])
    with served.stream("What is the weather in Austin?", GREEDY, tools=[WEATHER]) as stream:
        list(stream)

    for answer in (whole, stream.generation):
        assert answer.finish_reason == "tool_calls"
        assert [call.name for call in answer.tool_calls] == ["get_weather"]
        assert json.loads(answer.tool_calls[0].arguments) == {"city": "Austin"}


def test_an_unknown_model_is_named_with_those_that_are_served(served: Session):
    """404 becomes an error that has both lists."""
    with pytest.raises(ModelNotServedError) as caught:
        served.client.chat("Hello", model="gpt-unknown")

    assert (caught.value.requested, caught.value.served) == ("gpt-unknown", ("pocket", "default"))


def test_a_prompt_beyond_the_context_says_both_lengths(served: Session):
    """400 becomes an error with the limit, and with what was asked where the server says it."""
    with pytest.raises(ContextLengthError) as caught:
        served.chat("token " * 3000, GREEDY)

    assert caught.value.max_model_len == 2048


def test_too_many_max_tokens_are_refused_with_the_limit(served: Session):
    """An answer longer than the context is the same mistake from the other side."""
    with pytest.raises(ContextLengthError) as caught:
        served.chat("Hello", SamplingParams(max_tokens=5000))

    assert caught.value.max_model_len == 2048


def test_a_parameter_out_of_range_is_refused_with_the_servers_words(served: Session):
    """What vLLM says about it reaches the reader."""
    with pytest.raises(RequestRejectedError, match="temperature"):
        served.chat("Hello", SamplingParams(temperature=-1))


def test_the_wrong_key_is_told_from_everything_else(served: Session):
    """401 is its own error, and the message does not repeat the key."""
    with (
        Client(served.server.base_url, api_key="sk-wrong") as client,
        pytest.raises(AuthenticationError) as caught,
    ):
        client.chat("Hello", model="pocket")

    assert "sk-wrong" not in str(caught.value)


def test_the_api_asks_for_the_key_and_only_on_this_machine(served: Session):
    """Without the key ``/v1`` is closed; the socket is bound to 127.0.0.1."""
    url = served.server.base_url

    assert base.ask(f"{url}/models").status == 401
    assert base.ask(f"{url}/models", api_key=served.server.api_key).status == 200
    assert "//127.0.0.1:" in url


def test_every_socket_of_vllm_is_on_the_loopback(served: Session):
    """Not only the API's: torch's and vLLM's own sockets too."""
    listening = [
        connection.laddr.ip
        for pid in served.status().pids
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert listening
    assert all(address.startswith("127.") or address == "::1" for address in listening), listening


def test_the_key_is_on_no_command_line_and_in_no_log(served: Session):
    """``ps`` shows it for none of vLLM's processes, and vLLM does not write it down."""
    key = served.server.api_key
    lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in served.status().pids]

    assert key
    assert not any(key in line for line in [*lines, *served.logs()])


def test_a_proxy_in_the_environment_does_not_come_between(served: Session, monkeypatch):
    """A server on this machine is reached directly, and the key goes nowhere else."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    with Client(served.server.base_url, api_key=served.server.api_key) as client:
        assert client.chat("Hello", SamplingParams(max_tokens=1)).usage.output_tokens == 1


def test_leaving_a_stream_frees_the_servers_slot(served: Session):
    """After the loop is left, vLLM soon runs nothing."""
    with served.stream(LONG, GREEDY) as stream:
        next(iter(stream))

    assert eventually(lambda: running_requests(served) == 0)
    assert stream.generation.finish_reason is None
    assert stream.generation.text


ENDLESS = SamplingParams(max_tokens=1500, ignore_eos=True)


def test_ctrl_c_leaves_a_conversation_whole(served: Session):
    """No half a turn is kept, the slot is free, and the next question is answered."""
    talk = served.conversation(system="Be brief.")
    talk.say("What is vLLM?", GREEDY)
    before = talk.messages
    thread = ctrl_c_when(lambda: running_requests(served))
    with pytest.raises(KeyboardInterrupt):
        talk.say(LONG, ENDLESS)
    thread.join()

    assert eventually(lambda: running_requests(served) == 0)
    assert talk.messages == before
    assert talk.say("What is ROCm?", GREEDY).finish_reason == "stop"


def test_ctrl_c_in_a_batch_keeps_what_was_answered(served: Session, tmp_path: Path):
    """All slots are free, and the same call goes on with the rest."""
    keep = tmp_path / "answers.jsonl"
    prompts = [f"What is {number}?" for number in range(12)]
    params = SamplingParams(max_tokens=50, ignore_eos=True)

    def kept() -> int:
        return keep.read_bytes().count(b"\n") - 1 if keep.exists() else 0

    thread = ctrl_c_when(lambda: kept() > 0)
    with pytest.raises(KeyboardInterrupt):
        served.map(prompts, params, keep=keep, concurrency=4, progress=False)
    thread.join()
    assert eventually(lambda: running_requests(served) == 0)
    before, finished = len(served.telemetry.frame()), kept()
    frame = served.map(prompts, params, keep=keep, concurrency=4, progress=False)

    assert 0 < finished < len(prompts)
    assert len(served.telemetry.frame()) - before == len(prompts) - finished
    assert frame["output_tokens"].tolist() == [50] * len(prompts)


def test_every_request_is_a_row(served: Session):
    """Text is not in it; what the server counted is."""
    answer = served.chat("What is TTFT?", GREEDY)
    with pytest.raises(ModelNotServedError):
        served.client.chat("What is TTFT?", model="gpt-unknown")

    good, bad = served.telemetry.frame(last=2).to_dict("records")

    assert (good["status"], bad["status"]) == ("ok", "error")
    assert good["input_tokens"] == answer.usage.input_tokens
    assert good["output_tokens"] == answer.usage.output_tokens
    assert good["request_id"] == answer.request_id
    assert good["prompt_hash"] == bad["prompt_hash"]
    assert bad["error_type"] == "ModelNotServedError"
    assert "What is TTFT" not in str(good)
    assert (good["served_model"], good["attempts"]) == ("pocket", 1)
    assert (good["trace_id"], good["span_id"]) == (answer.trace_id, answer.span_id)


def test_rows_say_the_servers_version(served: Session):
    """It is asked for beside the requests; asked by its alias, the server says its own name."""
    said = eventually(lambda: served.chat("Hi", GREEDY, model="default").server_version)
    row = served.telemetry.frame(last=1).iloc[0]

    assert said
    assert row["server_version"] == served.status().version
    assert (row["model"], row["served_model"]) == ("default", "pocket")


@pytest.fixture
def shell(ip, served: Session, monkeypatch: pytest.MonkeyPatch):
    """A notebook's shell that finds the shared server, as a restarted kernel does."""
    monkeypatch.setenv("WORKBENCH_STATE_DIR", str(served.settings.state_dir))
    ip.run_line_magic("load_ext", "workbench")
    return ip


def test_a_cell_streams_its_answer_and_keeps_it(shell, capsys):
    """``%%chat`` draws the text and one line of numbers; ``--into`` has the record."""
    shell.run_cell_magic("chat", "-t 0 --into answer", "What is vLLM?\n")

    answer = shell.user_ns["answer"]
    html = shell.display_formatter.format(answer)[0]["text/html"]
    assert "TTFT" in html
    assert repr(answer).startswith(f"Generation({answer.text!r}")
    shown = capsys.readouterr().out
    assert "vLLM" in str(answer)
    assert "TTFT" in shown
    assert "stop" in shown


def test_an_interrupted_cell_keeps_what_arrived(shell, served: Session, capsys, monkeypatch):
    """Ctrl-C in the middle: the text is kept, the cells after it do not run, the slot is free."""
    draw = Canvas.draw

    def interrupting(*arguments, **options):
        draw(*arguments, **options)
        if not options.get("now"):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Canvas, "draw", interrupting)
    with pytest.raises(AnswerInterruptedError):
        shell.run_cell_magic("chat", "-t 0 --into answer", LONG + " " + LONG)

    assert shell.user_ns["answer"].finish_reason is None
    assert "interrupted" in capsys.readouterr().out
    assert eventually(lambda: running_requests(served) == 0)
    # The shell's own session waits for what it has emitted; another one's frame would not.
    frame = shell.run_line_magic("wb", "session").telemetry.frame(last=1)
    assert frame["status"].tolist() == ["interrupted"]


def test_a_restarted_kernel_finds_the_server(shell, served: Session):
    """``up`` in another process attaches to what runs, and ``down --if-mine`` leaves it alone."""
    assert "ready" in str(shell.run_line_magic("wb", "up"))
    assert "goes on" in str(shell.run_line_magic("wb", "down --if-mine"))

    assert served.status().state is ServerState.READY


def test_two_notebooks_at_once_share_the_server_and_the_record(served: Session, tmp_path: Path):
    """Two headless runs side by side both pass, and telemetry has both sessions."""
    before = len(served.telemetry.frame())
    environment = {
        **os.environ,
        "WORKBENCH_HOME": str(Path(__file__).resolve().parent.parent),
        "WORKBENCH_STATE_DIR": str(served.settings.state_dir),
    }
    command = [sys.executable, "-m", "workbench", "run", "notebooks/00_start_here.ipynb", "--out"]
    both = [
        subprocess.Popen(
            [*command, str(tmp_path / name)],
            env=environment,
            cwd=environment["WORKBENCH_HOME"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ("one", "two")
    ]
    said = [process.communicate(timeout=300)[0] for process in both]

    rows = served.telemetry.frame().iloc[before:]
    assert [process.returncode for process in both] == [0, 0], said
    assert rows["session"].nunique() == 2
    assert set(rows["status"]) == {"ok"}


def test_a_server_that_dies_mid_stream_leaves_the_text_and_no_process(project: Path):
    """
    SIGKILL of vLLM's first process while it answers: the error carries what arrived,
    the status says failed, and ``down`` ends the orphans.
    """
    with Session(
        model="pocket-mini",
        port=0,
        state_dir=str(project / ".workbench"),
        engine_dir=str(Path(__file__).resolve().parent.parent / ".engine"),
    ) as session:
        pids = session.up().pids
        leader = session.server.running().group.leader
        with session.stream(LONG, GREEDY) as stream:
            pieces = iter(stream)
            next(pieces)
            os.kill(leader, signal.SIGKILL)
            with pytest.raises(StreamInterruptedError) as caught:
                list(pieces)

        assert caught.value.partial.text
        assert session.status().state is ServerState.FAILED
        assert base.ask(f"{session.server.base_url}/models").status == 0
        with pytest.raises(ServerUnreachableError):
            session.chat("Hello")
        assert session.down() is True
        assert not any(map(lives, pids))


def test_every_sampling_parameter_is_one_of_this_vllms(served: Session):
    """A name that it does not know would be ignored without a word."""
    schemas = served.client.fetch("/openapi.json")["components"]["schemas"]  # type: ignore[index]
    known = set(schemas["ChatCompletionRequest"]["properties"])
    sent = {item.name for item in fields(SamplingParams)} - {"extra"}

    assert sent <= known
    assert "structured_outputs" in known


@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_is_kept_to_a_form(served: Session, streamed: bool):
    """While it is decoded, so that also a model of few words writes three digits."""
    digits = OutputFormat(kind="regex", value=r"\d{3}")
    if streamed:
        answer = served.stream("What is vLLM?", GREEDY, output=digits).read()
    else:
        answer = served.chat("What is vLLM?", GREEDY, output=digits)

    assert re.fullmatch(r"\d{3}", answer.parsed)


def test_several_answers_come_apart(served: Session):
    """Of one prompt and one seed, and all of them whole."""
    params = SamplingParams(n=3, temperature=2, seed=1, max_tokens=8)
    answer = served.stream("What is vLLM?", params).read()
    texts = {answer.text, *(other.text for other in answer.alternatives)}

    assert len(texts) == 3
    assert answer.usage is not None
    assert answer.usage.output_tokens <= 24


def test_a_function_is_called_and_its_result_told(served: Session):
    """The pocket model asks, we run, it answers with what came."""

    def get_weather(city: str) -> dict[str, object]:
        """Get the weather of a city."""
        return {"city": city, "temperature": 27, "condition": "clear"}

    run = served.run_tools("What is the weather in Rome?", [get_weather], GREEDY)

    assert [(step.call.name, step.error) for step in run.steps] == [("get_weather", None)]
    assert "27" in run.generation.text


def test_results_of_calls_are_told_in_a_conversation(served: Session):
    """Asked with tools, run by hand, told: vLLM's template takes the turns in this order."""
    talk = served.conversation()
    answer = talk.say("What is the weather in Rome?", GREEDY, tools=[WEATHER])
    weather = {"city": "Rome", "temperature": 27, "condition": "clear"}

    assert [call.name for call in answer.tool_calls] == ["get_weather"]
    assert "27" in talk.tell(weather, params=GREEDY, tools=[WEATHER]).text


def test_a_prompt_is_counted_as_the_server_counts_it(served: Session):
    """Tokens of the conversation, its template included, are the request's input tokens."""
    answer = served.chat("What is vLLM?", SamplingParams(max_tokens=1))

    assert answer.usage is not None
    assert len(served.client.tokenize("What is vLLM?")) == answer.usage.input_tokens
    assert served.client.detokenize(served.client.tokenize("vLLM").ids).count("vLLM") == 1


def test_the_plan_of_the_cpu_engine_is_what_its_log_says(served: Session):
    """The tokens of KV cache, to the token, and the requests at once."""
    reader = BootReader()
    for line in served.logs():
        reader.feed(line, at_s=0.0)
    said = reader.figures()

    answer = served.plan("pocket", gpu="cpu", max_model_len=said.max_model_len)

    assert answer.kv_cache_tokens == said.kv_cache_tokens
    assert answer.max_concurrency == pytest.approx(said.max_concurrency, abs=0.005)


def test_a_boot_is_kept_beside_its_prediction(served: Session):
    """The server that these tests started is in the folder's history."""
    boot = served.predictions()[-1]

    assert (boot.model, boot.gpu) == ("pocket", "CPU")
    assert boot.error_percent == 0
