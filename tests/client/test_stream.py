"""
An answer as it comes, over a real socket, and every way it can stop coming.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from time import perf_counter

import pytest

from tests.client.conftest import NEVER
from tests.helpers import eventually
from tests.scripted import (
    DONE,
    HELLO,
    ROLE,
    STOP,
    Answer,
    Do,
    ScriptedServer,
    chunk,
    event,
    stream,
    text,
    usage,
)
from workbench import errors
from workbench.client import Client, Stream, Timeouts
from workbench.client.base import Delta
from workbench.records import ToolCall, Usage

PATIENCE_S = 0.15


def has_waited(answer: Stream, *, num_chunks: int, gap_s: float) -> bool:
    stamps = answer.generation.timings.chunks_s
    return len(stamps) == num_chunks and perf_counter() > stamps[-1] + gap_s


def call_piece(**function: object) -> bytes:
    return chunk({"tool_calls": [{"index": 0, "function": function}]})


def hurried(server: ScriptedServer, **limits: float) -> Client:
    return Client(server.base_url, model="pocket", timeouts=Timeouts(**limits), retries=NEVER)


def test_text_comes_in_pieces_and_ends_as_a_record(server: ScriptedServer, client: Client) -> None:
    """
    The pieces are the text; the record has usage, reason and the two chunks' stamps.
    """
    with client.stream("hi") as answer:
        pieces = list(answer)

    assert "".join(pieces) == "Hello"
    assert answer.generation.text == "Hello"
    assert answer.generation.finish_reason == "stop"
    assert answer.generation.usage == Usage(input_tokens=3, output_tokens=2)
    assert len(answer.generation.timings.chunks_s) == 2
    assert server.requests[0].json["stream_options"] == {"include_usage": True}


def test_stamps_are_in_order(client: Client, server: ScriptedServer) -> None:
    """
    Sent, then the chunks, then done, on one clock, inside the time the test took.
    """
    began = perf_counter()
    timings = client.stream("hi").read().timings
    stamps = [began, timings.sent_s, *timings.chunks_s, timings.done_s, perf_counter()]

    assert all(earlier <= later for earlier, later in pairwise(stamps))


def test_an_empty_role_chunk_starts_no_clock(client: Client, server: ScriptedServer) -> None:
    """
    TTFT is the first token. The role came before it, and the token waited for the test.
    """
    gate = threading.Event()
    server.answer(stream(ROLE, chunk({"content": ""}), gate, text("a"), STOP, DONE))
    answer = client.stream("hi")
    assert eventually(lambda: answer.generation.request_id)
    role_seen_s = perf_counter()
    gate.set()
    timings = answer.read().timings

    assert len(timings.chunks_s) == 1
    assert timings.chunks_s[0] > role_seen_s


def test_a_slow_reader_is_no_slow_server(client: Client, server: ScriptedServer) -> None:
    """
    A reader that looks only when all is there finds stamps from before it looked, and one piece.
    """
    gate = threading.Event()
    server.answer(stream(text("a"), gate, text("b"), text("c"), STOP, DONE))
    pieces = iter(answer := client.stream("hi"))
    first = next(pieces)
    gate.set()
    assert eventually(lambda: answer.generation.finish_reason)
    looked_s = perf_counter()
    rest = list(pieces)

    assert (first, rest) == ("a", ["bc"])
    assert max(answer.generation.timings.chunks_s) < looked_s


def test_the_answer_can_be_looked_at_while_it_comes(client: Client, server: ScriptedServer) -> None:
    """
    A partial record: text so far, no reason, no end-to-end latency.
    """
    gate = threading.Event()
    server.answer(stream(text("Hel"), gate, text("lo"), STOP, DONE))
    with client.stream("hi") as answer:
        next(iter(answer.deltas()))
        half = answer.generation
        gate.set()

    assert (half.text, half.finish_reason, half.e2e_latency_s) == ("Hel", None, None)


@pytest.mark.parametrize(
    "packets",
    [
        pytest.param(("".join(map(bytes.decode, HELLO)).encode(),), id="one-packet"),
        pytest.param(tuple(bytes([byte]) for byte in b"".join(HELLO)), id="a-byte-a-packet"),
        pytest.param((HELLO[0] + HELLO[1][:9], HELLO[1][9:] + HELLO[2], *HELLO[3:]), id="across"),
    ],
)
def test_how_packets_are_cut_does_not_matter(
    client: Client, server: ScriptedServer, packets: tuple[bytes, ...]
) -> None:
    """
    Several chunks in a packet, or one in many.
    """
    server.answer(stream(*packets))

    assert client.stream("hi").read().text == "Hello"


def test_half_a_character_waits_for_its_other_half(client: Client, server: ScriptedServer) -> None:
    """
    An emoji is four bytes, and a packet may end inside it.
    """
    whole = text("🌍 Grüße")
    cut = whole.index("🌍".encode()) + 2
    server.answer(stream(whole[:cut], whole[cut:], STOP, DONE))

    assert "".join(client.stream("hi")) == "🌍 Grüße"


def test_tool_calls_come_in_pieces(client: Client, server: ScriptedServer) -> None:
    """
    Arguments are joined to the letter; their chunks are tokens like others.
    """
    first = {"index": 0, "id": "c1", "type": "function", "function": {"name": "add"}}
    server.answer(
        stream(
            chunk({"tool_calls": [first]}),
            call_piece(arguments='{"x"'),
            call_piece(arguments=": 1}"),
            chunk({}, finish_reason="tool_calls"),
            DONE,
        )
    )
    answer = client.stream("1+1?").read()

    assert answer.tool_calls == (ToolCall(id="c1", name="add", arguments='{"x": 1}'),)
    assert answer.finish_reason == "tool_calls"
    assert len(answer.timings.chunks_s) == 3


def test_reasoning_is_in_the_deltas(client: Client, server: ScriptedServer) -> None:
    """
    Iterating gives the text only; `deltas()` has both.
    """
    server.answer(stream(chunk({"reasoning": "Hm."}), text("Yes"), STOP, DONE))
    deltas: list[Delta] = list(client.stream("hi").deltas())

    assert "".join(delta.reasoning for delta in deltas) == "Hm."
    assert "".join(delta.text for delta in deltas) == "Yes"


def test_the_headers_request_id_is_preferred(client: Client, server: ScriptedServer) -> None:
    """
    It is what the server's log shows.
    """
    server.answer(stream(*HELLO, headers={"x-request-id": "req-7"}))

    assert client.stream("hi").read().request_id == "req-7"


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((text("Hello"), STOP), id="no-done"),
        pytest.param((text("Hello"), STOP, Do.CUT), id="cut-after-the-reason"),
        pytest.param((text("Hello"), STOP, DONE, Do.RESET), id="reset-after-done"),
    ],
)
def test_an_answer_with_its_reason_is_complete(
    client: Client, server: ScriptedServer, steps: tuple[bytes | Do, ...]
) -> None:
    """
    However the connection ended: nothing of the answer is missing.
    """
    server.answer(stream(*steps))
    answer = client.stream("hi").read()

    assert (answer.text, answer.finish_reason, answer.usage) == ("Hello", "stop", None)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((text("Hel"),), id="ends-early"),
        pytest.param((text("Hel"), Do.CUT), id="cut"),
        pytest.param((text("Hel"), text("lo")[:20], Do.CUT), id="cut-inside-an-event"),
    ],
)
def test_a_cut_stream_leaves_what_came(
    client: Client, server: ScriptedServer, steps: tuple[bytes | Do, ...]
) -> None:
    """
    The pieces are delivered first, then the error, with the same text in `partial`.
    """
    server.answer(stream(*steps))
    pieces: list[str] = []
    answer = client.stream("hi")
    with pytest.raises(errors.StreamInterruptedError) as caught:
        pieces.extend(answer)

    assert pieces == ["Hel"]
    assert caught.value.partial.text == "Hel"
    assert caught.value.partial.finish_reason is None
    assert caught.value.request_id == "chatcmpl-1"
    assert answer.generation.text == "Hel"


def test_a_reset_connection_is_an_interrupted_stream(
    client: Client, server: ScriptedServer
) -> None:
    """
    A crashed server resets; the reader has seen the first piece by then.
    """
    gate = threading.Event()
    server.answer(stream(text("Hel"), gate, Do.RESET))
    pieces = iter(client.stream("hi"))
    first = next(pieces)
    gate.set()
    with pytest.raises(errors.StreamInterruptedError):
        next(pieces)

    assert first == "Hel"


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        pytest.param(
            event({"error": {"message": "Internal server error", "code": 500}}),
            errors.ServerFailureError,
            id="failed",
        ),
        pytest.param(
            event({"error": {"message": "bad", "type": "BadRequestError", "code": 400}}),
            errors.RequestRejectedError,
            id="rejected",
        ),
        pytest.param(event('{"choices": [{"del'), errors.ServerFailureError, id="half-json"),
        pytest.param(event("[1]"), errors.ServerFailureError, id="no-object"),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_an_error_in_the_stream_keeps_what_came(
    client: Client,
    server: ScriptedServer,
    broken: bytes,
    kind: type[errors.ClientError],
    together: bool,
) -> None:
    """
    Even when the last text and the error come in one packet.
    """
    steps = (text("Hel") + broken, DONE) if together else (text("Hel"), broken, DONE)
    server.answer(stream(*steps))
    pieces: list[str] = []
    with pytest.raises(kind) as caught:
        pieces.extend(client.stream("hi"))

    assert pieces == ["Hel"]
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hel"


def test_a_page_instead_of_a_stream_is_quoted(client: Client, server: ScriptedServer) -> None:
    """
    A proxy's login page with status 200 is no stream.
    """
    server.answer(Answer((b"<html>Log in</html>",), headers={"content-type": "text/html"}))
    with pytest.raises(errors.ServerFailureError, match="Log in"):
        client.stream("hi").read()


@pytest.mark.parametrize(
    ("answer", "phase"),
    [
        pytest.param(Answer((), before_headers=(Do.STALL,)), "first_token", id="no-headers"),
        pytest.param(stream(Do.STALL), "first_token", id="headers-only"),
        pytest.param(stream(ROLE, Do.STALL), "first_token", id="role-only"),
        pytest.param(stream(ROLE, text("Hel"), Do.STALL), "stream", id="after-a-token"),
    ],
)
def test_a_stall_is_told_by_its_phase(server: ScriptedServer, answer: Answer, phase: str) -> None:
    """
    Waiting for the first token and for the next are different troubles; both free the slot.
    """
    server.answer(answer)
    limits = {"first_token_s": 5.0, "stream_s": 5.0, f"{phase}_s": PATIENCE_S}
    with hurried(server, **limits) as client:
        asked = client.stream("hi")
        with pytest.raises(errors.RequestTimeoutError) as caught:
            asked.read()

    assert caught.value.phase == phase
    assert f"{PATIENCE_S:g} s" in caught.value.message
    assert asked.generation.text == ("Hel" if phase == "stream" else "")
    assert eventually(lambda: server.hung_up == 1)


def test_a_stall_after_the_reason_loses_nothing(server: ScriptedServer) -> None:
    """
    The answer is complete; only its usage never came.
    """
    server.answer(stream(text("Hello"), STOP, Do.STALL))
    with hurried(server, stream_s=PATIENCE_S) as client:
        answer = client.stream("hi").read()

    assert (answer.text, answer.usage) == ("Hello", None)


def test_every_token_winds_the_clock_again(server: ScriptedServer) -> None:
    """
    Three gaps of 0.2 s are longer than the limit of 0.55 s that each is held to.
    """
    gates = [threading.Event() for _ in range(3)]
    server.answer(stream(text("a"), *[step for gate in gates for step in (gate, text("a"))], STOP))
    with hurried(server, stream_s=0.55) as client:
        answer = client.stream("hi")
        for count, gate in enumerate(gates, start=1):
            assert eventually(partial(has_waited, answer, num_chunks=count, gap_s=0.2))
            gate.set()
        timings = answer.read().timings

    assert timings.chunks_s[-1] - timings.chunks_s[0] > 0.6


def leave_by_break(client: Client) -> None:
    for _ in client.stream("hi"):
        break


def leave_by_break_keeping_the_stream(client: Client) -> None:
    kept = client.stream("hi")
    for _ in kept:
        break
    assert kept.generation.text == "Hel"


def leave_by_exception(client: Client) -> None:
    kept = client.stream("hi")

    def read() -> None:
        for _ in kept:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read()


def leave_by_closing(client: Client) -> None:
    kept = client.stream("hi")
    next(iter(kept.deltas()))
    kept.close()
    kept.close()


def leave_by_forgetting(client: Client) -> None:
    pieces = client.stream("hi").deltas()
    next(pieces)
    del pieces
    gc.collect()


@pytest.mark.parametrize(
    "leave",
    [
        leave_by_break,
        leave_by_break_keeping_the_stream,
        leave_by_exception,
        leave_by_closing,
        leave_by_forgetting,
    ],
)
def test_leaving_early_frees_the_slot(
    client: Client, server: ScriptedServer, leave: Callable[[Client], None]
) -> None:
    """
    The connection closes while the server still has something to say.
    """
    server.answer(stream(text("Hel"), Do.STALL))
    leave(client)

    assert eventually(lambda: server.hung_up == 1)


def test_leaving_before_anything_came_is_fine(client: Client, server: ScriptedServer) -> None:
    """
    Closed in the same breath as it was opened: no error, no answer.
    """
    server.answer(stream(Do.STALL))
    with client.stream("hi") as answer:
        pass

    assert answer.generation.text == ""
    assert list(answer) == []


def test_closing_the_client_ends_its_streams(server: ScriptedServer) -> None:
    """
    A reader in the middle learns that the answer is not whole.
    """
    server.answer(stream(text("Hel"), Do.STALL))
    client = hurried(server)
    pieces = iter(client.stream("hi"))
    first = next(pieces)
    client.close()
    with pytest.raises(errors.StreamInterruptedError) as caught:
        next(pieces)

    assert first == "Hel"
    assert caught.value.partial.text == "Hel"


def test_usage_after_the_last_token_is_waited_for(client: Client, server: ScriptedServer) -> None:
    """
    It comes in a chunk of its own, without choices.
    """
    server.answer(stream(text("Hello"), STOP, usage(10, 1), DONE))

    assert client.stream("hi").read().usage == Usage(input_tokens=10, output_tokens=1)
