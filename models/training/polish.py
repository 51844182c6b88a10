"""
Train a pocket model some more, mostly on tool calls, at a lower pace.

    python models/training/polish.py pocket

Run after ``train.py pocket``: it starts from the stored weights and writes over
them. The pocket-mini kept here was not polished.

Cities here are the listed ones with Austin among every few, because a call with
the wrong city is the mistake that a notebook shows first.

The result is kept by a fifth only: the stored weights are moved that far towards
the polished ones. All of it mended calls and broke facts (74 % to 54 %).
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import conversations
import torch
from pool import Pool, training_pool
from presets import PRESETS, SEED
from train import MODELS, fit, save
from transformers import AutoModelForCausalLM, AutoTokenizer

# Of the peak learning rates of the first training.
_PACE = 0.4

# How far the stored weights move towards the polished ones.
_SHARE = 0.2


def main() -> None:
    """
    Read the command line, train on, and save over the model.
    """
    parser = argparse.ArgumentParser(description="Polish a trained pocket model on the CPU.")
    parser.add_argument("name", choices=PRESETS)
    parser.add_argument("--steps", type=int, default=280)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="the model's folder (default models/<name>)")
    options = parser.parse_args()

    folder = options.folder or MODELS / options.name
    preset = PRESETS[options.name]
    preset = replace(
        preset,
        matrix_lr=_PACE * preset.matrix_lr,
        other_lr=_PACE * preset.other_lr,
        warmup_steps=20,
    )
    torch.manual_seed(SEED)
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    started = time.monotonic()
    source = conversations.mixed(conversations.POLISH, notebook_pool(), Random(SEED + 3))
    curve, tokens = fit(model, tokenizer, preset, options.steps, source)
    move(model, folder)
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    record["polish"] = {
        "steps": options.steps,
        "tokens_seen": tokens,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "loss": curve,
        "share": _SHARE,
    }
    save(model, tokenizer, record, folder)


@torch.no_grad()
def move(polished: torch.nn.Module, folder: Path) -> None:
    """
    Replace the *polished* weights by a mean of the stored ones and themselves.
    """
    stored = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    for after, before in zip(polished.parameters(), stored.parameters(), strict=True):
        after.copy_(before.lerp(after.bfloat16().float(), _SHARE))


def notebook_pool() -> Pool:
    """
    The training pool with fewer invented names and many an Austin.
    """
    pool = training_pool()
    return replace(pool, invented=0.1, cities=pool.cities + ["Austin"] * 30)


if __name__ == "__main__":
    main()
