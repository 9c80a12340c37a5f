"""Stopping in good order: SIGTERM and SIGINT are noted, and acted on between two steps."""

from __future__ import annotations

import signal
import threading
from typing import Any


class StopSignal:
    """Remembers SIGTERM and SIGINT. A second one of either ends the process as usual."""

    def __init__(self) -> None:
        self.number = 0
        self.before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self.before[number] = signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        self.number = number
        self.restore()

    def restore(self) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
