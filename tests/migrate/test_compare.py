"""The same prompts on both sides; the old one is llama.cpp itself, where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.conftest import QUICK
from tests.migrate.pocket_gguf import write_gguf
from tests.scripted import ScriptedServer, reply, stream, text, usage
from workbench.client import Client, Retries
from workbench.errors import ConfigError, MissingDependencyError
from workbench.migrate.compare import (
    Answered,
    Pair,
    ServerSide,
    compare,
    compare_with_served,
    parameters,
    read_prompts,
)
from workbench.session import Session
from workbench.views.migrate import comparison_view

PROJECT = Path(__file__).parents[2]
HAS_LLAMA = all(importlib.util.find_spec(name) for name in ("llama_cpp", "gguf"))
ASKED = [{"role": "user", "content": "What is vLLM?"}]


@pytest.fixture
def sides() -> Iterator[tuple[ScriptedServer, ServerSide, ServerSide]]:
    old, new = ScriptedServer(), ScriptedServer()
    with (
        Client(old.base_url, model="m", timeouts=QUICK, retries=Retries(times=0)) as before,
        Client(new.base_url, model="m", timeouts=QUICK) as after,
    ):
        yield old, ServerSide(before), ServerSide(after)
    old.close()
    new.close()


def test_prompts_are_lines_or_json_lines(tmp_path: Path):
    """Text for the simple case; conversations in JSON."""
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    (tmp_path / "b.jsonl").write_text('{"prompt": "one"}\n{"messages": [{"role": "user"}]}\n')

    assert [each[0]["content"] for each in read_prompts(tmp_path / "a.txt")] == ["one", "two"]
    assert read_prompts(tmp_path / "b.jsonl")[1] == [{"role": "user"}]


@pytest.mark.parametrize("content", ["", "\n", '{"question": "a"}\n', "no json\n"])
def test_a_file_without_prompts_is_refused(tmp_path: Path, content: str):
    """With what a line should be."""
    (tmp_path / "a.jsonl").write_text(content)

    with pytest.raises(ConfigError):
        read_prompts(tmp_path / "a.jsonl")


def test_both_sides_are_asked_with_the_same(sides: tuple[ScriptedServer, ServerSide, ServerSide]):
    """Parameters and seed; one answer is the same, and an error is an answer too."""
    old, before, after = sides
    old.answer(
        stream(text("Hel"), text("lo"), *_ended()), reply(500, {"error": {"message": "broken"}})
    )

    found = compare([ASKED, ASKED], parameters(seed=3), old=before, new=after)

    assert [pair.same for pair in found.pairs] == [True, False]
    assert found.pairs[1].old.error is not None
    assert {request.json["seed"] for request in old.chat_requests} == {3}
    assert not comparison_view(found).ok


def _ended() -> tuple[bytes, ...]:
    from tests.scripted import DONE, STOP

    return STOP, usage(3, 2), DONE


def test_the_table_says_where_texts_part():
    """Two words alike of four; the texts stand below, and what is unknown is –."""
    from workbench.migrate.compare import Comparison

    pair = Pair(
        prompt="q",
        old=Answered(text="a b c d", output_tokens=4, finish_reason="stop", duration_s=0.5),
        new=Answered(text="a b x y z", finish_reason="length"),
    )
    view = comparison_view(
        Comparison(old="m.gguf", new="http://n/v1", params=parameters(), pairs=(pair,))
    )

    assert pair.words_alike == 2
    assert view.rows[0][1:] == ("no", "2", "4 → –", "stop → length", "500 ms → –")
    assert "old: a b c d" in str(view)


@pytest.mark.parametrize("old", ["model.bin", "missing.gguf"])
def test_an_old_side_that_is_none_is_refused(tmp_path: Path, old: str):
    """It is a file that is there, or an address."""
    (tmp_path / "a.txt").write_text("one\n")

    with Session(state_dir=str(tmp_path)) as session, pytest.raises(ConfigError, match="neither"):
        compare_with_served(session, tmp_path / "a.txt", old, parameters())


def test_the_old_server_gets_its_own_key_and_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """From the environment, since others see a command line; Ollama lists many models."""
    old, new = ScriptedServer(), ScriptedServer()
    for server in (old, new):
        server.answer(stream(text("so"), usage(1, 1)))
    (tmp_path / "a.txt").write_text("one\n")
    with Session(
        backend="remote", base_url=new.base_url, model="m", state_dir=str(tmp_path), telemetry=False
    ) as session:
        compare_with_served(
            session,
            tmp_path / "a.txt",
            old.base_url,
            parameters(),
            model="llama3",
            api_key="of-the-old-one",
        )
    old.close()
    new.close()

    assert old.chat_requests[0].headers["authorization"] == "Bearer of-the-old-one"
    assert old.chat_requests[0].json["model"] == "llama3"
    assert "of-the-old-one" not in new.chat_requests[0].headers.get("authorization", "")


@pytest.mark.skipif(HAS_LLAMA, reason="llama-cpp-python is installed")
def test_without_llama_cpp_python_a_gguf_says_what_to_install(tmp_path: Path):
    """And that a server's address does as well."""
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "m.gguf").write_bytes(b"GGUF")

    with Session(state_dir=str(tmp_path)) as session, pytest.raises(MissingDependencyError) as no:
        compare_with_served(session, tmp_path / "a.txt", str(tmp_path / "m.gguf"), parameters())

    assert "--old http" in (no.value.hint or "")


@pytest.mark.engine
@pytest.mark.skipif(
    not HAS_LLAMA, reason="compiled, ten minutes: pip install llama-cpp-python gguf"
)
def test_llama_cpp_and_vllm_answer_alike(served: Session, tmp_path: Path):
    """The same weights, greedily, in the same chat template: the same sentences."""
    write_gguf(PROJECT / "models/pocket", tmp_path / "pocket.gguf")
    (tmp_path / "a.txt").write_text("What is vLLM?\nWhat is a KV cache?\n")

    found = compare_with_served(
        served, tmp_path / "a.txt", str(tmp_path / "pocket.gguf"), parameters(max_tokens=48)
    )

    assert [pair.same for pair in found.pairs] == [True, True]
    # vLLM counts the token that ends an answer, and llama-cpp-python does not.
    assert all(pair.new.output_tokens == pair.old.output_tokens + 1 for pair in found.pairs)


@pytest.mark.engine
def test_two_servers_are_compared_by_their_addresses(served: Session, tmp_path: Path):
    """A URL as the old side; here it is the same server, so all is the same."""
    (tmp_path / "a.txt").write_text("What is vLLM?\n")
    with Client(
        served.server.base_url or "", api_key=served.server.api_key, model="pocket"
    ) as client:
        found = compare(
            read_prompts(tmp_path / "a.txt"),
            parameters(max_tokens=24),
            old=ServerSide(client),
            new=ServerSide(served.client),
        )

    assert found.pairs[0].same
    assert found.pairs[0].new.duration_s
