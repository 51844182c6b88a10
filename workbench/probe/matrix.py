"""
All questions, in the order in which they are asked and shown.
"""

from __future__ import annotations

from . import access, chats, endpoints, formats, slots, tools
from .base import Question

NO_TOOLS = (
    "The server does not call tools; vLLM does with --enable-auto-tool-choice --tool-call-parser."
)
NO_FORMATS = "The server does not keep answers to a form: check what comes."

QUESTIONS = (
    Question(group="basics", id="models", ask=chats.models),
    Question(group="basics", id="chat", ask=chats.chat),
    Question(group="basics", id="streaming", ask=chats.streaming),
    Question(
        group="basics",
        id="usage-in-stream",
        ask=chats.usage_in_stream,
        without="TPOT of streams is unknown (–).",
    ),
    Question(group="tools", id="tools-auto", ask=tools.auto, without=NO_TOOLS),
    Question(group="tools", id="tools-required", ask=tools.required, without=NO_TOOLS),
    Question(group="tools", id="tools-named", ask=tools.named, without=NO_TOOLS),
    Question(group="tools", id="tools-parallel", ask=tools.parallel, without=NO_TOOLS),
    Question(group="tools", id="tools-streamed", ask=tools.streamed, without=NO_TOOLS),
    Question(group="tools", id="tools-no-arguments", ask=tools.empty_arguments, without=NO_TOOLS),
    Question(group="output", id="json-schema", ask=formats.json_schema, without=NO_FORMATS),
    Question(group="output", id="regex", ask=formats.regex, without=NO_FORMATS),
    Question(
        group="sampling",
        id="logprobs",
        ask=chats.logprobs,
        without="How likely a token was is not told.",
    ),
    Question(group="sampling", id="n", ask=chats.several, without="Ask several times instead."),
    Question(group="sampling", id="seed", ask=chats.seed, without="Sampling cannot be repeated."),
    Question(group="sampling", id="stop", ask=chats.stop, without="Cut the answers yourself."),
    Question(group="limits", id="context-length", ask=chats.context_length),
    Question(group="limits", id="cancellation", ask=slots.cancellation),
    Question(
        group="endpoints",
        id="tokenize",
        ask=endpoints.tokenize,
        without="Prompts cannot be counted before they are sent.",
    ),
    Question(
        group="endpoints",
        id="embeddings",
        ask=endpoints.embeddings,
        without="This model writes and does not embed; that takes one made for it.",
    ),
    Question(
        group="endpoints",
        id="responses",
        ask=endpoints.responses,
        without="Programs made for OpenAI's Responses API need its chat API instead.",
    ),
    Question(group="endpoints", id="metrics", ask=endpoints.metrics),
    Question(group="access", id="access-models", ask=access.MODELS),
    Question(group="access", id="access-chat", ask=access.CHAT),
    Question(group="access", id="access-completions", ask=access.COMPLETIONS),
    Question(group="access", id="access-tokenize", ask=access.TOKENIZE),
    Question(group="access", id="access-metrics", ask=access.METRICS),
    Question(group="access", id="access-health", ask=access.HEALTH),
)
