"""Whatever programs, files and servers answer, a check comes to a verdict and does not break."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.doctor.folder_machine import FolderMachine
from workbench.doctor import Machine, examine
from workbench.doctor.machine import Ran, Reply, Streamed
from workbench.records import Verdict

GARBAGE = {
    "nothing": "",
    "zeros": "\0" * 50,
    "no JSON": "{",
    "a list": '[{"Size": "x"}]',
    "a number": "5",
    "null": "null",
    "fields of another kind": '{"ServerVersion": 5, "ServerErrors": 5, "cards": [[1]]}',
    "an engine of another kind": '{"ServerVersion": "x", "Runtimes": [1], "OperatingSystem": 3}',
    "a list of models that is none": '{"data": [5], "spec": {"port": "x"}, "credsStore": ["x"]}',
    "turned text": "\N{RIGHT-TO-LEFT OVERRIDE}" * 9,
    "a long line": "a" * 100_000,
    "a long number": "9" * 400,
    "a socket without an address": (
        "   0: 00:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 7 1"
    ),
    "a socket": (
        "   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 7 1"
    ),
    "a package without a version": (
        "Package: rocdxg-roct\nStatus: install ok installed\nVersion: x\n"
    ),
    "no memory": "MemTotal: 0 kB\nMemAvailable: 0 kB\nSwapTotal: 0 kB\n",
    "no services": "services: []\n",
    "too many cards": "  Name:   gfx1100\n" * 1000,
}


class Garbled(FolderMachine):
    """A machine of which everything says the same."""

    said = ""
    status: int | None = 0

    def read(self, path: str | Path) -> str | None:
        return super().read(path) if str(path) == "/proc/version" else self.said

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Reply | None:
        return Reply(200, self.said, self.said[:40])

    def stream(
        self, url: str, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> Streamed | None:
        return Streamed(200, (0.0, 0.0))

    def _run(self, argv: tuple[str, ...], timeout_s: float) -> Ran:
        return Ran(self.status, self.said, self.said)


@pytest.mark.parametrize("status", [0, 1, None], ids=["ends well", "fails", "hangs"])
@pytest.mark.parametrize("said", GARBAGE.values(), ids=list(GARBAGE))
@pytest.mark.parametrize("name", ["wsl-rocdxg-image", "native-rocm", "cuda", "wsl-legacy"])
def test_garbage_breaks_no_check(name: str, said: str, status: int | None, tmp_path: Path):
    """Every finding has evidence, and every fault a reason and a fix."""
    machine = Garbled(name, tmp_path)
    machine.said, machine.status = said, status
    report = examine(machine)

    assert [it.seen for it in report.findings if "itself broke" in it.seen] == []
    assert all(it.seen for it in report.findings)
    faults = [it for it in report.findings if it.verdict in (Verdict.FAIL, Verdict.WARN)]
    assert all(it.why and it.fix for it in faults)


ODD = {
    "WORKBENCH_PORT": "abc",
    "WORKBENCH_BASE_URL": "http://[::1/v1",
    "OPENAI_BASE_URL": "no address",
    "OPENAI_API_KEY": "two\nlines",
    "WORKBENCH_STATE_DIR": "\0",
    "WORKBENCH_ENGINE_DIR": "\0",
    "WORKBENCH_IMAGE": ":::",
    "WORKBENCH_MODEL": "a/../../b",
    "HF_ENDPOINT": "http://[bad",
    "HF_TOKEN": "\n",
    "HF_TOKEN_PATH": "\0",
    "VIRTUAL_ENV": "**",
    "CONDA_PREFIX": "[",
    "HOME": "",
    "no_proxy": ",",
    "http_proxy": "\0",
}


@pytest.mark.parametrize("name", ODD)
def test_odd_variables_break_no_check(name: str, tmp_path: Path):
    """Of a real machine, whose files and URLs are asked with them."""
    machine = Machine(tmp_path, {"PATH": "", "HF_ENDPOINT": "http://127.0.0.1:9", name: ODD[name]})

    broken = [it for it in examine(machine).findings if "itself broke" in it.seen]

    assert broken == []
