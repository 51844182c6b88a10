"""
A Hugging Face hub on this machine, with folders as its models, which fails as a test says.

As much of the hub's API as vLLM and the workbench ask for: what a model is, what it
holds, and its files, whole or from a byte on. Refusals carry the headers that the real one
sends (``X-Error-Code``), because huggingface_hub goes by them.

    python -m tests.scripted_hub PORT [FOLDER] [BYTES_PER_SECOND]
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "somebody/pocket"
GATED = "somebody/gated"
TOKEN = "hf_accepted"

PIECE_BYTES = 100_000


@dataclass
class Model:
    """
    A repository.

    Args:
        commits: What each revision is, and in which folder its files are.

        gated: It is given to those only who come with :data:`TOKEN`.
    """

    name: str
    commits: dict[str, tuple[str, Path]]
    gated: bool = False

    def at(self, revision: str) -> tuple[str, Path] | None:
        """Find a revision by its branch or its commit."""
        by_commit = {commit: (commit, folder) for commit, folder in self.commits.values()}
        return self.commits.get(revision) or by_commit.get(revision)


@dataclass
class Fault:
    """
    What goes wrong with one answer about a path that has *where* in it.

    Args:
        status: Answered instead of the file.

        cut_after: The connection ends after so many bytes of the body.

        garbled: Each byte is another one.

        ranges: False: a ``Range`` is not understood, and all of it comes.
    """

    where: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    garbled: bool = False
    ranges: bool = True


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    host: str
    range: str | None
    token: str | None


class Hub(ThreadingHTTPServer):
    """
    Serves one folder as ``somebody/pocket``; ``somebody/gated`` asks for a licence.

    Args:
        address: Where it listens; containers reach Docker's bridge.

    ``go_on`` holds the weights back in the middle while it is clear. ``faults`` are used up one
    by one. Large files are at ``cdn``, another name of this server, if there is one.
    """

    daemon_threads = True

    def __init__(self, folder: Path, address: str, port: int = 0) -> None:
        super().__init__((address, port), _Answers)
        self.models = {
            REPOSITORY: Model(REPOSITORY, {"main": (COMMIT, folder)}),
            GATED: Model(GATED, {"main": (COMMIT, folder)}, gated=True),
        }
        self.faults: list[Fault] = []
        self.cdn: str | None = None
        self.bytes_per_s: float | None = None
        self.go_on = threading.Event()
        self.halfway = threading.Event()
        self.requests: list[Asked] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT is to be."""
        return f"http://{self.server_address[0]}:{self.port}"

    def fetched(self) -> list[str]:
        """Name the files that were asked for, in order."""
        found = (re.search(r"/resolve/[^/]+/(.+)", each.path) for each in self.requests)
        return [match[1] for match in found if match]

    def fault(self, path: str) -> Fault:
        """Take the next fault that is meant for this path."""
        for fault in self.faults:
            if fault.where in path:
                self.faults.remove(fault)
                return fault
        return Fault("")


def siblings(folder: Path) -> list[dict[str, Any]]:
    """List files with sizes and hashes, as ``?blobs=true`` has them; weights are in LFS."""
    return [_sibling(path, folder) for path in sorted(folder.rglob("*")) if path.is_file()]


