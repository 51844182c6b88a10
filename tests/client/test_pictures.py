"""
Pictures become a part of a message.
"""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.scripted import ScriptedServer, completion
from workbench.client import Client, read_image
from workbench.records import ChatMessage, Image

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_a_file_is_sent_with_the_message(
    server: ScriptedServer, client: Client, tmp_path: Path
) -> None:
    """
    As a data URL, in its place among the words.
    """
    path = tmp_path / "dot.png"
    path.write_bytes(PNG)
    server.answer(completion("A dot."))
    client.chat(ChatMessage("user", ("What is this?", read_image(path))))

    words, picture = server.chat_requests[0].json["messages"][0]["content"]  # type: ignore[index]
    assert words == {"type": "text", "text": "What is this?"}
    head, _, data = picture["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == PNG


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    """
    Before it is sent, by its name.
    """
    with pytest.raises(ValueError, match="picture"):
        read_image(tmp_path / "notes.txt")


def test_a_pictures_data_do_not_fill_the_cell() -> None:
    """
    A message is shown whenever it is the last line of a cell.
    """
    assert len(repr(Image("data:image/png;base64," + "A" * 1_000_000))) < 100
