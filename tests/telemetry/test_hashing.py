"""The key and what is hashed with it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.errors import StoreError
from workbench.records import ChatMessage, ToolCall
from workbench.telemetry.hashing import Hasher, PlainHasher, canonical_json, load_or_make_key

KEY = bytes(32)
HI = (ChatMessage("user", "hi"),)


def test_a_prompt_hash_is_the_hmac_of_its_canonical_json() -> None:
    """
    The digest is what ``openssl dgst -sha256 -mac HMAC`` gives for the bytes
    ``[{"content":"hi","role":"user"}]`` and a key of 32 zero bytes.
    """
    digest = "9d8c0b619cfc3ce740bababa9fbcbd98200d7a895916ce7a52207f0d31ad0029"

    assert canonical_json(HI) == b'[{"content":"hi","role":"user"}]'
    assert Hasher(KEY).prompt(HI) == f"h1:{digest}"


def test_a_plain_hash_is_the_sha256_of_the_same_bytes() -> None:
    """
    What ``sha256sum`` gives for them; a user's name still needs the key.
    """
    digest = "4e79873118cd9be7a1f0308b9cd772950c5410c74ca3fe1ba2626cba009a9237"

    assert PlainHasher(KEY).prompt(HI) == f"sha256:{digest}"
    assert PlainHasher(KEY).user("ada") == Hasher(KEY).user("ada")


def test_equal_messages_have_equal_hashes() -> None:
    """
    A copy hashes the same; another text, role, order or key does not.
    """
    hasher = Hasher(KEY)
    two = (ChatMessage("system", "be brief"), *HI)
    others = [
        hasher.prompt([ChatMessage("user", "Hi")]),
        hasher.prompt([ChatMessage("system", "hi")]),
        hasher.prompt(two),
        hasher.prompt(two[::-1]),
        Hasher(b"k" * 32).prompt(HI),
    ]

    assert hasher.prompt(HI) == hasher.prompt([replace(HI[0])])
    assert len({hasher.prompt(HI), *others}) == 1 + len(others)


def test_tool_calls_are_part_of_the_prompt() -> None:
    """
    Two turns that differ only in a call's arguments are different prompts.
    """

    def turn(arguments: str) -> ChatMessage:
        call = ToolCall(id="call-1", name="add", arguments=arguments)
        return ChatMessage("assistant", None, tool_calls=(call,))

    assert canonical_json([turn("{}")]) == (
        b'[{"role":"assistant","tool_calls":[{"arguments":"{}","id":"call-1","name":"add"}]}]'
    )
    assert Hasher(KEY).prompt([turn("{}")]) != Hasher(KEY).prompt([turn("[]")])


def test_empty_text_differs_from_no_text() -> None:
    """
    Only what is unset is left out of the canonical form.
    """
    assert canonical_json([ChatMessage("assistant", "")]) == b'[{"content":"","role":"assistant"}]'
    assert canonical_json([ChatMessage("assistant", None)]) == b'[{"role":"assistant"}]'


def test_half_a_character_can_be_hashed() -> None:
    """
    A lone surrogate, which UTF-8 refuses, is escaped like everything outside ASCII.
    """
    assert b'"\\ud83d"' in canonical_json([ChatMessage("user", "\ud83d")])


def test_a_user_is_hashed_with_the_same_key() -> None:
    """
    The name is not in its hash, and another key gives another.
    """
    assert Hasher(KEY).user("ada") == Hasher(KEY).user("ada")
    assert Hasher(KEY).user("ada") != Hasher(KEY).user("bob")
    assert Hasher(KEY).user("ada") != Hasher(b"k" * 32).user("ada")


def test_a_key_is_not_shown() -> None:
    """
    A hasher that ends up in a notebook's output says nothing of its key.
    """
    assert "kkkk" not in repr(Hasher(b"k" * 32))


def test_the_key_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    """
    32 bytes, mode 0600, the same at the second reading, and nothing left beside it.
    """
    path = tmp_path / "state" / "telemetry.key"
    key = load_or_make_key(path)

    assert len(key) == 32
    assert load_or_make_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["telemetry.key"]


def test_two_folders_have_two_keys(tmp_path: Path) -> None:
    """
    A key is random, so hashes of different projects can't be matched.
    """
    assert load_or_make_key(tmp_path / "a.key") != load_or_make_key(tmp_path / "b.key")


@pytest.mark.processes
def test_kernels_that_start_at_once_agree_on_the_key(
    tmp_path: Path, run_kernels: Callable[..., list[str]]
) -> None:
    """
    Two processes make the same missing key: both get what is in the file.
    """
    path = tmp_path / "state" / "telemetry.key"
    printed = run_kernels(*[("key", path)] * 2)

    assert set(printed) == {path.read_bytes().hex() + "\n"}


def test_a_file_without_hard_links_still_gets_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    exFAT refuses to link; the key is made all the same.
    """

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    path = tmp_path / "telemetry.key"

    assert load_or_make_key(path) == path.read_bytes()
    assert [found.name for found in tmp_path.iterdir()] == ["telemetry.key"]


def test_a_file_that_is_no_key_says_what_to_do(tmp_path: Path) -> None:
    """
    A cut key is not used and not replaced: the owner decides.
    """
    path = tmp_path / "telemetry.key"
    path.write_bytes(b"short")

    with pytest.raises(StoreError, match="has 5 bytes instead of 32") as caught:
        load_or_make_key(path)
    assert caught.value.path == path
    assert "Delete it" in (caught.value.hint or "")
    assert path.read_bytes() == b"short"


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    """
    A file where the state folder should be is reported with the key's path.
    """
    (tmp_path / "state").write_text("a file")

    with pytest.raises(StoreError, match=r"state.telemetry\.key"):
        load_or_make_key(tmp_path / "state" / "telemetry.key")
