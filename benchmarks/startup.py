"""
Does ``workbench up`` cost anything over the bare vLLM server?

    python benchmarks/startup.py [--rounds 3] [--model pocket]

Both get the same flags and environment, in turns, and are timed from the
start of the process to the first decoded token. The bare one is
``python -m vllm.entrypoints.openai.api_server``, asked every 50 ms; the
workbench starts the same server by a script of its own. Goal: at most 1.10
times the bare one.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from workbench.servers import base
from workbench.servers.command import environment
from workbench.servers.embedded import EmbeddedServer, free_port
from workbench.servers.processes import ProcessGroup
from workbench.session import Session

POLL_S = 0.05


def bare_s(session: Session) -> float:
    """Start vLLM by hand, as the embedded server would, and wait for a token."""
    server = session.server
    assert isinstance(server, EmbeddedServer)
    spec, port = server.make_spec(None), free_port()
    url = f"http://127.0.0.1:{port}"
    module = "vllm.entrypoints.openai.api_server"
    command = [str(server.engine.python), "-m", module, *spec.flags(port)]
    tmp = Path(tempfile.mkdtemp(prefix="wb-"))
    before_s = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=environment(server.engine, api_key=server.api_key, tmp=tmp),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    group = ProcessGroup.of(process.pid)
    while base.ask(f"{url}/health").status != 200:
        if process.poll() is not None:
            sys.exit("the bare server ended; `workbench up` says why")
        time.sleep(POLL_S)
    answer = base.decode_one(f"{url}/v1", api_key=server.api_key, model=spec.served_model_name)
    took_s = time.perf_counter() - before_s
    group.stop(grace_s=10)
    process.wait()
    shutil.rmtree(tmp, ignore_errors=True)
    if answer.status != 200:
        sys.exit(f"the bare server does not decode: {answer.json}")
    return took_s


def workbench_s(model: str, state_dir: Path) -> float:
    """Run ``workbench up`` as a whole process, its own start included."""
    command = [sys.executable, "-m", "workbench", "up", "--model", model, "--port", "0"]
    environment = {"WORKBENCH_STATE_DIR": str(state_dir)}
    before_s = time.perf_counter()
    subprocess.run(
        ["env", *(f"{name}={value}" for name, value in environment.items()), *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - before_s


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="pocket")
    arguments = parser.parse_args()
    bare, ours = [], []
    with (
        tempfile.TemporaryDirectory(prefix="workbench-startup-") as folder,
        Session(model=arguments.model, port=0, state_dir=folder) as session,
    ):
        bare_s(session)  # not counted: fills the page cache for both
        for _ in range(arguments.rounds):
            bare.append(bare_s(session))
            ours.append(workbench_s(arguments.model, Path(folder)))
            session.down()
    ratio = statistics.median(ours) / statistics.median(bare)
    print(f"{'to the first decoded token':28}{'median':>9}{'min':>9}{'max':>9}")
    for name, values in (("bare vLLM", bare), ("workbench up", ours)):
        print(
            f"{name:28}{statistics.median(values):7.1f} s{min(values):7.1f} s{max(values):7.1f} s"
        )
    print(f"workbench up / bare vLLM: {ratio:.3f}   ({arguments.rounds} rounds each, in turns)")


if __name__ == "__main__":
    main()
