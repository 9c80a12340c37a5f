"""Continuous lanes: slots that are heard, mel frames that are said; in turns, as Translatotron has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from schemas.draws import rng
from trainer.config import ModelConfig, TrainConfig
from trainer.controls import shuffled_listen
from trainer.distributed import Ranks
from trainer.evaluate import lane_report, report_lines
from trainer.held_out import Scorer, Scores, scores_of
from trainer.loss import Batch, batch_loss
from trainer.model import Decoder
from trainer.pack import Compiled, Held, Piece, cut, split
from trainer.rows import Layout, collate
from trainer.step import make_optimizer, to_device, train_step

CPU = torch.device("cpu")
DIM, CONTEXT = 4, 64
LAYOUT = Layout(values={0: DIM, 1: DIM}, frames=(1,))
OPEN_IN, CLOSE_IN, OPEN_OUT, CLOSE_OUT, SLOT_IN, SLOT_OUT, PROMPT_ID = range(7)


def turn(block: int, frames: int) -> tuple[np.ndarray, ...]:
    """ids, lane, block, loss, kind of what is heard and said in one turn."""
    heard = [(OPEN_IN, 0, 0, 2), *[(SLOT_IN, 0, 0, 0)] * frames, (CLOSE_IN, 0, 0, 3)]
    said = [(OPEN_OUT, 1, 0, 2), *[(SLOT_OUT, 1, 1, 0)] * frames, (CLOSE_OUT, 1, 1, 3)]
    ids, lane, loss, kind = zip(*heard, *said, strict=True)
    return np.array(ids), np.array(lane), np.full(len(ids), block), np.array(loss), np.array(kind)


def sample(number: int, frames: tuple[int, ...] = (5, 7)) -> Compiled:
    """Turns in which the mel frames say again what was heard, a little louder."""
    draw = rng(3, f"s{number}", "toy", "frames")
    parts = [turn(b, n) for b, n in enumerate(frames)]
    ids, lane, block, loss, kind = (np.concatenate(column) for column in zip(*parts, strict=True))
    # one vector a turn: it is heard, then it is said. Numbers are as the codec's: silence is -1
    heard = [np.repeat(draw.normal(-0.6, 0.3, (1, DIM)), n, axis=0) for n in frames]
    slots = np.concatenate(heard).astype(np.float32)
    return Compiled(
        np.append(PROMPT_ID, ids).astype(np.int32),
        np.append(255, lane).astype(np.uint8),
        np.append(-1, block).astype(np.int32),
        np.append(0, loss).astype(np.float32),
        np.append(0, kind).astype(np.uint8),
        values={0: slots, 1: slots + np.float32(0.3)},
    )


def model(seed: int = 1) -> Decoder:
    c = ModelConfig(dim=32, layers=2, heads=2)
    return Decoder(c, 7, seed, values=(DIM, DIM), frames=(1,))


def batch_of(s: Compiled) -> Batch:
    return to_device(collate([[Held(Piece(0), s)]], CONTEXT, LAYOUT), CPU)


def test_a_frame_is_predicted_from_the_place_before_and_has_no_cross_entropy() -> None:
    s = sample(0)
    rows = collate([[Held(Piece(0), sample(1, (2,))), Held(Piece(1), s)]], CONTEXT, LAYOUT)
    first = len(sample(1, (2,)))
    frames = rows.frames[0]
    assert len(frames.before) == 2 + 5 + 7
    flat = rows.ids.reshape(-1)
    assert (flat[frames.before + 1] == SLOT_OUT).all()
    assert (flat[frames.before[[0, 2, 7]]] == OPEN_OUT).all()
    assert (frames.rows[2:] == s.values[1]).all()
    # cross-entropy is left for the close tokens, of no lane's figures
    assert (rows.target == CLOSE_OUT).all() and (rows.lane == 255).all() and len(rows.target) == 3
    heard, said = rows.values
    assert (flat[heard.at] == SLOT_IN).all() and (flat[said.at] == SLOT_OUT).all()
    assert (heard.rows[2:] == s.values[0]).all() and heard.at.min() >= 0
    assert said.at[2] == first + np.flatnonzero(s.ids == SLOT_OUT)[0]
    assert rows.weight_sum == 14 + 3


def predicted(m: Decoder, s: Compiled) -> torch.Tensor:
    batch = batch_of(s)
    with torch.no_grad():
        return m.frames.predicted(m.hidden(batch), batch.frames)[0]


def test_the_numbers_are_heard_and_no_frame_sees_itself() -> None:
    m, s = model(), sample(0)
    with torch.no_grad():  # heads start at zero and would say nothing
        for p in m.frames.parameters():
            p.normal_(generator=torch.Generator().manual_seed(0))
    base = predicted(m, s)
    for lane, row, first in ((1, 6, 7), (0, 3, 0), (0, 5, 5)):
        values = {i: v.copy() for i, v in s.values.items()}
        values[lane][row] += 1
        new = predicted(m, replace(s, values=values))
        # a frame that is said is known behind itself; what is heard in a turn, in its whole answer
        assert torch.equal(new[:first], base[:first]), (lane, row)
        assert not torch.isclose(new[first:], base[first:]).all(dim=1).any()


def test_windows_take_the_numbers_of_their_turns() -> None:
    s = sample(0, (5, 7, 3))
    held = split(s, 0, 24, "s")
    assert [h.piece[1:3] for h in held] == [(0, 1), (1, 2), (2, 3)]
    assert [len(h.tokens.values[1]) for h in held] == [5, 7, 3]
    assert (np.concatenate([h.tokens.values[0] for h in held]) == s.values[0]).all()
    none = cut(s, Piece(0, 0, 0))
    assert len(none.tokens) == 1 and none.tokens.values[1].shape == (0, DIM)
    assert collate([[none]], 16, LAYOUT).frames[0].rows.shape == (0, DIM)


def test_it_learns_the_frames_and_the_report_sets_the_median_beside_them() -> None:
    c = {"corpus": "c", "out": "o", "steps": 200, "optim": {"lr": 6e-3}}
    m, config = model(), TrainConfig.model_validate(c)
    optimizer = make_optimizer(m, config.optim, CPU)
    for step in range(1, 201):
        held = [Held(Piece(i), sample(step * 20 + i)) for i in range(8)]
        rows = collate([[h] for h in held], CONTEXT, LAYOUT)
        ranks = Ranks(0, 1, CPU)
        result = train_step(
            step, config, m, optimizer, [rows], 2, ranks, torch.float32, LAYOUT.frames
        )
    train = result.lanes.report(("listen", "speak"))["speak"]
    assert set(train) == {"loss", "tokens"} and train["tokens"] == 8 * 12
    held_out = [sample(n) for n in range(9000, 9008)]
    scorer = Scorer(m, CONTEXT, CPU, torch.float32, layout=LAYOUT)
    scores = scores_of(scorer, held_out)
    report = lane_report(held_out, scores, ("listen", "speak"), LAYOUT.frames)
    assert set(report) == {"speak"}
    lane = report["speak"]
    assert lane["loss"] == pytest.approx(train["loss"], abs=0.1)
    assert lane["loss"] < 0.6 * lane["unigram"], report
    frames = np.concatenate([s.values[1] for s in held_out])
    assert lane["unigram"] == pytest.approx(np.abs(frames - np.median(frames, axis=0)).mean())
    assert "speak" in report_lines({"samples": 8, "lanes": report}, ("speak",))[1]
    # and it listens: with another sample's slots the frames are worse
    wrong = scores_of(scorer, shuffled_listen(held_out, (0,)))
    said = [s.valued(1) for s in held_out]

    def mean(found: list[Scores]) -> float:
        return float(np.mean([f.nats[at].mean() for f, at in zip(found, said, strict=True)]))

    assert mean(wrong) > 1.5 * mean(scores)


def test_another_samples_numbers_come_turn_by_turn() -> None:
    a, b = sample(0, (3, 4)), sample(1, (5,))
    new = shuffled_listen([a, b], (0,))
    assert (new[0].values[0][:3] == b.values[0][:3]).all()
    faint = np.concatenate([a.values[0], b.values[0]])
    assert (new[0].values[0][3:] == faint[faint.mean(axis=1).argmin()]).all()
    assert (new[1].values[0] == np.resize(a.values[0][:3], (5, DIM))).all()
    for old, now in ((a, new[0]), (b, new[1])):
        assert (old.ids == now.ids).all() and (old.values[1] == now.values[1]).all()


def test_every_parameter_takes_part_in_a_batch_without_numbers() -> None:
    m = model()
    plain = sample(0, (0, 0))
    assert plain.values[0].shape == (0, DIM)
    batch = batch_of(plain)
    batch_loss(m(batch), batch).backward()
    assert all(p.grad is not None for p in m.parameters())
