"""The arrays and frames of a Trajectory, read when its shard is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generators.sources import columns
from generators.sources.clip import decode
from generators.sources.refusal import Refused
from schemas import StrettoError, Trajectory
from schemas.errors import MachineError


@dataclass(frozen=True)
class Episode:
    """`action` float32 [T, D] and `state` float32 [T, S] or None, C order."""

    trajectory: Trajectory
    action: NDArray[np.float32]
    state: NDArray[np.float32] | None

    def frames(self, camera: str) -> Iterator[NDArray[np.uint8]]:
        """The camera's frames in order, uint8 RGB [height, width, 3], one a step.

        Raises StrettoError for an unknown camera, a missing frame or a broken one.
        """
        videos = {video.camera: video for video in self.trajectory.videos}
        if camera not in videos:
            known = ", ".join(videos) or "none"
            raise StrettoError(f"no camera {camera!r}", self.trajectory.where, f"here: {known}")
        video = videos[camera]
        return decode(video.path, video.start_s, video.frame_count)


def _require_file(path: str, where: str) -> None:
    """A file that the plan found and this machine has not: a missing mount, not a bad record."""
    try:
        os.stat(path)
    except OSError as error:
        fix = "make it readable on every machine that runs, then run again"
        raise MachineError(f"{path} can't be read ({error.strerror})", where, fix) from None


def open_episode(t: Trajectory) -> Episode:
    """Read the rows of `t`. Raises StrettoError when they are not as planned any more."""
    for path in (t.rows_path, *(video.path for video in t.videos)):
        _require_file(path, t.where)
    names = tuple(dict.fromkeys(n for n in (t.action_column, t.state_column) if n))
    try:
        table = columns.read_range(t.rows_path, names, t.row_start, t.row_end)
        action = columns.vectors(table, t.action_column)
        state = columns.vectors(table, t.state_column) if t.state_column else None
    except Refused as refused:
        raise StrettoError(refused.reason, t.where, refused.fix) from None
    dims = (action.shape[1], 0 if state is None else state.shape[1])
    if dims != (t.action_dim, t.state_dim):
        raise StrettoError(f"dimensions {dims} are not those planned", t.where, "plan again")
    return Episode(t, action, state)
