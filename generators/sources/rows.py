"""The rows of one episode, read and checked before it is planned."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from generators.sources import columns
from generators.sources.lerobot import EpisodeFiles
from generators.sources.refusal import Refused
from schemas.config import TrajectorySource


class Rows:
    """The checked arrays of an episode: action and state float32 [T, dim], times_s float64 [T]."""

    def __init__(
        self,
        start: int,
        action: NDArray[np.float32],
        state: NDArray[np.float32] | None,
        times_s: NDArray[np.float64] | None,
    ) -> None:
        self.start, self.action, self.state, self.times_s = start, action, state, times_s
        self.state_dim = 0 if state is None else state.shape[1]

    @staticmethod
    def read(episode: EpisodeFiles, source: TrajectorySource) -> Rows:
        """Read and check. Raises Refused for what cannot be an episode."""
        path = episode.rows_path
        names = columns.column_names(path)
        if source.action not in names:
            found = ", ".join(names)
            raise Refused(f"{path} has no column `{source.action}`; it has {found}", "map `action`")
        state = source.state if source.state in names else None
        times = "timestamp" if "timestamp" in names else None
        index = ("episode_index",) if episode.shared else ()
        wanted = tuple(n for n in (source.action, state, times) if n) + index
        if index and index[0] not in names:
            raise Refused(f"{path} has no column `episode_index`, which v3.0 needs")
        table = columns.read_columns(path, tuple(dict.fromkeys(wanted)))
        start, end = _row_range(table, episode)
        if start == end:
            raise Refused(f"{path}: the episode has no rows")
        part = table.slice(start, end - start)
        return Rows(
            start,
            columns.vectors(part, source.action),
            columns.vectors(part, state) if state else None,
            columns.numbers(part, times) if times else None,
        )

    def notes(self, episode: EpisodeFiles, fps: float) -> list[str]:
        """What the metadata says otherwise than the rows."""
        notes, count = [], len(self.action)
        if episode.row_count not in (None, count):
            notes.append(f"the metadata says {episode.row_count} rows, the file has {count}")
        if self.times_s is not None and count > 1 and np.isfinite(self.times_s).all():
            step_s = float(np.median(np.diff(self.times_s)))
            if abs(step_s * fps - 1) > 0.05:
                notes.append(f"rows are {step_s:.4f} s apart, which is not fps {fps:g}")
        return notes


def _row_range(table: pa.Table, episode: EpisodeFiles) -> tuple[int, int]:
    """The rows of this episode: the whole file, or one unbroken run of a shared one."""
    if not episode.shared:
        return 0, table.num_rows
    numbers = columns.numbers(table, "episode_index")
    own = np.flatnonzero(numbers == episode.index)
    if len(own) and own[-1] - own[0] + 1 != len(own):
        raise Refused(f"{episode.rows_path}: the episode's rows do not follow each other")
    return (int(own[0]), int(own[-1]) + 1) if len(own) else (0, 0)
