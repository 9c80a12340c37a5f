"""`stretto train CONFIG [--set key=value]`: train a small model on a finished corpus, or go on.

Run it again to resume. On several GPUs of one machine:
`torchrun --nproc-per-node 8 -m jobs.train CONFIG [--set key=value]`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from schemas.errors import StrettoError


def run(config: str, settings: list[str]) -> int:
    """Train as the YAML file `config` says, with dotted `key=value` changes. Returns the exit code.

    0: it came to its last step. 1: a signal stopped it; a checkpoint lies there.
    """
    from jobs.config_file import load_yaml, with_settings
    from trainer.config import TrainConfig

    checked = TrainConfig.from_mapping(with_settings(load_yaml(config), settings), config)
    try:
        from trainer.loop import train
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise StrettoError(
            "the trainer needs torch", config, "pip install 'stretto[train]'"
        ) from None
    summary = train(checked, say=_say)
    if os.environ.get("RANK", "0") == "0":
        _where(checked.out, summary.checkpoint, summary.report is not None)
        if summary.signal:
            name = signal.Signals(summary.signal).name
            _say(f"stopped by {name} after step {summary.step}: the same command goes on")
    return 1 if summary.signal else 0


def _say(line: str) -> None:
    # a line at a time, also into a pipe or a file
    print(line, flush=True)


def _where(out: str, checkpoint: Path | None, reported: bool) -> None:
    """Where each result lies."""
    _say(f"log         {out}/log.jsonl")
    if checkpoint:
        _say(f"checkpoint  {checkpoint}")
    if reported:
        _say(f"report      {out}/report.json")


def main() -> None:
    """The entry for `torchrun -m jobs.train`."""
    parser = argparse.ArgumentParser(prog="jobs.train", description=__doc__)
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    try:
        sys.exit(run(args.config, args.set))
    except StrettoError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
