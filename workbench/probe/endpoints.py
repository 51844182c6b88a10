"""
Checks of what a server has besides chats.
"""

from __future__ import annotations

from ..servers.metrics_page import count_requests, text_of, vllm_names
from .base import Found, Target, fails, metrics_page, short, skips, warns, works
from .chats import QUESTION

TEXT = "Hello world"

NO_METRICS = "Without metrics nobody sees from outside what the server is doing."


def tokenize(target: Target) -> Found:
    """Turn a text into tokens and back, and a prompt with its template."""
    count = target.client.count(TEXT)
    ids = target.client.tokenize(TEXT).ids
    back = target.client.detokenize(ids)
    seen = f"{short(TEXT)} → {count} tokens, {len(ids)} with the chat template"
    if not count or len(ids) < count or TEXT not in back:
        return fails(f"{seen}, back {short(back)}", "Counts of tokens cannot be relied on.")
    return works(seen, "A prompt can be counted before it is sent.")


def embeddings(target: Target) -> Found:
    """Turn two texts into vectors."""
    vectors = target.client.embed([TEXT, QUESTION], model=target.model.name).vectors
    lengths = {len(vector) for vector in vectors}
    seen = f"2 texts → {len(vectors)} vectors of {', '.join(map(str, sorted(lengths))) or 0}"
    if len(vectors) != 2 or len(lengths) != 1 or 0 in lengths:
        return fails(seen, "Not one vector for each text.")
    return works(seen, "The model embeds texts.")


def responses(target: Target) -> Found:
    """Ask by OpenAI's newer API."""
    body = {"model": target.model.name, "input": QUESTION, "max_output_tokens": 256}
    answer = target.client.fetch("responses", body)
    text = _output_text(answer.get("output"))
    seen = f"POST /v1/responses → {answer.get('status')}, {short(text)}"
    if answer.get("object") != "response":
        return fails(seen, "It answers with something else than a response.")
    if not text:
        return warns(seen, "The model said nothing there.")
    return works(seen, "Programs made for OpenAI's Responses API can be pointed here.")


def _output_text(output: object) -> str:
    items = output if isinstance(output, list) else []
    parts = [part for item in items if isinstance(item, dict) for part in item.get("content") or ()]
    return "".join(part.get("text") or "" for part in parts if isinstance(part, dict))


def metrics(target: Target) -> Found:
    """Read ``/metrics``."""
    found = metrics_page(target)
    seen = f"GET /metrics → {found.status}"
    if found.status == 404:
        return skips(seen, NO_METRICS)
    if found.status != 200:
        said = found.error or found.body.decode(errors="replace")
        return fails(f"{seen} {short(said)}", NO_METRICS)
    page = text_of(found)
    if count_requests(page, "running") is None:
        return warns(f"{seen}, no vllm:num_requests_running", "It is not vLLM's page.")
    return works(
        f"{seen}, {len(set(vllm_names(page)))} of vLLM's own",
        "Queue, cache and latencies can be watched.",
    )
