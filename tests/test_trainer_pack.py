"""Packing: no token lost or doubled, samples kept apart, state by reference, ranks regrouped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.order import SampleOrder
from schemas.errors import StrettoError
from trainer.config import ModelConfig, TrainConfig
from trainer.data import Feed, Packer, State, fresh_state, regroup
from trainer.model import Decoder
from trainer.pack import Compiled, Held, Piece, fill_row, split, windows
from trainer.rows import collate
from trainer.step import to_device

CONTEXT = 64


def toy(number: int, blocks: int, prompt: int = 3, block: int = 9) -> Compiled:
    """Sample `number`: every id says sample and place; the last two tokens of a block bear loss."""
    n = prompt + blocks * block
    at = np.arange(n)
    in_block = np.where(at < prompt, 0, (at - prompt) % block)
    return Compiled(
        (number * 1000 + at).astype(np.int32),
        (in_block % 5).astype(np.uint8),
        np.where(at < prompt, -1, (at - prompt) // block).astype(np.int32),
        np.where(in_block >= block - 2, 0.5, 0).astype(np.float32),
        np.zeros(n, np.uint8),
    )


class ToyCompiler:
    """Stands where samples are compiled: row r is a toy sample of r % 17 + 1 blocks."""

    def now(self, row: int, phase: float = 0.0) -> Compiled:
        return toy(row, row % 17 + 1)

    def name(self, row: int) -> str:
        return f"toy {row}"


def packer(n: int, state: State, rank: int = 0, **changes: Any) -> Packer:
    config = TrainConfig.model_validate(
        {"corpus": "c", "out": "o", "context": CONTEXT, "batch_rows": 2, "lookahead": 6, **changes}
    )
    feed = Feed(list(range(n)), SampleOrder(n, 5), cast(Any, ToyCompiler()), 0, 0)
    return Packer(config, feed, state, rank)


def loss_tokens(n: int) -> list[int]:
    """Every loss-bearing id of samples 0..n-1."""
    samples = [ToyCompiler().now(r) for r in range(n)]
    return sorted(int(i) for s in samples for i in s.ids[s.loss > 0])


def test_windows_cut_at_blocks_and_repeat_the_prompt_without_loss() -> None:
    sample = toy(1, blocks=20)
    pieces = split(sample, 0, CONTEXT, "s")
    assert [h.piece for h in pieces] == [
        Piece(0, 0, 6),
        Piece(0, 6, 12),
        Piece(0, 12, 18),
        Piece(0, 18, 20),
    ]
    for held in pieces:
        assert len(held.tokens) <= CONTEXT
        assert held.tokens.ids[:3].tolist() == [1000, 1001, 1002]
        assert not held.tokens.loss[:3].any()
    body = np.concatenate([h.tokens.ids[3:] for h in pieces])
    assert body.tolist() == sample.ids[3:].tolist()


def test_a_repeated_prompt_bears_loss_once() -> None:
    sample = toy(1, blocks=20)
    sample.loss[:3] = 1.0
    assert [float(h.tokens.loss[:3].sum()) for h in split(sample, 0, CONTEXT, "s")] == [3, 0, 0, 0]


def test_a_block_that_is_longer_than_a_row_is_refused() -> None:
    with pytest.raises(StrettoError, match=r"sample x: block 0 has 80 tokens.*`context` to 83"):
        windows(toy(0, 2, block=80), CONTEXT, "sample x")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=25))
def test_rows_hold_each_piece_once_and_start_with_the_oldest(blocks: list[int]) -> None:
    buffer = [h for i, b in enumerate(blocks) for h in split(toy(i, b), i, CONTEXT, "s")]
    everything, rows = list(buffer), []
    while buffer:
        oldest = buffer[0]
        rows.append(fill_row(buffer, CONTEXT))
        assert rows[-1][0] is oldest
        assert sum(len(h.tokens) for h in rows[-1]) <= CONTEXT
    assert sorted(h.piece for r in rows for h in r) == sorted(h.piece for h in everything)
    packed = collate(rows, CONTEXT)
    assert packed.token_count == sum(len(h.tokens) for h in everything)
    assert sorted(packed.target) == sorted(
        int(i) for h in everything for i in h.tokens.ids[h.tokens.loss > 0]
    )


def test_targets_follow_their_input_in_the_same_segment() -> None:
    rows = collate([[Held(Piece(i), toy(i, 1)) for i in range(4)]], CONTEXT)
    assert rows.segment[0].tolist() == [1] * 12 + [2] * 12 + [3] * 12 + [4] * 12 + [0] * 16
    assert rows.place[0, :24].tolist() == [*range(12), *range(12)]
    flat = rows.ids.reshape(-1)
    assert (flat[rows.index] + 1 == rows.target).all()
    assert rows.weight.tolist() == [0.5] * 8


def epoch(n: int, batches: list[Any]) -> tuple[list[int], int]:
    """The loss-bearing ids of some batches, and how many there are."""
    ids = [int(i) for rows in batches for i in rows.target]
    return ids, len(ids)


def test_an_epoch_loses_no_token_and_repeats_none() -> None:
    n, wanted = 40, loss_tokens(40)
    flow, ids = iter(packer(n, fresh_state(1))), []
    # the buffer looks ahead: read until all of the first epoch came by
    for _ in range(200):
        ids += [int(i) for i in next(flow)[0].target]
        if len(set(ids)) == len(wanted) and len(ids) > len(wanted) + 300:
            break
    assert sorted(set(ids)) == wanted
    # nothing comes a third time before everything came once
    first_two = [i for i in wanted if ids.count(i) > 2]
    assert not first_two


def test_resuming_from_any_state_gives_the_same_batches_twice_over() -> None:
    flow = iter(packer(23, fresh_state(1)))
    batches = [next(flow) for _ in range(14)]
    for stop in (1, 4, 9):
        state = {**fresh_state(1), "ranks": [batches[stop - 1][1]]}
        again = iter(packer(23, state))
        middle = [next(again) for _ in range(2)]
        last = iter(packer(23, {**state, "ranks": [middle[-1][1]]}))
        for (rows, own), (want, theirs) in zip(
            [*middle, next(last), next(last)], batches[stop : stop + 4], strict=True
        ):
            assert (rows.ids == want.ids).all() and (rows.index == want.index).all()
            assert own == theirs


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 3), (3, 2)])
def test_another_number_of_ranks_goes_on_without_loss_or_repetition(
    before: int, after: int
) -> None:
    n, state = 60, fresh_state(before)
    seen: list[int] = []
    for _ in range(2):  # and once more, back and forth
        ranks = []
        for rank in range(before):
            flow, own = iter(packer(n, state, rank)), state["ranks"][rank]
            for _ in range(3 - rank % 2):  # ranks that ran unequally far
                rows, own = next(flow)
                seen += [int(i) for i in rows.target]
            ranks.append(own)
        state = regroup({**state, "ranks": ranks}, after)
        before, after = after, before
    pending = [Piece(*p) for p in state["pending"]]
    order = SampleOrder(n, 5)
    for piece in pending:
        sample = ToyCompiler().now(order.sample(piece.position))
        end = piece.end_block if piece.end_block >= 0 else 99
        inside = (sample.block >= piece.first_block) & (sample.block < end)
        seen += [int(i) for i in sample.ids[inside & (sample.loss > 0)]]
    for position in range(state["next"], n):
        sample = ToyCompiler().now(order.sample(position))
        seen += [int(i) for i in sample.ids[sample.loss > 0]]
    assert state["next"] < n, "the test means to stay in one epoch"
    assert sorted(seen) == loss_tokens(n)


def test_no_token_sees_another_sample() -> None:
    model = Decoder(ModelConfig(dim=32, layers=2, heads=2), 5000, seed=1)
    a, b = toy(0, 2), toy(1, 3)
    other = replace(a, ids=(a.ids + 700) % 5000)

    def logits(*samples: Compiled) -> torch.Tensor:
        """Of the last sample's places."""
        rows = collate([[Held(Piece(i), s) for i, s in enumerate(samples)]], CONTEXT)
        end = sum(map(len, samples))
        index = torch.arange(end - len(samples[-1]), end)
        batch = replace(to_device(rows, torch.device("cpu")), index=index)
        with torch.no_grad():
            return model.logits(model.hidden(batch), batch)[0]

    changed = logits(other, b)
    assert torch.equal(logits(a, b), changed)
    torch.testing.assert_close(logits(b), changed, rtol=1e-5, atol=1e-5)
    # and inside a sample no token sees a later one
    late = replace(b, ids=b.ids.copy())
    late.ids[-1] = 4
    assert torch.equal(logits(a, late)[:-1], changed[:-1])
    assert not torch.equal(logits(a, late)[-1], changed[-1])
