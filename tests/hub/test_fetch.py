"""A model comes whole and checked, goes on where it was cut, and is no model before."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hub.conftest import WEIGHTS_BYTES, Fetch
from tests.scripted_hub import COMMIT, GATED, REPOSITORY, TOKEN, Fault, Hub, Model
from workbench.catalogue import find_model, local_models
from workbench.errors import (
    ConfigError,
    DamagedFileError,
    FetchError,
    FetchInterruptedError,
    FolderRefusedError,
    GatedModelError,
    HubOfflineError,
    HubUnreachableError,
    NotEnoughDiskError,
)
from workbench.hub import download, meter
from workbench.records import Progress

OTHER = "f" * 40

ORDER = ["config.json", "tokenizer.json", "model.safetensors"]


def same(folder: Path, source: Path, names: Iterable[str] = ORDER) -> bool:
    return all((folder / name).read_bytes() == (source / name).read_bytes() for name in names)


def test_a_model_comes_with_what_vllm_takes_and_is_one(fetched: Fetch, into: Path, source: Path):
    """The files are the hub's, byte by byte; the folder is found by its name."""
    found = fetched()

    assert same(into, source)
    assert found.is_whole
    assert (found.commit, found.come_bytes) == (COMMIT, found.size_bytes)
    assert sorted(path.name for path in into.iterdir()) == sorted(
        [*ORDER, "fetched.json", ".fetch.lock"]
    )
    assert find_model("pocket", models_dir=into.parent).max_model_len == 512


def test_what_was_fetched_is_written_down(fetched: Fetch, into: Path, source: Path):
    """Repository, what was asked for, the commit it was, the date, each file with its hash."""
    fetched()
    said = json.loads((into / "fetched.json").read_text())
    weights = next(file for file in said["files"] if file["name"] == "model.safetensors")

    assert (said["repo"], said["revision"], said["commit"]) == (REPOSITORY, "main", COMMIT)
    assert said["fetched_at"].endswith("+00:00")
    assert weights["size_bytes"] == WEIGHTS_BYTES
    assert weights["sha256"] == hashlib.sha256((source / weights["name"]).read_bytes()).hexdigest()


def test_a_second_fetch_asks_nobody(fetched: Fetch, local_hub: Hub):
    """What is here keeps its commit, and needs neither the hub nor a network."""
    first = fetched()
    local_hub.requests.clear()

    assert fetched() == fetched(revision=COMMIT) == fetched(offline=True)
    assert fetched().commit == first.commit
    assert local_hub.requests == []


def test_progress_is_told_by_file_and_in_total(fetched: Fetch):
    """Bytes of all files, the file at work and its share."""
    seen: list[Progress] = []
    found = fetched(on_progress=seen.append)

    assert list(dict.fromkeys(each.label for each in seen)) == ORDER
    assert {(each.unit, each.total) for each in seen} == {("bytes", found.size_bytes)}
    assert [each.done for each in seen] == sorted(each.done for each in seen)


def test_a_cut_download_goes_on_at_its_byte(fetched: Fetch, local_hub: Hub, into, source):
    """The rest is asked for, and nothing comes twice."""
    local_hub.faults = [Fault("resolve/" + COMMIT + "/model", cut_after=700_000)]
    found = fetched()

    ranges = [each.range for each in local_hub.requests if "model.safetensors" in each.path]
    assert ranges == [None, "bytes=700000-"]
    assert found.come_bytes == found.size_bytes
    assert same(into, source)


def test_a_server_that_knows_no_ranges_sends_all_of_it_again(fetched, local_hub: Hub, into, source):
    """What was here is dropped, and the sum of the progress is still right."""
    local_hub.faults = [
        Fault("model.safetensors", cut_after=700_000),
        Fault("model.safetensors", ranges=False),
    ]
    seen: list[Progress] = []
    found = fetched(on_progress=seen.append)

    assert found.come_bytes == found.size_bytes + 700_000
    assert max(each.done for each in seen) <= found.size_bytes
    assert same(into, source)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_that_is_busy_is_asked_again(fetched: Fetch, local_hub: Hub, status: int):
    """For what the model is, and for its files; how long it takes is told."""
    local_hub.faults = [
        Fault("/api/models", status=status),
        Fault("model.safetensors", status=status),
    ]
    seen: list[Progress] = []

    assert fetched(on_progress=seen.append).is_whole
    assert f"the hub does not answer (HTTP {status}), again in 0.00 µs" in [s.label for s in seen]


