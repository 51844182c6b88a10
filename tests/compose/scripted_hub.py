"""
A Hugging Face hub with the pocket model on it, which lets bytes through only as the test says.

As much of the hub's API as vLLM asks for on its way to a model: what a
repository holds, and its files, whole or from a byte on.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "somebody/pocket"
GATED = "somebody/gated"

PIECE_BYTES = 100_000


class Hub(ThreadingHTTPServer):
    """
    Serves one folder as ``somebody/pocket``; ``somebody/gated`` asks for a licence.

    Args:
        address: Where containers can reach it.

    ``go_on`` holds the weights back in the middle while it is clear.
    """

    daemon_threads = True

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__((address, 0), _Answers)
        self.folder = folder
        self.go_on = threading.Event()
        self.asked: list[str] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def siblings(self) -> list[dict[str, object]]:
        """List the files with their sizes, as ``?blobs=true`` has them."""
        files = sorted(path for path in self.folder.iterdir() if path.is_file())
        return [{"rfilename": path.name, "size": path.stat().st_size} for path in files]


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.server.asked.append(f"{self.command} {path}")
        file = re.fullmatch(rf"/{REPOSITORY}/resolve/[^/]+/(.+)", path)
        if GATED in path:
            self._refuse(401, "GatedRepo", f"Access to model {GATED} is restricted.")
        elif re.match(rf"/api/models/{REPOSITORY}/tree/", path):
            files = self.server.siblings()
            tree = [{"type": "file", "path": f["rfilename"], "size": f["size"]} for f in files]
            self._send(json.dumps([{**entry, "oid": COMMIT} for entry in tree]).encode())
        elif re.match(rf"/api/models/{REPOSITORY}($|/revision/)", path):
            info = {"id": REPOSITORY, "sha": COMMIT, "siblings": self.server.siblings()}
            self._send(json.dumps(info).encode())
        elif file and (self.server.folder / file[1]).is_file():
            self._send_file(self.server.folder / file[1])
        else:
            self._refuse(404, "EntryNotFound" if file else "RepoNotFound", "not found")

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"error": message}).encode()
        self._send(body, status, {"X-Error-Code": code, "X-Error-Message": message})

    def _send_file(self, path: Path) -> None:
        data = path.read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not wanted:
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
        for start in range(0, len(body), PIECE_BYTES):
            if start > len(body) / 2 and len(body) > 10 * PIECE_BYTES:
                self.server.go_on.wait(60)
            self.wfile.write(body[start : start + PIECE_BYTES])

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def hub(folder: Path, address: str) -> Iterator[Hub]:
    """Run one for the length of a test."""
    server = Hub(folder, address)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        server.server_close()
