"""
The ways to say what an answer must look like, and reading it back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from ..errors import OutputFormatError
from ..records import Generation, OutputFormat

Parse = Callable[[str], Any]

KINDS = ("json_object", "json_schema", "regex", "choice", "grammar")

HINT_CUT = "The answer was cut off at max_tokens; raise it."
HINT_NOT_KEPT = "Does this server keep answers to a format? `workbench probe` tells."


def as_output(output: object) -> tuple[OutputFormat, Parse]:
    """
    Return the format to ask for, and what reads such an answer.

    Args:
        output: An :class:`~workbench.records.OutputFormat`, a JSON schema, or a
            type: a pydantic model, a dataclass, ``list[int]``, a ``TypedDict``.

    Raises:
        TypeError: It is none of these.
    """
    if isinstance(output, OutputFormat):
        if output.kind not in KINDS:
            raise TypeError(f"an output's kind is one of {', '.join(KINDS)}, not {output.kind!r}")
        return output, json.loads if output.kind.startswith("json") else str
    if isinstance(output, Mapping):
        return OutputFormat(kind="json_schema", value=dict(output)), json.loads
    import pydantic

    try:
        adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(cast(Any, output))
        schema = adapter.json_schema()
    except (pydantic.errors.PydanticUserError, NameError) as exc:
        raise TypeError(f"an output is a type, a JSON schema or an OutputFormat: {exc}") from exc
    return OutputFormat(kind="json_schema", value=schema), adapter.validate_json


def parsed(generation: Generation, parse: Parse) -> object:
    """
    Read the answer.

    Raises:
        OutputFormatError: It is not what was asked for.
    """
    try:
        return parse(generation.text)
    except (ValueError, RecursionError) as exc:  # json's and pydantic's; brackets without end
        raise OutputFormatError(
            f"The answer is not of the form that was asked for: {_first_line(exc)}",
            hint=HINT_CUT if generation.finish_reason == "length" else HINT_NOT_KEPT,
            base_url=generation.base_url,
            request_id=generation.request_id,
            partial=generation,
        ) from exc


def _first_line(exc: Exception) -> str:
    # pydantic writes a line for the model, one for the field, one for the reason.
    return " ".join(line.strip() for line in str(exc).splitlines()[:3])
