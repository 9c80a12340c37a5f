"""The best CTC path of a known text through a model's log-probabilities, exactly.

spans = ctc_spans(quantised(log_probs), labels, blank)   # frames [start, end) of each label

Why our own: torchaudio's `forced_align` needs a CUDA build of torch to load and its repository is no
longer watched; `ctc-segmentation` (windowed, float32, and a state that stays costs the better of
blank and letter) is no exact CTC; `ctc-forced-aligner` brings a runtime and models of its own.
Log-probabilities are integers here (1/4096 nat), so sums are exact and ties are settled by rule.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

UNITS_PER_NAT = 4096
FLOOR_NATS = 100.0


def quantised(log_probs: np.ndarray) -> np.ndarray:
    """float [frames, labels] in nats -> int32 in units of 1/4096 nat, floored at -100 nats."""
    return np.rint(np.maximum(log_probs, -FLOOR_NATS) * UNITS_PER_NAT).astype(np.int32)


def with_wildcard(units: np.ndarray) -> np.ndarray:
    """One more column: a label that fits each frame as well as the best label, blank included."""
    return np.concatenate((units, units.max(axis=1, keepdims=True)), axis=1)


def frames_needed(labels: Sequence[int]) -> int:
    """The fewest frames in which the labels fit: one each, and a blank between two equal ones."""
    return len(labels) + sum(a == b for a, b in zip(labels, labels[1:], strict=False))


def ctc_spans(units: np.ndarray, labels: Sequence[int], blank: int) -> np.ndarray:
    """int [labels, 2]: frames [start, end) of each label on the best path.

    `units` is int [frames, vocabulary] (`quantised`). Among equal paths a label starts late and ends
    early: what could be blank is blank. ValueError when the labels don't fit into the frames.
    """
    if not len(labels) or len(units) < frames_needed(labels):
        raise ValueError(f"{len(labels)} labels do not fit into {len(units)} frames")
    states = np.full(2 * len(labels) + 1, blank)
    states[1::2] = labels
    path = _backtrace(_forward(units, states, blank))
    return _spans(path, len(labels))


def _forward(units: np.ndarray, states: np.ndarray, blank: int) -> np.ndarray:
    """int8 [frames, states]: how many states back each one was best reached; the last row is the end.

    Row 0 of the answer is unused. The final row's first cell tells how far before the last state
    the path ends (0 or 1).
    """
    frames, count = len(units), len(states)
    emit = units[:, states].astype(np.int64)
    never = np.int64(-(1 << 60))
    may_skip = np.zeros(count, dtype=bool)
    may_skip[3::2] = states[3::2] != states[1:-2:2]
    is_blank = states == blank
    is_blank[1::2] = False
    back = np.zeros((frames + 1, count), dtype=np.int8)
    score = np.full(count, never)
    score[:2] = emit[0, :2]
    for frame in range(1, frames):
        one = np.concatenate(([never], score[:-1]))
        two = np.where(may_skip, np.concatenate(([never, never], score[:-2])), never)
        # blanks stay when it is equal, labels are entered as late as can be
        moved = np.where(is_blank, one > score, one >= score)
        best = np.where(moved, one, score)
        step = moved.astype(np.int8)
        skip = np.where(step == 1, two > best, two >= best) & may_skip
        back[frame] = np.where(skip, 2, step)
        score = np.where(skip, two, best) + emit[frame]
    back[frames, 0] = score[-2] > score[-1]
    return back


def _backtrace(back: np.ndarray) -> np.ndarray:
    """The state of each frame."""
    frames = len(back) - 1
    path = np.empty(frames, dtype=np.int64)
    state = back.shape[1] - 1 - int(back[frames, 0])
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        state -= int(back[frame, state])
    return path


def _spans(path: np.ndarray, count: int) -> np.ndarray:
    """First frame and frame after the last of each label state."""
    wanted = 2 * np.arange(count) + 1
    starts = np.searchsorted(path, wanted, side="left")
    return np.stack((starts, np.searchsorted(path, wanted, side="right")), axis=1)
