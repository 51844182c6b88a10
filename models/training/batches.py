"""
From conversations to batches of token ids, with a mask for what is learned.

Only the assistant's tokens are learned, the closing ``<|im_end|>`` among them:
the rest is given. Conversations of like length share a batch, so little is
padding.
"""

from collections.abc import Iterator
from itertools import islice
from random import Random

import torch
from conversations import Conversation

# Conversations sorted by length at a time: enough for even batches, few enough to stay shuffled.
_WINDOW = 1024


def render(tokenizer, conversation: Conversation) -> str:
    """
    Write a conversation as the text the model reads.
    """
    return tokenizer.apply_chat_template(
        conversation.messages, tools=conversation.tools or None, tokenize=False
    )


def encode(tokenizer, conversation: Conversation) -> tuple[list[int], list[bool]]:
    """
    Encode a conversation; the second list says which tokens are learned.
    """
    ids = tokenizer(render(tokenizer, conversation))["input_ids"]
    opening = tokenizer("<|im_start|>assistant\n")["input_ids"]
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    learned, inside = [], False
    for i, token in enumerate(ids):
        inside = inside or ids[i - len(opening) : i] == opening
        learned.append(inside)
        inside = inside and token != end
    return ids, learned


def batches(
    tokenizer, conversations: Iterator[Conversation], batch_tokens: int, rng: Random
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """
    Yield (ids, labels) of at most *batch_tokens* places; -100 is not learned.
    """
    while True:
        window = [encode(tokenizer, c) for c in islice(conversations, _WINDOW)]
        groups = _grouped(sorted(window, key=lambda encoded: len(encoded[0])), batch_tokens)
        rng.shuffle(groups)
        for group in groups:
            yield _padded(group)


def _grouped(window: list, batch_tokens: int) -> list[list]:
    groups = [[]]
    for encoded in window:
        if len(encoded[0]) * (len(groups[-1]) + 1) > batch_tokens and groups[-1]:
            groups.append([])
        groups[-1].append(encoded)
    return groups


def _padded(group: list) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(ids) for ids, _ in group)
    ids = torch.zeros(len(group), width, dtype=torch.long)
    labels = torch.full((len(group), width), -100)
    for row, (tokens, learned) in enumerate(group):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        labels[row, : len(tokens)] = torch.where(torch.tensor(learned), torch.tensor(tokens), -100)
    return ids, labels
