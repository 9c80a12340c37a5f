"""The episodes of a LeRobot folder, by version: which files and ranges make each one.

v2.0 and v2.1 keep one Parquet file and one MP4 a camera for each episode and list them in
`meta/episodes.jsonl` (v2.1 only adds `episodes_stats.jsonl`, which is not read). v3.0 puts many
episodes in one file; `meta/episodes/*/*.parquet` says where each one lies. Source of the layouts:
huggingface/lerobot, `datasets/utils.py`, `dataset_writer.py` and `dataset_metadata.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generators.sources import paths
from generators.sources.folder import Folder, fill, parquet_rows
from generators.sources.readers import Raw, read_jsonl
from generators.sources.refusal import Fault, Refused, kind, short
from schemas import StrettoError


@dataclass(frozen=True)
class VideoFile:
    """Where an episode's frames of one camera lie; `end_s` None is the end of the file."""

    path: str
    start_s: float = 0.0
    end_s: float | None = None


@dataclass(frozen=True)
class EpisodeFiles:
    """One episode as the metadata has it. `shared` files hold the rows of other episodes too."""

    index: int
    where: str
    tasks: tuple[str, ...]
    row_count: int | None
    rows_path: str
    shared: bool
    videos: dict[str, VideoFile]


def episodes(folder: Folder, video_keys: tuple[str, ...]) -> Iterator[EpisodeFiles | Fault]:
    """The episodes in the order of the metadata; a broken line of it is a Fault."""
    if folder.version == "v3.0":
        yield from _episodes_v3(folder, video_keys)
    else:
        yield from _episodes_v2(folder, video_keys)


def _episodes_v2(folder: Folder, video_keys: tuple[str, ...]) -> Iterator[EpisodeFiles | Fault]:
    path = Path(folder.root) / "meta" / "episodes.jsonl"
    if not path.is_file():
        raise StrettoError("the file is missing", str(path), "give a complete LeRobot folder")
    for item in read_jsonl(path):
        if isinstance(item, Fault):
            yield item
            continue
        try:
            yield _episode_v2(folder, item, video_keys)
        except Refused as refused:
            yield Fault(item.where, _name(item.value), refused.reason, refused.fix)


def _episode_v2(folder: Folder, item: Raw, video_keys: tuple[str, ...]) -> EpisodeFiles:
    index = _index(item.value)
    numbers = {"episode_index": index, "episode_chunk": index // folder.chunks_size}
    videos = {}
    for key in video_keys if folder.video_path else ():
        video = fill(folder.video_path or "", video_key=key, **numbers)
        videos[key] = VideoFile(f"{folder.root}/{video}")
    rows = f"{folder.root}/{fill(folder.data_path, **numbers)}"
    tasks, length = _tasks_of(folder, item.value), _whole(item.value.get("length"))
    return EpisodeFiles(index, item.where, tasks, length, rows, False, videos)


def _episodes_v3(folder: Folder, video_keys: tuple[str, ...]) -> Iterator[EpisodeFiles | Fault]:
    meta = Path(folder.root) / "meta" / "episodes"
    files = [f for f in paths.files_below(meta) if f.suffix == ".parquet"]
    if not files:
        raise StrettoError("no Parquet file here", str(meta), "give a complete LeRobot folder")
    for path in files:
        try:
            rows = parquet_rows(path, ("episode_index", "tasks", "length", "data/", "videos/"))
        except StrettoError as error:
            yield Fault(str(path), "file", error.what, error.fix)
            continue
        for number, row in enumerate(rows):
            where = f"{path}#{number}"
            try:
                yield _episode_v3(folder, row, where, video_keys)
            except Refused as refused:
                yield Fault(where, _name(row), refused.reason, refused.fix)


def _episode_v3(
    folder: Folder, row: dict[str, Any], where: str, video_keys: tuple[str, ...]
) -> EpisodeFiles:
    index = _index(row)
    rows = fill(folder.data_path, **_file_numbers(row, "data"))
    videos = {}
    for key in video_keys if folder.video_path else ():
        if row.get(f"videos/{key}/chunk_index") is None:
            continue  # this episode has no such camera
        place = f"videos/{key}"
        path = fill(folder.video_path or "", video_key=key, **_file_numbers(row, place))
        start_s, end_s = row.get(f"{place}/from_timestamp"), row.get(f"{place}/to_timestamp")
        if not isinstance(start_s, float | int) or not 0 <= start_s < float("inf"):
            raise Refused(f"`{place}/from_timestamp` is {short(start_s)}")
        end = float(end_s) if isinstance(end_s, float | int) else None
        videos[key] = VideoFile(f"{folder.root}/{path}", float(start_s), end)
    tasks, length = _tasks_of(folder, row), _whole(row.get("length"))
    return EpisodeFiles(index, where, tasks, length, f"{folder.root}/{rows}", True, videos)


def _file_numbers(row: dict[str, Any], place: str) -> dict[str, int]:
    numbers = {name: _whole(row.get(f"{place}/{name}")) for name in ("chunk_index", "file_index")}
    if missing := [name for name, value in numbers.items() if value is None]:
        raise Refused(f"the episode has no `{place}/{missing[0]}`")
    return {name: value for name, value in numbers.items() if value is not None}


def _index(row: Any) -> int:
    if not isinstance(row, dict):
        raise Refused(f"the episode is {kind(row)}, not a mapping")
    index = _whole(row.get("episode_index"))
    if index is None:
        raise Refused(f"`episode_index` is {short(row.get('episode_index'))}")
    return index


def _name(row: Any) -> str:
    return f"episode-{row.get('episode_index')}" if isinstance(row, dict) else "episode"


def _whole(value: Any) -> int | None:
    """A whole number from 0 on, else None."""
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40
    return value if good else None


def _tasks_of(folder: Folder, row: dict[str, Any]) -> tuple[str, ...]:
    """The episode's task texts; a number stands for a row of the task table."""
    tasks = row.get("tasks")
    tasks = [tasks] if isinstance(tasks, str) else tasks if isinstance(tasks, list) else []
    texts = [folder.tasks.get(t) if isinstance(t, int) else t for t in tasks]
    return tuple(t for t in texts if isinstance(t, str))
