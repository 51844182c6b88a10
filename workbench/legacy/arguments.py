"""
The arguments of a call, moved: old names and meanings in, new ones out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import libcst as cst

from .parameters import Interface, Rule, parameter_map

NOWHERE = cst.Module([])


def code(node: cst.CSTNode) -> str:
    """Write a node as it stands in the source."""
    return NOWHERE.code_for_node(node).strip()


@dataclass(frozen=True, slots=True)
class Given:
    """
    An argument as it was said; *name* is ``None`` for ``**rest``.

    Args:
        behind: The comment on its line.

        above: Lines with comments, and empty ones, before it.
    """

    name: str | None
    value: cst.BaseExpression
    behind: cst.TrailingWhitespace | None = None
    above: Sequence[cst.EmptyLine] = ()


@dataclass(slots=True, kw_only=True)
class Moved:
    """What is said from now on, and what is to be known about it."""

    arguments: list[Given] = field(default_factory=list)
    extra: list[tuple[str, cst.BaseExpression]] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    decide: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def all_arguments(self) -> list[Given]:
        """List the arguments, those of ``extra_body`` as one."""
        if not self.extra:
            return self.arguments
        inside = ", ".join(f'"{name}": {code(value)}' for name, value in self.extra)
        return [*self.arguments, Given("extra_body", cst.parse_expression(f"{{{inside}}}"))]


def move(interface: Interface, given: Sequence[Given]) -> Moved:
    """
    Move what a request says.

    What was the old library's default, and is not the server's, is said from
    now on: else an answer would be another one without anybody having asked.
    """
    rules = parameter_map().rules[interface.table]
    moved = Moved()
    given = _flat(given, moved)
    for each in given:
        _move_one(each, rules, interface, moved)
    if interface.name == "ollama_generate":
        _one_message(given, moved)
    if all(each.name is not None for each in given):
        _say_defaults(interface, {each.name: code(each.value) for each in given}, moved)
    return moved


def move_server(given: Iterable[Given], table: str) -> Moved:
    """Move what was said when a model was loaded; most of it is the server's now."""
    rules = parameter_map().rules[table]
    moved = Moved()
    for each in given:
        rule = rules.get(each.name or "")
        said = code(each.value)
        if each.name is None:
            moved.decide.append(f"what is in **{said} belongs to the server now")
        elif rule is None:
            moved.decide.append(f"{each.name}={said}: the workbench does not know it")
        elif rule.becomes:
            moved.arguments.append(Given(rule.becomes, each.value))
        elif rule.decide and said not in rule.off:
            moved.decide.append(f"{each.name}={said}: {rule.decide}")
        elif rule.server:
            moved.changes.append(f"{each.name}={said} is the server's: {rule.server}")
            if rule.note and said not in ("None", "False"):
                moved.notes.append(f"{each.name}={said} is the server's now: {rule.server}")
    return moved


def _flat(given: Sequence[Given], moved: Moved) -> list[Given]:
    """Take Ollama's options out of their dictionary."""
    flat: list[Given] = []
    for each in given:
        inside = dict_items(each.value) if each.name == "options" else None
        if each.name != "options":
            flat.append(each)
        elif inside is None:
            moved.decide.append(f"options={code(each.value)}: its names have to be moved by hand")
        else:
            flat += inside
    return flat


def _move_one(each: Given, rules: object, interface: Interface, moved: Moved) -> None:
    assert isinstance(rules, dict)
    said = code(each.value)
    if each.name is None:
        moved.arguments.append(each)
        moved.decide.append(f"what is in **{said} has its old names: see `workbench migrate`")
        return
    rule: Rule | None = rules.get(each.name)
    if rule is None:
        moved.decide.append(f"{each.name}={said}: the workbench does not know it")
        return
    unlimited = interface.becomes == "complete" and rule.becomes == "max_tokens"
    # `""` is as empty as `''`.
    off = said.replace('"', "'") in rule.off
    if off and unlimited:
        # Left out it would be 16 tokens.
        moved.arguments.append(replace(each, name="max_tokens", value=cst.Name("None")))
    elif not off:
        _move_said(each, rule, moved)


