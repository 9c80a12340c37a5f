"""The listen control: the same samples with what another sample hears, and the decisions to speak."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from token_schema.tokens import IDLE
from trainer.held_out import Scores
from trainer.language import Decision
from trainer.pack import Compiled

Ids = tuple[int, ...]
Floats = NDArray[np.float32]

# ---- shuffled listen ---------------------------------------------------------------------------


def shuffled_listen(
    samples: list[Compiled], lanes: tuple[int, ...], shift: int = 1
) -> list[Compiled]:
    """Each sample with the listen blocks of the one `shift` after it; past its end, the quiet block.

    The samples stand in the order of (subset, key), so a donor is mostly of the same kind. Lengths
    stay as they are: a donor's block of another length (a turn) is repeated or cut to it. In the
    parallel mode a block is a step; all listen streams are taken together. The numbers of slots
    are exchanged with their tokens.
    """
    out = samples
    for lane in lanes:
        ids = _exchanged_ids(samples, lane, shift)
        out = [replace(s, ids=_laid(s, lane, i)) for s, i in zip(out, ids, strict=True)]
        if all(lane in s.values for s in samples):
            rows = _exchanged_values(samples, lane, shift)
            out = [replace(s, values={**s.values, lane: r}) for s, r in zip(out, rows, strict=True)]
    return out


def _laid(sample: Compiled, lane: int, ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """The sample's ids with other ones in a lane's blocks."""
    out = sample.ids.copy()
    out[(sample.lane == lane) & (sample.block >= 0)] = ids
    return out


def _blocks(sample: Compiled, lane: int) -> list[tuple[int, NDArray[np.int64]]]:
    """(block, places of its tokens of the lane), rising."""
    where = np.flatnonzero((sample.lane == lane) & (sample.block >= 0))
    if not len(where):
        return []
    blocks = sample.block[where]
    cuts = np.flatnonzero(np.diff(blocks)) + 1
    parts = np.split(where, cuts)
    return [(int(sample.block[p[0]]), p) for p in parts]


def _exchanged_ids(samples: list[Compiled], lane: int, shift: int) -> list[NDArray[np.int32]]:
    blocks: list[dict[int, Ids]] = [
        {b: tuple(s.ids[at].tolist()) for b, at in _blocks(s, lane)} for s in samples
    ]
    quiet = _quiet(blocks)
    out = []
    for i, own in enumerate(blocks):
        donor = blocks[(i + shift) % len(samples)]
        ids: list[int] = []
        for block, tokens in own.items():
            new = donor.get(block) or quiet[len(tokens)]
            ids += new if len(new) == len(tokens) else _fitted(new, len(tokens))
        out.append(np.array(ids, np.int32))
    return out


def _fitted(tokens: Ids, length: int) -> Ids:
    """A block at another length: its first and last token (its boundaries) stay where they are."""
    if length < 3 or len(tokens) < 3:
        return (tokens * length)[:length]
    inner = np.resize(np.array(tokens[1:-1]), length - 2).tolist()
    return (tokens[0], *inner, tokens[-1])


def _quiet(blocks: list[dict[int, Ids]]) -> dict[int, Ids]:
    """Length -> the commonest listen block of that length: silence, which is coded alike always."""
    counts = Counter(tokens for sample in blocks for tokens in sample.values())
    out: dict[int, Ids] = {}
    for tokens, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        out.setdefault(len(tokens), tokens)
    return out


def _exchanged_values(samples: list[Compiled], lane: int, shift: int) -> list[Floats]:
    """The donor's rows block by block; past its end the faintest row there is."""
    every = np.concatenate([s.values[lane] for s in samples])
    faint = every[every.mean(axis=1).argmin()] if len(every) else np.zeros(every.shape[1])
    blocks = [_rows_of_blocks(s, lane) for s in samples]
    out = []
    for i, own in enumerate(blocks):
        donor, rows = blocks[(i + shift) % len(samples)], samples[i].values[lane].copy()
        theirs = samples[(i + shift) % len(samples)].values[lane]
        for block, at in own.items():
            new = theirs[donor[block]] if block in donor else faint[None]
            rows[at] = np.resize(new, (len(at), rows.shape[1]))
        out.append(rows)
    return out


def _rows_of_blocks(sample: Compiled, lane: int) -> dict[int, NDArray[np.int64]]:
    """Block -> the rows of the lane's values that belong to it."""
    blocks = sample.block[sample.valued(lane)]
    found = {int(b): np.flatnonzero(blocks == b) for b in np.unique(blocks)}
    return {b: at for b, at in found.items() if b >= 0}


# ---- decisions ---------------------------------------------------------------------------------


def decisions(
    samples: list[Compiled], right: list[Scores], wrong: list[Scores], decision: Decision
) -> dict[str, tuple[float, float, int]]:
    """Kind -> mean binary cross-entropy with the right and the wrong listen, and the blocks."""
    found: dict[str, list[tuple[float, float]]] = {"decide": [], "begin": [], "stay": []}
    for sample, a, b in zip(samples, right, wrong, strict=True):
        was_silent = True
        for i in decision_places(sample, decision):
            silent = int(sample.ids[i]) in decision.silent
            if np.isnan(a.silence[i]):  # a window's first step: nothing predicts it
                was_silent = silent
                continue
            costs = _cost(a.silence[i], silent), _cost(b.silence[i], silent)
            found["decide"].append(costs)
            if was_silent:
                found["stay" if silent else "begin"].append(costs)
            was_silent = silent
    means = {k: np.mean(v, axis=0).tolist() for k, v in found.items() if v}
    return {k: (m[0], m[1], len(found[k])) for k, m in means.items()}


def decision_places(sample: Compiled, decision: Decision) -> NDArray[np.int64]:
    """Where the first content or idle token of the deciding lane stands in each block or step, if
    it bears loss."""
    mine = (sample.lane == decision.lane) & (sample.block >= 0) & (sample.kind <= IDLE)
    where = np.flatnonzero(mine)
    first = np.unique(sample.block[where], return_index=True)[1]
    found = where[first]
    return found[(sample.loss[found] > 0) & (found >= sample.streams)]


def _cost(log_silence: Any, silent: bool) -> float:
    """-log of the probability given to what happened: silence, or anything but silence."""
    if silent:
        return -float(log_silence)
    return -float(np.log(-np.expm1(min(float(log_silence), -1e-12))))
