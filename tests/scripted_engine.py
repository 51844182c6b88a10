"""
A stand-in for the engine's process, for what a healthy vLLM will not do on demand.

It is started by the embedded server's own command line, writes vLLM's log
lines, has two children in the same session as vLLM has, and answers just
enough for a boot. ``SCRIPT`` in the environment says how it misbehaves::

    (unset)       boots in a moment and serves
    die           ends during the boot with a traceback and status 1
    hang          never opens its port
    stubborn      serves, and its children ignore SIGTERM
    mute          serves, and answers no chat
    busy          serves, and says that two requests are under way

A second word is the model that it misbehaves with: ``die pocket-mini``.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORD, _, ONLY = os.environ.get("SCRIPT", "").partition(" ")
SCRIPT = WORD if not ONLY or ONLY in sys.argv else ""

BUSY = """\
vllm:num_requests_running{engine="0",model_name="pocket"} 1.0
vllm:num_requests_waiting{engine="0",model_name="pocket"} 1.0
"""

LOG = """\
(APIServer pid=1) INFO 11-23 18:41:02 [api_utils.py:286] non-default args: {'port': 1}
(EngineCore pid=2) INFO 11-23 18:41:12 [core.py:133] Initializing a V1 LLM engine (v0.32.0)
(Worker pid=3) INFO 11-23 18:41:27 [cpu_model_runner.py:68] Starting to load model pocket...
(Worker pid=3) INFO 11-23 18:41:27 [default_loader.py:501] Loading weights took 0.04 seconds
(Worker pid=3) INFO 11-23 18:41:28 [cpu_model_runner.py:87] Warming up model for the compilation
(EngineCore pid=2) INFO 11-23 18:42:06 [core.py:402] init engine (profile, create kv cache) took 3 s
(APIServer pid=1) INFO:     Application startup complete."""

DEATH = """\
(EngineCore pid=2) ERROR 11-23 18:41:28 [core.py:1] Traceback (most recent call last):
(EngineCore pid=2) ERROR 11-23 18:41:28 [core.py:1] ValueError: To serve at least one request \
with the model's max seq len (131072), (16.00 GiB KV cache is needed, which is larger than the \
available KV cache memory (1.0 GiB).
(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above."""


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/health":
            self._send({})
        elif self.path == "/version":
            self._send({"version": "0.32.0"})
        elif self.path == "/metrics":
            self._send_bytes((BUSY if SCRIPT == "busy" else BUSY.replace("1.0", "0.0")).encode())
        elif self.headers.get("Authorization") != f"Bearer {os.environ['VLLM_API_KEY']}":
            self._send({"error": {"message": "Unauthorized"}}, status=401)
        else:
            self._send({"data": [{"id": name, "max_model_len": 2048} for name in names()]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if SCRIPT == "mute" and self.path.endswith("/chat/completions"):
            self._send({"error": {"message": "no"}}, status=500)
            return
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        if asked.get("stream"):
            chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}
            events = (json.dumps(chunk), json.dumps({"choices": [], "usage": usage}), "[DONE]")
            data = "".join(f"data: {event}\n\n" for event in events)
            self._send_bytes(data.encode(), kind="text/event-stream")
            return
        self._send(
            {"id": "chatcmpl-1", "choices": [{**choice, "finish_reason": "stop"}], "usage": usage}
        )

    def _send(self, body: object, status: int = 200) -> None:
        self._send_bytes(json.dumps(body).encode(), status)

    def _send_bytes(self, data: bytes, status: int = 200, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: object) -> None:
        pass


def argument(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def names() -> list[str]:
    behind = sys.argv[sys.argv.index("--served-model-name") + 1 :]
    return list(itertools.takewhile(lambda word: not word.startswith("--"), behind))


def child() -> None:
    if SCRIPT == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("child up", flush=True)
    time.sleep(600)


def main() -> None:
    for _ in range(2):
        started = subprocess.Popen([sys.executable, __file__, "child"], stdout=subprocess.PIPE)
        assert started.stdout
        started.stdout.readline()  # it has set up its signals
    print(LOG if SCRIPT not in ("die", "hang") else LOG.splitlines()[0], flush=True)
    if SCRIPT == "die":
        print(DEATH, flush=True)
        os._exit(1)
    if SCRIPT == "hang":
        time.sleep(600)
    server = ThreadingHTTPServer(("127.0.0.1", int(argument("--port"))), Answers)
    server.serve_forever()


if __name__ == "__main__":
    child() if sys.argv[1:] == ["child"] else main()