def _move_said(each: Given, rule: Rule, moved: Moved) -> None:
    said = code(each.value)
    greedy = each.name == "temperature" and said in GREEDY
    if rule.change and not greedy:
        moved.changes.append(f"{each.name}: {rule.change}")
    if rule.server:
        moved.changes.append(f"{each.name}={said} is the server's: {rule.server}")
    if rule.decide:
        moved.decide.append(f"{each.name}={said}: {rule.decide}")
    if each.name == "temperature" and said.startswith("-"):
        moved.decide.append("temperature below 0 sampled without cutting: temperature=1, no top_k")
    if each.name == "think" and said not in ("True", "False"):
        _say_effort(each, moved)
        return
    if not rule.becomes or (each.name in ("prompt", "system") and rule.becomes == "messages"):
        return
    write = _FORMS.get(f"{each.name}>{rule.becomes}", _as_it_is)
    value = write(each.value, moved)
    if rule.extra:
        moved.extra.append((rule.extra, value))
    else:
        moved.arguments.append(replace(each, name=rule.becomes, value=value))


def _say_effort(each: Given, moved: Moved) -> None:
    """``think="low"`` is how much, and not whether."""
    if isinstance(each.value, cst.SimpleString):
        moved.arguments.append(replace(each, name="reasoning_effort"))
    else:
        moved.decide.append(
            f"think={code(each.value)}: True or False is enable_thinking in chat_template_kwargs, "
            "a level is reasoning_effort"
        )


GREEDY = ("0", "0.0")

CUTS = ("top_p", "top_k", "min_p")
"""What a greedy answer has no use for."""


def _say_defaults(interface: Interface, said: Mapping[str | None, str], moved: Moved) -> None:
    rules = parameter_map().rules[interface.table]
    unsaid = []
    greedy = said.get("temperature") in GREEDY
    for name, default in parameter_map().defaults(interface).items():
        rule = rules[name]
        if name in said or (greedy and name in CUTS):
            continue
        value = cst.parse_expression(default if isinstance(default, str) else repr(default))
        if rule.extra:
            moved.extra.append((rule.extra, value))
        elif rule.becomes:
            moved.arguments.append(Given(rule.becomes, value))
        if rule.vllm is not None and rule.vllm != default:
            unsaid.append(f"{name} {default} (vLLM {rule.vllm})")
    if unsaid:
        moved.changes.append(
            f"defaults, said now: {', '.join(unsaid)}; the model's generation_config.json would "
            "have decided"
        )


def _one_message(given: Sequence[Given], moved: Moved) -> None:
    """Write a prompt, and a system prompt if there is one, as messages."""
    by_role = {"system": "system", "prompt": "user"}
    turns = [
        f'{{"role": "{by_role[name]}", "content": {code(each.value)}}}'
        for name in by_role
        for each in given
        if each.name == name
    ]
    value = cst.parse_expression(f"[{', '.join(turns)}]")
    moved.arguments.insert(0, Given("messages", value))


# --- values that change with their names ----------------------------------------------------------


def _as_it_is(value: cst.BaseExpression, _moved: Moved) -> cst.BaseExpression:
    return value


def _response_format(value: cst.BaseExpression, moved: Moved) -> cst.BaseExpression:
    items = dict_items(value)
    if items is None:
        moved.decide.append(
            f"response_format={code(value)}: a schema in it goes to json_schema, as "
            '{"type": "json_schema", "json_schema": {"name": "answer", "schema": …}}'
        )
        return value
    schema = next((item.value for item in items if item.name == "schema"), None)
    return value if schema is None else _json_schema(schema)


def _json_schema(schema: cst.BaseExpression) -> cst.BaseExpression:
    inside = f'{{"name": "answer", "schema": {code(schema)}}}'
    return cst.parse_expression(f'{{"type": "json_schema", "json_schema": {inside}}}')


