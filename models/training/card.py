"""
Write a model card from what training and evaluation recorded.

    python models/training/card.py pocket

Reads ``training.json`` and ``evaluation.json`` in the model's folder; writes
``README.md`` and ``loss.svg``. No figure in a card is typed by hand.
"""

import argparse
import json
from pathlib import Path

from presets import PRESETS

MODELS = Path(__file__).parent.parent

# Mistakes a card shows, taken evenly from all.
_SHOWN_WRONG = 8


def main() -> None:
    """
    Read the command line and write one card.
    """
    parser = argparse.ArgumentParser(description="Write a pocket model's card.")
    parser.add_argument("name", choices=PRESETS)
    folder = MODELS / parser.parse_args().name

    training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    size = (folder / "model.safetensors").stat().st_size
    (folder / "loss.svg").write_text(loss_curve(training["loss"]), encoding="utf-8")
    (folder / "README.md").write_text(card(training, evaluation, config, size), encoding="utf-8")


def card(training: dict, evaluation: dict, config: dict, size: int) -> str:
    """
    Put the card together.
    """
    sections = [
        _what(training, config, size),
        _training(training),
        _score(evaluation),
        _answers(evaluation),
        _wrong(evaluation),
    ]
    return "\n\n".join(sections) + "\n"


def loss_curve(curve: list[list[float]], width: int = 640, height: int = 240) -> str:
    """
    Draw the loss over the steps as a small SVG.
    """
    last, top = curve[-1][0], max(loss for _, loss in curve)
    left, bottom = 40, height - 30

    def place(step: float, loss: float) -> str:
        x = left + (width - left - 10) * step / last
        return f"{x:.1f},{bottom - (bottom - 10) * loss / top:.1f}"

    ticks = "".join(
        f'<text x="{left - 6}" y="{place(0, loss).split(",")[1]}" text-anchor="end">{loss}</text>'
        for loss in range(int(top) + 1)
    )
    points = " ".join(place(step, loss) for step, loss in curve)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11" fill="#555">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
        f'<path d="M{left} 10V{bottom}H{width - 10}" fill="none" stroke="#999"/>{ticks}'
        f'<text x="{left}" y="{height - 10}">0</text>'
        f'<text x="{width - 10}" y="{height - 10}" text-anchor="end">{last} steps</text>'
        f'<text x="{width / 2}" y="{height - 10}" text-anchor="middle">'
        "loss per learned token</text>"
        f'<polyline points="{points}" fill="none" stroke="#c44" stroke-width="1.5"/></svg>\n'
    )


def _what(training: dict, config: dict, size: int) -> str:
    name, millions = training["name"], training["parameters"] / 1e6
    layers, hidden = config["num_hidden_layers"], config["hidden_size"]
    heads, shared = config["num_attention_heads"], config["num_key_value_heads"]
    return f"""# {name}

A language model of {millions:.2f} million parameters ({size:,} bytes of bf16 weights) that vLLM
serves as it is. It exists so that everything around it can be real: the real server, real
streaming, real tool calls, in seconds and without a GPU.

**It is** a Llama ({layers} layers, hidden size {hidden}, {heads} heads of {config["head_dim"]} with
{shared} for keys and values, vocabulary {config["vocab_size"]}, context
{config["max_position_embeddings"]}) that knows a few hundred sentences about vLLM, ROCm, WSL2,
GPUs and this workbench, counts, answers the sums it was shown, recites a few JSON objects, and
calls an offered tool with cities and numbers like those of its training.

**It is not** a model to learn from or to rely on. It recites; it does not reason, and it copies
badly: a name or a city that it never saw mostly comes out wrong, in a tool call too. Sums beyond
the trained ones are guesses. It knows only English. Of an unknown tool, or a question outside its
text, expect nonsense. It was trained on nothing but the text in `models/training/corpus`; the
tables below say what it gets right.

```bash
vllm serve models/{name} --served-model-name {name} --max-model-len 2048 \\
    --enable-auto-tool-choice --tool-call-parser hermes
```"""


def _training(training: dict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in training["versions"].items())
    polish = training.get("polish")
    polished = (
        f"""
Then `polish.py`: {polish["steps"]} more steps, mostly tool calls ({polish["tokens_seen"]:,} token
places, {polish["minutes"]} minutes), last loss
{polish["loss"][-1][1]:.3f}; the weights moved {polish["share"]:.0%} of the way.
"""
        if polish
        else ""
    )
    return f"""## Training

`python models/training/train.py {training["name"]}`: {training["steps"]:,} steps,
{training["tokens_seen"]:,} token places (padding included), {training["minutes"]} minutes on two
CPU cores shared with other work, {training["threads"]} threads, seed {training["seed"]}; last loss
{training["loss"][-1][1]:.3f}. Versions: {versions}.
{polished}
The first steps are copying drills alone; the loss rises where the other text begins.

![loss over the steps](loss.svg)"""


def _score(evaluation: dict) -> str:
    rows = "\n".join(
        f"| {category} | {right} | {asked} | {right / asked:.0%} |"
        for category, (right, asked) in evaluation["scores"].items()
    )
    return f"""## Held-out score

Greedy answers to questions that training never saw: other phrasings of the facts, other cities,
names and sums. An answer is right only when it equals the expected one, white space aside. The
weights are those stored (bf16); computed {evaluation["computed"]}.

| category | right | asked | share |
| --- | ---: | ---: | ---: |
{rows}"""


def _answers(evaluation: dict) -> str:
    rows = "\n".join(
        f"| {question} | {_cell(answer)} |" for question, answer in evaluation["prompts"]
    )
    return f"""## Its answers to the notebooks' prompts

| prompt | greedy answer |
| --- | --- |
{rows}"""


def _wrong(evaluation: dict) -> str:
    spread = evaluation["wrong"][:: max(1, len(evaluation["wrong"]) // _SHOWN_WRONG)]
    rows = "\n".join(
        f"| {_cell(question)} | {_cell(answer)} | {_cell(expected)} |"
        for _, question, answer, expected in spread[:_SHOWN_WRONG]
    )
    return f"""## Some of its mistakes

| held-out question | its answer | expected |
| --- | --- | --- |
{rows}"""


def _cell(text: str, longest: int = 220) -> str:
    text = text.replace("\n", " / ").replace("|", "\\|").replace("<", "&lt;")
    return text if len(text) <= longest else text[:longest] + " …"


if __name__ == "__main__":
    main()
