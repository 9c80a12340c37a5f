"""The trainer's parts: loss by lane, weights, schedule, checkpoints, log, config."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from schemas.errors import StrettoError
from trainer import checkpoint
from trainer.config import ModelConfig, OptimConfig, TrainConfig
from trainer.controls import decision_places, shuffled_listen
from trainer.distributed import Ranks, pick_device
from trainer.evaluate import entropy, lane_report, report_lines
from trainer.held_out import Scores
from trainer.language import Decision
from trainer.loss import LaneSums, grade, token_losses, weighted_sum
from trainer.model import Decoder, flops_per_token, parameter_count
from trainer.pack import Compiled, Held, Piece
from trainer.progress import clock, lanes_text, short
from trainer.rows import collate
from trainer.step import learning_rate, make_optimizer, train_step

CPU = torch.device("cpu")


def test_lane_sums_are_those_of_the_lane_alone() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(50, 7), torch.randint(0, 7, (50,))
    lane = torch.randint(0, 3, (50,)) * 2  # lanes 0, 2 and 4; 1 and 3 bear no loss
    lane[::7] = 255  # boundary tokens: no lane's
    sums = LaneSums.zeros(5, CPU)
    for part in (slice(0, 20), slice(20, 50)):
        sums.add(*grade(logits[part], target[part]), lane[part])
    report = sums.report(("a", "b", "c", "d", "e"))
    assert list(report) == ["a", "c", "e"]
    for index, name in ((0, "a"), (2, "c"), (4, "e")):
        mine = lane == index
        assert report[name]["loss"] == pytest.approx(
            float(F.cross_entropy(logits[mine], target[mine])), rel=1e-6
        )
        assert report[name]["accuracy"] == pytest.approx(
            float((logits[mine].argmax(1) == target[mine]).double().mean())
        )
        assert report[name]["tokens"] == int(mine.sum())
    assert lanes_text(("a", "b"), report).startswith("a ") and lanes_text(
        ("a", "b"), report
    ).endswith("b -")


def test_a_weight_of_two_is_the_token_twice() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(4, 7), torch.tensor([1, 2, 3, 4])
    weight = torch.tensor([2.0, 0.0, 1.0, 0.5])
    nats = token_losses(logits, target)
    assert weighted_sum(nats, weight) == pytest.approx(float(2 * nats[0] + nats[2] + 0.5 * nats[3]))


def toy_rows(weight: float, seed: int, n: int = 40) -> list[Compiled]:
    draw = np.random.default_rng(seed)
    ids = draw.integers(0, 50, n).astype(np.int32)
    return [
        Compiled(
            ids,
            np.zeros(n, np.uint8),
            np.zeros(n, np.int32),
            np.full(n, weight, np.float32),
            np.zeros(n, np.uint8),
        )
    ]


def step_of(samples: list[list[Compiled]]) -> tuple[float, torch.Tensor]:
    """One step over micro-batches of one row each: its loss and the weights after it."""
    config = TrainConfig.model_validate(
        {"corpus": "c", "out": "o", "context": 128, "optim": {"warmup": 0}}
    )
    model = Decoder(ModelConfig(dim=32, layers=1, heads=2), 50)
    optimizer = make_optimizer(model, config.optim, CPU)
    micro = [collate([[Held(Piece(i), s) for i, s in enumerate(row)]], 128) for row in samples]
    result = train_step(1, config, model, optimizer, micro, 1, Ranks(0, 1, CPU), torch.float32)
    return result.loss, torch.cat([p.detach().flatten() for p in model.parameters()])


def test_accumulating_is_one_large_batch_whatever_the_weights() -> None:
    a, b = toy_rows(1.0, 1), toy_rows(0.25, 2, n=20)
    together, apart = step_of([a + b]), step_of([a, b])
    assert together[0] == pytest.approx(apart[0], rel=1e-5)
    torch.testing.assert_close(together[1], apart[1], rtol=1e-4, atol=1e-6)
    only_a = step_of([a])
    assert abs(only_a[0] - together[0]) > 1e-4  # b counts


def test_a_sample_of_no_weight_changes_no_gradient() -> None:
    a, none = toy_rows(1.0, 1), toy_rows(0.0, 2)
    torch.testing.assert_close(step_of([a])[1], step_of([a + none])[1], rtol=1e-5, atol=1e-7)


def test_learning_rate() -> None:
    c = OptimConfig(lr=1.0, warmup=10, min_lr_share=0.1)
    rates = [learning_rate(c, s, 110) for s in range(1, 111)]
    assert rates[:10] == pytest.approx([0.1 * s for s in range(1, 11)])
    assert rates[59] == pytest.approx(0.55, abs=0.01) and rates[-1] == pytest.approx(0.1)
    assert all(a >= b for a, b in zip(rates[9:], rates[10:], strict=False))


def test_model_sizes() -> None:
    c = ModelConfig(dim=64, layers=3, heads=4, kv_heads=2, ffn=160)
    model = Decoder(c, 100)
    by_hand = 100 * 64 + 64 + 3 * (64 * 64 * 2 + 64 * 64 + 3 * 64 * 160 + 2 * 64)
    assert parameter_count(model) == by_hand
    matrices = by_hand - 64 - 3 * 2 * 64
    assert flops_per_token(model, 256) == 6 * matrices + 12 * 3 * 64 * 256


def test_devices() -> None:
    assert pick_device("cpu", 3) == CPU
    if not torch.cuda.is_available():
        assert pick_device("auto", 0) == CPU
        with pytest.raises(StrettoError, match="device: auto"):
            pick_device("cuda", 0)


# ---- checkpoints -------------------------------------------------------------------------------


def test_checkpoints_keep_the_last_and_come_back(tmp_path: Path) -> None:
    for step in (1, 2, 10):
        folder = checkpoint.save(
            tmp_path,
            step,
            {"w": torch.full((2,), float(step))},
            {"state": {}},
            {"tokens": step},
            keep=2,
        )
    assert [s for s, _ in checkpoint.found(tmp_path)] == [2, 10]
    assert checkpoint.load_meta(folder)["tokens"] == 10
    assert checkpoint.load_tensors(folder, "model.pt", CPU)["w"].tolist() == [10, 10]


KILLED = """
    import os, sys, torch
    from trainer import checkpoint
    real = torch.save
    def save(value, path):
        real(value, path)
        if path.name == "optimizer.pt" and value["kill"]:
            os.kill(os.getpid(), 9)
    torch.save = save
    out = sys.argv[1]
    checkpoint.save(out, 1, {"w": torch.ones(3)}, {"kill": False}, {}, keep=3)
    checkpoint.save(out, 2, {"w": torch.ones(3)}, {"kill": True}, {}, keep=3)
