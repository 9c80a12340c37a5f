"""The tracks of a robot episode on the sample's clock: frames, actions and state, held at both ends.

Before the motion the first frame and state are held and the action is idle; after it, the last.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from generators.events import evidence
from generators.place import Placement
from generators.sources import Episode
from generators.video import encode_mp4
from schemas.base import seconds
from schemas.config import VideoConfig
from schemas.errors import StrettoError
from schemas.label import Evidence
from schemas.records import Trajectory
from schemas.timeline import Act, ArrayTrack, LookTrack


@dataclass(frozen=True)
class Steps:
    """How the sample's steps divide: `before` held, `moving` from the episode, `after` held."""

    before: int
    moving: int
    after: int

    @property
    def total(self) -> int:
        return self.before + self.moving + self.after


def steps_of(plan: Placement) -> Steps:
    """Every step whose time lies inside the sample, the first at t = 0."""
    fps = Fraction(plan.fps).limit_denominator(1001)
    total = math.ceil(plan.sample_count * fps / plan.rate)
    return Steps(plan.first_step, plan.motion_steps, total - plan.first_step - plan.motion_steps)


def idle_actions(
    record: Trajectory, episode: Episode
) -> tuple[str, NDArray[np.float32], NDArray[np.float32]]:
    """How idling is done, and the action [D] while idle before and after the motion."""
    mode, dim = record.idle_action, record.action_dim
    if isinstance(mode, tuple):
        if len(mode) != dim:
            raise StrettoError(
                f"idle_action has {len(mode)} values, the robot's action {dim}",
                record.where,
                f"give {dim} values, `zeros` or `first_state`",
            )
        values = np.array(mode, np.float32)
        return "values", values, values
    absolute = bool(record.action_names) and record.action_names == record.state_names
    if mode == "first_state" or (mode == "auto" and absolute):
        if episode.state is None or episode.state.shape[1] != dim:
            raise StrettoError(
                "idle_action `first_state` needs a state of the action's size", record.where
            )
        return "first_state", episode.state[0], episode.state[-1]
    zeros = np.zeros(dim, np.float32)
    return "zeros", zeros, zeros


def held(rows: NDArray[np.float32], steps: Steps) -> NDArray[np.float32]:
    """float32 [moving, D] -> [total, D], the first and last row held."""
    return np.ascontiguousarray(np.pad(rows, ((steps.before, steps.after), (0, 0)), mode="edge"))


def act_rows(
    before: NDArray[np.float32], episode: Episode, after: NDArray[np.float32], steps: Steps
) -> NDArray[np.float32]:
    """float32 [total, D]: idle as `before` [D], the episode's actions, idle as `after` [D]."""
    parts = (np.tile(before, (steps.before, 1)), episode.action, np.tile(after, (steps.after, 1)))
    return np.ascontiguousarray(np.concatenate(parts), np.float32)


def look_clip(
    episode: Episode, camera: str, steps: Steps, fps: float, video: VideoConfig
) -> tuple[LookTrack, bytes]:
    """All frames of a camera as one MP4, read and written a frame at a time."""
    size: list[tuple[int, int]] = []

    def shown() -> Iterator[NDArray[np.uint8]]:
        last = None
        for index, frame in enumerate(episode.frames(camera)):
            if index == 0:
                size.append(frame.shape[:2])
                yield from itertools.repeat(frame, steps.before)
            yield frame
            last = frame
        if last is not None:
            yield from itertools.repeat(last, steps.after)

    data = encode_mp4(shown(), fps, video.codec, video.quality)
    height_px, width_px = size[0]
    track = LookTrack(
        camera=camera,
        fps=fps,
        frame_count=steps.total,
        width_px=width_px,
        height_px=height_px,
    )
    return track, data


def array_track(rows: NDArray[np.float32], fps: float, names: tuple[str, ...]) -> ArrayTrack:
    """The Timeline's entry for `act.npy` or `state.npy`."""
    return ArrayTrack(fps=fps, step_count=len(rows), dim=rows.shape[1], names=names)


def act_events(plan: Placement, steps: Steps, cited: tuple[Evidence, ...]) -> list[Act]:
    """Idle, trajectory, idle. The second rests on the instruction, the third on the last frame."""
    motion = plan.placed["motion"]
    start_s, end_s = (seconds(s, plan.rate) for s in (motion.start, motion.end))
    done = evidence(plan, (motion.event.id,))
    total_s = seconds(plan.sample_count, plan.rate)
    parts = (
        ("act-hold", "idle", 0.0, 0.0, start_s, 0, steps.before, ()),
        (
            "act-move",
            "trajectory",
            seconds(motion.decided, plan.rate),
            start_s,
            end_s,
            steps.before,
            steps.moving,
            cited,
        ),
        ("act-rest", "idle", end_s, end_s, total_s, steps.before + steps.moving, steps.after, done),
    )
    return [_act(plan, *part) for part in parts if part[6] > 0]


def _act(
    plan: Placement,
    event_id: str,
    mode: str,
    decided_s: float,
    start_s: float,
    end_s: float,
    first_step: int,
    step_count: int,
    cited: tuple[Evidence, ...],
) -> Act:
    return Act(
        id=event_id,
        mode="idle" if mode == "idle" else "trajectory",
        decided_s=decided_s,
        start_s=start_s,
        end_s=end_s,
        planned_end_s=end_s,
        first_step=first_step,
        step_count=step_count,
        step_evidence=plan.seen_in if mode == "trajectory" else None,
        evidence=cited,
    )
