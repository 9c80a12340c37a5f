"""Annotators: one causal Label for every second of a Timeline.

`annotate(timeline, backend)` gives the Timeline with its labels. `rules` is the embedded default.
"""

from __future__ import annotations

from collections.abc import Callable

from generators.annotate import rules
from schemas.errors import StrettoError
from schemas.timeline import Timeline

ANNOTATORS: dict[str, Callable[[Timeline], Timeline]] = {"rules": rules.annotate}

__all__ = ["ANNOTATORS", "annotate"]


def annotate(timeline: Timeline, backend: str = "rules") -> Timeline:
    """The Timeline with one Label a second. Raises StrettoError for an unknown backend."""
    if backend not in ANNOTATORS:
        raise StrettoError(
            f"unknown annotator {backend!r}", "annotator.backend", f"use {', '.join(ANNOTATORS)}"
        )
    return ANNOTATORS[backend](timeline)
