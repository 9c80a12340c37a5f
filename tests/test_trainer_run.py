"""Whole runs on a small corpus: exact resumption, signals, ranks, and whether the model listens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from trainer_corpus import make_corpus

from pipeline.stream import open_corpus
from schemas.errors import StrettoError
from trainer import checkpoint
from trainer.build import build_model
from trainer.compile import Compiler
from trainer.config import TrainConfig
from trainer.data import Feed, Packer, fresh_state
from trainer.distributed import Ranks
from trainer.language import open_language
from trainer.loop import train
from trainer.step import make_optimizer, train_step

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("trainer"), train=12, val=4)


def settings(corpus: Path, out: Path, **changes: Any) -> dict[str, Any]:
    """A tiny run: samples are longer than the context, so that pieces and buffers matter."""
    return {
        "corpus": str(corpus),
        "out": str(out),
        "schema": str(corpus / "flat.yaml"),
        "steps": 6,
        "context": 384,
        "batch_rows": 2,
        "lookahead": 5,
        "workers": 0,
        "device": "cpu",
        "eval_samples": 0,
        "seed": 3,
        "model": {"dim": 32, "layers": 2, "heads": 2, "dropout": 0.1},
        "optim": {"warmup": 2},
        **changes,
    }


def config(corpus: Path, out: Path, **changes: Any) -> TrainConfig:
    return TrainConfig.from_mapping(settings(corpus, out, **changes), "test")


def log_of(out: Path) -> list[dict[str, Any]]:
    """log.jsonl without its timings."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "time"} for line in lines]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load_tensors(checkpoint.found(out)[-1][1], "model.pt", CPU)


def quiet(line: str) -> None:
    """Say nothing."""


def same_weights(a: Path, b: Path) -> bool:
    one, two = weights(a), weights(b)
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