def test_a_hub_that_stays_busy_is_given_up_and_what_came_is_kept(fetched, local_hub: Hub, into):
    """The next fetch takes it up."""
    local_hub.faults = [
        Fault("model.safetensors", cut_after=700_000),
        *[Fault("model.safetensors", status=503)] * 4,
    ]
    with pytest.raises(HubUnreachableError, match="HTTP 503") as caught:
        fetched()
    found = fetched()

    assert caught.value.status_code == 503
    assert found.come_bytes == WEIGHTS_BYTES - 700_000


def test_a_wait_that_is_too_long_is_told_and_not_waited(fetched: Fetch, local_hub: Hub):
    """A hub may ask for an hour."""
    local_hub.faults = [Fault("/api/models", status=429, headers={"Retry-After": "3600"})]

    with pytest.raises(HubUnreachableError, match="come back in 3601 s") as caught:
        fetched()
    assert caught.value.retry_after_s == 3601
    assert "HF_TOKEN" in caught.value.hint


def test_a_file_that_came_damaged_comes_once_more(fetched: Fetch, local_hub: Hub, into, source):
    """Its checksum is compared before it has its name."""
    local_hub.faults = [Fault("model.safetensors", garbled=True)]
    fetched()

    assert same(into, source)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_file_that_comes_damaged_twice_is_named(fetched: Fetch, local_hub: Hub, into, name: str):
    """Large files have a sha256 on the hub, small ones git's hash; there is no model then."""
    local_hub.faults = [Fault(name, garbled=True)] * 2

    with pytest.raises(DamagedFileError, match=name) as caught:
        fetched()
    assert caught.value.file == name
    assert local_models(into.parent) == []


def test_a_file_that_was_changed_here_is_named_and_mended(fetched: Fetch, local_hub: Hub, into):
    """Only this one comes again."""
    fetched()
    (into / "tokenizer.json").write_text("[]")
    local_hub.requests.clear()
    found = fetched()

    assert found.mended == ("tokenizer.json",)
    assert local_hub.fetched() == ["config.json", "tokenizer.json"]  # config.json is looked at
    assert (into / "tokenizer.json").read_text() == "{}"


def test_damage_that_does_not_show_is_found_if_asked_for(fetched: Fetch, into: Path, source: Path):
    """A disk that forgets bits leaves size and time as they were."""
    fetched()
    weights = into / "model.safetensors"
    before = weights.stat()
    with weights.open("r+b") as file:
        file.write(b"\xff\xff")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert fetched().mended == ()
    with pytest.raises(HubOfflineError, match=r"model\.safetensors"):
        fetched(verify=True, offline=True)
    assert fetched(verify=True).mended == ("model.safetensors",)
    assert same(into, source)


def test_ctrl_c_says_how_much_is_here_and_it_goes_on(fetched: Fetch, into, monkeypatch):
    """Until all is here there is no model."""
    monkeypatch.setattr(meter, "INTERVAL_S", 0.0)

    def interrupt(progress: Progress) -> None:
        if progress.done > 500_000:
            raise KeyboardInterrupt

    with pytest.raises(FetchInterruptedError, match="the same command goes on") as caught:
        fetched(on_progress=interrupt)
    assert 500_000 < caught.value.done_bytes < caught.value.total_bytes
    assert local_models(into.parent) == []
    with pytest.raises(ConfigError):
        find_model("pocket", models_dir=into.parent)
    found = fetched()
    assert found.come_bytes == found.size_bytes - caught.value.done_bytes


