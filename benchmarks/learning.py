"""Does the bundled trainer learn from the example corpus? `python -m benchmarks.learning`

    python -m benchmarks.learning [--steps 400] [--seeds 7 8] [--out DIR]

Makes the example corpus and fits its codecs (unless DIR/corpus is there already), trains
`examples/train_quickstart.yaml` on one CPU thread once for each seed, and prints the tables of
docs/training.md: each lane's held-out loss beside its unigram entropy, of content and idle tokens
and of content alone, and the shuffled-listen control. Where several seeds ran, a cell has one
figure for each, in their order. Without --out everything lies in a temporary folder and goes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from jobs import fit, generate
from jobs.config_file import load_yaml
from trainer.config import TrainConfig
from trainer.loop import train

REPO = Path(__file__).resolve().parent.parent
QUICKSTART = "examples/quickstart.yaml"
TRAIN = "examples/train_quickstart.yaml"
STEPS = 400


def ensure_corpus(folder: Path) -> Path:
    """The example corpus with its codecs; made where it is absent."""
    if not (folder / "dataset.json").is_file():
        # the check reads the audio and changes no sample
        generate.run(QUICKSTART, str(folder), settings=("checks.vad=false",))
    if not (folder / "codecs").is_dir():
        fit.run(QUICKSTART, str(folder))
    return folder


def learn(corpus: Path, out: Path, steps: int, seed: int) -> tuple[dict[str, Any], float]:
    """The held-out report of one run, and its CPU minutes."""
    data = load_yaml(TRAIN) | {
        "corpus": str(corpus),
        "out": str(out),
        "steps": steps,
        "seed": seed,
        "log_every": 50,
        "device": "cpu",
        "resume": "never",
    }
    start = time.process_time()
    report = train(TrainConfig.from_mapping(data, TRAIN)).report
    assert report is not None, "nothing was held out"
    return report, (time.process_time() - start) / 60


def tables(reports: list[dict[str, Any]]) -> str:
    """The two tables of docs/training.md."""

    def cell(part: str, name: str, key: str) -> str:
        found = [report[part][name].get(key) for report in reports]
        return " / ".join("-" if v is None else f"{v:.2f}" for v in found)

    keys = ("loss", "unigram", "content_loss", "content_unigram")
    lines = [
        "| lane | loss | unigram entropy | content alone: loss | unigram entropy |",
        "| --- | --- | --- | --- | --- |",
    ]
    for lane in reports[0]["lanes"]:
        row = [cell("lanes", lane, key) for key in keys]
        lines.append(f"| {' | '.join([lane, *row])} |")
    lines += [
        "",
        "| decision | blocks | right listen | another sample's |",
        "| --- | --- | --- | --- |",
    ]
    for name, found in reports[0].get("listen_control", {}).items():
        row = [cell("listen_control", name, key) for key in ("right", "wrong")]
        lines.append(f"| {' | '.join([name, str(found.get('blocks', '')), *row])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8])
    parser.add_argument("--out", type=Path, help="keep the corpus and the runs here")
    args = parser.parse_args()
    os.chdir(REPO)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.out or Path(temporary)
        corpus = ensure_corpus(folder / "corpus")
        runs = [
            learn(corpus, folder / f"train-{args.steps}-{seed}", args.steps, seed)
            for seed in args.seeds
        ]
    minutes = " / ".join(f"{m:.1f}" for _, m in runs)
    seeds = " / ".join(map(str, args.seeds))
    print(f"\n{args.steps} steps, seeds {seeds}: {minutes} CPU minutes on one thread")
    print(f"{runs[0][0]['samples']} held-out samples, nats a token, without boundary tokens\n")
    print(tables([report for report, _ in runs]))


if __name__ == "__main__":
    main()
