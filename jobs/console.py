"""What a person sees while a job runs: a bar on a terminal, a plain line per step in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Tell it what is done; it shows rate and time left."""

    def done(self, count: int, what: str) -> None:
        """`count` more units are done; `what` is one line for a log."""
        ...


@contextmanager
def progress(title: str, total: int, unit: str, already: int = 0) -> Iterator[Progress]:
    """A bar when stderr is a terminal, else lines. `already` units were done by an earlier run."""
    if not sys.stderr.isatty():
        yield _Lines(title, total, unit, already)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit}  {{task.fields[rate]}}"),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, completed=already, rate="")
        yield _Bar(bar, task, already)


class _Bar:
    def __init__(self, bar: object, task: object, already: int) -> None:
        self._bar, self._task, self._count = bar, task, 0
        self._start_s = time.monotonic()

    def done(self, count: int, what: str) -> None:
        self._count += count
        rate = f"{self._count / max(time.monotonic() - self._start_s, 1e-3):.1f}/s"
        self._bar.update(self._task, advance=count, rate=rate)  # type: ignore[attr-defined]


class _Lines:
    def __init__(self, title: str, total: int, unit: str, already: int) -> None:
        self._title, self._total, self._unit, self._now = title, total, unit, already
        self._already, self._start_s = already, time.monotonic()

    def done(self, count: int, what: str) -> None:
        self._now += count
        rate = (self._now - self._already) / max(time.monotonic() - self._start_s, 1e-3)
        left_s = (self._total - self._now) / max(rate, 1e-9)
        say(
            f"{self._title}: {what} ({self._now}/{self._total} {self._unit}, "
            f"{rate:.1f}/s, {duration(left_s)} left)"
        )


def say(line: str) -> None:
    """A line of progress, on stderr: stdout is for results."""
    print(line, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """`75` as `1:15`, `4000` as `1:06:40`."""
    whole = round(seconds)
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