def test_a_revision_is_pinned_until_another_is_asked_for(fetched, local_hub: Hub, into, tmp_path):
    """The branch moves on, the folder does not; asked for, only what differs comes."""
    fetched()
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "config.json").write_text('{"max_position_embeddings": 1024}')
    (newer / "model-1.safetensors").write_bytes(b"new")
    (newer / "tokenizer.json").write_text("{}")
    old = local_hub.models[REPOSITORY].commits["main"]
    local_hub.models[REPOSITORY] = Model(REPOSITORY, {"main": (OTHER, newer), "v1": old})

    assert fetched().commit == COMMIT
    found = fetched(revision="main")
    assert (found.commit, found.revision, found.mended) == (OTHER, "main", ())
    assert sorted(path.name for path in into.glob("*.safetensors")) == ["model-1.safetensors"]
    assert found.come_bytes == 3 + len('{"max_position_embeddings": 1024}')
    assert fetched(revision="v1").commit == COMMIT


def test_a_model_stays_whole_until_the_new_one_is_all_here(fetched, local_hub: Hub, into, source):
    """A change of revision that breaks off leaves what was served."""
    fetched()
    local_hub.models[REPOSITORY].commits["main"] = (OTHER, source)
    (source / "model.safetensors").write_bytes(b"x" * WEIGHTS_BYTES)
    local_hub.faults = [Fault("model.safetensors", cut_after=1_000_000)]
    local_hub.faults += [Fault("model.safetensors", status=500)] * 4

    with pytest.raises(HubUnreachableError):
        fetched(revision="main")
    assert find_model("pocket", models_dir=into.parent).max_model_len == 512
    assert fetched().commit == COMMIT


def test_a_half_fetched_model_goes_on_at_its_commit(fetched, local_hub: Hub, into, tmp_path):
    """Although the branch has moved on meanwhile: two revisions are never mixed."""
    local_hub.faults = [Fault("model.safetensors", cut_after=1_000_000)]
    local_hub.faults += [Fault("model.safetensors", status=500)] * 4
    with pytest.raises(HubUnreachableError):
        fetched()
    old = local_hub.models[REPOSITORY].commits["main"]
    local_hub.models[REPOSITORY].commits = {"main": (OTHER, tmp_path), "before": old}

    found = fetched()
    assert (found.commit, found.revision) == (COMMIT, "main")
    assert found.come_bytes == WEIGHTS_BYTES - 1_000_000


def test_a_licence_is_named_with_its_page_before_anything_is_made(fetched, local_hub: Hub, into):
    """The page, where to make a token, where to put it; with the right token it comes."""
    with pytest.raises(GatedModelError, match="there is no token") as caught:
        fetched(GATED)

    assert caught.value.page == f"{local_hub.endpoint}/{GATED}"
    assert caught.value.page in caught.value.hint
    assert f"{local_hub.endpoint}/settings/tokens" in caught.value.hint
    assert "HF_TOKEN=" in caught.value.hint
    assert not into.parent.exists()
    assert fetched(GATED, token=TOKEN).is_whole


