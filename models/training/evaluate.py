"""
Score a pocket model on what it has not seen.

    python models/training/evaluate.py pocket
    python models/training/evaluate.py pocket --url http://127.0.0.1:8000/v1

Every assistant turn of every held-out conversation is one question: the model
gets the true history and must write the true answer, greedily. Right means
equal, up to white space. Prints the share by category, then the answers to the
notebooks' prompts, and writes both to ``evaluation.json``.

With ``--url`` a running vLLM answers, in bf16, as it is served. Without, the
stored weights are computed in float32: a processor without bf16 instructions
takes minutes for one answer otherwise.
"""

import argparse
import json
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.request import Request, urlopen

import conversations
import corpus
import skills
import tool_calls
import torch
from conversations import Conversation
from pool import held_out_pool
from presets import PRESETS, SEED
from transformers import AutoModelForCausalLM, AutoTokenizer

MODELS = Path(__file__).parent.parent

# How many conversations of each kind beside the facts, which are all asked once.
_EACH = 40
_KINDS = [
    conversations.off_topic,
    conversations.several,
    conversations.pirate,
    conversations.one_word,
    conversations.skill(skills.sums),
    conversations.skill(skills.copying),
    conversations.skill(skills.json_answers),
    conversations.skill(skills.no_tool),
    conversations.tools(tool_calls.weather),
    conversations.tools(tool_calls.two_cities),
    conversations.tools(tool_calls.arithmetic),
    conversations.tools(tool_calls.gpu_memory),
    conversations.tool_not_needed,
]


@dataclass
class Case:
    """
    A prompt as the model reads it, and the text that would be right.
    """

    category: str
    question: str
    prompt: str
    expected: str
    answer: str = ""

    @property
    def right(self) -> bool:
        """
        Whether the answer is the expected one, white space aside.
        """
        return self.answer.split() == self.expected.split()


