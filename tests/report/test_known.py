"""Which secrets a machine has, by where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.doctor import Machine
from workbench.report.known import redactor_for


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("MY_THING=correcthorse", "correcthorse"),
        ("MY_THING=correcthorse # staging", "correcthorse"),
        ("LDAP_BIND='hunter7' # x", "hunter7"),
        ('export OTHER="a # b c d" # x', "a # b c d"),
    ],
)
def test_a_value_in_dotenv_is_known_whatever_stands_behind_it(
    tmp_path: Path, line: str, secret: str
):
    """A comment is no part of it."""
    (tmp_path / ".env").write_text(f"{line}\n")
    redactor = redactor_for(Machine(tmp_path, {"HOME": str(tmp_path / "home")}))

    assert secret not in redactor.text(f"error: {secret} refused")


@pytest.mark.parametrize(("name", "file"), [("HF_HOME", "token"), ("DOCKER_CONFIG", "config.json")])
def test_a_token_is_found_where_a_variable_says(tmp_path: Path, name: str, file: str):
    """Programs look there before they look at home."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / file).write_text('{"auths": {"host": {"auth": "correcthorsebattery"}}}')
    redactor = redactor_for(Machine(tmp_path, {"HOME": str(tmp_path / "home"), name: str(folder)}))

    assert "correcthorsebattery" not in redactor.text("error: correcthorsebattery refused")
