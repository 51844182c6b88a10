"""
Checks of answers: whole, streamed, sampled, ended, too long.
"""

from __future__ import annotations

from dataclasses import replace

from .. import units
from ..errors import ContextLengthError, RequestRejectedError
from ..records import Generation, SamplingParams
from .base import GREEDY, SHORT, THINKS, Found, Target, fails, short, skips, warns, works

QUESTION = "What is vLLM?"
LONG_QUESTION = "Count to twenty."
OPEN_QUESTION = "Tell me something about GPUs."

SAMPLED = SamplingParams(temperature=1, max_tokens=32)

LONGEST_TRIED = 300_000
"""Tokens. Beyond, the prompt alone is megabytes, and says nothing new."""

SEVERAL_TOKENS = 8
"""An answer of so many in a single read was held back; a shorter one may be just quick."""

NO_WORDS = "The model said nothing. Is it made for chats?"


def models(target: Target) -> Found:
    """List what is served."""
    served = target.client.models()
    names = ", ".join(model.name for model in served) or "nothing"
    seen = f"GET /v1/models → {names}"
    if target.model.name not in {model.name for model in served}:
        return warns(seen, f"{target.model.name} is answered for and not listed.")
    return works(seen, "Clients find the model's name by themselves.")


def chat(target: Target) -> Found:
    """Ask for a whole answer."""
    answer = target.client.chat(QUESTION, GREEDY)
    seen = f"{short(QUESTION)} → {_said(answer)}"
    if not (answer.text or answer.reasoning):
        return warns(seen, NO_WORDS)
    if answer.finish_reason is None:
        return warns(f"{seen}, no finish reason", "A whole answer cannot be told from a cut one.")
    return works(seen, "Whole answers come.")


def streaming(target: Target) -> Found:
    """Ask for a stream; look whether it comes in pieces, and makes the same whole."""
    answer = target.client.stream(QUESTION, GREEDY).read()
    chunks, moments = len(answer.timings.chunks_s), len(set(answer.timings.chunks_s))
    seen = f"{units.count(chunks, 'chunk')} in {units.count(moments, 'read')} → {_said(answer)}"
    if not (answer.text or answer.reasoning):
        return warns(seen, NO_WORDS)
    if moments == 1 and _tokens(answer) >= SEVERAL_TOKENS:
        return warns(seen, "All came at once: something holds streams back, often a proxy.")
    whole = target.client.chat(QUESTION, GREEDY)
    if _words(whole) != _words(answer):
        return warns(
            f"{seen}; not streamed {_said(whole)}",
            "The greedy answer differs with streaming: rounding in batches, or a lost chunk.",
        )
    return works(seen, "Answers can be shown while they come.")


def usage_in_stream(target: Target) -> Found:
    """Ask for token counts at a stream's end (``stream_options.include_usage``)."""
    usage = target.client.stream(QUESTION, SHORT).read().usage
    if usage is None:
        return warns(
            "include_usage → no usage", "TPOT and tokens of streamed answers are unknown (–)."
        )
    seen = f"include_usage → {usage.input_tokens} in, {usage.output_tokens} out"
    return works(seen, "TPOT and throughput of streamed answers are known.")


def logprobs(target: Target) -> Found:
    """Ask for the log probability of each token, and of two others there."""
    params = replace(SHORT, max_tokens=5, logprobs=True, top_logprobs=2)
    answer = target.client.chat(QUESTION, params)
    tokens = answer.usage.output_tokens if answer.usage else None
    seen = f"top_logprobs=2 → {len(answer.logprobs)} of {tokens or 'unknown'} tokens"
    if not answer.logprobs:
        return fails(seen, "The server passes over logprobs without a word.")
    if not all(line.logprob <= 0 and line.top for line in answer.logprobs):
        return fails(seen, "Some are above 0 or lack the others: they are no log probabilities.")
    return works(seen, "Tokens come with how likely they were.")


