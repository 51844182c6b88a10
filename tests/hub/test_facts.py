"""What the hub says of a model, and what its refusals are called."""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.hub.conftest import WEIGHTS_BYTES
from tests.scripted_hub import COMMIT, GATED, REPOSITORY, TOKEN, Fault, Hub
from workbench.errors import (
    FetchError,
    HubOfflineError,
    HubTokenError,
    HubUnreachableError,
    ModelNotFoundError,
)
from workbench.hub import ModelFacts, facts


def ask(hub: Hub, repo: str = REPOSITORY, **how: str | None) -> ModelFacts:
    return facts(repo, how.pop("revision", None), endpoint=hub.endpoint, **{"token": None} | how)


def test_a_model_is_known_before_its_weights_come(local_hub: Hub, source: Path):
    """Configuration, weights, licence, commit, the files that a fetch would bring."""
    found = ask(local_hub)
    weights = next(file for file in found.files if file.name == "model.safetensors")

    assert found.config == {"max_position_embeddings": 512}
    assert found.safetensors_bytes == WEIGHTS_BYTES
    assert (found.commit, found.licence, found.gated) == (COMMIT, "apache-2.0", None)
    assert {file.name for file in found.files} == {
        *("config.json", "tokenizer.json", "model.safetensors")
    }
    assert weights.sha256 == hashlib.sha256((source / weights.name).read_bytes()).hexdigest()
    assert local_hub.fetched() == ["config.json"]


def test_a_gated_model_is_known_but_for_its_configuration(local_hub: Hub):
    """The hub tells anybody that it is gated, and how big it is."""
    found = ask(local_hub, GATED)

    assert (found.gated, found.config, found.safetensors_bytes) == ("manual", None, WEIGHTS_BYTES)
    assert ask(local_hub, GATED, token=TOKEN).config is not None


def test_a_model_that_is_not_there_is_said_with_what_was_meant(local_hub: Hub):
    """The hub answers 401 to those without a token, and 404 to those with one."""
    for token in (None, TOKEN):
        with pytest.raises(ModelNotFoundError, match="knows no model 'somebody/Poket'") as caught:
            ask(local_hub, "somebody/Poket", token=token)
        assert caught.value.close == (REPOSITORY,)
        assert "Did you mean somebody/pocket?" in caught.value.hint
    with pytest.raises(ModelNotFoundError, match="spelling") as caught:
        ask(local_hub, "nobody/nothing")
    assert "HF_TOKEN" in caught.value.hint


def test_a_revision_that_is_not_there_is_named(local_hub: Hub):
    """The model is there; the page with its commits is given."""
    with pytest.raises(ModelNotFoundError, match="no revision 'v9'") as caught:
        ask(local_hub, revision="v9")

    assert caught.value.revision == "v9"
    assert f"{local_hub.endpoint}/{REPOSITORY}/commits/main" in caught.value.hint


def test_a_revision_may_have_a_slash(local_hub: Hub):
    """As pull requests have: ``refs/pr/1``."""
    local_hub.models[REPOSITORY].commits["refs/pr/1"] = local_hub.models[REPOSITORY].commits["main"]

    assert ask(local_hub, revision="refs/pr/1").commit == COMMIT


def test_a_wrong_token_is_no_missing_model(local_hub: Hub):
    """401 with a token: where another one is made. The token itself is not shown."""
    with pytest.raises(HubTokenError, match="does not take the token") as caught:
        ask(local_hub, token="hf_wrong")

    assert f"{local_hub.endpoint}/settings/tokens" in caught.value.hint
    assert "hf_wrong" not in str(caught.value)


def test_a_token_that_may_not_is_told_apart_from_none(local_hub: Hub):
    """403: it is known, and of the wrong kind."""
    local_hub.faults = [Fault("/api/models", status=403)]

    with pytest.raises(HubTokenError, match="HTTP 403"):
        ask(local_hub, token=TOKEN)


def test_another_refusal_carries_its_status(local_hub: Hub):
    """Something that nobody thought of is no traceback."""
    local_hub.faults = [Fault("/api/models", status=418)]

    with pytest.raises(FetchError, match="HTTP 418"):
        ask(local_hub)


def test_a_hub_that_is_not_there_is_said_at_once():
    """With the address, and what to look at."""
    with pytest.raises(HubUnreachableError, match=r"127\.0\.0\.1:9 does not answer") as caught:
        facts(REPOSITORY, token=None, endpoint="http://127.0.0.1:9")

    assert caught.value.endpoint == "http://127.0.0.1:9"
    assert "HF_ENDPOINT" in caught.value.hint


class LoginPage(BaseHTTPRequestHandler):
    page = b"<html>Please log in"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.mark.parametrize("page", [b"<html>Please log in", b"{}", b'{"siblings": []}', b"[1]"])
def test_a_page_that_no_hub_writes_is_told(page: bytes, monkeypatch: pytest.MonkeyPatch):
    """A proxy that wants a login answers 200 to everything."""
    monkeypatch.setattr(LoginPage, "page", page)
    with ThreadingHTTPServer(("127.0.0.1", 0), LoginPage) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(HubUnreachableError, match="no Hugging Face hub"):
            facts(REPOSITORY, token=None, endpoint=endpoint)
        server.shutdown()


@pytest.mark.parametrize("name", ["../../../evil", "/etc/evil", 7, "", "a" * 39])
def test_a_hash_that_is_none_becomes_no_files_name(name: object, monkeypatch):
    """A hub may be anybody's, and what is on its way lies under the name of its hash."""
    weights = {"rfilename": "model.safetensors", "size": 10, "blobId": name}
    listing = {"sha": COMMIT, "siblings": [weights | {"lfs": {"sha256": name}}]}
    monkeypatch.setattr(LoginPage, "page", json.dumps(listing).encode())
    with ThreadingHTTPServer(("127.0.0.1", 0), LoginPage) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        found = facts(
            REPOSITORY, token=None, endpoint=f"http://127.0.0.1:{server.server_address[1]}"
        )
        server.shutdown()

    assert [file.key for file in found.files] == ["model.safetensors-10"]


def test_a_configuration_that_is_no_object_is_told(local_hub: Hub, source: Path):
    """A list is JSON too, and no configuration."""
    (source / "config.json").write_text("[1]")

    with pytest.raises(HubUnreachableError, match="no object"):
        ask(local_hub)


def test_offline_asks_nobody(local_hub: Hub):
    """And says what it would have asked for."""
    with pytest.raises(HubOfflineError, match="Its configuration would have to come"):
        facts(REPOSITORY, token=None, endpoint=local_hub.endpoint, offline=True)
    assert local_hub.requests == []