"""


def test_killed_while_writing_leaves_the_one_before(tmp_path: Path, repo: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)],
        cwd=repo,
        env={**os.environ, "PYTHONPATH": str(repo)},
    )
    assert done.returncode == -signal.SIGKILL
    assert list((tmp_path / "checkpoints").glob(".step-*")), "nothing was half-written"
    assert [s for s, _ in checkpoint.found(tmp_path)] == [1]
    checkpoint.save(tmp_path, 2, {"w": torch.ones(3)}, {}, {}, keep=3)
    assert [s for s, _ in checkpoint.found(tmp_path)] == [1, 2]
    assert not list((tmp_path / "checkpoints").glob(".step-*"))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ["EVIL_FOLDER"],)


def test_a_checkpoint_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIL_FOLDER", str(tmp_path / "evil"))
    torch.save({"w": Evil()}, tmp_path / "model.pt")
    with pytest.raises(StrettoError, match="model.pt is unreadable"):
        checkpoint.load_tensors(tmp_path, "model.pt", CPU)
    assert not (tmp_path / "evil").exists()


def test_a_torn_log_is_trimmed(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = [json.dumps({"step": s}) for s in (1, 2, 3)]
    path.write_text("\n".join(lines) + '\n{"step": 4, "lo')
    checkpoint.trim_log(path, 2)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'


# ---- evaluation --------------------------------------------------------------------------------


def test_entropy() -> None:
    assert entropy(np.array([3, 3, 9, 9])) == pytest.approx(np.log(2))
    assert entropy(np.array([5, 5, 5])) == 0


def test_boundary_tokens_flatter_no_lane() -> None:
    """Two blocks of a text lane and two of an empty one: only content and idle tokens are counted,
    in the loss and in the entropy beside it alike."""
    kind = np.array([2, 0, 0, 3, 2, 1, 3, 2, 3, 2, 3], np.uint8)
    lane = np.array([0] * 7 + [1] * 4, np.uint8)
    ids = np.array([9, 4, 5, 8, 9, 1, 8, 6, 7, 6, 7], np.int32)
    ones = np.ones(len(ids), np.float32)
    sample = Compiled(ids, lane, np.zeros(len(ids), np.int32), ones, kind)
    nats = np.where(kind == 0, 3.0, np.where(kind == 1, 0.5, 1e-3))
    report = lane_report([sample, sample], [Scores(nats, nats)] * 2, ("write", "act"))
    assert report == {
        "write": {
            "loss": pytest.approx(6.5 / 3),
            "unigram": pytest.approx(np.log(3)),
            "tokens": 6,
            "content_loss": pytest.approx(3.0),
            "content_unigram": pytest.approx(np.log(2)),
            "content_tokens": 4,
        }
    }
    lines = report_lines({"samples": 2, "lanes": report})
    assert lines[1].split() == (
        "write 2.167 >= 1.099 (6) content and idle | 3.000 >= 0.693 (4) content".split()
    )
    rows = collate([[Held(Piece(0), sample)]], 16)
    assert rows.lane.tolist() == [0, 0, 255, 255, 0, 255, 255, 255, 255, 255]
    assert len(rows.weight) == 10 and rows.weight.all(), "they still bear loss"


def test_shuffled_listen_swaps_listen_and_nothing_else() -> None:
    def sample(base: int, blocks: int) -> Compiled:
        ids = np.concatenate([[base + b, base + b, 7] for b in range(blocks)]).astype(np.int32)
        return Compiled(
            ids,
            np.tile(np.array([0, 0, 2], np.uint8), blocks),
            np.repeat(np.arange(blocks), 3).astype(np.int32),
            np.zeros(len(ids), np.float32),
            np.zeros(len(ids), np.uint8),
        )

    samples = [sample(100, 4), sample(200, 2), sample(200, 2)]
    out = shuffled_listen(samples, (0,))
    # blocks 2 and 3 lie past the donor's end: the commonest block stands in
    assert out[0].ids.reshape(-1, 3)[:, 0].tolist() == [200, 201, 200, 200]
    assert out[2].ids.reshape(-1, 3)[:, 0].tolist() == [100, 101]
    assert all((a.ids[a.lane == 2] == 7).all() for a in out)
    assert samples[0].ids[0] == 100, "the samples themselves stay"


def test_decisions_are_the_first_tokens_of_the_lane_that_say_something_and_bear_loss() -> None:
    sample = Compiled(
        np.array([9, 1, 5, 9, 2, 9, 1], np.int32),
        np.array([0, 0, 0, 0, 0, 0, 0], np.uint8),
        np.array([0, 0, 0, 1, 1, 2, 2], np.int32),
        np.array([0, 1, 1, 0, 1, 0, 0], np.float32),
        np.array([2, 0, 0, 2, 1, 2, 0], np.uint8),
    )
    assert decision_places(sample, Decision(0, 0, (2,))).tolist() == [1, 4]
    assert decision_places(sample, Decision(1, 0, (2,))).tolist() == []


# ---- config ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stepps": 3}, "unknown key `stepps`.*did you mean `steps`"),
        ({"model": {"dims": 3}}, "model.dims: unknown key.*did you mean `dim`"),
        ({"steps": 0}, "x.yaml: steps: .*greater than 0"),
        ({"model": {"dim": 65}}, "dim 65 / heads 4"),
        ({"device": "tpu"}, "device"),
    ],
)
def test_a_wrong_config_is_one_clear_line(change: dict, says: str) -> None:
    with pytest.raises(StrettoError, match=says) as caught:
        TrainConfig.from_mapping({"corpus": "c", "out": "o", **change}, "x.yaml")
    assert "\n" not in str(caught.value)


def test_identity_ignores_what_does_not_shape_losses() -> None:
    base = TrainConfig(corpus="c", out="o")
    assert (
        base.digest() == TrainConfig(corpus="d", out="p", steps=9, workers=3, device="cpu").digest()
    )
    assert base.digest() != TrainConfig(corpus="c", out="o", seed=1).digest()


def test_numbers_for_people() -> None:
    assert [short(v) for v in (12, 9800, 1.5e6, 2e9)] == ["12", "9.8k", "1.5M", "2.0G"]
    assert [clock(v) for v in (5, 65, 7261)] == ["0:05", "1:05", "2:01:01"]