def main() -> None:
    """
    Read the command line, score one model, print and save.
    """
    parser = argparse.ArgumentParser(description="Score a pocket model on held-out questions.")
    parser.add_argument("name", choices=PRESETS)
    parser.add_argument("--folder", type=Path, help="the model's folder (default models/<name>)")
    parser.add_argument("--url", help="base URL of a vLLM that serves the model under its name")
    options = parser.parse_args()

    folder = options.folder or MODELS / options.name
    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    cases = held_out_cases(tokenizer) + prompt_cases(tokenizer)
    if options.url:
        answer_served(options.url, options.name, tokenizer, cases)
    else:
        answer_all(AutoModelForCausalLM.from_pretrained(folder, dtype="float32"), tokenizer, cases)
    scored = [case for case in cases if case.category != "prompts"]
    record = {
        "name": options.name,
        "computed": "by vLLM in bf16" if options.url else "in float32",
        "scores": scores(scored),
        "wrong": wrong_sample(scored),
        "prompts": [[c.question, c.answer] for c in cases if c.category == "prompts"],
    }
    (folder / "evaluation.json").write_text(
        json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    show(record)


def held_out_cases(tokenizer) -> list[Case]:
    """
    Ask every held-out phrasing of every fact, and some of each other kind.
    """
    pool, rng = held_out_pool(), Random(SEED)
    asked = [
        Conversation(
            f"facts: {fact.topic}",
            [{"role": "user", "content": question}, {"role": "assistant", "content": fact.answer}],
        )
        for fact in pool.facts
        for question in fact.held_out
    ]
    asked += [Conversation("off topic", _off_topic(question)) for question in pool.off_topic]
    asked += [kind(pool, rng) for kind in _KINDS[1:] for _ in range(_EACH)]
    return [case for conversation in asked for case in turns(tokenizer, conversation)]


def prompt_cases(tokenizer) -> list[Case]:
    """
    Ask what the notebooks ask; there is no expected answer here.
    """
    return [
        Case(
            "prompts",
            question,
            _render(tokenizer, [{"role": "user", "content": question}], [], opened=True),
            "",
        )
        for question in corpus.read_lines("prompts.txt")
    ]


def turns(tokenizer, conversation: Conversation) -> list[Case]:
    """
    Make a case of each assistant turn, given the true turns before it.
    """
    cases = []
    for i, message in enumerate(conversation.messages):
        if message["role"] != "assistant":
            continue
        prompt = _render(tokenizer, conversation.messages[:i], conversation.tools, opened=True)
        whole = _render(tokenizer, conversation.messages[: i + 1], conversation.tools, opened=False)
        expected = whole[len(prompt) :].removesuffix("<|im_end|>\n")
        before = conversation.messages[i - 1]
        step = (
            ": call"
            if message.get("tool_calls")
            else ": sentence"
            if before["role"] == "tool"
            else ""
        )
        cases.append(Case(conversation.kind + step, before["content"], prompt, expected))
    return cases


def answer_all(model, tokenizer, cases: list[Case], together: int = 48) -> None:
    """
    Let the model answer each case, greedily, cases of like length together.
    """
    cases = sorted(cases, key=lambda case: len(case.prompt))
    for start in range(0, len(cases), together):
        group = cases[start : start + together]
        inputs = tokenizer([case.prompt for case in group], return_tensors="pt", padding=True).to(
            model.device
        )
        longest = max(_length(tokenizer, case) for case in group) + 20
        limit = 400 if any(case.category == "prompts" for case in group) else longest
        with torch.inference_mode():
            output = model.generate(**inputs, max_new_tokens=limit, do_sample=False)
        for case, row in zip(group, output[:, inputs["input_ids"].shape[1] :], strict=True):
            case.answer = tokenizer.decode(row, skip_special_tokens=True)


def answer_served(url: str, name: str, tokenizer, cases: list[Case], together: int = 32) -> None:
    """
    Let a vLLM server answer each case, greedily, *together* at a time.
    """

    def answer(case: Case) -> None:
        limit = 500 if case.category == "prompts" else _length(tokenizer, case) + 20
        body = {"model": name, "prompt": case.prompt, "max_tokens": limit, "temperature": 0}
        request = Request(
            f"{url}/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urlopen(request, timeout=300) as response:
            case.answer = json.load(response)["choices"][0]["text"]

    with ThreadPoolExecutor(together) as threads:
        list(threads.map(answer, cases))


def scores(cases: list[Case]) -> dict[str, list[int]]:
    """
    Count right answers and questions, by category.
    """
    counted: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for case in cases:
        for category in {
            case.category,
            "all facts" if case.category.startswith("facts") else case.category,
        }:
            counted[category][0] += case.right
            counted[category][1] += 1
    return dict(sorted(counted.items()))


def wrong_sample(cases: list[Case], most: int = 40) -> list[list[str]]:
    """
    Keep some wrong answers, taken evenly from all, for the reader to judge.
    """
    wrong = [[c.category, c.question, c.answer, c.expected] for c in cases if not c.right]
    return wrong[:: max(1, -(-len(wrong) // most))]


def show(record: dict) -> None:
    """
    Print scores and answers for a reader at the terminal.
    """
    for category, (right, asked) in record["scores"].items():
        print(f"{category:28s} {right:4d} of {asked:4d}  {right / asked:6.1%}")
    for question, answer in record["prompts"]:
        print(f"\n> {question}\n{answer}")


def _length(tokenizer, case: Case) -> int:
    return len(tokenizer(case.expected)["input_ids"])


def _off_topic(question: str) -> list[dict]:
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": conversations.NOT_KNOWN},
    ]


def _render(tokenizer, messages: list[dict], tools: list[dict], *, opened: bool) -> str:
    return tokenizer.apply_chat_template(
        messages, tools=tools or None, tokenize=False, add_generation_prompt=opened
    )


if __name__ == "__main__":
    main()
