"""
The matrix as a whole: what it asks, what goes wrong in it, and what is kept of it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.probe.conftest import KEY
from tests.scripted import HELLO, Answer, ScriptedServer, completion, model_list, reply, stream
from workbench.errors import AuthenticationError, ServerFailureError, ServerUnreachableError
from workbench.probe import Probe, keep, last_probe, probe, run
from workbench.probe.base import Found, Question, Target, works
from workbench.probe.matrix import QUESTIONS
from workbench.records import Check, Progress, Verdict
from workbench.session import Session

IDS = [question.id for question in QUESTIONS]


def named(*ids: str) -> tuple[Question, ...]:
    return tuple(question for question in QUESTIONS if question.id in ids)


def verdicts(found: Probe) -> dict[str, Verdict]:
    return {check.id: check.verdict for check in found.checks}


def crash(_target: Target) -> Found:
    raise ZeroDivisionError("a strange server")


def test_ids_are_stable_names() -> None:
    """
    They are stored, and compared with an earlier probe: none is there twice.
    """
    assert len(set(IDS)) == len(IDS)
    assert [id for id in IDS if id != id.lower() or " " in id] == []


def test_a_check_that_crashes_fails_and_the_others_go_on(server: ScriptedServer) -> None:
    """
    With the error, in the place where it was asked.
    """
    questions = (
        Question(group="a", id="crash", ask=crash),
        Question(group="a", id="after", ask=lambda _: works("seen", "means")),
    )
    found = probe(server.base_url, questions=questions)

    assert verdicts(found) == {"crash": Verdict.FAIL, "after": Verdict.PASS}
    assert "ZeroDivisionError: “a strange server”" in found.checks[0].seen
    assert not found.ok


@pytest.mark.parametrize("status", [400, 404, 405, 422, 501])
def test_what_a_server_has_not_is_skipped(status: int, server: ScriptedServer) -> None:
    """
    That is an answer too, with what it means; only what every server must have fails.
    """
    server.answer(reply(status, {"error": {"message": "not supported"}}))
    server.listings = [model_list("pocket")]
    found = probe(server.base_url, questions=named("chat", "tools-auto", "json-schema", "n"))

    lacking = Verdict.FAIL if status == 501 else Verdict.SKIP
    assert verdicts(found)["chat"] is Verdict.FAIL
    assert {verdicts(found)[id] for id in ("tools-auto", "json-schema", "n")} == {lacking}
    assert "not supported" in found.checks[1].seen


def test_a_server_that_answers_404_to_all_but_its_models(server: ScriptedServer) -> None:
    """
    Every line has a verdict, and evidence, and a meaning.
    """
    server.answer(reply(404, {"detail": "Not Found"}))
    found = probe(server.base_url, model="pocket")

    assert [check.id for check in found.checks] == IDS
    assert all(check.seen and check.means for check in found.checks)
    assert verdicts(found)["chat"] is Verdict.FAIL
    assert verdicts(found)["tokenize"] is Verdict.SKIP
    assert verdicts(found)["cancellation"] is Verdict.SKIP


@pytest.mark.parametrize("nonsense", [reply(200, "<html>"), reply(200, []), reply(500, "broken")])
def test_nonsense_fails_and_ends(nonsense: Answer, server: ScriptedServer) -> None:
    """
    A page of a proxy, another shape, a broken server: FAIL, never a crash.
    """
    server.answer(nonsense)
    found = probe(server.base_url, model="pocket")
    chat = {check.id: check for check in found.checks}["chat"]

    assert chat.verdict is Verdict.FAIL
    assert [check.seen for check in found.checks if "The check itself" in check.means] == []


def test_a_server_that_is_down_is_one_error() -> None:
    """
    Not a matrix of failures.
    """
    with pytest.raises(ServerUnreachableError):
        probe("http://127.0.0.1:9/v1", model="pocket")


def test_a_refused_key_is_one_error(server: ScriptedServer) -> None:
    """
    Nothing could be learnt without it.
    """
    server.listings = [reply(401, {"detail": "no"})]
    with pytest.raises(AuthenticationError):
        probe(server.base_url, model="pocket")


def test_a_server_without_a_model_is_one_error(server: ScriptedServer) -> None:
    """
    There is nobody to ask; the hint says how to name one.
    """
    server.listings = [model_list()]
    with pytest.raises(ServerFailureError, match="serves no model") as caught:
        probe(server.base_url)

    assert "--model" in str(caught.value.hint)


def test_a_named_model_is_asked_although_nothing_is_listed(server: ScriptedServer) -> None:
    """
    Some gateways have no list.
    """
    server.listings = [reply(404, {"detail": "Not Found"})]
    found = probe(server.base_url, model="hidden", questions=named("models", "usage-in-stream"))

    assert found.model == "hidden"
    assert verdicts(found) == {"models": Verdict.FAIL, "usage-in-stream": Verdict.PASS}
    assert server.chat_requests[0].json["model"] == "hidden"


def test_a_server_that_stalls_does_not_hold_the_probe_for_ever(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    After the limit for all, the rest is not asked.
    """
    monkeypatch.setattr(run, "LIMIT_S", -1.0)
    found = probe(server.base_url)

    assert set(verdicts(found).values()) == {Verdict.SKIP}
    assert found.ok


