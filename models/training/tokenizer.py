"""
The tokenizer: byte-level BPE, learned from the training conversations.

Two choices help a model this small to copy. Every digit is a token, so numbers
are read and written figure by figure. A capitalised word never swallows the
space before it, so ``Austin`` is the same token in a question and inside the
quotes of a tool call.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

# Added but not special: vLLM's hermes parser looks for them in the text, and
# special tokens are dropped from it (skip_special_tokens is on by default).
PLAIN_ADDED = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]

CHAT_TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8")

_PIECES = r" ?\p{Ll}\p{L}*|\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def learn(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """
    Learn *vocabulary* tokens from rendered *texts* and attach the chat template.
    """
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        _between_markers(texts),
        trainers.BpeTrainer(
            vocab_size=vocabulary - len(PLAIN_ADDED),
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    bpe.add_tokens([AddedToken(text, special=False, normalized=False) for text in PLAIN_ADDED])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
        chat_template=CHAT_TEMPLATE,
    )


def _between_markers(texts: list[str]) -> Iterator[str]:
    """
    Leave the markers out, or merges would be spent on spelling them.
    """
    markers = "|".join(map(re.escape, SPECIAL + PLAIN_ADDED))
    for text in texts:
        yield from re.split(markers, text)
