"""
Write the page that a version of vLLM would write, from its source.

    python assemble.py FOLDER/vllm-0.33.0 > assembled-0.33.0.txt

FOLDER/vllm-0.33.0 is the unpacked source distribution. Its declarations of
metrics (names, texts, labels, buckets) are evaluated with the real
prometheus_client, and the made-up requests below are observed. Only what is
declared without a condition is there: no LoRA, no KV connector, nothing hidden.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry

CLASSES = {
    "_gauge_cls": prometheus_client.Gauge,
    "_counter_cls": prometheus_client.Counter,
    "_histogram_cls": prometheus_client.Histogram,
}
MAX_MODEL_LEN = 8192

# name → observations. Three requests: 30, 50 and 300 ms to the first token, 11 tokens each.
TIMES = {
    "vllm:time_to_first_token_seconds": (0.03, 0.05, 0.3),
    "vllm:inter_token_latency_seconds": (0.02,) * 30,
    "vllm:time_per_output_token_seconds": (0.02,) * 30,
    "vllm:request_time_per_output_token_seconds": (0.02,) * 3,
    "vllm:e2e_request_latency_seconds": (0.24, 0.26, 0.51),
    "vllm:request_queue_time_seconds": (0.001, 0.001, 0.201),
    "vllm:request_prefill_time_seconds": (0.025, 0.045, 0.095),
    "vllm:request_decode_time_seconds": (0.2, 0.2, 0.2),
    "vllm:request_inference_time_seconds": (0.225, 0.245, 0.295),
}
COUNTS = {
    "vllm:prompt_tokens": 120,
    "vllm:generation_tokens": 33,
    "vllm:prefix_cache_queries": 120,
    "vllm:prefix_cache_hits": 48,
    "vllm:num_preemptions": 1,
}
COUNTS |= {"vllm:gpu_prefix_cache_queries": 120, "vllm:gpu_prefix_cache_hits": 48}
GAUGES = {
    "vllm:num_requests_running": 2,
    "vllm:num_requests_waiting": 1,
    "vllm:kv_cache_usage_perc": 0.25,
    "vllm:gpu_cache_usage_perc": 0.25,
}
REASONS = {"stop": 2, "length": 1, "abort": 0}


def one_two_five(max_value: int) -> list[int]:
    steps = [base * 10**power for power in range(6) for base in (1, 2, 5)]
    return [step for step in steps if step <= max_value]


def declarations(source: Path) -> Iterator[tuple[Any, dict[str, ast.expr]]]:
    """Yield each metric that is made whatever the configuration, with its arguments."""
    for node in unconditional(ast.parse(source.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in CLASSES:
            arguments = {item.arg: item.value for item in node.keywords}
            # What takes its name or labels from the configuration (LoRA, cache_config_info) is out.
            if isinstance(arguments["name"], ast.Constant) and not any(
                isinstance(part, ast.Attribute) for part in ast.walk(arguments["labelnames"])
            ):
                yield CLASSES[node.func.attr], arguments


def unconditional(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.If):
            yield child
            yield from unconditional(child)


def buckets_of(folder: Path, source: Path) -> dict[str, Any]:
    """The buckets that the source names instead of writing them down at the metric."""
    names: dict[str, Any] = {"build_1_2_5_buckets": one_two_five}
    names |= {"max_model_len": MAX_MODEL_LEN}
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List):
            target = node.targets[0]
            if isinstance(target, ast.Name) and target.id.endswith("_buckets"):
                names[target.id] = ast.literal_eval(node.value)
    table = folder / "vllm/v1/metrics/buckets.py"
    if table.exists():  # 0.33: by family
        for node in ast.parse(table.read_text()).body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Tuple):
                names[f"{node.target.id.lower()}"] = ast.literal_eval(node.value)  # type: ignore[union-attr]
        names["request_tokens_buckets"] = one_two_five(MAX_MODEL_LEN)
    return names


def observe(metric: Any, name: str, labels: dict[str, str]) -> None:
    if isinstance(metric, prometheus_client.Histogram):
        for value in TIMES.get(name, ()):
            metric.labels(**labels).observe(value)
        metric.labels(**labels)
    elif isinstance(metric, prometheus_client.Counter):
        if "finished_reason" in metric._labelnames:
            for reason, count in REASONS.items():
                metric.labels(**labels, finished_reason=reason).inc(count)
        else:
            metric.labels(**labels).inc(COUNTS.get(name.removesuffix("_total"), 0))
    else:
        metric.labels(**labels).set(GAUGES.get(name, 0))


def page(folder: Path, source: Path, labels: dict[str, str]) -> str:
    registry = CollectorRegistry()
    names = buckets_of(folder, source) | {"labelnames": list(labels)}
    for made, arguments in declarations(source):
        values = {
            key: eval(compile(ast.Expression(value), "", "eval"), {}, names)
            for key, value in arguments.items()
            if key in ("name", "documentation", "labelnames", "buckets")
        }
        others = set(values["labelnames"]) - set(labels) - {"finished_reason"}
        if not others:  # with further labels it is nothing that the table knows
            observe(made(**values, registry=registry), values["name"], labels)
    return prometheus_client.generate_latest(registry).decode()


def started() -> str:
    return "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1.795579e+09\n"


if __name__ == "__main__":
    prometheus_client.disable_created_metrics()  # moments of the assembling
    folder = Path(sys.argv[1])
    old = "--v0" in sys.argv
    source = folder / ("vllm/engine/metrics.py" if old else "vllm/v1/metrics/loggers.py")
    labels = {"model_name": "pocket"} | ({} if old else {"engine": "0"})
    print(started() + page(folder, source, labels), end="")