@pytest.fixture(scope="module")
def straight(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 6 steps that was never stopped."""
    out = tmp_path_factory.mktemp("straight")
    train(config(corpus, out), quiet)
    return out


def test_stopped_twice_and_resumed_is_the_run_that_was_not(
    corpus: Path, straight: Path, tmp_path: Path
) -> None:
    train(config(corpus, tmp_path), quiet, stop_at=2)
    # how far the background runs ahead, and in how many processes, is nobody's business
    train(config(corpus, tmp_path, workers=1, prefetch=1), quiet, stop_at=3)
    train(config(corpus, tmp_path, cache_mb=0), quiet)
    assert log_of(tmp_path) == log_of(straight)
    assert [e["step"] for e in log_of(straight)] == [1, 2, 3, 4, 5, 6]
    assert same_weights(tmp_path, straight)


@pytest.mark.parametrize("name", ["views", "slots", "parallel"])
def test_every_kind_of_schema_resumes_exactly(name: str, corpus: Path, tmp_path: Path) -> None:
    """What views draw, the numbers of slots, and steps of several streams come again as they were."""
    schema = {"schema": str(corpus / f"{name}.yaml"), "steps": 5, "context": 512, "eval_samples": 2}
    train(config(corpus, tmp_path / "a", **schema), quiet)
    for stop, workers in ((1, 0), (3, 1), (5, 0)):
        train(config(corpus, tmp_path / "b", **schema, workers=workers), quiet, stop_at=stop)
    assert log_of(tmp_path / "a") == log_of(tmp_path / "b")
    assert same_weights(tmp_path / "a", tmp_path / "b")
    reports = [(tmp_path / x / "report.json").read_text() for x in "ab"]
    assert reports[0] == reports[1] and set(json.loads(reports[0])["lanes"]) == {"write", "speak"}


def test_a_run_killed_behind_its_checkpoint_writes_those_steps_again(
    corpus: Path, straight: Path, tmp_path: Path
) -> None:
    train(config(corpus, tmp_path, checkpoint_every=3), quiet, stop_at=5)
    shutil.rmtree(checkpoint.found(tmp_path)[-1][1])  # as if killed at step 5
    assert [s for s, _ in checkpoint.found(tmp_path)] == [3]
    train(config(corpus, tmp_path), quiet)
    assert log_of(tmp_path) == log_of(straight)
    assert same_weights(tmp_path, straight)


def test_a_finished_run_trains_no_further(corpus: Path, straight: Path) -> None:
    before = log_of(straight)
    assert train(config(corpus, straight), quiet).step == 6
    assert log_of(straight) == before


def test_another_seed_is_another_run(corpus: Path, straight: Path, tmp_path: Path) -> None:
    train(config(corpus, tmp_path, seed=4), quiet, stop_at=1)
    assert log_of(tmp_path)[0]["loss"] != log_of(straight)[0]["loss"]


def test_a_checkpoint_of_another_run_is_refused(corpus: Path, straight: Path) -> None:
    with pytest.raises(StrettoError, match="another run: `context` is another"):
        train(config(corpus, straight, context=512), quiet)
    with pytest.raises(StrettoError, match="take another `out`"):
        train(config(corpus, straight, resume="never"), quiet)


def test_no_codec_says_to_fit_one(tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "c", train=4, val=0, fit=False)
    with pytest.raises(StrettoError, match="stretto fit") as caught:
        train(config(root, tmp_path / "out"), quiet)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists(), "refused before anything was written"


def test_nothing_to_train_or_to_evaluate_on(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(StrettoError, match="no samples match split `test`"):
        train(config(corpus, tmp_path, split="test"), quiet)
    with pytest.raises(StrettoError, match="no samples in the split `test`"):
        train(config(corpus, tmp_path, eval_split="test", eval_every=2, eval_samples=4), quiet)
    with pytest.raises(StrettoError, match=r"toy-\d+: block \d+ has .* raise `context`"):
        train(config(corpus, tmp_path, context=32), quiet)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps"), [("flat", 110), ("slots", 80), ("parallel", 80)])
def test_it_learns_every_lane_and_listens(
    name: str, steps: int, corpus: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    summary = train(
        config(
            corpus,
            tmp_path,
            schema=str(corpus / f"{name}.yaml"),
            steps=steps,
            seed=4,  # some others need more steps until they listen
            eval_samples=4,
            eval_every=steps // 2,
            context=768,
            model={"dim": 64, "layers": 2, "heads": 2},
            optim={"lr": 4e-3, "warmup": 5},
        ),
        lines.append,
    )
    report = summary.report
    assert report == json.loads((tmp_path / "report.json").read_text())
    # no robot here: `act` is empty boundary tokens, and those count for no lane
    assert report is not None and set(report["lanes"]) == {"write", "speak"}
    for lane in report["lanes"].values():
        assert lane["loss"] < lane["unigram"], report
        assert lane["content_loss"] < lane["content_unigram"], report
    control = report["listen_control"]
    assert control["write_loss"]["right"] < control["write_loss"]["wrong"], control
    assert control["decide"]["right"] < 0.7 * control["decide"]["wrong"], control
    assert control["begin"]["right"] < control["begin"]["wrong"], control
    losses = [e["loss"] for e in log_of(tmp_path) if "loss" in e]
    assert losses[-1] < 0.5 * losses[0]
    held_out = [e for e in log_of(tmp_path) if "held_out" in e]
    assert [e["step"] for e in held_out] == [steps // 2, steps]
    assert held_out[-1]["held_out"] == report["lanes"]
    shown = [line for line in lines if line.startswith("step")]
    assert " write " in shown[0] and "listen -" in shown[0] and "data-wait" in shown[0]


# ---- as a program ------------------------------------------------------------------------------


def write_config(path: Path, content: dict[str, Any]) -> str:
    path.write_text(yaml.safe_dump(content))
    return str(path)


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", *args]


def environment(repo: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(repo), "OMP_NUM_THREADS": "1"}


def test_sigterm_ends_with_a_checkpoint_and_the_same_command_goes_on(
    corpus: Path, straight: Path, tmp_path: Path, repo: Path
) -> None:
    out = tmp_path / "out"
    path = write_config(tmp_path / "t.yaml", settings(corpus, out, steps=4000, workers=1))
    process = subprocess.Popen(
        command("jobs.train", path),
        cwd=repo,
        env=environment(repo),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step"):
            process.send_signal(signal.SIGTERM)
            break
    rest = process.stdout.read()
    assert process.wait(60) == 1, rest
    assert "stopped by SIGTERM after step" in rest and "Traceback" not in rest
    step = checkpoint.found(out)[-1][0]
    assert f"after step {step}" in rest and step < 4000
    again = subprocess.run(
        command("jobs.train", path, "--set", f"steps={step + 1}"),
        cwd=repo,
        env=environment(repo),
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0, again.stderr
    assert f"resume  from step {step}" in again.stdout
    assert [e["step"] for e in log_of(out)] == list(range(1, step + 2))


def test_a_killed_trainer_leaves_no_worker(corpus: Path, tmp_path: Path, repo: Path) -> None:
    path = write_config(
        tmp_path / "t.yaml", settings(corpus, tmp_path / "out", steps=4000, workers=1)
    )
    process = subprocess.Popen(
        command("jobs.train", path),
        cwd=repo,
        env=environment(repo),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step"):
            break
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert children
    process.kill()
    process.wait()
    limit = time.monotonic() + 20
    while any(Path(f"/proc/{c}/cmdline").exists() for c in children):
        assert time.monotonic() < limit, "a worker outlived its trainer"
        time.sleep(0.1)


def test_a_wrong_key_is_one_line(corpus: Path, tmp_path: Path, repo: Path) -> None:
    path = write_config(tmp_path / "t.yaml", settings(corpus, tmp_path / "out"))
    done = subprocess.run(
        command("jobs.train", path, "--set", "optim.lrr=1"),
        cwd=repo,
        env=environment(repo),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "did you mean `lr`" in done.stderr and done.stderr.count("\n") == 1


def emulate(checked: TrainConfig, world_size: int, steps: int) -> tuple[list[float], list[Any]]:
    """Losses and states of a run on `world_size` ranks, worked out in one process."""
    opened = open_corpus(checked.corpus)
    language = open_language(checked, opened)
    rows = [int(r) for r in opened.rows("train")]
    from pipeline.order import SampleOrder

    packers = [
        iter(
            Packer(
                checked,
                Feed(
                    rows,
                    SampleOrder(len(rows), checked.seed),
                    Compiler(checked, opened, language),
                    64,
                    0,
                    language.plan,
                ),
                fresh_state(world_size),
                rank,
                language.layout,
            )
        )
        for rank in range(world_size)
    ]
    model = build_model(checked, language)
    optimizer = make_optimizer(model, checked.optim, CPU)
    losses, states = [], []
    for step in range(1, steps + 1):
        taken = [next(p) for p in packers]
        states = [state for _, state in taken]
        result = train_step(
            step,
            checked,
            model,
            optimizer,
            [r for r, _ in taken],
            len(language.lanes),
            Ranks(0, 1, CPU),
            torch.float32,
        )
        losses.append(result.loss)
    return losses, states


@pytest.mark.parametrize("name", ["flat", "views", "parallel"])
def test_two_ranks_share_the_order_and_one_goes_on(
    name: str, corpus: Path, tmp_path: Path, repo: Path
) -> None:
    out = tmp_path / "out"
    small = {"schema": str(corpus / f"{name}.yaml"), "model": {"dim": 32, "layers": 1, "heads": 2}}
    plain = settings(corpus, out, steps=4, **small)
    path = write_config(tmp_path / "t.yaml", plain)
    ranks = subprocess.run(
        command(
            "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "jobs.train", path
        ),
        cwd=repo,
        env=environment(repo),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ranks.returncode == 0, ranks.stderr
    losses, states = emulate(TrainConfig.from_mapping(plain, "t"), 2, 4)
    assert [e["loss"] for e in log_of(out)] == pytest.approx(losses, rel=1e-4)
    data = checkpoint.load_meta(checkpoint.found(out)[-1][1])["data"]
    assert data["world_size"] == 2 and data["ranks"] == states
    positions = {p[0] for r in data["ranks"] for p in r["buffer"]}
    for rank, state in enumerate(data["ranks"]):
        own = {p[0] for p in state["buffer"]}
        assert all(p % 2 == rank for p in own) and own <= positions
    train(config(corpus, out, steps=6, **small), quiet)
    assert [e["step"] for e in log_of(out)] == [1, 2, 3, 4, 5, 6]
    alone = checkpoint.load_meta(checkpoint.found(out)[-1][1])["data"]
    assert alone["world_size"] == 1 and alone["next"] >= max(positions)
