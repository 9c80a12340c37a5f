"""Every preset on the example corpus: fitted, retokenized, validated, trained. The table of
docs/schemas.md.

    python -m benchmarks.presets [--out DIR] [--only moshi lws] [--steps 120] [--jobs 2]

DIR/corpus is the example corpus (made where it is absent). Each preset is a process of its own on one
thread: `fit`, `retokenize`, `validate`, then some CPU minutes of training from the corpus itself; its
row is kept as DIR/NAME.json, so that a run that is stopped goes on. At the end the table is printed:
tokens a second, loss-bearing share and boundary overhead of the whole corpus, and each lane's held-out
loss beside its unigram entropy (mel: L1 beside that of the held-out median).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))
QUICKSTART = "examples/quickstart.yaml"
CONTEXT = {"blocks": 1024, "frames": 192, "turns": 1024}  # tokens or steps a row
ROWS = {"blocks": 2, "frames": 4, "turns": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", default="out/presets")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    out = Path(args.out).resolve()
    os.chdir(REPO)
    if args.child:
        row = one(args.child, out, args.steps)
        (out / f"{args.child}.json").write_text(json.dumps(row, indent=1) + "\n")
        return
    from token_schema.language import list_presets

    names = args.only or list_presets()
    prepare(out, names)
    run_all(names, out, args.steps, args.jobs)
    print(table([json.loads((out / f"{n}.json").read_text()) for n in names]))


def prepare(out: Path, names: list[str]) -> None:
    """The corpus and the codecs of all presets, one after the other: they share some."""
    from benchmarks.learning import ensure_corpus
    from jobs import fit

    corpus = ensure_corpus(out / "corpus")
    for name in names:
        fit.run(QUICKSTART, str(corpus), None, name)


def run_all(names: list[str], out: Path, steps: int, jobs: int) -> None:
    """The presets that have no row yet, `jobs` at a time."""
    waiting = [n for n in names if not (out / f"{n}.json").is_file()]
    running: dict[str, subprocess.Popen[bytes]] = {}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    while waiting or running:
        while waiting and len(running) < jobs:
            name = waiting.pop(0)
            command = [sys.executable, "-m", "benchmarks.presets", "--out", str(out)]
            command += ["--child", name, "--steps", str(steps)]
            log = (out / f"{name}.log").open("wb")
            running[name] = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        time.sleep(0.2)
        for name, process in list(running.items()):
            if process.poll() is not None:
                del running[name]
                print(f"{name}: {'done' if not process.returncode else 'FAILED, see its .log'}")


def one(name: str, out: Path, steps: int) -> dict[str, Any]:
    """The row of one preset."""
    import torch

    from jobs import retokenize, validate
    from pipeline.retokenize_rates import token_rates

    torch.set_num_threads(1)
    corpus, tokens = out / "corpus", out / "tokens" / name
    assert retokenize.run(str(corpus), name, str(tokens), workers=0) == 0
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = validate.run(str(tokens))
    print(said.getvalue())
    assert code == 0, f"{name}: validate found something"
    report, minutes = learn(name, corpus, out / "train" / name, steps)
    return {"name": name, "rates": token_rates(str(tokens)), "report": report, "minutes": minutes}


def learn(name: str, corpus: Path, out: Path, steps: int) -> tuple[dict[str, Any], float]:
    """The held-out report of one run and its CPU minutes, held-out scoring not counted."""
    from jobs.config_file import load_yaml
    from token_schema.language import load_schema
    from trainer.config import TrainConfig
    from trainer.loop import train

    schema = load_schema(name)
    timing = schema.timing
    # a history window is read as a tree, about 2.5 times the tokens: a whole sample fits in 2048
    context, rows = (2048, 1) if schema.view.history_blocks else (CONTEXT[timing], ROWS[timing])
    data = load_yaml("examples/train_quickstart.yaml") | {
        "corpus": str(corpus),
        "out": str(out),
        "schema": name,
        "steps": steps,
        "context": context,
        "batch_rows": rows,
        "log_every": 25,
        "device": "cpu",
        "workers": 0,
        "checkpoint_every": 100_000,
    }
    report = train(TrainConfig.from_mapping(data, name)).report
    assert report is not None, "nothing was held out"
    lines = (out / "log.jsonl").read_text().splitlines()
    seconds = [json.loads(x).get("time", {}).get("step_s", 0.0) for x in lines]
    return report, steps * sorted(seconds)[len(seconds) // 2] / 60


def table(rows: list[dict[str, Any]]) -> str:
    """One line a preset."""
    lines = [
        "| preset | tokens/s | bear loss | boundaries | held-out loss < unigram, by lane | minutes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        rates, lanes = row["rates"], row["report"]["lanes"]
        cells = [f"{n} {x['loss']:.2f} {_sign(x)} {x['unigram']:.2f}" for n, x in lanes.items()]
        lines.append(
            f"| {row['name']} | {rates['tokens_per_s']:.1f} | {rates['loss_share']:.0%} |"
            f" {rates['boundary_share']:.0%} | {', '.join(cells)} | {row['minutes']:.1f} |"
        )
    return "\n".join(lines)


def _sign(lane: dict[str, float]) -> str:
    return "<" if lane["loss"] < lane["unigram"] else ">="


if __name__ == "__main__":
    main()
