"""A load from the nodes of a Ray cluster: two of them, on this machine."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import statistics
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.bench.against import asked, exact, told
from tests.helpers import eventually
from workbench.bench import arrivals, http1, ray_workers
from workbench.bench.load import Interrupted, Progress
from workbench.errors import ServerUnreachableError
from workbench.servers.embedded import free_port
from workbench.session import Session

pytest.importorskip("ray", reason="pip install 'vllm-workbench[ray]'")

pytestmark = [
    pytest.mark.processes,
    # Ray leaves its log files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PORTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "runtime_env_agent_port",
    "dashboard_agent_listen_port",
)
ATTEMPTS = 3
LONGEST_S = 300


def started(cluster: Any, **options: object) -> None:
    """
    Start a node that takes little, and waits for fewer ports than it may choose.

    It gives up after fifteen seconds of starting, which a busy machine needs (see ray_nodes/);
    what is tested here is not whether Ray starts.
    """
    for attempts_left in reversed(range(ATTEMPTS)):
        ports = {name: free_port() for name in PORTS}
        try:
            cluster.add_node(num_cpus=1, object_store_memory=80 * 1024 * 1024, **ports, **options)
        except Exception:
            # Ray raises no class of its own there.
            if not attempts_left:
                raise
        else:
            return


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    """End the run if a call of Ray's client waits for ever: so it did once, for minutes."""
    faulthandler.dump_traceback_later(LONGEST_S, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Start two nodes and be connected to them, as somebody from outside is."""
    with pytest.MonkeyPatch.context() as patch:
        nodes = Path(__file__).parent / "ray_nodes"
        patch.setenv("PYTHONPATH", os.pathsep.join([str(nodes), os.environ.get("PYTHONPATH", "")]))
        from ray.cluster_utils import Cluster

        made, port = Cluster(), free_port()
        on_sigterm = signal.getsignal(signal.SIGTERM)
        try:
            started(made, include_dashboard=False, ray_client_server_port=port)
            started(made)
            address = f"ray://127.0.0.1:{port}"
            with ray_workers.connected(address):
                yield address
        finally:
            made.shutdown()
            signal.signal(signal.SIGTERM, on_sigterm)
            gc.collect()  # while its unclosed files are no warning of another test


def test_two_nodes_send_one_load(cluster: str):
    """Each request once, under its own number, and as many at once as one process would."""
    with exact("--ttft-ms=20", "--itl-ms=5", "--tokens=7") as to:
        load = ray_workers.run(
            to, asked(to, 12), arrivals.at_once(12), address=cluster, concurrency=5
        )

    assert [sent.number for sent in load.requests] == list(range(12))
    ids = [sent.answer.request_id for sent in load.requests]
    assert ids == [f"chatcmpl-{number:020d}" for number in range(12)]
    assert [len(sent.answer.stamps_s) for sent in load.requests] == [7] * 12
    edges = [(sent.sent_s or 0, 1) for sent in load.requests]
    edges += [(sent.done_s or 0, -1) for sent in load.requests]
    steps = [step for _, step in sorted(edges)]
    slack = 1  # the two nodes' clocks are not the same to the last
    assert max(sum(steps[: n + 1]) for n in range(len(steps))) <= 5 + slack
    assert load.workers
    assert (len(load.workers.names), load.workers.processes, load.workers.lost) == (2, 2, ())


def test_times_of_both_nodes_are_on_this_machines_clock(cluster: str):
    """
    The yardstick's times and the nodes' are of one clock here, so what was measured as another
    clock is an error: half of the first tokens are within what is said of it, and 2 ms.
    """
    with exact("--ttft-ms=50", "--itl-ms=10", "--tokens=2") as to:
        load = ray_workers.run(to, asked(to, 8), arrivals.at_once(8), address=cluster)
        server = told(to)

    assert load.workers
    off_s = [sent.answer.stamps_s[0] - server[str(sent.number)][0] for sent in load.requests]
    assert 0 < load.workers.clock_error_s < 0.5
    assert statistics.median(map(abs, off_s)) <= load.workers.clock_error_s + 0.002
    sent_s = [sent.sent_s for sent in load.requests if sent.sent_s]
    assert max(sent_s) - min(sent_s) < 0.1 + 2 * load.workers.clock_error_s


def relays() -> list[psutil.Process]:
    """Return the processes in which a node's relay lives, as Ray names them."""
    every = psutil.process_iter(["cmdline"])
    return [each for each in every if (each.info["cmdline"] or [""])[0].startswith("ray::Relay")]


def test_what_a_lost_worker_was_to_send_is_counted_as_failed(cluster: str):
    """It is named, its six requests are errors, and the other's six are kept."""
    told_so_far: list[Progress] = []

    def kill_one_when_tokens_have_come() -> None:
        eventually(lambda: told_so_far and told_so_far[-1].tokens)
        relays()[0].kill()

    with exact("--ttft-ms=5", "--itl-ms=100", "--tokens=40") as to:
        threading.Thread(target=kill_one_when_tokens_have_come, daemon=True).start()
        load = ray_workers.run(
            to,
            asked(to, 12),
            arrivals.at_once(12),
            address=cluster,
            on_progress=told_so_far.append,
        )

    assert load.workers
    (lost,) = load.workers.lost
    failed = [sent.number for sent in load.requests if sent.answer.error]
    assert failed in ([0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11])
    assert {sent.answer.error for sent in load.requests} - {None} == {
        f"Worker {lost} is lost (ActorDiedError)."
    }
    kept = [sent for sent in load.requests if not sent.answer.error]
    assert [len(sent.answer.stamps_s) for sent in kept] == [40] * 6


def test_interrupted_they_keep_what_there_was(cluster: str):
    """Ctrl-C: answers under way have an error and the times until then."""
    told_so_far: list[Progress] = []

    def stop_when_tokens_have_come() -> None:
        eventually(lambda: told_so_far and told_so_far[-1].tokens)
        os.kill(os.getpid(), signal.SIGINT)

    with exact("--ttft-ms=5", "--itl-ms=50", "--tokens=1000") as to:
        threading.Thread(target=stop_when_tokens_have_come, daemon=True).start()
        with pytest.raises(Interrupted) as stopped:
            ray_workers.run(
                to,
                asked(to, 4),
                arrivals.at_once(4),
                address=cluster,
                on_progress=told_so_far.append,
            )

    load = stopped.value.load
    assert [sent.number for sent in load.requests] == [0, 1, 2, 3]
    assert {sent.answer.error for sent in load.requests} == {"Stopped by the user."}
    assert load.workers
    assert len(load.workers.names) == 2


def test_a_server_that_a_worker_does_not_reach_is_said_with_its_name(cluster: str):
    """Before anything was sent."""
    to = http1.target("http://127.0.0.1:9/v1")

    with pytest.raises(ServerUnreachableError, match=r"^Worker .+: Connection 1 of"):
        ray_workers.run(to, asked(to, 4), arrivals.at_once(4), address=cluster)


def test_a_measurement_says_who_sent_it(cluster: str, tmp_path: Path):
    """As from one machine, with warm-up and all, and the clocks' error in the result."""
    with (
        exact("--ttft-ms=20", "--itl-ms=5", "--tokens=7") as to,
        Session(base_url=f"http://{to.host}:{to.port}/v1", state_dir=str(tmp_path)) as session,
    ):
        (result,) = session.bench(workers=cluster, concurrency=2, num_prompts=6, input_len=5)

    assert (result.metrics.completed, result.metrics.output_tokens) == (6, 42)
    assert result.metrics.ttft
    assert result.metrics.ttft.median == pytest.approx(0.02, abs=0.01)
    assert result.workers
    assert len(result.workers.names) == 2
