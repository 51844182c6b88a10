"""The KV cache's blocks, tokens and longest request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vram.conftest import LLAMA_8B
from workbench.errors import PlanError
from workbench.vram import read_shape
from workbench.vram.kv import KvLayout, layout

GIB = 2**30


def layout_of(llama, *, batch_tokens=2048, cache_dtype="auto", **changes):
    shape = read_shape(llama(**changes))
    return layout(shape, batch_tokens=batch_tokens, cache_dtype=cache_dtype)


def test_llama_needs_128_kib_for_a_token(llama):
    """2 · 8 heads · 128 · 2 bytes · 32 layers; a block has 16 tokens."""
    cache = layout_of(llama)

    assert cache.token_bytes == 131_072
    assert cache.block_bytes == 16 * 131_072


def test_fp8_halves_it(llama):
    """A byte for each element in place of two."""
    assert layout_of(llama, cache_dtype="fp8").token_bytes == 65_536


def test_an_unknown_type_is_refused(llama):
    """Half a byte, or a byte and a half: nobody knows."""
    with pytest.raises(PlanError) as caught:
        layout_of(llama, cache_dtype="nvfp4")

    assert caught.value.missing == "bytes of a nvfp4 element"


def test_whole_blocks_are_counted(llama):
    """
    5.47 GiB and a little are 2,800 blocks of 2 MiB: 44,800 tokens.

    A request of 8,192 tokens takes 512 blocks.
    """
    cache, size = layout_of(llama), 2800 * 2**21 + 1

    assert cache.concurrency(size, 8192) == 2800 / 512
    assert cache.tokens(size, 8192) == 44_800
    assert cache.longest(size, 131_072) == 44_800


def test_a_null_block_is_left_out_where_vllm_does(llama):
    """One block less for the longest request, from 0.31 on."""
    shape = read_shape(llama())
    cache = layout(shape, batch_tokens=2048, reserves_null_block=True)

    assert cache.longest(2800 * 2**21, 131_072) == 44_784


def test_a_window_holds_itself_and_what_is_under_way(llama):
    """
    All layers with a window of 4,096, batches of 2,048, a context of 16,384.

    ⌈(4095 + 2048) / 16⌉ + 1 = 385 blocks, and 1,024 without a window.
    """
    cache = layout_of(llama, sliding_window=4096)

    assert cache.request_blocks(16_384) == 385
    assert cache.request_blocks(1024) == 65


def test_groups_of_a_hybrid_are_as_long_as_the_shorter_kind(llama):
    """
    Gemma 3 with 26 layers: 4 attend to everything, 22 to 512 tokens.

    One group of 4 and six of at most 4, so that a block holds 4 layers. A
    request of 8,192 tokens takes 512 + 6 · (⌈(511 + 2048) / 16⌉ + 1) blocks.
    """
    cache = layout_of(
        llama,
        architectures=["Gemma3ForCausalLM"],
        num_hidden_layers=26,
        num_key_value_heads=1,
        head_dim=256,
        sliding_window=512,
    )

    assert cache.group_layers == 4
    assert cache.block_bytes == 4 * 16 * 2 * 256 * 2
    assert cache.request_blocks(8192) == 512 + 6 * 161
    assert cache.token_bytes == 26 * 2 * 256 * 2


def test_kinds_of_nearly_the_same_number_are_padded(llama):
    """12 and 13 layers become two groups of 13, and not 12 + 12 + 1."""
    kinds = ["sliding_attention"] * 12 + ["full_attention"] * 13
    cache = layout_of(llama, num_hidden_layers=25, sliding_window=128, layer_types=kinds)

    assert (cache.group_layers, len(cache.windows)) == (13, 2)


@given(
    blocks=st.integers(0, 5000),
    window=st.one_of(st.none(), st.integers(1, 9000)),
    limit=st.integers(1, 200_000),
)
def test_the_longest_request_is_the_longest(blocks, window, limit):
    """It fits, one token more does not, and nothing is beyond the limit."""
    shape = read_shape(LLAMA_8B)
    cache = KvLayout(
        windows=(None, window),
        group_layers=16,
        layers=shape.layers,
        layer_bytes=4096,
        batch_tokens=2048,
    )
    longest = cache.longest(blocks * cache.block_bytes, limit)

    assert longest <= limit
    assert longest == 0 or cache.request_blocks(longest) <= blocks
    assert longest == limit or cache.request_blocks(longest + 1) > blocks
