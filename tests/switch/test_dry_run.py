"""What a switch would do: said, and nothing of it done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.scripted_hub import REPOSITORY, hub
from tests.switch.test_use import Typed
from workbench.errors import ConfigError, ServerStateError
from workbench.session import Session

pytestmark = pytest.mark.processes


def files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every file with its time and size; a log may be written to."""
    found = {path: path.stat() for path in folder.rglob("*") if path.suffix != ".log"}
    return {path: (stat.st_mtime_ns, stat.st_size) for path, stat in found.items()}


def test_a_plan_says_each_step_and_touches_nothing(session: Session, home: Path):
    """The command is the one that would be started, at the address that stays."""
    pids = session.up().pids
    before = files(home)

    plan = session.plan_use("pocket-mini", max_model_len=1024)

    assert (plan.before, plan.model, plan.fetch_bytes, plan.requests) == (
        *("pocket", "pocket-mini", 0, 0),
    )
    assert [name for name, _ in plan.steps] == [
        *("plan", "fetch", "drain", "replace", "ready", "check", "commit", "if it fails")
    ]
    assert "--max-model-len 1024" in plan.command
    assert "pocket-mini default" in plan.command
    assert session.server.base_url.removesuffix("/v1").rpartition(":")[2] in plan.command
    assert plan.noted_in == session.settings.state_dir / "used.json"
    assert files(home) == before
    assert session.status().pids == pids
    assert session.is_mine
    assert session.server.death() is None


def test_what_would_come_from_the_hub_is_counted_and_not_fetched(
    session: Session, home: Path, monkeypatch: pytest.MonkeyPatch
):
    """All bytes that a fetch would bring; the command is known only when it is here."""
    entry = f'[new]\nmodel = "{REPOSITORY}"\nwhy = "on the hub only"\n'
    (home / "models" / "catalogue.toml").write_text(entry)
    with hub(PROJECT / "models" / "pocket-mini") as local:
        monkeypatch.setenv("HF_ENDPOINT", local.endpoint)
        with Session() as online:
            plan = online.plan_use("new")

    weights = PROJECT / "models" / "pocket-mini" / "model.safetensors"
    assert plan.fetch_bytes > weights.stat().st_size
    assert dict(plan.steps)["fetch"].endswith(f"of {REPOSITORY} into models/new")
    assert plan.command is None
    assert not (home / "models" / "new").exists()


def test_what_runs_already_would_be_kept(session: Session):
    """Nothing would be started."""
    session.up()

    plan = session.plan_use("pocket")

    assert dict(plan.steps)["keep"] == "it runs already"
    assert plan.command is None


def test_what_would_fail_at_once_fails_as_a_plan_too(session: Session):
    """With the same words."""
    with pytest.raises(ConfigError, match="no model"):
        session.plan_use("no-such")
    with (
        Session(base_url="http://127.0.0.1:9/v1") as remote,
        pytest.raises(ServerStateError, match="somebody else"),
    ):
        remote.plan_use("pocket")


def test_the_shell_shows_it_without_the_keys_in_it(session: Session, home: Path, typed: Typed):
    """As text and as JSON; what is needed for vLLM's quicker ways stands below."""
    entry = (
        '[keyed]\nmodel = "pocket"\nwhy = "a key"\nextra_args = ["--api-key", "sk-much-too-open"]\n'
    )
    (home / "models" / "catalogue.toml").write_text(entry)

    text, _ = typed("use", "keyed", "--dry-run").communicate(timeout=60)
    told = json.loads(typed("use", "keyed", "--dry-run", "--json").communicate(timeout=60)[0])

    assert "would run:" in text
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1" in text
    assert "--enable-sleep-mode" in text
    assert "sk-much" not in text + json.dumps(told)
    assert told["steps"][1] == {"name": "fetch", "what": "nothing: it is here"}


ADAPTER = '[loud]\nmodel = "loud"\nwhy = "an adapter"\nadapter_of = "pocket"\n'


def test_an_adapter_says_what_its_server_needs(session: Session, home: Path):
    """The folder, the base, and the flags with the adapter's own rank; nothing is restarted."""
    (home / "models" / "catalogue.toml").write_text(ADAPTER)
    with pytest.raises(ConfigError, match=r"no adapter_config\.json"):
        session.use("loud")
    (home / "models" / "loud").mkdir()
    (home / "models" / "loud" / "adapter_config.json").write_text('{"r": 12}')
    with pytest.raises(ServerStateError, match="nothing is ready") as nothing:
        session.use("loud")
    pids = session.up().pids

    for verb in (session.use, session.plan_use):
        with pytest.raises(ServerStateError, match="takes no adapters") as caught:
            verb("loud")

    assert "workbench use pocket" in nothing.value.hint
    assert '["--enable-lora", "--max-lora-rank", "16"]' in caught.value.hint
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1" in caught.value.hint
    assert session.status().pids == pids
    with pytest.raises(ConfigError, match="no model by itself"):
        Session(model="loud").up()
