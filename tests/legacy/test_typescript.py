"""TypeScript is rewritten where its text alone is certain."""

from __future__ import annotations

import pytest

from workbench.legacy.places import State
from workbench.legacy.typescript import read_javascript, read_typescript

CLIENT = """import OpenAI from 'openai';
import { ask } from './ask.js';

const client = new OpenAI({
  baseURL: "http://localhost:11434/v1",
  apiKey: "ollama",
});
await client.chat.completions.create({ model: "llama3.2", messages: ask() });
"""


def test_a_local_client_becomes_the_adapters():
    """With its model, imported as the file imports its neighbours."""
    reading = read_typescript(CLIENT)

    assert reading.text == (
        "import { ask } from './ask.js';\n"
        "import { llmClient, llmModel } from './llmClient.js';\n"
        "\n"
        "const client = llmClient;\n"
        "await client.chat.completions.create({ model: llmModel, messages: ask() });\n"
    )
    assert reading.adapters == ("llmClient.ts",)


def test_only_requests_of_that_client_get_another_model():
    """Another client's model, a car's, and a tool's parameter stay what they are."""
    text = CLIENT + (
        "const cloud = new OpenAI();\n"
        'cloud.chat.completions.create({ model: "gpt-4o", messages: [] });\n'
        'const car = { model: "T" };\n'
        "client.chat.completions.create({\n"
        '  tools: [{ function: { model: "x" } }], // :-)\n'
        '  messages: [{ role: "user", content: "}) model: \'b\'" }],\n'
        '  model: "llama3.2",\n'
        "});\n"
    )
    moved = read_typescript(text).text

    assert moved.count("model: llmModel") == 2
    assert 'model: "llama3.2"' not in moved
    for kept in ('model: "gpt-4o"', 'model: "T"', 'model: "x"', "model: 'b'"):
        assert kept in moved


@pytest.mark.parametrize(
    "text",
    [
        'export const a = new OpenAI({ baseURL: "http://llama/v1" });\n',
        'export default new OpenAI({ baseURL: "http://llama/v1" });\n',
        'const a = new OpenAI({ baseURL: "http://llama/v1" });\na.x.create({ model: MODEL });\n',
    ],
)
def test_a_model_that_is_said_elsewhere_is_told_of(text: str):
    """The new server does not know the old one's name."""
    reading = read_typescript(text)

    assert "llmModel" in reading.places[0].decide[0]
    assert "// migrate: " in reading.text
    assert read_typescript(reading.text).text == reading.text


def test_types_of_the_sdk_keep_its_import():
    """OpenAI.Chat… is used, so the import stays."""
    reading = read_typescript(CLIENT + "let m: OpenAI.Chat.ChatCompletionMessageParam;\n")

    assert "import OpenAI from 'openai';" in reading.text


@pytest.mark.parametrize(
    "options",
    [
        '{ baseURL: "http://localhost:1/v1", fetch: mine }',
        '{ ...rest, baseURL: "http://llama/v1" }',
    ],
)
def test_a_client_that_is_told_more_is_left_to_a_person(options: str):
    """What else it is told may matter."""
    reading = read_typescript(f"const c = new OpenAI({options});\n")

    assert reading.places[0].state is State.DECIDE
    assert reading.text.startswith("// migrate: take its client from a module")


def test_openais_own_client_stays():
    """No address, or one that is not local; nor is a path of the application's own a server's."""
    text = 'fetch("/api/chat");\napp.post("/v1/chat/completions", ollama);\n'
    text += 'const a = new OpenAI();\nconst b = new OpenAI({ baseURL: "https://api.x.ai/v1" });\n'

    assert read_typescript(text).places == ()


@pytest.mark.parametrize(
    "line",
    [
        'const r = await fetch("http://localhost:8080/completion", { method: "POST" });',
        "const r = await fetch(`${base}/v1/chat/completions`, options);",
        'const b = "http://localhost:11434"; fetch(`${b}/api/generate`);',
        'const b = "http://localhost:11434"; fetch(b + "/api/chat", options);',
        'const a = axios.create({ baseURL: "http://localhost:1" }); a.post("/completion", {});',
        'import ollama from "ollama";',
        'import { getLlama } from "node-llama-cpp";',
    ],
)
def test_what_is_asked_by_hand_or_by_another_library_is_left_to_a_person(line: str):
    """It is found, and a comment above it says what asks the same."""
    reading = read_typescript(f"  {line}\n")

    assert "llmClient.chat.completions.create" in reading.places[0].decide[0]
    assert reading.text.startswith("  // migrate: ")
    assert reading.text.endswith(f"  {line}\n")


def test_javascript_is_read_and_not_rewritten():
    """The adapter is TypeScript."""
    reading = read_javascript(CLIENT)

    assert reading.places[0].state is State.DECIDE
    assert "new OpenAI({" in reading.text


@pytest.mark.parametrize("text", [CLIENT, 'await fetch("http://l:1/completion");\n'])
def test_a_second_time_changes_nothing(text: str):
    """Neither imports nor comments are doubled."""
    once = read_typescript(text).text

    again = read_typescript(once)

    assert again.text == once
    assert all(place.state is not State.WRITE for place in again.places)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('const url = "http://127.0.0.1:8080/completion";', "/completion by hand"),
        ('const p = createOpenAI({ baseURL: "http://localhost:11434/v1" });', "OPENAI_BASE_URL"),
        ('import { ChatOllama } from "@langchain/ollama";', "@langchain/ollama"),
        ('const { tags } = await fetch("http://localhost:11434/api/tags");', "GET /v1/models"),
    ],
)
def test_addresses_and_libraries_that_are_not_asked_in_sight_are_told_of(line: str, word: str):
    """An address with a name, another SDK's client, LangChain's, and what is no question."""
    (place,) = read_javascript(line + "\n").places

    assert word in place.decide[0]