def _sibling(path: Path, folder: Path) -> dict[str, Any]:
    data = path.read_bytes()
    entry: dict[str, Any] = {
        "rfilename": str(path.relative_to(folder)),
        "size": len(data),
        "blobId": hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest(),
    }
    if path.suffix == ".safetensors":
        sha256 = hashlib.sha256(data).hexdigest()
        entry |= {"lfs": {"sha256": sha256, "size": len(data), "pointerSize": 134}}
    return entry


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Hub
    routes: ClassVar[Sequence[tuple[str, str]]] = (
        (r"/api/models", "_search"),
        (r"/api/models/(?P<name>[^/]+/[^/]+)/tree/(?P<revision>[^/]+).*", "_tree"),
        (r"/api/models/(?P<name>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?", "_info"),
        (r"/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)", "_resolve"),
        (r"/cdn/(?P<name>[^/]+/[^/]+)/(?P<revision>[^/]+)/(?P<file>.+)", "_cdn"),
    )

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self._fault = self.server.fault(path)
        self.server.requests.append(
            Asked(
                self.command,
                path,
                self.headers.get("Host", ""),
                self.headers.get("Range"),
                self._token,
            )
        )
        if self._fault.status:
            self._send(b"{}", self._fault.status, self._fault.headers)
            return
        for pattern, method in self.routes:
            if found := re.fullmatch(pattern, path):
                getattr(self, method)(
                    **{k: unquote(v or "main") for k, v in found.groupdict().items()}
                )
                return
        self._refuse(404, "", "no such page")

    @property
    def _token(self) -> str | None:
        said = self.headers.get("Authorization", "")
        return said.removeprefix("Bearer ") or None

    def _found(self, name: str, revision: str) -> tuple[str, Path] | None:
        """Find the files of a model; refuse, as the hub does, what is not there."""
        if self._token not in (None, TOKEN):
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif name not in self.server.models:
            # Without a token it does not say whether there is such a model, and its API less so.
            known = self._token is not None
            said = known or not self.path.startswith("/api/")
            self._refuse(404 if known else 401, "RepoNotFound" if said else "", "not found")
        elif found := self.server.models[name].at(revision):
            return found
        else:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return None

    def _search(self) -> None:
        owner = parse_qs(urlsplit(self.path).query).get("author", [""])[0]
        names = [name for name in self.server.models if name.startswith(f"{owner}/")]
        self._send(json.dumps([{"id": name} for name in names]).encode())

    def _info(self, name: str, revision: str) -> None:
        if found := self._found(name, revision):
            info = {
                "id": name,
                "sha": found[0],
                "gated": "manual" if self.server.models[name].gated else False,
                "cardData": {"license": "apache-2.0"},
                "siblings": siblings(found[1]),
            }
            self._send(json.dumps(info).encode())

    def _tree(self, name: str, revision: str) -> None:
        if found := self._found(name, revision):
            tree = [
                {"type": "file", "path": each["rfilename"], "size": each["size"], "oid": COMMIT}
                for each in siblings(found[1])
            ]
            self._send(json.dumps(tree).encode())

    def _resolve(self, name: str, revision: str, file: str) -> None:
        found = self._found(name, revision)
        if found is None:
            return
        commit, folder = found
        if self.server.models[name].gated and self._token != TOKEN:
            self._refuse(401, "GatedRepo", f"Access to model {name} is restricted.")
        elif not (folder / file).is_file():
            self._refuse(404, "EntryNotFound", "Entry not found")
        elif self.server.cdn and file.endswith(".safetensors"):
            self.send_response(302)
            self.send_header("Location", f"{self.server.cdn}/cdn/{name}/{revision}/{file}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send_file(folder / file, commit)

    def _cdn(self, name: str, revision: str, file: str) -> None:
        commit, folder = self.server.models[name].at(revision) or ("", Path())
        self._send_file(folder / file, commit)

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"error": message}).encode()
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._send(body, status, headers)

    def _send_file(self, path: Path, commit: str) -> None:
        data = path.read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": commit}
        if self._fault.garbled:
            data = bytes(255 - byte for byte in data)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not wanted or not self._fault.ranges:
            self._send(data, headers=headers)
            return
        first, last = int(wanted[1]), int(wanted[2] or len(data) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        self._send(data[first : last + 1], 206, headers)

    def _send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self._fault.cut_after
        for start in range(0, len(body) if cut is None else cut, PIECE_BYTES):
            if start > len(body) / 2 and len(body) > 10 * PIECE_BYTES:
                self.server.halfway.set()
                self.server.go_on.wait(60)
            self._write(body[start : start + PIECE_BYTES])
        if cut is not None:
            self.close_connection = True

    def _write(self, piece: bytes) -> None:
        try:
            self.wfile.write(piece)
        except ConnectionError:  # who asked is gone
            self.close_connection = True
        if self.server.bytes_per_s and len(piece) == PIECE_BYTES:
            time.sleep(len(piece) / self.server.bytes_per_s)

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def hub(folder: Path, address: str = "127.0.0.1", *, held: bool = False) -> Iterator[Hub]:
    """Run one for the length of a test; *held* keeps the second half of large files back."""
    server = Hub(folder, address)
    if not held:
        server.go_on.set()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        server.server_close()


def main() -> None:
    """Serve until Ctrl-C, for trying things by hand; slowly, if a rate is given."""
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("models/pocket")
    server = Hub(folder, "127.0.0.1", int(sys.argv[1]))
    server.go_on.set()
    server.bytes_per_s = float(sys.argv[3]) if len(sys.argv) > 3 else None
    print(f"HF_ENDPOINT={server.endpoint}  {', '.join(server.models)}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