def test_too_little_disk_is_said_with_both_numbers_before_anything_comes(fetched, local_hub, into):
    """Not after an hour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 1_000_000}))
        with pytest.raises(NotEnoughDiskError, match=r"2\.38 MiB more.*977 KiB are free") as caught:
            fetched()

    total = WEIGHTS_BYTES + len('{"max_position_embeddings": 512}') + len("{}")
    assert (caught.value.needed_bytes, caught.value.free_bytes) == (total, 1_000_000)
    assert local_hub.fetched() == ["config.json"]  # read, to see whether it may be


def test_a_disk_that_fills_up_meanwhile_is_said_with_both_numbers(fetched, monkeypatch):
    """Somebody else writes as well."""

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download.Part, "append", full)

    with pytest.raises(NotEnoughDiskError) as caught:
        fetched()
    assert caught.value.needed_bytes > WEIGHTS_BYTES


def test_what_is_somebody_elses_is_not_touched(fetched: Fetch, into: Path):
    """A folder that was not fetched, and one of another model with the same last name."""
    into.mkdir(parents=True)
    (into / "notes.txt").write_text("mine")
    with pytest.raises(FolderRefusedError, match="was not fetched from somebody/pocket"):
        fetched()
    assert [path.name for path in into.iterdir()] == ["notes.txt"]

    (into / "notes.txt").unlink()
    fetched()
    with pytest.raises(FolderRefusedError, match="holds somebody/pocket"):
        fetched(GATED, token=TOKEN)


@pytest.mark.parametrize("place", ["/sys/models/pocket", "{file}/pocket"])
def test_a_folder_that_cannot_be_written_is_named(fetched: Fetch, tmp_path: Path, place: str):
    """Not by a traceback."""
    (tmp_path / "file").touch()

    with pytest.raises(FolderRefusedError, match="cannot be written"):
        fetched(into=Path(place.format(file=tmp_path / "file")))


@pytest.mark.parametrize("repo", ["../pocket", "a/../b", "/etc/passwd", "a/b/c", "a/..", ".", ""])
def test_a_name_that_leads_elsewhere_is_no_name(fetched: Fetch, local_hub: Hub, repo: str):
    """The hub is not even asked."""
    with pytest.raises(ConfigError, match="no name of a model"):
        fetched(repo)
    assert local_hub.requests == []


def test_a_repository_without_weights_for_vllm_is_refused(fetched, local_hub: Hub, source, into):
    """GGUF repositories have no config.json; nothing is made for them."""
    (source / "config.json").unlink()

    with pytest.raises(FetchError, match=r"no config\.json with weights beside it"):
        fetched()
    assert not into.exists()


def test_offline_says_what_would_be_needed(fetched: Fetch, local_hub: Hub, into: Path):
    """Nothing is known, half is here, another revision is asked for."""
    with pytest.raises(HubOfflineError, match="The model somebody/pocket would have to come"):
        fetched(offline=True)
    assert not into.exists()
    local_hub.faults = [Fault("model.safetensors", status=500)] * 4
    with pytest.raises(HubUnreachableError):
        fetched()
    with pytest.raises(HubOfflineError, match=r"2\.38 MiB of somebody/pocket .*model\.safetensors"):
        fetched(offline=True)
    fetched()
    assert fetched(offline=True, revision="main").is_whole
    with pytest.raises(HubOfflineError, match="Revision 'v2'"):
        fetched(offline=True, revision="v2")


def test_two_fetches_at_once_fetch_once(fetched: Fetch, local_hub: Hub, into, source):
    """The second waits, says so, and finds it done."""
    local_hub.go_on.clear()
    waiting = threading.Event()

    def second(progress: Progress) -> None:
        if "another fetch" in progress.label:
            waiting.set()

    with ThreadPoolExecutor() as pool:
        one = pool.submit(fetched)
        assert local_hub.halfway.wait(10)
        two = pool.submit(fetched, on_progress=second)
        assert waiting.wait(10)
        local_hub.go_on.set()
        assert one.result().is_whole
        assert two.result().come_bytes == 0
    assert local_hub.fetched().count("model.safetensors") == 1
    assert same(into, source)


def test_the_token_does_not_go_to_where_the_hub_sends_us(fetched: Fetch, local_hub: Hub):
    """Large files are on another host; what the hub trusts, that one need not see."""
    local_hub.cdn = f"http://localhost:{local_hub.port}"
    local_hub.faults = [Fault("/cdn/", cut_after=700_000)]
    fetched(GATED, token=TOKEN)

    there = [each for each in local_hub.requests if each.path.startswith("/cdn/")]
    assert [each.range for each in there] == [None, "bytes=700000-"]
    assert {each.token for each in there} == {None}
    assert {each.token for each in local_hub.requests if each not in there} == {TOKEN}


def test_a_windows_drive_is_refused(fetched: Fetch, tmp_path: Path, local_hub: Hub):
    """Before anything is asked."""
    mounts = f"/dev/sdc / ext4 rw 0 0\nC:\\134 {tmp_path} 9p rw,aname=drvfs;path=C:\\134 0 0\n"

    with pytest.raises(FolderRefusedError, match="drive of Windows"):
        fetched(mounts=mounts)
    assert local_hub.requests == []
