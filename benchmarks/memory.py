"""Does memory stay flat as the corpus grows? `python -m benchmarks.memory`

Runs `stretto generate --runner local` on the example dialogues once and ten times over, each in a
process of its own, and prints its peak resident memory and that of its largest child.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
RUN = """
import resource, sys
from jobs.main import main
try:
    main()
finally:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print("peak_kib", usage.ru_maxrss, file=sys.stderr)
"""


def corpus(folder: Path, times: int) -> Path:
    """The example dialogues `times` over, with ids of their own, and a config for them."""
    lines = (REPO / "examples/data/dialogues.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    with (folder / "d.jsonl").open("w", encoding="utf-8") as file:
        for n in range(times):
            for record in records:
                file.write(json.dumps(record | {"id": f"{record['id']}-{n}"}) + "\n")
    config = folder / "c.yaml"
    config.write_text(
        f"name: grown\nsources:\n  - dialogues: {{path: {folder}/d.jsonl}}\n"
        "shards: {samples: 16}\nchecks: {vad: false}\n"
    )
    return config


def peak_mib(times: int) -> float:
    """Peak memory of the process that generates."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-c", RUN, "generate", str(corpus(folder, times))]
        command += ["--out", str(folder / "out"), "--runner", "local"]
        done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
        return int(done.stderr.rsplit("peak_kib", 1)[1]) / 1024


def main() -> None:
    for times in (1, 10):
        print(f"{times:3} x 61 dialogues   peak {peak_mib(times):6.0f} MiB")
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"largest process of all      {largest:6.0f} MiB")


if __name__ == "__main__":
    main()
