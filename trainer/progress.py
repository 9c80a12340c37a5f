"""What a run says: one line a step for people, and `log.jsonl` for programs.

In `log.jsonl` everything but the `time` field is a function of config and corpus: a run that was
stopped and resumed has the same lines as one that was not.
"""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path
from typing import Any

Lanes = dict[str, dict[str, float]]


class Meter:
    """Tokens a second, share of time spent waiting for data, and time left, over the last steps."""

    def __init__(self, window: int = 20) -> None:
        self.steps: deque[tuple[float, float, int]] = deque(maxlen=window)

    def add(self, seconds: float, wait_seconds: float, tokens: int) -> None:
        self.steps.append((seconds, wait_seconds, tokens))

    def read(self, steps_left: int) -> dict[str, float]:
        """`step_s`, `tok_s`, `data_wait` (0..1) and `eta_s`."""
        total = sum(s for s, _, _ in self.steps) or 1e-9
        mean = total / max(1, len(self.steps))
        return {
            "step_s": mean,
            "tok_s": sum(t for _, _, t in self.steps) / total,
            "data_wait": sum(w for _, w, _ in self.steps) / total,
            "eta_s": mean * steps_left,
        }


def lanes_text(names: tuple[str, ...], lanes: Lanes) -> str:
    """`listen - write 4.10`: a dash where a lane bears no loss."""
    return " ".join(f"{n} {lanes[n]['loss']:.2f}" if n in lanes else f"{n} -" for n in names)


def step_line(
    step: int,
    steps: int,
    entry: dict[str, Any],
    names: tuple[str, ...],
    timing: dict[str, float],
    mfu: float | None,
) -> str:
    """The line of one step."""
    return " | ".join(
        [
            f"step {step:>{len(str(steps))}}/{steps}  loss {entry['loss']:.3f}",
            lanes_text(names, entry["lanes"]),
            f"{short(timing['tok_s'])} tok/s",
            f"mfu {mfu:.1%}" if mfu is not None else "mfu n/a",
            f"data-wait {timing['data_wait']:.0%}",
            f"lr {entry['lr']:.1e}",
            f"eta {clock(timing['eta_s'])}",
        ]
    )


def short(value: float) -> str:
    """9800 as `9.8k`."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.1f}{unit}"
    return f"{value:.0f}"


def clock(seconds: float) -> str:
    """Seconds as `1:05` or `2:01:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Log:
    """Appends to `OUT/log.jsonl`, a line at a time, flushed."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("a", encoding="utf-8")

    def write(self, entry: dict[str, Any], timing: dict[str, float] | None = None) -> None:
        rounded = {k: round(v, 4) for k, v in (timing or {}).items()}
        self.file.write(json.dumps({**entry, "time": rounded}) + "\n")
        self.file.flush()

    def close(self) -> None:
        self.file.close()


def now() -> float:
    """Seconds for differences. Times go to the log's `time` field only, never into a result."""
    return time.perf_counter()
