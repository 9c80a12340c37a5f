"""Audio of turns: the ids (and for `slots` and `mel` the numbers) of any frames of a track.

    audio = TurnAudio(lane, codecs, timeline, media)
    part = audio.frames(first, stop)       # part.ids, part.values, part.book

The whole track is encoded once, when the first frame is asked for: the codecs are causal, so a
frame's code is the same whatever follows. Frames behind the track's end are silence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from schemas.sample import Media
from schemas.timeline import Say, Timeline
from token_schema.codec_set import CodecSet
from token_schema.codecs.mel_slots import MelSlots
from token_schema.layouts.turns_plan import EPS_S
from token_schema.models import AudioLane


@dataclass(frozen=True)
class Frames:
    """Ids int32 [n] frame by frame, the codebook of each [n], and `slots` or `mel` rows [n, dim]."""

    ids: NDArray[np.int32]
    book: NDArray[np.int64]
    values: NDArray[np.float32] | None = None


class TurnAudio:
    """The frames of one audio lane of one sample."""

    def __init__(self, lane: AudioLane, codecs: CodecSet, timeline: Timeline, media: Media) -> None:
        """Raises StrettoError where the track has another sample rate than the codec."""
        self.lane, self.codecs, self.media = lane, codecs, media
        self.says = [e for e in timeline.agent if isinstance(e, Say)]
        track = timeline.listen if lane.channel == "listen" else timeline.speak
        if lane.as_ == "codes":
            self.codec = codecs.get(lane.codec)
            if self.codec.sample_rate_hz != track.sample_rate_hz:
                raise StrettoError(
                    f"audio has {track.sample_rate_hz} Hz, codec {lane.codec!r}"
                    f" {self.codec.sample_rate_hz}",
                    f"{timeline.key}: {lane.name}",
                    "run `stretto fit` on this corpus",
                )
        else:
            rates = (track.sample_rate_hz, lane.rate_hz)
            self.codec = MelSlots.of(*rates, lane.subframes, lane.n_mels)
        self.lookahead_s: float = self.codec.lookahead_s
        self.books = lane.codebooks if lane.as_ == "codes" else 1

    def frame(self, time_s: float) -> int:
        """The frame that holds `time_s`: as many have ended by then."""
        return max(0, math.floor((time_s + EPS_S) * self.lane.rate_hz))

    def stop(self, time_s: float) -> int:
        """The first frame that begins at or after `time_s`."""
        return max(0, math.ceil((time_s - EPS_S) * self.lane.rate_hz))

    def frames(
        self,
        first: int,
        stop: int,
        known_s: float | None = None,
        until_s: float | None = None,
    ) -> Frames:
        """The frames [first, stop). With `known_s`, as if what is decided later were never said: a
        code rests on some of the sound before it. With `until_s`, as if the track were silent from
        then on: the last frame may hold the beginning of something else."""
        rows = self._all
        later = [] if known_s is None else self._decided_later(stop, known_s)
        if until_s is not None:
            later.append((round(until_s * self.codec.sample_rate_hz), self._reach(stop)))
        if stop > first and any(self._pcm[a:b].any() for a, b in later):
            pcm = self._pcm.copy()
            for start, end in later:
                pcm[start:end] = 0
            rows = self._rows(pcm[: self._reach(stop)], stop)
        missing = stop - len(rows)
        if missing > 0:
            rows = self._rows(self._pcm, stop)
        return self._as_frames(rows[first:stop])

    @cached_property
    def _pcm(self) -> NDArray[np.int16]:
        return self.media.listen() if self.lane.channel == "listen" else self.media.speak()

    @cached_property
    def _all(self) -> NDArray[Any]:
        return self._rows(self._pcm, -(-len(self._pcm) // self.codec.frame_samples))

    def _rows(self, pcm: NDArray[np.int16], frames: int) -> NDArray[Any]:
        padded = np.zeros(max(frames * self.codec.frame_samples, len(pcm)), np.int16)
        padded[: len(pcm)] = pcm
        return self.codec.encode(padded)

    def _reach(self, stop: int) -> int:
        """The sample up to which frames before `stop` hear."""
        ahead = round(self.lookahead_s * self.codec.sample_rate_hz)
        return stop * self.codec.frame_samples + ahead

    def _decided_later(self, stop: int, known_s: float) -> list[tuple[int, int]]:
        """The samples [start, end) of each Say that is decided after `known_s` and heard by then."""
        rate_hz, reach = self.codec.sample_rate_hz, self._reach(stop)
        spans = [
            (round(e.start_s * rate_hz), round(e.end_s * rate_hz))
            for e in self.says
            if e.decided_s > known_s + EPS_S
        ]
        return [(start, end) for start, end in spans if start < reach]

    def _as_frames(self, rows: NDArray[Any]) -> Frames:
        books = np.tile(np.arange(self.books), len(rows))
        if self.lane.as_ != "codes":
            slot = self.codecs.vocabulary.id(str(self.lane.slot))
            return Frames(np.full(len(rows), slot, np.int32), books, rows.astype(np.float32))
        r = self.codecs.vocabulary.range(self.lane.codec)
        offsets = r.start + r.entries * np.arange(self.books)
        return Frames((rows[:, : self.books] + offsets).ravel().astype(np.int32), books)
