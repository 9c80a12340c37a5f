"""The parallel mode: summed embeddings, a head a stream, each under the earlier ones of its step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch

from pipeline.order import SampleOrder
from schemas.draws import rng
from schemas.errors import StrettoError
from trainer.config import ModelConfig, TrainConfig
from trainer.controls import decisions, shuffled_listen
from trainer.data import Feed, Packer, fresh_state
from trainer.distributed import Ranks
from trainer.evaluate import lane_report
from trainer.held_out import Scorer, Scores, scores_of
from trainer.language import Decision, lookup_table
from trainer.loss import Batch, batch_loss
from trainer.model import flops_per_token, parameter_count
from trainer.pack import Compiled, Held, Piece, split
from trainer.parallel_model import ParallelDecoder
from trainer.rows import Layout, collate
from trainer.step import make_optimizer, to_device, train_step

CPU = torch.device("cpu")
# ids: 0 idle, 1 pad, 2..5 text, 6..9 codes of book 0, 10..13 of book 1; speak and listen share codes
TEXT, BOOK0, BOOK1 = np.arange(2, 6), np.arange(6, 10), np.arange(10, 14)
TABLES = (
    np.array([0, *TEXT], np.int32),
    np.array([1, *BOOK0], np.int32),
    np.array([1, *BOOK1], np.int32),
    np.array([1, *BOOK0], np.int32),
)
STREAMS, SIZES, CONTEXT = 4, (5, 5, 5, 5), 48
LAYOUT = Layout(STREAMS, (0, 1, 2), lookup_table(TABLES, 14))
LANES = np.array([0, 1, 1, 2], np.uint8)  # say, speak, speak, listen
WEIGHTS = np.array([1.0, 2.0, 0.5, 0.0], np.float32)
DECISION = Decision(0, 0, (0,))


def sample(number: int, steps: int = 20, prompt: int = 2) -> Compiled:
    """`listen` is random. `say` says what was heard one step before, where that is above the lowest
    code; book 0 of `speak` is random; book 1 copies book 0 of the same step."""
    draw = rng(3, f"s{number}", "toy", "codes")
    heard, said = draw.integers(0, 4, steps), draw.integers(0, 4, steps)
    before = np.concatenate([[0], heard[:-1]])
    text = np.where(before > 0, TEXT[before], 0)
    ids = np.stack([text, BOOK0[said], BOOK1[said], BOOK0[heard]], axis=1)
    ids[:prompt] = [0, 1, 1, 1]
    lane, kind = np.tile(LANES, (steps, 1)), np.zeros((steps, STREAMS), np.uint8)
    kind[:, 0] = ids[:, 0] == 0
    block = np.repeat(np.maximum(np.arange(steps) - prompt, -1), STREAMS)
    loss = np.tile(WEIGHTS, (steps, 1))
    lane[:prompt, :3], loss[:prompt] = 255, 0
    flat = [a.reshape(-1) for a in (ids, lane, loss, kind)]
    return Compiled(
        flat[0].astype(np.int32),
        flat[1].astype(np.uint8),
        block.astype(np.int32),
        flat[2].astype(np.float32),
        flat[3],
        STREAMS,
    )


def model(seed: int = 1, dim: int = 32) -> ParallelDecoder:
    c = ModelConfig(dim=dim, layers=2, heads=2)
    return ParallelDecoder(c, SIZES, LAYOUT.heads, seed)


def batch_of(*samples: Compiled) -> Batch:
    rows = collate([[Held(Piece(i), s) for i, s in enumerate(samples)]], CONTEXT, LAYOUT)
    return to_device(rows, CPU)


def nats(m: ParallelDecoder, s: Compiled) -> torch.Tensor:
    """[steps that bear loss, heads]."""
    with torch.no_grad():
        return m(batch_of(s)).nats


def changed(s: Compiled, step: int, stream: int, token: int) -> Compiled:
    ids = s.ids.copy()
    ids[step * STREAMS + stream] = token
    return replace(s, ids=ids)


def test_targets_are_the_next_steps_streams_with_their_weights() -> None:
    s = sample(0)
    rows = collate([[Held(Piece(0), s)]], CONTEXT, LAYOUT)
    assert rows.ids.shape == (1, CONTEXT, STREAMS) and rows.target.shape == (18, 3)
    assert rows.index.tolist() == list(range(1, 19))
    # the rows of a stream follow those before it
    text = np.searchsorted(TABLES[0], s.ids.reshape(-1, STREAMS)[2:, 0])
    assert rows.target[:, 0].tolist() == text.tolist()
    book1 = np.searchsorted(TABLES[2], s.ids.reshape(-1, STREAMS)[2:, 2])
    assert rows.target[:, 2].tolist() == (book1 + 10).tolist()
    assert (rows.weight == WEIGHTS[:3]).all()
    assert rows.weight_sum == pytest.approx(18 * 3.5) and rows.token_count == 20 * STREAMS
    assert (rows.ids[0, 20:] == 0).all() and (rows.segment[0, 20:] == 0).all()


def test_an_id_that_its_stream_cannot_hold_is_refused() -> None:
    with pytest.raises(StrettoError, match="id 10 is none of stream 1"):
        batch_of(changed(sample(0), 5, 1, 10))
    bears = sample(0)
    bears.loss[7 * STREAMS + 3] = 1
    with pytest.raises(StrettoError, match="without a head"):
        batch_of(bears)


def test_a_head_sees_the_past_and_the_earlier_streams_of_its_step_and_nothing_else() -> None:
    m, s = model(), sample(0)
    base, step = nats(m, s), 9  # its losses stand in row step - 2
    row = step - 2
    for stream, later in ((0, (1, 2)), (1, (2,))):
        other = next(i for i in TABLES[stream] if i != s.ids[step * STREAMS + stream])
        new = nats(m, changed(s, step, stream, int(other)))
        assert torch.equal(new[:row], base[:row]), "an earlier step changed"
        for head in range(3):
            same = bool(torch.isclose(new[row, head], base[row, head], rtol=1e-6, atol=0))
            # its own cost is another token's; heads before it must not know
            assert same == (head < stream), (stream, head)
        assert not torch.isclose(new[row, list(later)], base[row, list(later)]).any()
        assert not torch.isclose(new[row + 1 :], base[row + 1 :]).all()
    # what is heard in a step is for the next one
    listen = nats(m, changed(s, step, 3, 1))
    assert torch.equal(listen[: row + 1], base[: row + 1])
    assert not torch.isclose(listen[row + 1], base[row + 1]).any()


def test_the_probabilities_of_a_step_sum_to_one() -> None:
    """Over all joint choices of the three heads at one step: the chain rule is complete."""
    m, s, step = model(), sample(1), 6
    total = 0.0
    for text in TABLES[0]:
        for a in TABLES[1]:
            for b in TABLES[2]:
                ids = s.ids.copy()
                ids[step * STREAMS : step * STREAMS + 3] = text, a, b
                total += float(torch.exp(-nats(m, replace(s, ids=ids))[step - 2].sum()))
    assert total == pytest.approx(1, abs=1e-4)


def test_the_loss_is_the_weighted_sum_over_heads() -> None:
    m, a, b = model(), sample(0), sample(1)
    batch = batch_of(a, b)
    grades = m(batch)
    by_hand = sum(float((nats(m, s) * torch.tensor(WEIGHTS[:3])).sum()) for s in (a, b))
    assert batch_loss(grades, batch).item() == pytest.approx(by_hand, rel=1e-4)


def steps(m: ParallelDecoder, count: int, lr: float = 1e-2) -> dict[str, dict[str, float]]:
    """Train on fresh samples; the lane figures of the last step."""
    config = TrainConfig.model_validate(
        {"corpus": "c", "out": "o", "steps": count, "optim": {"lr": lr, "warmup": 5}}
    )
    optimizer = make_optimizer(m, config.optim, CPU)
    for step in range(1, count + 1):
        held = [Held(Piece(i), sample(step * 100 + i)) for i in range(16)]
        rows = collate([held[i : i + 2] for i in range(0, 16, 2)], CONTEXT, LAYOUT)
        result = train_step(step, config, m, optimizer, [rows], 3, Ranks(0, 1, CPU), torch.float32)
    return result.lanes.report(("say", "speak", "listen"))


@pytest.fixture(scope="module")
def learned() -> tuple[ParallelDecoder, dict[str, dict[str, float]]]:
    m = model()
    return m, steps(m, 120)


def test_it_learns_what_was_heard_and_what_stands_in_the_same_step(
    learned: tuple[ParallelDecoder, dict[str, dict[str, float]]],
) -> None:
    m, report = learned
    assert report["say"]["loss"] < 0.2, "the text follows from the step before"
    # book 0 is random (1.39 nats), book 1 follows from it: only the depth can tell it
    assert report["speak"]["loss"] == pytest.approx(np.log(4) / 2, abs=0.1)
    held = [sample(n) for n in range(9000, 9006)]
    scores = scores_of(Scorer(m, CONTEXT, CPU, torch.float32, layout=LAYOUT), held)
    book1 = [s.nats.reshape(-1, STREAMS)[2:, 2] for s in scores]
    assert np.mean(book1) < 0.2
    lanes = lane_report(held, scores, ("say", "speak", "listen"))
    assert set(lanes) == {"say", "speak"}
    for lane in lanes.values():
        assert lane["loss"] < lane["unigram"]
    # each book has an entropy of its own; of both together it would be log 2 more
    assert lanes["speak"]["unigram"] == pytest.approx(np.log(4), abs=0.05)


def test_another_samples_listen_costs_the_decisions(
    learned: tuple[ParallelDecoder, dict[str, dict[str, float]]],
) -> None:
    held = [sample(n) for n in range(9000, 9006)]
    other = shuffled_listen(held, (2,))
    grid, new = (s.ids.reshape(-1, STREAMS) for s in (held[0], other[0]))
    assert (new[:, :3] == grid[:, :3]).all()
    assert (new[2:, 3] == held[1].ids.reshape(-1, STREAMS)[2:, 3]).all()
    scorer = Scorer(learned[0], CONTEXT, CPU, torch.float32, layout=LAYOUT, decision=DECISION)
    right, wrong = scores_of(scorer, held), scores_of(scorer, other)
    found = decisions(held, right, wrong, DECISION)
    assert found["decide"][2] == 6 * 18
    for kind in ("decide", "begin", "stay"):
        assert found[kind][0] < 0.5 * found[kind][1], found


def test_windows_count_steps_and_split_between_them() -> None:
    s = sample(0, steps=60)
    pieces = split(s, 0, CONTEXT, "s")
    assert [tuple(h.piece[:3]) for h in pieces] == [(0, 0, 46), (0, 46, 58)]
    assert [h.tokens.steps for h in pieces] == [48, 14]
    body = np.concatenate([h.tokens.ids[2 * STREAMS :] for h in pieces])
    assert body.tolist() == s.ids[2 * STREAMS :].tolist()


class ToyCompiler:
    """Row r is a toy sample of 10 to 70 steps."""

    def now(self, row: int, phase: float = 0.0) -> Compiled:
        return sample(row, 10 + row * 7 % 61)

    def name(self, row: int) -> str:
        return f"toy {row}"


def test_resuming_the_packer_gives_the_same_batches() -> None:
    config = TrainConfig.model_validate(
        {"corpus": "c", "out": "o", "context": CONTEXT, "batch_rows": 2, "lookahead": 5}
    )

    def flow(state: dict[str, Any]) -> Any:
        feed = Feed(list(range(11)), SampleOrder(11, 5), cast(Any, ToyCompiler()), 1, 0)
        return iter(Packer(config, feed, state, 0, LAYOUT))

    straight = flow(fresh_state(1))
    batches = [next(straight) for _ in range(8)]
    again = flow({**fresh_state(1), "ranks": [batches[3][1]]})
    for rows, state in batches[4:]:
        new, own = next(again)
        assert (rows.ids == new.ids).all() and (rows.target == new.target).all() and own == state


def test_sizes_and_flops() -> None:
    m = model()
    ffn = 96
    trunk = 2 * (4 * 32 * 32 + 3 * 32 * ffn)
    depth = 2 * 32 * 32 + 3 * 32 * ffn + 3 * 5 * 32
    assert parameter_count(m) == trunk + depth + 20 * 32 + 32 * (2 * 2 + 1 + 2)
    step = 6 * (trunk + depth + 2 * 3 * 32 * ffn) + 12 * 2 * 32 * CONTEXT
    assert flops_per_token(m, CONTEXT) == pytest.approx(step / STREAMS)


def test_every_parameter_takes_part_in_every_batch() -> None:
    """DDP waits for all gradients, so a batch without any loss must have them too (as zeros)."""
    m, s = model(), sample(0)
    for weight in (1.0, 0.0):
        m.zero_grad(set_to_none=True)
        batch = batch_of(replace(s, loss=s.loss * np.float32(weight)))
        batch_loss(m(batch), batch).backward()
        assert all(p.grad is not None for p in m.parameters())


def test_scores_are_where_the_loss_is() -> None:
    s = sample(0, steps=60)
    found: Scores = scores_of(Scorer(model(), CONTEXT, CPU, torch.float32, layout=LAYOUT), [s])[0]
    assert (~np.isnan(found.nats) == (s.loss > 0)).all()
