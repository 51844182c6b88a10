"""
LangChain's model over the same server, with a record of each answer.

`workbench migrate --write` put it here, and it is yours, as ``llm_client.py``.
"""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_openai import ChatOpenAI, OpenAI
from llm_client import MODEL, SERVER, Record


class Recorder(BaseCallbackHandler):
    """Tells what LangChain's requests were, as ``llm_client`` tells its own."""

    def __init__(self) -> None:
        self.records: dict[Any, Record] = {}

    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: Any, **how: Any
    ) -> None:
        """Begin a chat's record."""
        said = [{"role": each.type, "content": each.content} for each in messages[0]]
        self._start({"messages": said}, run_id, how)

    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: Any, **how: Any) -> None:
        """Begin a completion's record."""
        self._start({"prompt": prompts[0]}, run_id, how)

    def on_llm_end(self, response: Any, *, run_id: Any, **_how: Any) -> None:
        """Tell how it went."""
        record = self.records.pop(run_id)
        answer = response.generations[0][0]
        usage = getattr(getattr(answer, "message", None), "usage_metadata", None) or {}
        facts = answer.generation_info or {}
        with record:
            record.facts["input_tokens"] = usage.get("input_tokens")
            record.facts["output_tokens"] = usage.get("output_tokens")
            record.saw({"choices": [{"message": {}, **facts}]})

    def on_llm_error(self, error: BaseException, *, run_id: Any, **_how: Any) -> None:
        """Tell that it failed."""
        self.records.pop(run_id).__exit__(type(error), error, None)

    def _start(self, asked: dict[str, Any], run_id: Any, how: dict[str, Any]) -> None:
        params = {**how.get("invocation_params", {}), **asked, "model": MODEL}
        self.records[run_id] = Record(params, streamed=False)


def chat_model(**params: Any) -> ChatOpenAI:
    """Make the chat model; *params* are ``ChatOpenAI``'s."""
    return ChatOpenAI(**_with_recorder(params))


def completion_model(**params: Any) -> OpenAI:
    """Make the model that goes on with a text; *params* are ``langchain_openai.OpenAI``'s."""
    return OpenAI(**_with_recorder(params))


def _with_recorder(params: dict[str, Any]) -> dict[str, Any]:
    """Say the server, the model, and who is told of answers, beside whom the application tells."""
    given = params.pop("callbacks", None) or []
    if not isinstance(given, list):  # a callback manager
        given.add_handler(Recorder())
        return {**SERVER, "model": MODEL, "callbacks": given, **params}
    return {**SERVER, "model": MODEL, "callbacks": [*given, Recorder()], **params}
