"""What watches a server: its files, by the programs that read them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from workbench.doctor import lint
from workbench.metric_names import METRICS
from workbench.servers.profiles import PROFILES
from workbench.setting_values import NO_SERVERS

PROJECT = Path(__file__).resolve().parent.parent.parent
OBSERVE = PROJECT / "container/observe"
DASHBOARD = json.loads((OBSERVE / "grafana/dashboards/vllm.json").read_text())
RULES_TEST = Path(__file__).with_name("rules.test.yml")
NO_PROMTOOL = "no promtool; on Debian or Ubuntu: apt-get install prometheus"


def dashboard_queries() -> list[str]:
    """Those of all panels."""
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def rule_queries() -> list[str]:
    """Those of the alerts."""
    groups = yaml.safe_load((OBSERVE / "rules.yml").read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def names_in(query: str) -> set[str]:
    """vLLM's names, without what the format adds."""
    found = re.findall(r"vllm:\w+", query)
    return {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in found}


ASKS_VLLM = [query for query in (*dashboard_queries(), *rule_queries()) if "vllm:" in query]


@pytest.mark.parametrize("query", ASKS_VLLM)
def test_a_query_asks_for_old_names_and_new(query: str):
    """All names of a metric stand in it, the newest first, so that no version leaves it empty."""
    asked = names_in(query)
    meant = [metric for metric in METRICS if asked & set(metric.names)]

    assert asked == {name for metric in meant for name in metric.names}
    for metric in meant:
        places = [query.index(name) for name in metric.names]
        assert places == sorted(places)


def test_every_panel_has_a_title_and_a_unit():
    """And reads from the datasource that is provisioned."""
    provisioned = yaml.safe_load(
        (OBSERVE / "grafana/provisioning/datasources/prometheus.yml").read_text()
    )
    (source,) = provisioned["datasources"]

    for panel in DASHBOARD["panels"]:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == source["uid"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_panels_do_not_lie_on_each_other():
    """Each place of the 24 columns is taken once."""
    taken = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_the_services_scraped_are_those_that_run_vllm():
    """A profile that is added is watched too."""
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    config = yaml.safe_load((OBSERVE / "prometheus.yml").read_text())
    (found,) = config["scrape_configs"][0]["dns_sd_configs"]

    assert {name.removesuffix(".") for name in found["names"]} == {
        name for name, service in services.items() if service["profiles"][0] not in NO_SERVERS
    }


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_who_watches_is_closed_and_changes_nothing(name: str):
    """On the loopback only, a pinned image, read-only but for its own volume, no capabilities."""
    service = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"][name]

    assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", service["image"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert all(mount.get("read_only") or mount["type"] == "volume" for mount in service["volumes"])


def test_the_sidecar_is_the_user_and_not_root():
    """Root's SQLite files in .workbench would stop the user's own recording."""
    service = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]["sidecar"]
    state = next(each for each in service["volumes"] if each["source"] == "./.workbench")

    assert service["user"] == "${WORKBENCH_UID:-1000}:${WORKBENCH_GID:-1000}"
    assert "cap_add" not in service
    assert state["bind"] == {"create_host_path": False}


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.processes
@pytest.mark.skipif(not shutil.which("promtool"), reason=NO_PROMTOOL)
def test_prometheus_takes_the_configuration(tmp_path: Path):
    """The file as it stands, with its rules; only the key's file is elsewhere."""
    key = tmp_path / "key"
    key.touch()
    text = (OBSERVE / "prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(text.replace("/tmp/vllm-api-key", str(key)))
    shutil.copy(OBSERVE / "rules.yml", tmp_path)

    done = run("promtool", "check", "config", "prometheus.yml", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "7 rules found" in done.stdout


@pytest.mark.processes
@pytest.mark.skipif(not shutil.which("promtool"), reason=NO_PROMTOOL)
def test_alerts_come_when_they_should_and_not_otherwise(tmp_path: Path):
    """A server that works hard, and one in every kind of trouble: tests/observe/rules.test.yml."""
    shutil.copy(OBSERVE / "rules.yml", tmp_path)
    shutil.copy(RULES_TEST, tmp_path)

    done = run("promtool", "test", "rules", "rules.test.yml", folder=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_both_ways():
    """Once when it should come, and once when not."""
    groups = yaml.safe_load((OBSERVE / "rules.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    tried = [
        {case["alertname"]: bool(case["exp_alerts"]) for case in test["alert_rule_test"]}
        for test in yaml.safe_load(RULES_TEST.read_text())["tests"]
    ]

    assert tried == [dict.fromkeys(alerts, False), dict.fromkeys(alerts, True)]


@pytest.mark.docker
@pytest.mark.parametrize("beside", [*PROFILES, None])
def test_compose_takes_the_profile_beside_every_other(beside: str | None, tmp_path: Path):
    """Not a word of complaint, and the server is as it is without."""
    (tmp_path / "docker-compose.yml").symlink_to(PROJECT / "docker-compose.yml")
    alone = ["--profile", beside] if beside else []

    def services(*profiles: str) -> dict[str, object]:
        command = ["docker", "compose", *profiles, "config", "--format", "json"]
        done = run(*command, folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        found: dict[str, object] = json.loads(done.stdout)["services"]
        return found

    both, one = services(*alone, "--profile", "observe"), services(*alone) if beside else {}

    assert both.keys() == one.keys() | {"prometheus", "grafana"}
    assert {name: both[name] for name in one} == one


def test_the_doctor_finds_nothing():
    """With what watches beside the server, chosen or not."""
    for chosen in ("", "observe", "cpu,observe"):
        report = lint(PROJECT / "docker-compose.yml", {"COMPOSE_PROFILES": chosen})
        assert report.findings == ()
