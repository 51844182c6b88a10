"""What every server promises (``servers/base.py``), kept by all three against a real vLLM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from workbench.errors import ModelNotServedError, ServerStateError
from workbench.records import SamplingParams, ServerState
from workbench.servers import base
from workbench.session import Session

GREEDY = SamplingParams(temperature=0, max_tokens=40)

BACKENDS = [
    pytest.param("embedded", marks=pytest.mark.engine),
    pytest.param("remote", marks=pytest.mark.engine),
    pytest.param("compose", marks=pytest.mark.docker),
]


@pytest.fixture(params=BACKENDS)
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """A session of each backend, whose server is ready."""
    if request.param == "embedded":
        yield request.getfixturevalue("served")
    elif request.param == "compose":
        yield request.getfixturevalue("contained")
    else:
        server = request.getfixturevalue("served").server
        with closing(Session(base_url=server.base_url, api_key=server.api_key)) as remote:
            yield remote


def test_a_ready_one_says_what_it_serves(session: Session):
    """State, health, model, version and address; the backend by the name it is chosen by."""
    status = session.status()

    assert (status.state, status.healthy) == (ServerState.READY, True)
    assert status.backend == session.server.backend == session.settings.backend
    assert [model.name for model in status.models] == ["pocket", "default"]
    assert status.models[0].max_model_len == 2048
    assert status.version.startswith("0.32")
    assert status.base_url == session.server.base_url


def test_its_key_opens_it_and_nothing_else_does(session: Session):
    """Below ``/v1`` everything is closed without it."""
    url = f"{session.server.base_url}/models"

    assert base.ask(url, api_key=session.server.api_key).status == 200
    assert base.ask(url, api_key="sk-wrong").status == 401
    assert base.ask(url).status == 401


def test_starting_it_again_starts_nothing(session: Session):
    """Who calls learns that it was running already, and it is the same one afterwards."""
    before = session.server.instance

    assert session.server.start() is False
    assert session.server.instance == before
    assert session.server.downloaded() is None


def test_preparing_what_runs_changes_nothing(session: Session):
    """There is nothing to fetch, so nothing is shown."""
    seen = []
    session.server.prepare(seen.append)

    assert seen == []
    assert session.status().state is ServerState.READY


def test_up_attaches_and_down_only_mine_leaves_it(session: Session):
    """A notebook that found a server leaves it as it was."""
    mine = session.is_mine

    status = session.up()

    assert "attached" in status.detail
    assert session.is_mine is mine
    if not mine:
        assert session.down(only_mine=True) is False
        assert session.status().state is ServerState.READY


def test_the_same_question_has_the_same_answer_everywhere(session: Session):
    """The same vLLM, the same model, greedy."""
    answer = session.chat("What is TTFT?", GREEDY)

    assert answer.text.startswith("TTFT")
    assert answer.finish_reason == "stop"
    assert answer.base_url == session.server.base_url


def test_a_model_that_it_does_not_serve_is_named(session: Session):
    """With what it serves instead."""
    with pytest.raises(ModelNotServedError) as caught:
        session.client.chat("Hello", model="gpt-unknown")

    assert caught.value.served == ("pocket", "default")


def test_boots_are_compared_with_boots_of_the_same(session: Session):
    """The kind names backend and model, and stays the same while nothing changes."""
    kind = session.server.kind

    assert kind.startswith(session.server.backend)
    assert kind == session.server.kind


def test_its_log_is_lines_or_a_sentence(session: Session):
    """A server elsewhere keeps its log; the others show what vLLM wrote."""
    if session.server.backend == "remote":
        with pytest.raises(ServerStateError, match="its own machine"):
            next(iter(session.logs()))
    else:
        assert any("Application startup complete" in line for line in session.logs())


def test_one_that_runs_has_not_died(session: Session):
    """A death is of a server that ended by itself."""
    assert session.server.death() is None


def test_it_says_what_runs_so_that_another_process_can_start_its_like(session: Session):
    """As JSON, without the key; the same while nothing changes. A remote one is not ours."""
    server = session.server
    recipe = server.recipe()

    if server.backend == "remote":
        assert (recipe, server.would_run()) == (None, ())
    else:
        assert json.loads(json.dumps(recipe)) == recipe == server.recipe()
        assert server.api_key not in json.dumps(recipe)
        assert "--served-model-name" in server.would_run()
        assert server.api_key not in " ".join(server.would_run())


def test_what_runs_is_as_asked(session: Session):
    """Nobody asked for anything else; then nothing has to be done."""
    assert session.server.is_as_asked() is True


def test_it_is_replaced_by_its_own_recipe(session: Session):
    """Another start, at the same address, of the same; a remote one refuses."""
    server, recipe, url = session.server, session.server.recipe(), session.server.base_url
    if server.backend == "remote":
        with pytest.raises(ServerStateError, match="somebody else"):
            server.replace()
        return
    before = server.instance

    assert server.replace(recipe) is True

    session.up()
    assert server.instance not in (None, before)
    assert (server.base_url, server.recipe()) == (url, recipe)
    assert session.chat("What is TTFT?", GREEDY).text.startswith("TTFT")
