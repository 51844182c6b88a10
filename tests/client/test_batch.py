"""
Many prompts: bounded, in order, with errors as rows, and restartable.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest

from tests.client.conftest import NEVER, QUICK
from tests.helpers import eventually
from tests.scripted import DONE, ROLE, STOP, Answer, Do, ScriptedServer, reply, stream, text
from workbench.client import Client, amap
from workbench.client.kept import KeptAnswers
from workbench.errors import AuthenticationError, ConfigError
from workbench.records import Outcome, Progress, SamplingParams
from workbench.session import Session


@pytest.fixture
def asking(server: ScriptedServer) -> Iterator[Client]:
    with Client(server.base_url, model="pocket", timeouts=QUICK, retries=NEVER) as client:
        yield client


URL = "http://gpu-box:8000/v1"


def says(words: str, *before: threading.Event) -> Answer:
    return stream(*before, ROLE, text(words), STOP, DONE)


def asked(server: ScriptedServer) -> list[str]:
    return [request.json["messages"][-1]["content"] for request in server.chat_requests]  # type: ignore[index]


def test_rows_are_in_the_order_of_the_prompts(server: ScriptedServer, asking: Client) -> None:
    """
    Though the second answer is there before the first.
    """
    second_is_done = threading.Event()
    seen: list[float] = []

    def note(progress: Progress) -> None:
        seen.append(progress.done)
        second_is_done.set()

    server.answer(says("slow", second_is_done), says("quick"))
    rows = asking.map(["a", "b"], concurrency=2, on_progress=note)

    # Which of the two was the first to reach the server is not said.
    slow, quick = (0, 1) if asked(server) == ["a", "b"] else (1, 0)
    assert seen == [1, 2]
    assert (rows[slow].text, rows[quick].text) == ("slow", "quick")


def test_no_more_are_under_way_than_asked_for(server: ScriptedServer, asking: Client) -> None:
    """
    And no prompt is taken from its source before it can be sent.
    """
    go_on = threading.Event()
    taken: list[int] = []

    def prompts() -> Iterator[str]:
        for number in range(6):
            taken.append(number)
            yield f"prompt {number}"

    server.answer(says("so", go_on))
    worker = threading.Thread(target=lambda: asking.map(prompts(), concurrency=2))
    worker.start()
    eventually(lambda: len(server.chat_requests) == 2)
    assert taken == [0, 1]
    go_on.set()
    worker.join(10)

    assert len(server.chat_requests) == 6


def test_what_fails_is_a_row(server: ScriptedServer, asking: Client) -> None:
    """
    With what had come of it; the others go on.
    """
    server.answer(says("one"), stream(ROLE, text("ha"), Do.CUT), reply(400, {}), says("four"))
    rows = asking.map(["a", "b", "c", "d"], concurrency=1)

    assert [row.text for row in rows] == ["one", "ha", None, "four"]
    assert [row.error_type for row in rows] == [
        None,
        "StreamInterruptedError",
        "RequestRejectedError",
        None,
    ]


def test_a_wrong_key_ends_it_at_once(server: ScriptedServer, asking: Client) -> None:
    """
    A thousand rows that say the same would help nobody.
    """
    server.answer(reply(401, {}))
    with pytest.raises(AuthenticationError):
        asking.map(map(str, range(1000)), concurrency=2)

    assert len(server.chat_requests) <= 2


def test_a_mistake_in_the_prompts_is_the_callers(server: ScriptedServer, asking: Client) -> None:
    """
    Not a row: it is there before any request of its own.
    """
    with pytest.raises(ValueError, match="a role is one of"):
        asking.map([[{"role": "robot", "content": "x"}]])


def test_answers_that_were_kept_are_not_asked_for_again(
    server: ScriptedServer, asking: Client, tmp_path: Path
) -> None:
    """
    What failed is; the same prompt twice is two answers; another model's are others.
    """
    keep = tmp_path / "answers.jsonl"
    server.answer(says("one"), reply(400, {}), says("three"), says("again"))
    first = asking.map(["a", "b", "a"], concurrency=1, keep=keep)
    second = asking.map(["a", "b", "a"], concurrency=1, keep=keep)

    assert [row.text for row in first] == ["one", None, "three"]
    assert [row.text for row in second] == ["one", "again", "three"]
    assert asked(server) == ["a", "b", "a", "b"]

    asking.map(["a"], keep=keep, model="other")
    asking.map(["a"], SamplingParams(temperature=1), keep=keep)
    assert len(server.chat_requests) == 6


def test_the_file_has_answers_and_no_prompts(
    server: ScriptedServer, asking: Client, tmp_path: Path
) -> None:
    """
    A prompt may be a secret, and its hash finds the row again.
    """
    keep = tmp_path / "answers.jsonl"
    asking.map(["a secret question"], keep=keep)

    assert "secret" not in keep.read_text()
    assert json.loads(keep.read_text().splitlines()[1])["text"] == "Hello"


def test_half_a_line_is_dropped(server: ScriptedServer, asking: Client, tmp_path: Path) -> None:
    """
    The machine stopped while it was written; what follows begins on a line of its own.
    """
    keep = tmp_path / "answers.jsonl"
    asking.map(["a", "b"], concurrency=1, keep=keep)
    keep.write_bytes(keep.read_bytes()[:-9])
    asking.map(["a", "b"], concurrency=1, keep=keep)

    assert asked(server) == ["a", "b", "b"]
    assert all(json.loads(line) for line in keep.read_text().splitlines())
    assert len(keep.read_text().splitlines()) == 3


def test_what_another_server_answered_is_not_taken(
    server: ScriptedServer, asking: Client, tmp_path: Path
) -> None:
    """
    Its model of this name may be another; its answers stay, for when it is asked again.
    """
    keep = tmp_path / "answers.jsonl"
    asking.map(["a"], keep=keep)
    other = ScriptedServer()
    other.answer(says("from the other"))
    with Client(other.base_url, model="pocket", timeouts=QUICK, retries=NEVER) as client:
        rows = client.map(["a"], keep=keep)
    other.close()

    assert [row.text for row in rows] == ["from the other"]
    assert [row.text for row in asking.map(["a"], keep=keep)] == ["Hello"]
    assert (asked(server), asked(other)) == (["a"], ["a"])


def test_a_file_that_names_no_server_goes_on(
    server: ScriptedServer, asking: Client, tmp_path: Path
) -> None:
    """
    Its lines were written before servers were told apart; what is added tells.
    """
    keep = tmp_path / "answers.jsonl"
    asking.map(["a"], keep=keep)
    head, line = keep.read_text().splitlines()
    old = json.loads(line)
    assert old.pop("base_url") == server.base_url
    keep.write_text(f"{head}\n{json.dumps(old)}\n")
    asking.map(["a", "b"], concurrency=1, keep=keep)

    assert asked(server) == ["a", "b"]
    assert json.loads(keep.read_text().splitlines()[2])["base_url"] == server.base_url


def test_another_file_is_left_alone(asking: Client, tmp_path: Path) -> None:
    """
    A path is mistyped easily.
    """
    notes = tmp_path / "notes.txt"
    notes.write_text("mine\n")
    with pytest.raises(ConfigError, match="something else"):
        asking.map(["a"], keep=notes)

    assert notes.read_text() == "mine\n"


def test_two_batches_do_not_write_one_file(
    server: ScriptedServer, asking: Client, tmp_path: Path
) -> None:
    """
    Their lines would mix.
    """
    go_on = threading.Event()
    keep = tmp_path / "answers.jsonl"
    server.answer(says("so", go_on))
    worker = threading.Thread(target=lambda: asking.map(["a"], keep=keep))
    worker.start()
    eventually(lambda: len(server.chat_requests) == 1)
    with pytest.raises(ConfigError, match="Another batch"):
        asking.map(["b"], keep=keep)
    go_on.set()
    worker.join(10)


def test_a_batch_is_a_frame_with_a_row_for_each_prompt(
    server: ScriptedServer, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    With what the answers say, where a form was asked for, also of those that were kept.
    """
    keep = project / "answers.jsonl"
    server.answer(says("[1, 2]"), says("no JSON"))
    with Session(base_url=server.base_url, state_dir=str(project / "state")) as session:
        for _ in range(2):
            frame = session.map(["a", "b"], concurrency=1, keep=keep, output=list[int])

    assert frame["prompt"].tolist() == ["a", "b"]
    assert frame["parsed"].tolist() == [[1, 2], None]
    assert frame["error_type"].isna().tolist() == [True, False]
    assert frame["output_tokens"].isna().all()
    assert "2/2" in capsys.readouterr().err