def several(target: Target) -> Found:
    """Ask for two answers at once."""
    answer = target.client.chat(QUESTION, replace(SAMPLED, n=2))
    count = 1 + len(answer.alternatives)
    seen = f"n=2 → {units.count(count, 'answer')}"
    if count != 2:
        return fails(seen, "The server passes over n without a word; ask several times instead.")
    return works(seen, "Several answers cost one prompt.")


def seed(target: Target) -> Found:
    """Sample twice from one seed, and once from another."""
    first, again, other = (
        target.client.chat(OPEN_QUESTION, replace(SAMPLED, seed=number)) for number in (1, 1, 2)
    )
    seen = f"temperature=1, seed=1 twice → {_said(first)}"
    if _words(first) != _words(again):
        return warns(f"{seen}, then {_said(again)}", "Sampling cannot be repeated by its seed.")
    if _words(first) == _words(other):
        return warns(
            f"{seen}, and with seed=2", "Repeatable, but the seed changes nothing: it may be idle."
        )
    return works(f"{seen}, both times", "Sampling can be repeated while the server is as idle.")


def stop(target: Target) -> Found:
    """Stop at a word that the model says by itself."""
    free = target.client.chat(LONG_QUESTION, GREEDY)
    words = free.text.split()
    if len(words) < 3:
        return warns(
            f"{short(LONG_QUESTION)} → {_said(free)}",
            THINKS if free.finish_reason == "length" else "Too little to stop in.",
        )
    word = words[2]
    held = target.client.chat(LONG_QUESTION, replace(GREEDY, stop=(word,)))
    seen = f"stop={word!r} → {_said(held)}, finish reason {held.finish_reason}"
    if word in held.text:
        return fails(seen, "The server passes over stop; cut the answers yourself.")
    if held.finish_reason != "stop":
        return warns(seen, "This time the model did not come to the word.")
    return works(seen, "Answers end where they should, without the stop text.")


def context_length(target: Target) -> Found:
    """Send a prompt that is too long, and look how that is refused."""
    longest = target.model.max_model_len
    if longest is None or longest > LONGEST_TRIED:
        known = "no max_model_len" if longest is None else f"max_model_len={longest}"
        return skips(f"GET /v1/models → {known}", "What is surely too long is not known here.")
    asked = f"{longest + 1} words"
    try:
        answer = target.client.chat("a " * (longest + 1), SamplingParams(max_tokens=1))
    except ContextLengthError as exc:
        return _limit(asked, exc, longest)
    except RequestRejectedError as exc:
        seen = f"{asked} → {exc.status_code}: {short(exc.message)}"
        return warns(seen, "It is refused, but a program cannot tell that from other mistakes.")
    seen = f"{asked} → {_said(answer)}"
    return warns(seen, "What does not fit is cut off without a word: count tokens before sending.")


def _limit(asked: str, error: ContextLengthError, longest: int) -> Found:
    inputs, limit = error.input_tokens, error.max_model_len
    told = "unknown" if inputs is None else inputs
    seen = f"{asked} → {error.status_code}, input tokens {told}, max model len {limit}"
    if limit is None:
        return warns(seen, "It is a ContextLengthError, which does not say what would fit.")
    if limit != longest:
        return fails(seen, f"/v1/models says {longest}: one of the two is wrong.")
    if inputs is None:
        return warns(seen, "It does not say how long the prompt is: Client.tokenize does.")
    return works(seen, "ContextLengthError says how long the prompt is, and how much fits.")


def _tokens(answer: Generation) -> int:
    return answer.usage.output_tokens if answer.usage else len(answer.text.split())


def _words(answer: Generation) -> tuple[str, str | None]:
    return answer.text, answer.reasoning


def _said(answer: Generation) -> str:
    if answer.text or not answer.reasoning:
        return short(answer.text)
    return f"(thinking) {short(answer.reasoning)}"
