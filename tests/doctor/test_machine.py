"""The one place that looks at a machine: what programs of Windows write, sockets, streams."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripted import HELLO, ScriptedServer, reply, stream
from workbench.doctor import Machine, facts, sockets
from workbench.doctor.machine import Owner

ANSWER = (
    '{"build":26200,"cards":[{"DriverDesc":"AMD Radeon™ RX 7900 XTX","DriverVersion":"32.0.1",'
    '"RadeonSoftwareVersion":"26.2.2"}],"used":471859200}\r\n'
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def wsl(tmp_path: Path) -> Machine:
    """A WSL whose PowerShell writes what lies in ``said``."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/version").write_text("Linux version 6.6.87.2-microsoft-standard-WSL2")
    program = tmp_path / "powershell.exe"
    program.write_text(f"#!/bin/sh\nexec /bin/cat {tmp_path}/said\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Machine(tmp_path, {"PATH": str(tmp_path)}, root=tmp_path)


@pytest.mark.parametrize(
    "said",
    [
        ANSWER.encode(),
        ANSWER.encode("utf-8-sig"),
        ANSWER.encode("utf-16"),
        ANSWER.encode("utf-16-le"),
        b"\xfe\xff" + ANSWER.encode("utf-16-be"),
        ANSWER.encode("cp1252"),
        b"WARNING: a profile was loaded.\r\n\r\n" + ANSWER.encode(),
    ],
    ids=["utf-8", "utf-8 mark", "utf-16 mark", "utf-16", "big end first", "code page", "a warning"],
)
def test_windows_is_understood_however_it_writes(wsl: Machine, said: bytes):
    """UTF-8 and UTF-16 with and without a mark, a code page, CRLF, and lines before the answer."""
    (wsl.home / "said").write_bytes(said)
    found = facts.windows(wsl)

    assert found is not None
    assert (found.build, found.adrenalin, found.used_bytes) == (26200, (26, 2, 2), 471859200)
    assert (found.card or "").startswith("AMD Radeon")


@pytest.mark.parametrize("said", [b"", b"\xff\xfe", b"\x00" * 64, b"{", b"[1]", b"{}\r\n", b'{"a'])
def test_what_is_no_answer_of_windows_is_none(wsl: Machine, said: bytes):
    """Nothing, half a mark, half of JSON: unknown, and no exception."""
    (wsl.home / "said").write_bytes(said)

    assert facts.windows(wsl) is None


@pytest.mark.parametrize(
    "said",
    [
        b'{"build":"x","cards":"y","used":"z"}',
        b'{"build":[1],"cards":[1,null],"used":{}}',
        b'{"build":26200,"cards":{"DriverDesc":7},"used":-1}',
        b'{"build":26200,"cards":[{"RadeonSoftwareVersion":7.5,"DriverDesc":null}],"used":true}',
    ],
)
def test_fields_of_another_kind_are_unknown(wsl: Machine, said: bytes):
    """What Windows does not say in the form that was asked for is not guessed."""
    (wsl.home / "said").write_bytes(said)
    found = facts.windows(wsl)

    assert found is not None
    assert found.build in (None, 26200)
    assert found.card is None


def test_a_streamed_answer_has_a_time_for_each_piece(server: ScriptedServer):
    """In order; a refusal is its status, and nobody there is nothing."""
    server.answer(stream(*HELLO), reply(401, {}))
    machine = Machine(Path("/"), {})
    url = f"{server.base_url}/chat/completions"
    came, refused = machine.stream(url, {"stream": True}), machine.stream(url, {})

    assert came is not None
    assert (came.status, list(came.at_s)) == (200, sorted(came.at_s))
    assert came.at_s
    assert refused is not None
    assert (refused.status, refused.at_s) == (401, ())
    assert machine.stream("http://127.0.0.1:9/v1", {}) is None
    assert machine.stream("no address", {}) is None


def test_the_owner_of_a_port_is_named():
    """This process, by what /proc knows; a socket that nobody has is nobody's."""
    machine = Machine(Path("/"), {})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        (found,) = sockets.listening(machine, listener.getsockname()[1])
        owner = machine.owner_of(found.inode)

    assert owner is not None
    assert (owner.pid, found.address, found.is_reached) == (os.getpid(), "127.0.0.1", False)
    assert machine.owner_of("1") is None


def test_sockets_of_the_newer_protocol_are_read(tmp_path: Path):
    """Words of four bytes, each back to front; ::ffff:127.0.0.1 is 127.0.0.1."""
    (tmp_path / "proc/net").mkdir(parents=True)
    rest = (
        "00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 7 1"
    )
    lines = [
        f"   0: 0000000000000000FFFF00000100007F:1F40 {rest}",
        f"   1: 00000000000000000000000000000000:1F40 {rest}",
        "   2: garbage",
        f"   3: 00000000000000000000000001000000:1F41 {rest}",
    ]
    (tmp_path / "proc/net/tcp6").write_text("\n".join(lines))
    machine = Machine(tmp_path, {}, root=tmp_path)

    assert [it.address for it in sockets.listening(machine, 8000)] == ["127.0.0.1", "::"]
    assert [it.is_reached for it in sockets.listening(machine, 8000)] == [False, True]
    assert sockets.owner(machine, []) == "a process of another user"


def test_a_server_on_any_port_is_found(tmp_path: Path):
    """`up --port 0` wrote which one it took; it counts as long as something listens there."""
    (tmp_path / ".workbench").mkdir()
    state = tmp_path / ".workbench/server.json"
    machine = Machine(tmp_path, {"WORKBENCH_PORT": "8123"})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        state.write_text(f'{{"spec": {{"port": {number}}}}}')
        assert sockets.port_of(machine) == number
    state.write_text('{"spec": [], "port"')
    assert sockets.port_of(machine) == 8123
    for wrong in ("", "0", "99999", "٣", "8000x", "-1"):
        machine.variables["WORKBENCH_PORT"] = wrong
        assert sockets.port_of(machine) == sockets.DEFAULT_PORT


def test_a_program_of_windows_is_named_where_that_works(wsl: Machine):
    """Without tasklist its number alone; without netstat nobody."""
    netstat = wsl.home / "netstat.exe"
    netstat.write_text("#!/bin/sh\necho '  TCP    [::]:8000   [::]:0   LISTENING   4711\r'\n")
    netstat.chmod(0o755)

    assert sockets.owner_in_windows(wsl, 8000) == Owner(4711, "a program")
    assert sockets.owner_in_windows(wsl, 80) is None


DOCKER = """#!/bin/sh
[ "$1" = image ] && exit 0
for last; do :; done
PYTHONPATH={home} exec sh -c "$last"
"""


def test_an_image_says_its_versions_in_the_form_that_is_read(tmp_path: Path):
    """A folder stands for the image: vLLM's file is read, and nothing is loaded."""
    package = tmp_path / "vllm"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('loaded')")
    (package / "_version.py").write_text("__version__ = version = '0.33.0+cpu'\n")
    docker = tmp_path / "docker"
    docker.write_text(DOCKER.format(home=tmp_path))
    docker.chmod(0o755)
    image = {"WORKBENCH_IMAGE": "vllm/vllm-openai-cpu:v0.33.0"}
    machine = Machine(tmp_path, {"PATH": f"{tmp_path}:/usr/bin:/bin", **image})

    assert facts.inside(machine) == facts.Inside(vllm=(0, 33, 0), rocm=facts.rocm_version(machine))
