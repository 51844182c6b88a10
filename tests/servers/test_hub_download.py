"""How far a download is, from the files that grow and from what the hub says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from workbench.servers.hub_download import HubDownload

LISTING = {
    "siblings": [
        {"rfilename": "config.json", "size": 1_000},
        {"rfilename": "model-00001-of-00002.safetensors", "size": 5_000_000},
        {"rfilename": "model-00002-of-00002.safetensors", "size": 3_000_000},
        {"rfilename": "tokenizer.json", "size": 9_000},
        # The same weights once more, for other programs.
        {"rfilename": "pytorch_model.bin", "size": 8_000_000},
        {"rfilename": "original/consolidated.00.pth", "size": 8_000_000},
    ]
}


class Listing(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        body = json.dumps(LISTING).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    Listing.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Listing) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def download(hf_home: Path, endpoint: str, token: str | None = None) -> HubDownload:
    return HubDownload(hf_home, "meta/llama", revision="main", endpoint=endpoint, token=token)


def test_the_total_is_what_vllm_takes_and_is_asked_for_once(tmp_path: Path, endpoint: str):
    """Safetensors and small files; not the weights in other formats."""
    wanted = download(tmp_path, endpoint, token="hf_1")

    assert wanted.total_bytes() == 8_010_000
    assert wanted.total_bytes() == 8_010_000
    assert Listing.asked == [("/api/models/meta/llama/revision/main?blobs=true", "Bearer hf_1")]


def test_what_is_there_is_counted_whole_and_unfinished(tmp_path: Path, endpoint: str):
    """The cache's own layout; what is not begun is nothing."""
    wanted = download(tmp_path, endpoint)
    assert wanted.done_bytes() == 0

    blobs = tmp_path / "hub" / "models--meta--llama" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "abc").write_bytes(b"x" * 5_000)
    (blobs / "def.incomplete").write_bytes(b"x" * 300)
    # Made at its full length, and hardly filled.
    with (blobs / "ghi.incomplete").open("wb") as sparse:
        sparse.truncate(50_000_000)

    assert wanted.done_bytes() == 5_300


def test_a_hub_that_does_not_answer_leaves_the_total_unknown(tmp_path: Path):
    """There is progress all the same."""
    assert download(tmp_path, "http://127.0.0.1:9").total_bytes() is None