CHILD = """
import sys
from workbench.client import Client
with Client(sys.argv[1], model="pocket") as client:
    client.map(["a", "b", "c"], concurrency=1, keep=sys.argv[2])
"""


@pytest.mark.processes
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_batch_that_was_stopped_goes_on(
    server: ScriptedServer, asking: Client, tmp_path: Path, how: signal.Signals
) -> None:
    """
    The answers that were there are not asked for again, and the slot of the other is free.
    """
    keep = tmp_path / "answers.jsonl"
    server.answer(says("one"), stream(ROLE, text("tw"), Do.STALL))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, server.base_url, str(keep)], stderr=subprocess.DEVNULL
    )
    eventually(lambda: server.stalling == 1)
    os.kill(child.pid, how)
    child.wait(10)
    eventually(lambda: server.hung_up == 1)
    server.answer(says("two"), says("three"))

    rows = asking.map(["a", "b", "c"], concurrency=1, keep=keep)
    assert [row.text for row in rows] == ["one", "two", "three"]
    assert asked(server) == ["a", "b", "b", "c"]


def test_prompts_may_be_made_with_the_same_client(server: ScriptedServer, asking: Client) -> None:
    """
    They are taken on the caller's thread, where the client may be used.
    """
    server.answer(says("so"))
    rows = asking.map(
        (f"{prompt} {asking.stream(prompt).read()}" for prompt in "ab"), concurrency=2
    )

    assert [row.prompt for row in rows] == ["a so", "b so"]


