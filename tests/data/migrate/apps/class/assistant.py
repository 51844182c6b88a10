import json
from typing import Iterator, Optional

import llama_cpp
from llama_cpp import Llama, LlamaGrammar

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class Assistant:
    """Answers questions, in words or in JSON."""

    def __init__(self, path: str, llm: Optional[llama_cpp.Llama] = None) -> None:
        self.llm = llm or self._load(path)
        self.messages = [{"role": "system", "content": "You are a helpful assistant."}]

    def _load(self, path: str) -> Llama:
        return Llama(
            model_path=path,
            n_ctx=2048,
            n_gpu_layers=-1,  # all of it on the card
            seed=42,
            chat_format="chatml",
        )

    def ask(self, question: str) -> Iterator[str]:
        self.messages.append({"role": "user", "content": question})
        words = []
        for chunk in self.llm.create_chat_completion(
            messages=self.messages,
            stream=True,
            temperature=0,
            max_tokens=48,
        ):
            delta = chunk["choices"][0]["delta"]
            if "content" in delta:
                words.append(delta["content"])
                yield delta["content"]
        self.messages.append({"role": "assistant", "content": "".join(words)})

    def yes_or_no(self, question: str) -> bool:
        grammar = LlamaGrammar.from_string('root ::= "yes" | "no"', verbose=False)
        out = self.llm.create_chat_completion(
            [{"role": "user", "content": question}], grammar=grammar, temperature=0, mirostat_mode=0
        )
        return out["choices"][0]["message"]["content"] == "yes"

    def number(self, question: str) -> int:
        schema = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
        out = self.llm.create_chat_completion(
            messages=[{"role": "user", "content": question}],
            response_format={"type": "json_object", "schema": schema},
            temperature=0,
            max_tokens=32,
        )
        return json.loads(out["choices"][0]["message"]["content"])["number"]

    def weather_call(self, question: str) -> dict:
        out = self.llm.create_chat_completion(
            messages=[{"role": "user", "content": question}],
            tools=[WEATHER],
            tool_choice="auto",
            temperature=0,
        )
        return out["choices"][0]["message"]["tool_calls"][0]["function"]

    def count(self, text: str) -> int:
        return len(self.llm.tokenize(text.encode("utf-8"), add_bos=False))


if __name__ == "__main__":
    assistant = Assistant("./models/pocket.gguf")
    print("".join(assistant.ask("What is vLLM?")))
    print(assistant.yes_or_no("Is vLLM a server?"))
    print(assistant.number("Give me a number") >= 0)
    print(json.dumps(assistant.weather_call("What is the weather in Austin?")))
    print(assistant.count("Hello there"))
