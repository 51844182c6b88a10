"""A real Prometheus that scrapes a real vLLM, asked what the dashboard asks."""

from __future__ import annotations

import json
import math
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers import eventually
from tests.observe.test_config import OBSERVE, dashboard_queries, rule_queries
from workbench import scrapes
from workbench.records import SamplingParams
from workbench.session import Session
from workbench.urls import root_url

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        not shutil.which("prometheus"),
        reason="no prometheus; on Debian or Ubuntu: apt-get install prometheus",
    ),
]

Ask = Callable[[str], list[dict[str, Any]]]
OVER = "5m"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def configuration(served: Session, folder: Path) -> Path:
    """The project's, with this server instead of the compose file's services, and quicker."""
    config = yaml.safe_load((OBSERVE / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (job,) = config["scrape_configs"]
    del job["dns_sd_configs"]
    address = root_url(served.server.base_url).removeprefix("http://")
    job["static_configs"] = [{"targets": [address]}]
    key = folder / "key"
    key.write_text(served.server.api_key or "")
    key.chmod(0o600)
    job["authorization"]["credentials_file"] = str(key)
    shutil.copy(OBSERVE / "rules.yml", folder)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    return folder / "prometheus.yml"


@pytest.fixture
def ask(served: Session, tmp_path: Path) -> Iterator[Ask]:
    """Start Prometheus, and return what evaluates a query in it over HTTP."""
    port = free_port()
    log = (tmp_path / "log").open("wb")
    command = [
        "prometheus",
        f"--config.file={configuration(served, tmp_path)}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    running = subprocess.Popen(command, stdout=log, stderr=log)

    def query(expression: str) -> list[dict[str, Any]]:
        words = urllib.parse.urlencode({"query": expression})
        url = f"http://127.0.0.1:{port}/api/v1/query?{words}"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                found: list[dict[str, Any]] = json.load(response)["data"]["result"]
        except urllib.error.HTTPError as exc:
            if exc.code != HTTPStatus.SERVICE_UNAVAILABLE:  # it is starting
                raise
            return []
        except OSError:
            return []
        return found

    try:
        assert eventually(lambda: query('up{job="vllm"} == 1'), within_s=30), log.name
        yield query
    finally:
        running.terminate()
        running.wait()
        log.close()


def number(found: list[dict[str, Any]]) -> float:
    (one,) = found
    return float(one["value"][1])


def test_every_panel_and_rule_has_an_answer(served: Session, ask: Ask):
    """None of the dashboard is empty for want of a name; no alert is on, and none is refused."""
    was = number(ask("sum(vllm:generation_tokens_total)"))
    for _ in range(2):
        served.stream("What is a KV cache?", SamplingParams(temperature=0)).read()
    assert eventually(lambda: number(ask("sum(vllm:generation_tokens_total)")) > was, within_s=15)

    empty = []
    for query in dashboard_queries():
        filled = query.replace("$__rate_interval", OVER).replace("$instance", ".*")
        values = [float(each["value"][1]) for each in ask(filled)]
        if not values or all(map(math.isnan, values)):
            empty.append(query)

    assert empty == []
    assert [query for query in rule_queries() if ask(query)] == []


def test_our_arithmetic_is_promqls(served: Session, ask: Ask):
    """The same buckets, the same quantiles, to the last digit."""
    served.stream("Count from 1 to 50.", SamplingParams(temperature=0)).read()
    count = "sum(vllm:inter_token_latency_seconds_count)"
    assert eventually(lambda: number(ask(count)) == _count(served, "itl"), within_s=15)
    page = served.scrape()
    start = scrapes.at_start(page)
    assert start is not None

    for name, theirs in {
        "itl": "inter_token_latency_seconds",
        "ttft": "time_to_first_token_seconds",
        "e2e": "e2e_request_latency_seconds",
    }.items():
        seen = scrapes.observed(start, page, name)
        for share in (0.5, 0.95, 0.99):
            buckets = f"sum by (le) (vllm:{theirs}_bucket)"
            quantile = number(ask(f"histogram_quantile({share}, {buckets})"))
            assert scrapes.quantile(seen, share) == pytest.approx(quantile, rel=1e-9)


def _count(served: Session, name: str) -> float:
    page = served.scrape()
    start = scrapes.at_start(page)
    assert start is not None
    seen = scrapes.observed(start, page, name)
    return seen.count if seen else 0.0
