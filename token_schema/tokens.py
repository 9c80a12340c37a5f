"""Tokens: a sample under a schema, one shape for every mode, and the report of what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

PROMPT = 255  # lane number of the prompt
CONTENT, IDLE, OPEN, CLOSE = range(4)  # token classes, as models.TOKEN_CLASSES


@dataclass(frozen=True)
class Report:
    """What encoding left out or added.

    `dropped_text_tokens` were cut by a barge-in (or by `tail: drop`); `silent_events` were cut
    before their first token; `not_placed` counts, by kind, events that the schema has no lane for;
    `waited_frames` are frames of speech that came too early for their step and were left silent;
    `missing_epad` counts words without one, because the step before could not know of them.
    """

    blocks: int
    tail_blocks: int
    dropped_text_tokens: int
    silent_events: int
    not_placed: dict[str, int]
    step_count: int | None
    waited_frames: int = 0
    missing_epad: int = 0


@dataclass(frozen=True)
class Tokens:
    """A sample as tokens, arrays of one length n.

    `ids` int32; `lane` uint8, the index in `schema.lanes` or 255 for the prompt; `kind` uint8, the
    class (0 content, 1 idle, 2 open, 3 close); `block` int32, -1 for the prompt; `loss` float32;
    `known_s` float64, the latest world time that the tokens up to and with this one rest on (an
    input code counts its own frame; the prompt 0).

    In the parallel mode `streams` > 1: step t is the row [t * streams, (t + 1) * streams), `block`
    the step. `values`: of a lane `as: slots` or `as: mel` its numbers, float32 [m, dim], row k at
    the k-th content token of that lane (made when asked for: ids alone decode no sound).
    """

    ids: NDArray[np.int32]
    lane: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    block: NDArray[np.int32]
    loss: NDArray[np.float32]
    known_s: NDArray[np.float64]
    report: Report
    streams: int = 1
    values: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)
