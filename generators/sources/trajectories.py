"""LeRobot episodes to Trajectories: by reference, each checked before it is planned.

An episode's rows are read and its videos' packets counted here, so that a sample that cannot be
made is refused before any speech is spoken. `notes` say what was mended.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from generators.sources import paths
from generators.sources.align import align
from generators.sources.cameras import Cameras, find_cameras
from generators.sources.clip import decode, index_clip
from generators.sources.dialogues import record_key
from generators.sources.folder import Folder, open_folder
from generators.sources.lerobot import EpisodeFiles, VideoFile, episodes
from generators.sources.refusal import Fault, Refused, one_line, rejection
from generators.sources.rows import Rows
from schemas import Rejection, StrettoError, Trajectory, VideoRange, digest, slug
from schemas.config import TrajectorySource

SUBSET_CHARS = 80  # a subset is part of file names


def read_trajectories(source: TrajectorySource, name: str) -> Iterator[Trajectory | Rejection]:
    """The episodes of a LeRobot folder in its order; a Rejection for each that cannot be used.

    A camera without files is dropped and reported once (status `unused`). Raises StrettoError for a
    folder that cannot be read at all and for a config that does not fit it.
    """
    folder = open_folder(source.path)
    cameras = find_cameras(folder, source.cameras)
    for fault in cameras.unused:
        yield rejection(name, fault, unused=True)
    reader = _Reader(source, name, folder, cameras)
    good, used = 0, set()
    for episode in episodes(folder, tuple(cameras.short)):
        result = reader.read(episode)
        yield result
        if isinstance(episode, EpisodeFiles):
            used.add(episode.rows_path)
        good += isinstance(result, Trajectory)
        if good == source.limit:
            return
    yield from _unlisted(folder, name, used)


def _unlisted(folder: Folder, name: str, used: set[str]) -> Iterator[Rejection]:
    """Data files that no episode of the metadata uses."""
    known = {Path(path) for path in used}
    for path in paths.files_below(Path(folder.root) / "data"):
        if path not in known:
            fault = Fault(str(path), "file", "no episode in meta/ uses this file")
            yield rejection(name, fault, unused=True)


class _Reader:
    """Makes the Trajectories of one source."""

    def __init__(
        self, source: TrajectorySource, name: str, folder: Folder, cameras: Cameras
    ) -> None:
        self.source, self.name, self.folder, self.cameras = source, name, folder, cameras
        self.seen: set[int] = set()

    def read(self, episode: EpisodeFiles | Fault) -> Trajectory | Rejection:
        """One episode, or why not."""
        if isinstance(episode, Fault):
            return rejection(self.name, episode)
        record_id = f"episode-{episode.index}"
        try:
            if episode.index in self.seen:
                raise Refused("an episode with this index came before; the first one is kept")
            self.seen.add(episode.index)
            return self._trajectory(episode, record_id)
        except Refused as refused:
            fault = Fault(episode.where, record_id, refused.reason, refused.fix)
            return rejection(self.name, fault)

    def _trajectory(self, episode: EpisodeFiles, record_id: str) -> Trajectory:
        source, folder = self.source, self.folder
        rows = Rows.read(episode, source)
        instruction, others = self._instruction(episode)
        videos, video_notes = self._videos(episode, rows)
        notes = [*rows.notes(episode, folder.fps), *self._clock_notes(), *others, *video_notes]
        return Trajectory(
            key=record_key(self.name, record_id),
            source=self.name,
            record_id=record_id,
            group=" ".join(instruction.casefold().split()).rstrip(".!"),
            where=one_line(episode.where),
            subset=self._subset(rows, videos),
            language=source.language,
            licence=source.licence,
            instruction=instruction,
            robot_type=folder.robot_type,
            fps=source.clock.fps if source.clock else folder.fps,
            step_count=len(rows.action),
            rows_path=episode.rows_path,
            row_start=rows.start,
            row_end=rows.start + len(rows.action),
            action_column=source.action,
            state_column=source.state if rows.state is not None else None,
            action_dim=rows.action.shape[1],
            state_dim=rows.state_dim,
            action_names=self._names(source.action, rows.action.shape[1]),
            state_names=self._names(source.state, rows.state_dim),
            idle_action=self._idle_action(rows.action.shape[1]),
            videos=tuple(v for v, _ in videos),
            notes=tuple(one_line(note) for note in notes),
        )

    def _instruction(self, episode: EpisodeFiles) -> tuple[str, list[str]]:
        """The first task that is an instruction, and a note on further ones."""
        refused = {name.casefold() for name in self.source.non_instructions}
        texts = [one_line(task) for task in episode.tasks]
        good = [t for t in dict.fromkeys(texts) if _plain(t) not in refused and _has_letter(t)]
        if not good:
            found = ", ".join(repr(t) for t in texts) or "none"
            raise Refused(f"no task is an instruction (tasks: {found})", "mend meta/ or drop it")
        others = ", ".join(repr(t) for t in good[1:])
        return good[0], [f"further tasks, not used: {others}"] if others else []

    def _videos(
        self, episode: EpisodeFiles, rows: Rows
    ) -> tuple[list[tuple[VideoRange, str]], list[str]]:
        """(each camera's range and frame size, notes)."""
        videos, notes = [], []
        for key, short in self.cameras.short.items():
            try:
                video, size, note = self._video(short, episode.videos.get(key), rows)
            except (Refused, StrettoError) as error:
                raise Refused(f"camera {short}: {error}", error.fix) from None
            videos.append((video, size))
            notes += [f"camera {short}: {note}"] if note else []
        return videos, notes

    def _video(
        self, camera: str, file: VideoFile | None, rows: Rows
    ) -> tuple[VideoRange, str, str | None]:
        if file is None:
            raise Refused("this episode has no video of it, others have", "pick `cameras`")
        index, count = index_clip(file.path), len(rows.action)
        half_s = 0.5 / self.folder.fps
        times_s = index.times_s
        start = int(np.searchsorted(times_s, file.start_s - half_s))
        end = len(times_s)
        if file.end_s is not None:
            end = int(np.searchsorted(times_s, file.end_s - half_s))
        if end <= start:
            raise Refused(f"{file.path}: no frame from {file.start_s:.3f} s on")
        own_s = times_s[start:end] - times_s[start]
        first, note = align(own_s, rows.times_s, count, self.folder.fps)
        start_s = round(float(times_s[start + first]), 6)
        # the frames follow the rows, so their rate is the trajectory's, not the file's
        fps = self.source.clock.fps if self.source.clock else self.folder.fps
        video = VideoRange(
            camera=camera, path=file.path, start_s=start_s, frame_count=count, fps=fps
        )
        height, width, _ = next(decode(file.path, start_s, 1)).shape
        return video, f"{width}x{height}", note

    def _subset(self, rows: Rows, videos: list[tuple[VideoRange, str]]) -> str:
        """Readable, and one member set and one shape each: dimensions, cameras, frame sizes."""
        dims = f"a{rows.action.shape[1]}" + (f"-s{rows.state_dim}" if rows.state_dim else "")
        looks = "-".join(f"{v.camera}-{size}" for v, size in videos) or "blind"
        text = f"robot-{slug(self.folder.robot_type or self.name)}-{dims}-{looks}"
        if len(text) <= SUBSET_CHARS:
            return text
        return f"{text[: SUBSET_CHARS - 9].rstrip('-')}-{digest(text)[:8]}"

    def _clock_notes(self) -> list[str]:
        clock = self.source.clock
        if clock is None or clock.fps == self.folder.fps:
            return []
        return [f"fps {clock.fps:g} by the config's clock, {self.folder.fps:g} in info.json"]

    def _names(self, feature: str | None, dim: int) -> tuple[str, ...]:
        names = self.folder.names(feature) if feature else ()
        return tuple(one_line(n) for n in names) if len(names) == dim else ()

    def _idle_action(self, dim: int) -> str | tuple[float, ...]:
        idle = self.source.idle_action
        if not isinstance(idle, str) and len(idle) != dim:
            raise StrettoError(
                f"`idle_action` has {len(idle)} values, the action has {dim}",
                self.source.path,
                f"give {dim} values",
            )
        return idle


def _plain(text: str) -> str:
    return text.casefold().strip(" .!")


def _has_letter(text: str) -> bool:
    return any(c.isalpha() for c in text)
