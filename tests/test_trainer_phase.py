"""The view `random_phase_s`: a sample on a clock that begins earlier is the same sample later."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
from trainer_corpus import RATE, make_sample

from schemas.errors import StrettoError
from schemas.label import Evidence, Label
from schemas.timeline import Act, ArrayTrack, LookTrack, Timeline
from token_schema.phase import phase_of, phase_step, shifted


class ToyMedia:
    """Sound that counts, frames of their own number, rows of their own number."""

    def __init__(self, count: int, rows: int) -> None:
        self.count, self.rows = count, rows

    def listen(self) -> np.ndarray:
        return np.arange(1, self.count + 1).astype(np.int16)

    speak = listen

    def frames(self, camera: str, indices: Any) -> np.ndarray:
        assert list(indices) == sorted(set(indices))
        return np.array(indices, np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)

    def act(self) -> np.ndarray:
        return np.arange(self.rows, dtype=np.float32)[:, None]

    state = act


def robot() -> Timeline:
    sample = make_sample(3).timeline
    rows = int(sample.duration_s * 10)
    evidence = Evidence(event="look.front", frame_index=2, revealed_s=0.4)
    times = {"decided_s": 0.5, "start_s": 0.5, "end_s": 2.0, "planned_end_s": 2.0}
    rest = {"mode": "trajectory", "first_step": 5, "step_count": 15, "evidence": [evidence]}
    act = Act.model_validate({"id": "a", **times, **rest})
    track = ArrayTrack(fps=10, step_count=rows, dim=1)
    look = LookTrack(camera="front", fps=5, frame_count=rows // 2, width_px=2, height_px=2)
    return sample.model_copy(
        update={
            "act": track,
            "state": track,
            "look": (look,),
            "agent": (*sample.agent, act),
            "labels": (Label(second_index=0, decided_s=1, floor="user", stance="listen"),),
        }
    )


def test_phases_keep_every_track_on_its_grid() -> None:
    assert phase_step(make_sample(0).timeline) == Fraction(1, 100)
    timeline = robot()
    assert phase_step(timeline) == Fraction(1, 5)
    found = {phase_of(timeline, 1.0, u) for u in np.linspace(0, 0.999, 50)}
    assert found == {Fraction(k, 5) for k in range(6)}
    assert phase_of(timeline, 0.1, 0.9) == 0
    media = ToyMedia(timeline.listen.sample_count, 20)
    with pytest.raises(StrettoError, match="multiple of 0.2 s"):
        shifted(timeline, cast(Any, media), 0.3)
    assert shifted(timeline, cast(Any, media), 0) == (timeline, media)


def test_a_shifted_sample_is_the_same_sample_later() -> None:
    timeline = robot()
    count, rows = timeline.listen.sample_count, timeline.act.step_count if timeline.act else 0
    later, media = shifted(timeline, cast(Any, ToyMedia(count, rows)), 0.6)
    again = Timeline.model_validate_json(later.model_dump_json())
    assert again == later and again.duration_s == pytest.approx(timeline.duration_s + 0.6)
    for old, new in zip((*timeline.world, *timeline.agent), (*later.world, *later.agent[1:]),
                        strict=True):  # fmt: skip
        for name in ("start_s", "end_s", "decided_s", "revealed_s", "plain_s", "planned_end_s"):
            if hasattr(old, name):
                assert getattr(new, name) == pytest.approx(getattr(old, name) + 0.6)
        assert new.id == old.id
    hold, act = later.agent[0], later.agent[-1]
    assert isinstance(hold, Act) and isinstance(act, Act)
    assert (hold.mode, hold.first_step, hold.step_count) == ("idle", 0, 6)
    assert (act.first_step, act.step_count) == (11, 15)
    assert act.evidence[0].frame_index == 5 and act.evidence[0].revealed_s == pytest.approx(1.0)
    assert later.look[0].frame_count == timeline.look[0].frame_count + 3
    assert later.labels == ()
    lead = round(0.6 * RATE)
    assert len(media.listen()) == later.listen.sample_count == count + lead
    assert not media.listen()[:lead].any() and media.speak()[lead] == 1
    found = media.act()
    assert found is not None and found[:, 0].tolist() == [0] * 6 + list(range(rows))
    assert media.frames("front", [0, 1, 2, 3, 5])[:, 0, 0, 0].tolist() == [0, 0, 0, 0, 2]
