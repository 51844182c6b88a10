"""
One client, used from cells, threads, loops and under Ctrl-C.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.client.conftest import QUICK
from tests.helpers import ctrl_c_when, eventually
from tests.scripted import (
    DONE,
    STOP,
    Answer,
    Do,
    ScriptedServer,
    completion,
    stream,
    text,
)
from workbench.client import Client, amap
from workbench.errors import ClientError, StreamInterruptedError
from workbench.records import Failure, Outcome

STALL_AFTER_A_TOKEN = stream(text("Hel"), Do.STALL)


def test_ctrl_c_while_waiting_for_a_piece_frees_the_slot(
    client: Client, server: ScriptedServer
) -> None:
    """
    The stream was not used with `with`, and its name is still alive.
    """
    server.answer(STALL_AFTER_A_TOKEN)
    kept = client.stream("hi")
    thread = ctrl_c_when(lambda: kept.generation.text)
    with pytest.raises(KeyboardInterrupt):
        for _ in kept:
            pass
    thread.join()

    assert eventually(lambda: server.hung_up == 1)
    assert kept.generation.text == "Hel"


def test_ctrl_c_between_pieces_frees_the_slot(client: Client, server: ScriptedServer) -> None:
    """
    It strikes in the reader's own code, in the body of the loop.
    """
    server.answer(STALL_AFTER_A_TOKEN)
    kept = client.stream("hi")

    def read() -> None:
        for _ in kept:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        read()

    assert eventually(lambda: server.hung_up == 1)


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda client: client.chat("hi"), id="chat"),
        pytest.param(lambda client: client.stream("hi").read(), id="read"),
    ],
)
def test_ctrl_c_while_waiting_for_the_whole_frees_the_slot(
    client: Client,
    server: ScriptedServer,
    outcomes: list[Outcome],
    ask: Callable[[Client], object],
) -> None:
    """
    The server need not finish what nobody waits for; the outcome is told all the same.
    """
    server.answer(Answer((), before_headers=(Do.STALL,)))
    thread = ctrl_c_when(lambda: server.stalling)
    with pytest.raises(KeyboardInterrupt):
        ask(client)
    thread.join()

    assert eventually(lambda: server.hung_up == 1)
    assert len(outcomes) == 1


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda client: client.chat("hi"), id="chat"),
        pytest.param(lambda client: client.map(["a", "b"]), id="map"),
        pytest.param(lambda client: client.run_tools("hi", []), id="run_tools"),
    ],
)
def test_who_waits_on_a_client_that_is_closed_is_told(
    server: ScriptedServer, ask: Callable[[Client], object]
) -> None:
    """
    By another thread, as when the server is stopped: an error of ours, and the slots are free.
    """
    server.answer(Answer((), before_headers=(Do.STALL,)))
    client = Client(server.base_url, model="pocket", timeouts=QUICK)

    def close() -> None:
        eventually(lambda: server.stalling >= 1)
        client.close()

    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises(ClientError, match="client was closed") as caught:
        ask(client)
    closer.join(10)

    assert caught.value.base_url == client.base_url
    assert eventually(lambda: server.hung_up == server.stalling)


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda client: client.achat("hi"), id="achat"),
        pytest.param(lambda client: client.astream("hi").read(), id="astream"),
    ],
)
def test_who_awaits_a_client_that_is_closed_is_told(
    server: ScriptedServer, ask: Callable[[Client], Awaitable[object]]
) -> None:
    """
    At once and with what came, where it waited for a limit; its task goes on, the client is over.
    """
    server.answer(STALL_AFTER_A_TOKEN)

    async def wait_for_it(client: Client) -> str:
        with pytest.raises(StreamInterruptedError, match="client was closed"):
            await ask(client)
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="client is closed"):
            await client.achat("again")
        return "went on"

    async def scene() -> str:
        client = Client(server.base_url, model="pocket")
        waits = asyncio.create_task(wait_for_it(client))
        while not server.stalling:
            await asyncio.sleep(0.001)
        await client.aclose()
        return await asyncio.wait_for(waits, 10)

    assert asyncio.run(scene()) == "went on"
    assert eventually(lambda: server.hung_up == 1)


def test_an_awaited_batch_ends_with_its_client(server: ScriptedServer) -> None:
    """
    The prompts that are left are not asked on connections that nobody would close.
    """
    server.answer(STALL_AFTER_A_TOKEN)

    async def scene() -> None:
        client = Client(server.base_url, model="pocket")
        waits = asyncio.create_task(amap(client, map(str, range(100)), concurrency=1))
        while not server.stalling:
            await asyncio.sleep(0.001)
        await client.aclose()
        with pytest.raises(RuntimeError, match="client is closed"):
            await asyncio.wait_for(waits, 10)

    asyncio.run(scene())

    assert len(server.chat_requests) == 1


def test_the_plain_verbs_work_while_a_loop_runs(client: Client, server: ScriptedServer) -> None:
    """
    A notebook's cell runs inside the kernel's loop.
    """
    server.answer(completion(), stream(text("Hello"), STOP, DONE))

    async def cell() -> tuple[str, str]:
        return client.chat("hi").text, "".join(client.stream("hi"))

    assert asyncio.run(cell()) == ("Hello", "Hello")


def test_two_threads_stream_at_once(client: Client, server: ScriptedServer) -> None:
    """
    Each gate is opened by the other thread's first piece, so neither waits its turn.
    """
    gates = [threading.Event(), threading.Event()]
    server.answer(*[stream(text("a"), gate, text("b"), STOP, DONE) for gate in gates])

    def ask(mine: int) -> str:
        pieces = []
        for piece in client.stream(f"{mine}"):
            pieces.append(piece)
            if len(pieces) == 1:
                arrived.wait(10)
                gates[mine].set()
        return "".join(pieces)

    arrived = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        texts = list(pool.map(ask, range(2)))

    assert texts == ["ab", "ab"]


def test_awaiting_works_on_any_number_of_loops(server: ScriptedServer) -> None:
    """
    Connections belong to a loop; a client has its own for each.
    """
    server.answer(completion())

    async def ask() -> str:
        async with Client(server.base_url, model="pocket") as client:
            both = await asyncio.gather(client.achat("a"), client.achat("b"))
        return "".join(answer.text for answer in both)

    assert [asyncio.run(ask()) for _ in range(2)] == ["HelloHello"] * 2


def test_an_awaited_stream_is_the_same_stream(client: Client, server: ScriptedServer) -> None:
    """
    Pieces, then the record.
    """

    async def ask() -> tuple[str, str]:
        async with client.astream("hi") as answer:
            pieces = [piece async for piece in answer]
        return "".join(pieces), answer.generation.text

    assert asyncio.run(ask()) == ("Hello", "Hello")


def test_a_slow_awaiting_reader_is_no_slow_server(client: Client, server: ScriptedServer) -> None:
    """
    While it waits for something else, its stream is read and stamped.
    """
    server.answer(stream(text("a"), text("b"), STOP, DONE))

    async def ask() -> tuple[list[str], bool]:
        answer = client.astream("hi")
        while not answer.generation.finish_reason:
            await asyncio.sleep(0.001)
        looked_s = asyncio.get_running_loop().time()
        pieces = [piece async for piece in answer]
        return pieces, max(answer.generation.timings.chunks_s) < looked_s

    assert asyncio.run(ask()) == (["ab"], True)


@pytest.mark.parametrize("how", ["break", "cancel", "close"])
def test_leaving_an_awaited_stream_frees_the_slot(
    client: Client, server: ScriptedServer, outcomes: list[Outcome], how: str
) -> None:
    """
    By break, by cancelling the reader's task, or by closing.
    """
    server.answer(STALL_AFTER_A_TOKEN)

    async def ask() -> None:
        async with client.astream("hi") as answer:
            async for _ in answer:
                if how == "break":
                    break
                if how == "close":
                    await answer.aclose()

    async def scene() -> None:
        task = asyncio.create_task(ask())
        while how == "cancel" and not server.stalling:
            await asyncio.sleep(0.001)
        if how == "cancel":
            task.cancel()
        await asyncio.wait([task])

    asyncio.run(scene())

    assert eventually(lambda: server.hung_up == 1)
    assert len(outcomes) == 1


def test_a_stream_that_is_closed_before_it_began_tells_its_outcome(
    client: Client, server: ScriptedServer, outcomes: list[Outcome]
) -> None:
    """
    Its task has not taken a step; cancelled plainly it never would, and nobody were told.
    """

    async def scene() -> None:
        await client.astream("hi").aclose()

    asyncio.run(scene())

    assert [type(outcome) for outcome in outcomes] == [Failure]
    assert server.chat_requests == []


def test_an_awaited_stream_that_is_forgotten_frees_the_slot(
    client: Client, server: ScriptedServer, outcomes: list[Outcome]
) -> None:
    """
    Whichever thread the collector runs on: a task is cancelled on its own loop.
    """
    server.answer(STALL_AFTER_A_TOKEN)

    async def scene() -> None:
        kept = [client.astream("hi")]
        while not server.stalling:
            await asyncio.sleep(0.001)
        await asyncio.to_thread(kept.clear)
        while not outcomes:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(scene(), 10))

    assert eventually(lambda: server.hung_up == 1)
    assert len(outcomes) == 1


def test_cancelling_achat_frees_the_slot(
    client: Client, server: ScriptedServer, outcomes: list[Outcome]
) -> None:
    """
    A caller's own limit (wait_for cancels) ends the request at the server too.
    """
    server.answer(Answer((), before_headers=(Do.STALL,)))

    async def scene() -> None:
        task = asyncio.create_task(client.achat("hi"))
        while not server.stalling:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scene())

    assert eventually(lambda: server.hung_up == 1)
    assert len(outcomes) == 1


def test_a_forgotten_client_takes_its_thread_with_it(server: ScriptedServer) -> None:
    """
    Nobody closed it; the thread ends when the client is collected.
    """
    server.answer(completion())
    before = set(threading.enumerate())
    client = Client(server.base_url, model="pocket")
    client.chat("hi")
    (thread,) = [
        thread for thread in set(threading.enumerate()) - before if "client" in thread.name
    ]
    del client
    gc.collect()

    assert eventually(lambda: not thread.is_alive())


def test_a_client_outlives_its_name_while_it_streams(server: ScriptedServer) -> None:
    """
    `for piece in Client(…).stream(…)` holds the client by its stream.
    """
    gate = threading.Event()
    server.answer(stream(text("a"), gate, text("b"), STOP, DONE))
    pieces = iter(Client(server.base_url, model="pocket").stream("hi"))
    first = next(pieces)
    gc.collect()
    gate.set()

    assert first + "".join(pieces) == "ab"


@pytest.mark.processes
@pytest.mark.parametrize(
    "line", ["client.chat('hi')", "kept = client.stream('hi'); next(iter(kept))"]
)
def test_a_client_nobody_closes_lets_the_interpreter_exit(
    server: ScriptedServer, line: str
) -> None:
    """
    With a kept connection, and even inside a stream that never ends.
    """
    server.answer(completion() if "chat" in line else STALL_AFTER_A_TOKEN)
    code = (
        "from workbench.client import Client\n"
        f"client = Client({server.base_url!r}, model='pocket')\n{line}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
