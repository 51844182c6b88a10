"""
Train a pocket model from nothing, on the CPU, the same way every time.

    python models/training/train.py pocket
    python models/training/train.py pocket-mini

Writes the model beside the others, in ``models/<name>``, with ``training.json``
(the loss curve, the time, the versions). Then run ``evaluate.py`` and ``card.py``.
"""

import argparse
import json
import math
import platform
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import batches
import conversations
import tokenizer as tokenizer_module
import tokenizers
import torch
import transformers
from conversations import Conversation
from muon import Both
from pool import training_pool
from presets import CONTEXT, PRESETS, SEED, Preset
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

MODELS = Path(__file__).parent.parent

# Enough conversations to show the tokenizer every written line several times.
_TOKENIZER_SAMPLE = 10_000
_REPORT_EVERY = 25


def main() -> None:
    """
    Read the command line, train, save, and print where it went.
    """
    parser = argparse.ArgumentParser(description="Train a pocket model on the CPU.")
    parser.add_argument("name", choices=PRESETS)
    parser.add_argument(
        "--steps", type=int, help="train for another number of steps than the preset's"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=2,
        help="CPU threads; another count rounds sums differently (default 2)",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        help="for experiments only; the weights kept here come from the CPU",
    )
    parser.add_argument("--out", type=Path, help="folder to write (default models/<name>)")
    options = parser.parse_args()

    preset = PRESETS[options.name]
    steps = options.steps or preset.steps
    torch.manual_seed(SEED)
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(options.device == "cpu")

    tokenizer = learn_tokenizer(preset)
    model = new_model(preset, tokenizer).to(options.device)
    started = time.monotonic()
    source = conversations.stream(training_pool(), Random(SEED + 1), preset.drills)
    curve, tokens = fit(model, tokenizer, preset, steps, source)
    record = {
        "name": preset.name,
        "parameters": model.num_parameters(),
        "steps": steps,
        "tokens_seen": tokens,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "threads": options.threads,
        "seed": SEED,
        "loss": curve,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
        },
    }
    save(model, tokenizer, record, options.out or MODELS / preset.name)


def learn_tokenizer(preset: Preset) -> PreTrainedTokenizerFast:
    """
    Learn the tokenizer from conversations drawn like those of the training.
    """
    sample = list(islice(conversations.stream(training_pool(), Random(SEED)), _TOKENIZER_SAMPLE))
    texts = [
        render_jinja_template(
            [c.messages], tools=c.tools or None, chat_template=tokenizer_module.CHAT_TEMPLATE
        )[0][0]
        for c in sample
    ]
    return tokenizer_module.learn(texts, preset.vocabulary)


def new_model(preset: Preset, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """
    Build the Llama with random weights.
    """
    end, pad = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=preset.vocabulary,
            hidden_size=preset.hidden,
            num_hidden_layers=preset.layers,
            num_attention_heads=preset.heads,
            num_key_value_heads=preset.kv_heads,
            head_dim=64,
            intermediate_size=preset.intermediate,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=end,
            pad_token_id=pad,
        )
    )


def fit(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    preset: Preset,
    steps: int,
    source: Iterator[Conversation],
) -> tuple[list[list[float]], int]:
    """
    Train for *steps* batches of *source*; return the loss curve and the tokens seen.
    """
    examples = batches.batches(tokenizer, source, preset.batch_tokens, Random(SEED + 2))
    optimizer = Both(
        model,
        matrix_lr=preset.matrix_lr,
        other_lr=preset.other_lr,
        weight_decay=preset.weight_decay,
    )
    curve, recent, tokens, started = [], [], 0, time.monotonic()
    for step, (ids, labels) in enumerate(islice(examples, steps), start=1):
        loss = masked_loss(model, ids.to(model.device), labels.to(model.device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(_pace(step, preset.warmup_steps, steps))
        recent.append(loss.item())
        tokens += ids.numel()
        if step % _REPORT_EVERY == 0 or step == steps:
            curve.append([step, round(sum(recent) / len(recent), 4)])
            recent = []
            rate = tokens / (time.monotonic() - started)
            print(
                f"step {step:5d}/{steps}  loss {curve[-1][1]:.4f}  {rate:,.0f} tokens/s", flush=True
            )
    return curve, tokens


def masked_loss(model: LlamaForCausalLM, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """
    Mean loss over the learned tokens; the output layer runs for those alone.
    """
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    wanted = labels[:, 1:] != -100
    return cross_entropy(model.lm_head(hidden[wanted]), labels[:, 1:][wanted])


def save(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, record: dict, folder: Path
) -> None:
    """
    Write the folder that vLLM serves: weights in bf16, tokenizer, configs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    end, pad = model.config.eos_token_id, model.config.pad_token_id
    model.generation_config = GenerationConfig(
        eos_token_id=[end, pad], pad_token_id=pad, do_sample=False
    )
    model.to("cpu", torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _widen(folder)
    (folder / "training.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
    size = (folder / "model.safetensors").stat().st_size
    print(f"{folder}: {record['parameters']:,} parameters, {size:,} bytes, {record['minutes']} min")


def _widen(folder: Path) -> None:
    """
    Let older readers in: transformers 4 (vLLM 0.9) has other names for two things.
    """
    for name, added in [
        ("config.json", {"torch_dtype": "bfloat16"}),
        ("tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"}),
    ]:
        path = folder / name
        path.write_text(
            json.dumps(json.loads(path.read_text()) | added, indent=2) + "\n", encoding="utf-8"
        )
    # safetensors writes 0600; a container may run as another user.
    (folder / "model.safetensors").chmod(0o644)


def _pace(step: int, warmup: int, steps: int) -> float:
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup))))


if __name__ == "__main__":
    main()