def test_the_key_is_in_no_evidence(server: ScriptedServer) -> None:
    """
    Even where a server quotes it.
    """
    server.answer(reply(500, f"bad {KEY}"))
    server.others["/metrics"] = [reply(500, f"bad {KEY}")]
    found = probe(server.base_url, api_key=KEY)

    assert KEY not in repr(found)
    assert "bad ***" in repr(found)


def test_evidence_cannot_command_a_terminal(server: ScriptedServer) -> None:
    """
    A model may write escape sequences; shown are marks in their place.
    """
    server.answer(completion("red \x1b[31m\nand on"))
    found = probe(server.base_url, questions=named("chat"))

    assert "“red �[31m and on”" in found.checks[0].seen


def test_progress_counts_the_checks(server: ScriptedServer) -> None:
    """
    Each is named before it is asked, and the last call says that all are done.
    """
    told: list[Progress] = []
    server.answer(stream(*HELLO))
    probe(
        server.base_url,
        questions=named("models", "usage-in-stream"),
        on_progress=told.append,
    )

    assert [(each.label, each.done, each.total) for each in told] == [
        ("models", 0, 2),
        ("usage-in-stream", 1, 2),
        ("probed", 2, 2),
    ]
    assert {each.unit for each in told} == {"checks"}


def test_the_newest_probe_of_a_model_is_found(server: ScriptedServer, tmp_path: Path) -> None:
    """
    Among those of others, torn lines and lines of another form.
    """
    path = tmp_path / "state" / "probes.jsonl"
    assert last_probe(path, base_url=server.base_url, model="pocket") is None
    question = named("models")
    for model in ("pocket", "other", "pocket"):
        server.listings = [model_list(model)]
        found = probe(server.base_url, questions=question)
        keep(found, path)
    with path.open("a") as handle:
        handle.write('{"at": "yesterday", "model": "pocket"}\n[]\n{"at": "20')
    kept = last_probe(path, base_url=server.base_url, model="pocket")

    assert kept is not None
    assert kept.verdicts == {"models": Verdict.PASS}
    assert (kept.base_url, kept.vllm_version) == (server.base_url, None)
    assert kept.at == found.at.replace(microsecond=0)
    assert last_probe(path, base_url=server.base_url, model="mini") is None


def test_a_probe_of_another_server_is_not_taken(server: ScriptedServer, tmp_path: Path) -> None:
    """
    A model of the same name there may lack a tool parser; a line that names no server is nobody's.
    """
    path = tmp_path / "probes.jsonl"
    keep(probe(server.base_url, questions=named("models")), path)
    with path.open("a") as handle:
        handle.write('{"at": "2026-01-01T00:00:00+00:00", "model": "pocket", ')
        handle.write('"vllm_version": null, "verdicts": {}}\n')

    assert last_probe(path, base_url="http://gpu-box:8000/v1", model="pocket") is None
    assert last_probe(path, base_url=server.base_url, model="pocket") is not None


def test_a_full_disk_costs_no_table(
    server: ScriptedServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    The line is missing, and a warning says so.
    """
    tmp_path.joinpath("file").touch()
    keep(probe(server.base_url, questions=named("models")), tmp_path / "file" / "probes.jsonl")

    assert "could not be kept" in caplog.text


def test_a_session_keeps_its_probe_and_records_no_requests(
    server: ScriptedServer, tmp_path: Path
) -> None:
    """
    They are the workbench's own: telemetry is of what people asked.
    """
    with Session(base_url=server.base_url, state_dir=str(tmp_path)) as session:
        found = session.probe()
        recorded = len(session.telemetry.frame())

    assert recorded == 0
    kept = last_probe(tmp_path / "probes.jsonl", base_url=server.base_url, model="pocket")
    assert kept is not None
    assert kept.verdicts == verdicts(found)


@pytest.mark.engine
def test_the_embedded_server_does_all_that_its_model_can(served: Session) -> None:
    """
    Nothing fails; what is short of perfect is known: vLLM says the limit of a
    prompt that is too long and not its length, and pocket does not embed.
    """
    found = served.probe()
    rest = {check.id: check.verdict for check in found.checks if check.verdict != "pass"}

    assert found.ok
    assert (found.model, found.vllm_version is None) == ("pocket", False)
    assert rest == {"context-length": Verdict.WARN, "embeddings": Verdict.SKIP}
    assert sum(check.duration_s for check in found.checks) < 60
    assert served.server.api_key not in json.dumps([_plain(check) for check in found.checks])


def _plain(check: Check) -> tuple[str, str]:
    return check.seen, check.means
