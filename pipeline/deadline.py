"""A deadline inside a worker process, and a pause of it while it waits for somebody else.

A timer thread in C (`faulthandler`) ends the process even while a C call holds the interpreter.
"""

from __future__ import annotations

import faulthandler
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

# Of this process: when it ends (monotonic seconds) and where the traceback goes. One at a time.
_running: list[tuple[float, IO[str]]] = []


@contextmanager
def deadline(limit_s: float) -> Iterator[None]:
    """End this process when the block takes longer."""
    with open(os.devnull, "w") as nowhere:
        _running.append((time.monotonic() + limit_s, nowhere))
        faulthandler.dump_traceback_later(limit_s, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            _running.clear()


@contextmanager
def paused() -> Iterator[None]:
    """The block's time doesn't count: a queue of others' work is no hang of ours."""
    if not _running:
        yield
        return
    end_s, nowhere = _running[-1]
    started_s = time.monotonic()
    faulthandler.cancel_dump_traceback_later()
    try:
        yield
    finally:
        _running[-1] = (end_s + time.monotonic() - started_s, nowhere)
        left_s = max(0.01, _running[-1][0] - time.monotonic())
        faulthandler.dump_traceback_later(left_s, exit=True, file=nowhere)