def test_a_source_that_breaks_off_ends_it(server: ScriptedServer, asking: Client) -> None:
    """
    The mistake is its author's, and those under way do not go on.
    """

    def prompts() -> Iterator[str]:
        yield "a"
        eventually(lambda: server.stalling == 1)
        raise RuntimeError("no more lines")

    server.answer(stream(ROLE, text("H"), Do.STALL))
    with pytest.raises(RuntimeError, match="no more lines"):
        asking.map(prompts(), concurrency=2)

    assert eventually(lambda: server.hung_up == 1)


def test_it_can_be_awaited_with_prompts_that_come_later(
    server: ScriptedServer, asking: Client
) -> None:
    """
    On the caller's loop, from an asynchronous source too.
    """

    async def prompts() -> AsyncIterator[str]:
        for prompt in "ab":
            yield prompt

    rows = asyncio.run(amap(asking, prompts()))

    assert [(row.prompt, row.text) for row in rows] == [("a", "Hello"), ("b", "Hello")]


@pytest.mark.parametrize("prompts", ["hi", {"role": "user", "content": "hi"}])
def test_one_prompt_is_not_many(asking: Client, prompts: Iterable[str]) -> None:
    """
    A string would be asked letter by letter.
    """
    with pytest.raises(TypeError, match="prompts are many"):
        asking.map(prompts)


def test_a_file_may_be_torn_anywhere(tmp_path: Path) -> None:
    """
    What is whole before the tear is there, and what is added later is whole too.
    """
    path = tmp_path / "answers.jsonl"
    with KeptAnswers(path, base_url=URL) as kept:
        for key in "abc":
            kept.add(key, {"text": key, "error_type": None})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with KeptAnswers(path, base_url=URL) as kept:
            kept.add("d", {"text": "d", "error_type": None})
        lines = whole[:length].count(b"\n")
        with KeptAnswers(path, base_url=URL) as kept:
            found = [key for key in "abcd" if kept.take(key)]
        assert found == [*"abc"[: max(0, lines - 1)], "d"]


ENGINE_CHILD = """
import sys
from workbench.client import Client
from workbench.records import SamplingParams
url, keep, *prompts = sys.argv[1:]
with Client(url, api_key=sys.stdin.readline().strip() or None) as client:
    client.map(prompts, SamplingParams(max_tokens=64, ignore_eos=True), concurrency=2, keep=keep)
"""


@pytest.mark.engine
def test_a_killed_batch_goes_on_with_a_real_server(served: Session, tmp_path: Path) -> None:
    """
    No answer that was kept is asked for again, and every prompt has one.
    """
    keep = tmp_path / "answers.jsonl"
    prompts = [f"What is {number} and what is vLLM?" for number in range(40)]
    command = [sys.executable, "-c", ENGINE_CHILD, served.server.base_url, str(keep), *prompts]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as child:
        assert child.stdin
        child.stdin.write(f"{served.server.api_key or ''}\n")
        child.stdin.flush()
        assert eventually(lambda: keep.exists() and keep.read_bytes().count(b"\n") > 4, within_s=60)
        child.kill()
    kept = keep.read_bytes().count(b"\n") - 1
    told: list[Outcome] = []
    with Client(
        served.server.base_url, api_key=served.server.api_key, on_outcome=told.append
    ) as client:
        params = SamplingParams(max_tokens=64, ignore_eos=True)
        rows = client.map(prompts, params, concurrency=4, keep=keep)

    assert 4 <= kept < len(prompts)
    assert len(told) == len(prompts) - kept
    assert [row.prompt for row in rows] == prompts
    assert all(row.output_tokens == 64 and row.error is None for row in rows)
