"""The view `random_phase_s`: the same sample on a clock that begins up to so much earlier.

    timeline, media = shifted(timeline, media, phase_s)

The lead-in is silence, the first frame of every camera, and the first row of `act` and `state`,
held. Nothing of the sample is hidden; where it lies against the grid of blocks changes. A phase is
a whole number of audio samples, action steps and camera frames (`phase_step`), so that every track
stays on its own grid. Labels are of whole seconds of the original clock: they are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from schemas.label import Evidence
from schemas.sample import Media
from schemas.timeline import Act, ArrayTrack, AudioTrack, Timeline

# finer than any block or frame length, and a short table of phases
FINEST_STEP = Fraction(1, 100)


def phase_step(timeline: Timeline) -> Fraction:
    """Seconds of which every phase of this sample is a multiple: the least common multiple of
    10 ms and the period of each of its tracks."""
    rates: list[float] = [timeline.listen.sample_rate_hz, timeline.speak.sample_rate_hz]
    rates += [track.fps for track in (timeline.act, timeline.state) if track]
    rates += [track.fps for track in timeline.look]
    step = FINEST_STEP
    for rate in rates:
        period = 1 / Fraction(rate).limit_denominator(2000)
        top = math.lcm(step.numerator, period.numerator)
        step = Fraction(top, math.gcd(step.denominator, period.denominator))
    return step


def phase_of(timeline: Timeline, longest_s: float, share: float) -> Fraction:
    """The phase at `share` (in [0, 1)) of all phases from 0 to `longest_s`, evenly spread."""
    step = phase_step(timeline)
    count = math.floor(Fraction(longest_s).limit_denominator(10**6) / step) + 1
    return step * min(count - 1, int(share * count))


def shifted(timeline: Timeline, media: Media, phase_s: float | Fraction) -> tuple[Timeline, Media]:
    """The sample with `phase_s` seconds of lead-in. Raises StrettoError for one off the tracks'
    grids (see `phase_step`)."""
    phase = Fraction(phase_s).limit_denominator(10**6)
    if not phase:
        return timeline, media
    if phase < 0 or (phase / phase_step(timeline)).denominator != 1:
        raise StrettoError(
            f"a phase of {float(phase):g} s is no whole number of action steps, frames and samples",
            timeline.key,
            f"take a multiple of {float(phase_step(timeline)):g} s",
        )
    return _timeline(timeline, phase), ShiftedMedia(media, _lead(timeline, phase))


# ---- the Timeline ------------------------------------------------------------------------------

TIMES = ("start_s", "end_s", "plain_s", "revealed_s", "decided_s", "planned_end_s", "cut_s")


def _timeline(t: Timeline, phase: Fraction) -> Timeline:
    add = float(phase)
    agent = [_later(event, add, t) for event in t.agent]
    if t.act and t.act.step_count:
        agent.insert(0, _holding(t.act, add))
    changes: dict[str, Any] = {
        "duration_s": round(t.duration_s + add, 6),
        "listen": _longer_audio(t.listen, phase),
        "speak": _longer_audio(t.speak, phase),
        "look": tuple(
            x.model_copy(update={"frame_count": x.frame_count + _rows(x.fps, phase)})
            for x in t.look
        ),
        "act": _longer_rows(t.act, phase),
        "state": _longer_rows(t.state, phase),
        "world": tuple(_later(event, add, t) for event in t.world),
        "agent": tuple(agent),
        "labels": (),
    }
    return t.model_copy(update=changes)


def _later(event: Any, add: float, timeline: Timeline) -> Any:
    """An event with all its times later: its own, its words', its pieces' and its evidence's."""
    changes: dict[str, Any] = {
        name: round(value + add, 6)
        for name in TIMES
        if (value := getattr(event, name, None)) is not None
    }
    for name in ("words", "pieces", "unsaid_words", "unsaid_pieces", "evidence"):
        parts: Sequence[Any] = getattr(event, name, ())
        if parts:
            changes[name] = tuple(_later(part, add, timeline) for part in parts)
    if getattr(event, "cut_by", None):
        changes["cut_by"] = _later(event.cut_by, add, timeline)
    if isinstance(event, Act) and timeline.act:
        changes["first_step"] = event.first_step + round(add * timeline.act.fps)
    if isinstance(event, Evidence) and event.frame_index is not None:
        camera = event.event.partition(".")[2]
        fps = [x.fps for x in timeline.look if x.camera == camera]
        changes["frame_index"] = event.frame_index + (round(add * fps[0]) if fps else 0)
    return event.model_copy(update=changes)


def _holding(act: ArrayTrack, add: float) -> Act:
    """The robot holds its first row during the lead-in."""
    return Act(
        id="lead-in",
        decided_s=0.0,
        start_s=0.0,
        end_s=round(add, 6),
        planned_end_s=round(add, 6),
        mode="idle",
        first_step=0,
        step_count=round(add * act.fps),
    )


def _rows(rate: float, phase: Fraction) -> int:
    return round(Fraction(rate).limit_denominator(2000) * phase)


def _longer_audio(track: AudioTrack, phase: Fraction) -> AudioTrack:
    more = _rows(track.sample_rate_hz, phase)
    return track.model_copy(update={"sample_count": track.sample_count + more})


def _longer_rows(track: ArrayTrack | None, phase: Fraction) -> ArrayTrack | None:
    if track is None:
        return None
    return track.model_copy(update={"step_count": track.step_count + _rows(track.fps, phase)})


# ---- the media ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Lead:
    """How many samples, frames of each camera and rows stand before the sample's own."""

    listen: int
    speak: int
    frames: dict[str, int]
    act: int
    state: int


def _lead(t: Timeline, phase: Fraction) -> _Lead:
    return _Lead(
        _rows(t.listen.sample_rate_hz, phase),
        _rows(t.speak.sample_rate_hz, phase),
        {x.camera: _rows(x.fps, phase) for x in t.look},
        _rows(t.act.fps, phase) if t.act else 0,
        _rows(t.state.fps, phase) if t.state else 0,
    )


class ShiftedMedia:
    """`schemas.sample.Media` with the lead-in before it; decoded when asked for, as before."""

    def __init__(self, media: Media, lead: _Lead) -> None:
        self._media, self._lead = media, lead

    def listen(self) -> NDArray[np.int16]:
        """int16 [sample_count]."""
        return np.concatenate([np.zeros(self._lead.listen, np.int16), self._media.listen()])

    def speak(self) -> NDArray[np.int16]:
        """int16 [sample_count]."""
        return np.concatenate([np.zeros(self._lead.speak, np.int16), self._media.speak()])

    def frames(self, camera: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        """uint8 [len(indices), height, width, 3]; the first frame stands in the lead-in."""
        own = np.maximum(np.asarray(indices, np.int64) - self._lead.frames.get(camera, 0), 0)
        unique, back = np.unique(own, return_inverse=True)
        return self._media.frames(camera, unique.tolist())[back]

    def act(self) -> NDArray[np.float32] | None:
        """float32 [step_count, dim]."""
        return _held(self._media.act(), self._lead.act)

    def state(self) -> NDArray[np.float32] | None:
        """float32 [step_count, dim]."""
        return _held(self._media.state(), self._lead.state)


def _held(rows: NDArray[np.float32] | None, lead: int) -> NDArray[np.float32] | None:
    if rows is None or not len(rows):
        return rows
    return np.concatenate([np.repeat(rows[:1], lead, axis=0), rows])