def _ollama_format(value: cst.BaseExpression, moved: Moved) -> cst.BaseExpression:
    if isinstance(value, cst.SimpleString):
        return cst.parse_expression('{"type": "json_object"}')
    if not isinstance(value, (cst.Dict, cst.Call)):
        moved.decide.append(f"format={code(value)} was taken for a JSON schema")
    return _json_schema(value)


def _tools(value: cst.BaseExpression, _moved: Moved) -> cst.BaseExpression:
    each = '{"type": "function", "function": each}'
    return cst.parse_expression(f"[{each} for each in {code(value)}]")


def _tool_choice(value: cst.BaseExpression, moved: Moved) -> cst.BaseExpression:
    if isinstance(value, cst.SimpleString):
        return value
    if not isinstance(value, cst.Dict):
        moved.decide.append(
            f"function_call={code(value)}: a name in it goes to "
            '{"type": "function", "function": {"name": …}}'
        )
        return value
    return cst.parse_expression(f'{{"type": "function", "function": {code(value)}}}')


def _inside(key: str) -> Callable[[cst.BaseExpression, Moved], cst.BaseExpression]:
    def write(value: cst.BaseExpression, _moved: Moved) -> cst.BaseExpression:
        return cst.parse_expression(f'{{"{key}": {code(value)}}}')

    return write


_FORMS: dict[str, Callable[[cst.BaseExpression, Moved], cst.BaseExpression]] = {
    "response_format>response_format": _response_format,
    "format>response_format": _ollama_format,
    "functions>tools": _tools,
    "function_call>tool_choice": _tool_choice,
    "grammar>extra_body.structured_outputs": _inside("grammar"),
    "think>extra_body.chat_template_kwargs": _inside("enable_thinking"),
    "json_schema>extra_body.structured_outputs": _inside("json"),
}


# --- from and to source ---------------------------------------------------------------------------


def dict_items(value: cst.BaseExpression) -> list[Given] | None:
    """Read a dictionary that is written out, with plain strings as keys; ``None`` if it is none."""
    if not isinstance(value, cst.Dict):
        return None
    items = []
    for element in value.elements:
        if isinstance(element, cst.StarredDictElement):
            items.append(Given(None, element.value))
        elif isinstance(element, cst.DictElement) and isinstance(element.key, cst.SimpleString):
            items.append(Given(str(element.key.evaluated_value), element.value))
        else:
            return None
    return _with_comments(items, _spaces(value))


def call_items(call: cst.Call, positional: Sequence[str]) -> list[Given] | None:
    """Read a call's arguments by their names; ``None`` if they cannot be told (``*args``)."""
    items = []
    for place, argument in enumerate(call.args):
        if argument.star == "**":
            items.append(Given(None, argument.value))
        elif argument.star or (argument.keyword is None and place >= len(positional)):
            return None
        else:
            name = argument.keyword.value if argument.keyword else positional[place]
            items.append(Given(name, argument.value))
    return _with_comments(items, _spaces(call))


def _spaces(like: cst.Call | cst.Dict) -> list[cst.BaseParenthesizableWhitespace]:
    """List the white space before the first argument, between them, and after the last."""
    if isinstance(like, cst.Call):
        elements: Sequence[cst.Arg | cst.BaseDictElement] = like.args
        first, last = like.whitespace_before_args, [each.whitespace_after_arg for each in like.args]
    else:
        elements = like.elements
        first, last = like.lbrace.whitespace_after, [like.rbrace.whitespace_before]
    commas = [each.comma.whitespace_after for each in elements if isinstance(each.comma, cst.Comma)]
    return [first, *commas, *(last[-1:] if len(commas) < len(elements) else ())]


def _with_comments(
    items: Sequence[Given], spaces: Sequence[cst.BaseParenthesizableWhitespace]
) -> list[Given]:
    """Give each argument the comments that stand above it and behind it."""
    return [
        replace(each, behind=_behind(after), above=_above(before))
        for each, before, after in zip(items, spaces, spaces[1:], strict=False)
    ]


def _behind(space: cst.BaseParenthesizableWhitespace) -> cst.TrailingWhitespace | None:
    is_said = isinstance(space, cst.ParenthesizedWhitespace) and space.first_line.comment
    return space.first_line if is_said else None  # type: ignore[attr-defined]


