"""
A registry that serves one image and misbehaves on request: slowly, or cut off in the middle.

Just enough of the Distribution API for ``docker pull``
(https://github.com/opencontainers/distribution-spec/blob/main/spec.md). The
daemon speaks plain HTTP to 127.0.0.1.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import re
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LAYER_BYTES = 3_000_000
PIECE_BYTES = 50_000
CUT_PACE_S = 0.02

INDEX = "application/vnd.docker.distribution.manifest.v2+json"


class Registry(ThreadingHTTPServer):
    """
    Serves ``image`` with two layers, also from a byte on, as Docker asks after a break.

    ``go_on`` holds every answer back while it is clear; ``cut`` makes it hang
    up after half of a layer, slowly enough that the daemon, which reports ten
    times a second, has told of the bytes before.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.go_on = threading.Event()
        self.go_on.set()
        self.cut = False
        self.blobs: dict[str, bytes] = {}
        self.manifest = self._make_image()

    @property
    def image(self) -> str:
        """What to pull."""
        return f"127.0.0.1:{self.server_address[1]}/vllm:test"

    def _make_image(self) -> bytes:
        layers = [_layer(seed) for seed in (1, 2)]
        diff_ids = [_digest(gzip.decompress(layer)) for layer in layers]
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
            }
        ).encode()
        kind = "application/vnd.docker.image.rootfs.diff.tar.gzip"
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": INDEX,
                "config": self._add(config, "application/vnd.docker.container.image.v1+json"),
                "layers": [self._add(layer, kind) for layer in layers],
            }
        ).encode()

    def _add(self, blob: bytes, kind: str) -> dict[str, object]:
        self.blobs[_digest(blob)] = blob
        return {"mediaType": kind, "size": len(blob), "digest": _digest(blob)}


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        what = self.path.rsplit("/", 1)[-1]
        if self.path == "/v2/":
            self._send(b"{}", "application/json")
        elif "/manifests/" in self.path and what in ("test", _digest(self.server.manifest)):
            self._send(self.server.manifest, INDEX)
        elif what in self.server.blobs:
            self._send(self.server.blobs[what], "application/octet-stream")
        else:
            self._send(b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', "application/json", 404)

    def _send(self, body: bytes, kind: str, status: int = 200) -> None:
        first = self._first_byte()
        self.send_response(206 if first else status)
        self.send_header("Content-Type", kind)
        self.send_header("Docker-Content-Digest", _digest(body))
        self.send_header("Content-Length", str(len(body) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        for start in range(first, len(body), PIECE_BYTES):
            self.server.go_on.wait()
            if self.server.cut:
                if start > LAYER_BYTES / 2:
                    self.close_connection = True
                    return
                time.sleep(CUT_PACE_S)
            self.wfile.write(body[start : start + PIECE_BYTES])

    def _first_byte(self) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(asked[1]) if asked else 0

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def registry() -> Iterator[Registry]:
    """Run one for the length of a test."""
    server = Registry()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        server.server_close()


def _layer(seed: int) -> bytes:
    data = random.Random(seed).randbytes(LAYER_BYTES)  # does not compress
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(f"layer-{seed}")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
