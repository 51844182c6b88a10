"""Settings turn sinks on, and a wrong one breaks nothing but its own sink."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.telemetry.sinks.conftest import MakeRecords
from tests.telemetry.sinks.receiver import Request, receiving
from workbench.errors import SinkError
from workbench.settings import load
from workbench.telemetry.sinks import Sink, names_of, open_sinks

EVERYTHING = {
    "LOGGING_ENDPOINT": "http://localhost:5000/logs",
    "WORKBENCH_TELEMETRY_JSONL": "logs/requests.jsonl",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318",
    "AZURE_COSMOS_ENDPOINT": "https://account.documents.azure.com:443/",
    "AZURE_COSMOS_KEY": "a2V5",
    "AZURE_EVENTGRID_ENDPOINT": "https://topic.westeurope-1.eventgrid.azure.net/api/events",
    "AZURE_EVENTGRID_KEY": "key",
}


def opened(tmp_path: Path, **environ: str) -> list[Sink]:
    return open_sinks(load(environ=environ, cwd=tmp_path))


def test_nothing_is_sent_anywhere_unless_it_is_asked_for(tmp_path: Path):
    """Without a setting there is no sink."""
    assert opened(tmp_path) == []


def test_each_setting_turns_its_sink_on(tmp_path: Path):
    """Names stay what they are: the outbox knows each sink's progress by them."""
    names = [sink.name for sink in opened(tmp_path, **EVERYTHING)]

    assert names == ["http", "jsonl", "otel-traces", "otel-metrics", "cosmos", "eventgrid"]
    assert tuple(names) == names_of(load(environ=EVERYTHING, cwd=tmp_path))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LOGGING_ENDPOINT", "localhost:5000", "LOGGING_ENDPOINT is not a URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "OTLP_ENDPOINT is not a URL"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a header", "OTLP_HEADERS cannot be read"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'"),
        ("AZURE_COSMOS_ENDPOINT", "account", "AZURE_COSMOS_ENDPOINT is not an address"),
        ("AZURE_COSMOS_KEY", "no key", "AZURE_COSMOS_KEY is not a key"),
        ("AZURE_EVENTGRID_ENDPOINT", "topic", "AZURE_EVENTGRID_ENDPOINT is not an address"),
    ],
)
def test_a_wrong_setting_breaks_only_its_own_sink(
    tmp_path: Path, make_records: MakeRecords, name: str, value: str, said: str
):
    """The sink is there, and says what is wrong when it is sent something."""
    sinks = opened(tmp_path, **{**EVERYTHING, name: value})
    broken = [sink for sink in sinks if type(sink).__name__ == "BrokenSink"]
    for each in broken:
        with pytest.raises(SinkError, match=said) as caught:
            each.send(make_records(1))
        assert caught.value.sink == each.name
        assert caught.value.permanent
        assert caught.value.hint

    assert len(sinks) == 6
    assert len(broken) == (2 if name.startswith("OTEL") else 1)


def test_a_missing_library_names_its_line(tmp_path: Path):
    """Each of the optional ones, with the extra that has it; the other sinks are there."""
    code = (
        "import sys\n"
        "for name in ('opentelemetry.proto', 'azure.cosmos', 'azure.eventgrid'):\n"
        "    sys.modules[name] = None\n"
        "from pathlib import Path\n"
        "from workbench.settings import load\n"
        "from workbench.telemetry.sinks import open_sinks\n"
        f"for sink in open_sinks(load(environ={EVERYTHING!r}, cwd=Path({str(tmp_path)!r}))):\n"
        "    print(sink.name, getattr(getattr(sink, 'cause', None), 'hint', None), sep='|')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert dict(line.split("|") for line in done.stdout.splitlines()) == {
        "http": "None",
        "jsonl": "None",
        "otel-traces": "pip install 'vllm-workbench[otel]'",
        "otel-metrics": "pip install 'vllm-workbench[otel]'",
        "cosmos": "pip install 'vllm-workbench[azure]'",
        "eventgrid": "pip install 'vllm-workbench[azure]'",
    }


def test_without_a_key_it_is_whoever_is_signed_in(tmp_path: Path):
    """Making the credential asks nobody yet."""
    without = {name: value for name, value in EVERYTHING.items() if not name.endswith("_KEY")}

    assert "BrokenSink" not in {type(sink).__name__ for sink in opened(tmp_path, **without)}


def paths_asked(requests: list[Request]) -> list[str]:
    return [request.path for request in requests]


@pytest.mark.parametrize(
    ("more", "paths"),
    [
        ({}, ["/base/v1/traces", "/base/v1/metrics"]),
        ({"OTEL_METRICS_EXPORTER": "none"}, ["/base/v1/traces"]),
        ({"OTEL_TRACES_EXPORTER": "none"}, ["/base/v1/metrics"]),
        ({"OTEL_SDK_DISABLED": "true"}, []),
        ({"OTEL_SDK_DISABLED": "maybe"}, ["/base/v1/traces", "/base/v1/metrics"]),
    ],
)
def test_opentelemetrys_variables_mean_what_they_mean(
    tmp_path: Path, make_records: MakeRecords, more: dict[str, str], paths: list[str]
):
    """A base address gets a path for each signal; either can be left out, or both."""
    with receiving() as receiver:
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"{receiver.url}/base/"}
        for sink in opened(tmp_path, **endpoint, **more):
            sink.send(make_records(1))

        assert paths_asked(receiver.requests) == paths


def test_an_address_of_one_signal_stands_as_it_is(tmp_path: Path, make_records: MakeRecords):
    """It counts more than the base address, and alone sends nothing but its own signal."""
    with receiving() as receiver:
        endpoint = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.url}/spans"}
        [sink] = opened(tmp_path, **endpoint)
        sink.send(make_records(1))

        assert paths_asked(receiver.requests) == ["/spans"]


def test_a_token_in_the_settings_reaches_the_address(tmp_path: Path, make_records: MakeRecords):
    """And nothing that shows the settings."""
    with receiving() as receiver:
        environ = {
            "LOGGING_ENDPOINT": receiver.url.replace("//", "//me:s3cret@") + "/logs?code=s3cret",
            "LOGGING_ENDPOINT_TOKEN": "s3cret",
        }
        settings = load(environ=environ, cwd=tmp_path)
        [sink] = open_sinks(settings)
        sink.send(make_records(2))

        [request] = receiver.requests
        assert request.headers["Authorization"] == "Bearer s3cret"
        assert request.path == "/logs?code=s3cret"
        assert len(json.loads(request.body)["records"]) == 2
        assert "s3cret" not in f"{settings} {settings.described()}"
        assert f"{receiver.url}/logs" in str(settings.logging_endpoint)