def _above(space: cst.BaseParenthesizableWhitespace) -> Sequence[cst.EmptyLine]:
    return space.empty_lines if isinstance(space, cst.ParenthesizedWhitespace) else ()


@dataclass(frozen=True, slots=True)
class Layout:
    """
    Where a call's arguments stand: on one line, or a line each.

    Args:
        before, after: White space after the opening and before the closing bracket.

        between: White space after a comma.
    """

    before: cst.BaseParenthesizableWhitespace
    between: cst.BaseParenthesizableWhitespace
    after: cst.BaseParenthesizableWhitespace
    trailing: bool


def written(given: Sequence[Given], like: cst.Call | cst.Dict) -> dict[str, object]:
    """Write arguments in the layout of what stood there; what gets too long gets a line each."""
    layout = _layout(like)
    length = sum(len(each.name or "") + len(code(each.value)) + 3 for each in given)
    if not _breaks(layout.before) and length > LONGEST:
        layout = Layout(_line("    "), _line("    "), _line(""), trailing=True)
    before = _commented(layout.before, None, given[0] if given else None)
    return {"args": _args(given, layout), "whitespace_before_args": before}


LONGEST = 72
"""Columns that arguments may take on one line."""


def _line(indent: str) -> cst.ParenthesizedWhitespace:
    return cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace(indent))


def _layout(like: cst.Call | cst.Dict) -> Layout:
    elements: Sequence[cst.Arg | cst.BaseDictElement]
    if isinstance(like, cst.Call):
        elements, before = like.args, like.whitespace_before_args
        after = elements[-1].whitespace_after_arg if elements else cst.SimpleWhitespace("")
    else:
        elements, before = like.elements, like.lbrace.whitespace_after
        after = like.rbrace.whitespace_before
    commas = [each.comma for each in elements if isinstance(each.comma, cst.Comma)]
    trailing = bool(elements) and isinstance(elements[-1].comma, cst.Comma)
    if trailing and isinstance(like, cst.Call):
        after = commas[-1].whitespace_after
    if _breaks(before):
        between: cst.BaseParenthesizableWhitespace = before
    else:
        inner = commas[:-1] if trailing else commas
        between = inner[0].whitespace_after if inner else cst.SimpleWhitespace(" ")
    return Layout(_bare(before), _bare(between), _bare(after), trailing)


def _bare(space: cst.BaseParenthesizableWhitespace) -> cst.BaseParenthesizableWhitespace:
    """Return white space without the comments in it."""
    if isinstance(space, cst.ParenthesizedWhitespace):
        return space.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])
    return space


def _breaks(space: cst.BaseParenthesizableWhitespace) -> bool:
    return isinstance(space, cst.ParenthesizedWhitespace)


def _args(given: Sequence[Given], layout: Layout) -> list[cst.Arg]:
    tight = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    arguments = [
        cst.Arg(
            each.value,
            keyword=cst.Name(each.name) if each.name else None,
            equal=tight if each.name else cst.MaybeSentinel.DEFAULT,
            star="" if each.name else "**",
            comma=cst.Comma(whitespace_after=_commented(layout.between, each, after)),
        )
        for each, after in zip(given, [*given[1:], None], strict=True)
    ]
    if arguments:
        end = _commented(layout.after, given[-1], None)
        last = cst.Comma(whitespace_after=end) if layout.trailing else None
        arguments[-1] = arguments[-1].with_changes(
            comma=last or cst.MaybeSentinel.DEFAULT,
            whitespace_after_arg=cst.SimpleWhitespace("") if last else end,
        )
    return arguments


def _commented(
    space: cst.BaseParenthesizableWhitespace, before: Given | None, after: Given | None
) -> cst.BaseParenthesizableWhitespace:
    """Put the comments of the arguments around it into white space, where it has more lines."""
    if not isinstance(space, cst.ParenthesizedWhitespace):
        return space
    behind = before.behind if before else None
    above = after.above if after else ()
    return space.with_changes(
        first_line=behind or space.first_line, empty_lines=above or space.empty_lines
    )
