"""What a CTC model of `transformers` hears: log-probabilities of its letters, frame by frame.

model = CtcModel("facebook/wav2vec2-base-960h", None, "cpu")
model.open()                              # StrettoError when it can't be had or is of another kind
[units] = model.emissions([pcm_float32])  # int32 [frames, vocabulary + wildcard]

What one utterance gets never depends on its neighbours: on the CPU each runs alone on one thread;
on a GPU batches have fixed shapes (rows by padded length), empty rows filled up, because the shape
chooses the kernel and so the last bits. Long sound runs in windows with context on both sides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from generators.align.labels import Vocabulary
from generators.align.viterbi import quantised, with_wildcard

WINDOW_S, CONTEXT_S = 30.0, 2.0
# On a GPU: lengths are padded up to whole steps, and a batch holds so much sound at most.
STEP_S, BATCH_S, MOST_ROWS = 0.5, 320.0, 16
# Shorter sound is padded with silence: below its first frame a model answers with an error.
LEAST_S = 0.1


@dataclass(frozen=True)
class Window:
    """Samples [start, stop) of item `item`, of which frames [skip, skip + keep) are kept.

    `keep` None keeps all that follow.
    """

    item: int
    start: int
    stop: int
    skip: int
    keep: int | None


def windows(item: int, count: int, rate_hz: int, stride: int) -> list[Window]:
    """One window for sound up to WINDOW_S and context; else cores of WINDOW_S with context."""
    core = int(WINDOW_S * rate_hz) // stride * stride
    context = int(CONTEXT_S * rate_hz) // stride * stride
    if count <= core + context:
        return [Window(item, 0, count, 0, None)]
    found = []
    for at in range(0, count, core):
        start = max(0, at - context)
        last = count - (at + core) <= context  # what is left is too short to stand alone
        stop = count if last else at + core + context
        found.append(
            Window(item, start, stop, (at - start) // stride, None if last else core // stride)
        )
        if last:
            break
    return found


@dataclass
class Emitter:
    """A loaded model. `stride` and `offset` in samples: frame i stands for [i*stride, +stride)+offset."""

    model: Any
    extractor: Any
    vocabulary: Vocabulary
    rate_hz: int
    stride: int
    offset: int
    device: str
    rows: int

    def emissions(self, signals: Sequence[np.ndarray]) -> list[np.ndarray]:
        """float32 [n] at `rate_hz` each -> int32 [frames, vocabulary + 1] each, the wildcard last."""
        from token_schema.codecs.torch_once import one_thread

        least = int(LEAST_S * self.rate_hz)
        padded = [np.pad(s, (0, max(0, least - len(s)))) for s in signals]
        todo = [
            w for i, s in enumerate(padded) for w in windows(i, len(s), self.rate_hz, self.stride)
        ]
        parts: dict[Window, np.ndarray] = {}
        with one_thread():
            for batch in self._batches(todo):
                heard = self._run([padded[w.item][w.start : w.stop] for w in batch])
                for window, log_probs in zip(batch, heard, strict=True):
                    end = None if window.keep is None else window.skip + window.keep
                    parts[window] = with_wildcard(quantised(log_probs[window.skip : end]))
        whole: list[list[np.ndarray]] = [[] for _ in signals]
        for window in todo:
            whole[window.item].append(parts[window])
        return [np.concatenate(found) for found in whole]

    def _batches(self, todo: Sequence[Window]) -> list[list[Window]]:
        """Windows of one padded length together, as many as its batch has rows."""
        if self.rows == 1:
            return [[window] for window in todo]
        by_length: dict[int, list[Window]] = defaultdict(list)
        for window in todo:
            by_length[self._padded(window.stop - window.start)].append(window)
        batches = []
        for length, same in sorted(by_length.items()):
            rows = self._rows(length)
            batches += [same[at : at + rows] for at in range(0, len(same), rows)]
        return batches

    def _padded(self, count: int) -> int:
        step = int(STEP_S * self.rate_hz)
        return -(-count // step) * step

    def _rows(self, padded: int) -> int:
        return max(1, min(self.rows, int(BATCH_S * self.rate_hz) // padded))

    def _run(self, signals: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Log-probabilities [frames, vocabulary] of signals that share a batch."""
        import torch

        name = self.model.main_input_name
        values = [self._features(signal, name) for signal in signals]
        frames = [self.frames(len(v)) for v in values]
        if self.rows > 1:
            padded = self._padded(max(map(len, signals)))
            values += [np.zeros_like(values[0])] * (self._rows(padded) - len(values))
            size = len(self._features(np.zeros(padded, np.float32), name))
        else:
            size = len(values[0])
        inputs = {name: np.stack([_lengthened(v, size) for v in values])}
        if self.extractor.return_attention_mask:
            inputs["attention_mask"] = np.stack([_mask(len(v), size) for v in values])
        tensors = {n: torch.from_numpy(v).to(self.device) for n, v in inputs.items()}
        logits = self.model(**tensors).logits.float()
        found = torch.log_softmax(logits, dim=-1).cpu().numpy()
        return [found[row, :count] for row, count in enumerate(frames)]

    def _features(self, signal: np.ndarray, name: str) -> np.ndarray:
        """The model's input [n] or [rows, dim], from this signal alone."""
        found = self.extractor(signal, sampling_rate=self.rate_hz, return_tensors="np")
        return np.asarray(found[name][0], dtype=np.float32)

    def frames(self, inputs: int) -> int:
        """Frames that `inputs` input steps give."""
        return int(self.model._get_feat_extract_output_lengths(inputs))


def _lengthened(values: np.ndarray, size: int) -> np.ndarray:
    return np.pad(values, [(0, size - len(values))] + [(0, 0)] * (values.ndim - 1))


def _mask(count: int, size: int) -> np.ndarray:
    return (np.arange(size) < count).astype(np.int64)
