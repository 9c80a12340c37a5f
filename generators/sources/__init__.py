"""Sources: what goes in. Dialogues from text files and hubs, robot episodes, recorded conversations.

    for item in read_source(entry, source_name(entry, 0)):
        ...  # InputRecord | Rejection, in input order

A bad record becomes a `Rejection` and the good ones still come; a source that cannot be read at all
raises StrettoError. Nothing in an input is evaluated, and no path in it may leave its folder.
`docs/sources.md` says how to map a corpus and what is rejected.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath

from generators.sources import dialogues, hub, paths, recordings, trajectories
from generators.sources.episode import Episode, open_episode
from generators.sources.recorded_audio import RecordedAudio, open_recording
from schemas import InputRecord, Rejection, slug
from schemas.config import SourceEntry

__all__ = [
    "Episode",
    "RecordedAudio",
    "input_files",
    "open_episode",
    "open_recording",
    "read_source",
    "source_name",
]


def read_source(entry: SourceEntry, name: str) -> Iterator[InputRecord | Rejection]:
    """The records of one source in input order; of two records with one id the first is kept.

    Keys are final. `limit` counts good records. Raises StrettoError when nothing can be read.
    """
    if entry.dialogues is not None:
        yield from dialogues.read_dialogues(entry.dialogues, name)
    if entry.trajectories is not None:
        yield from trajectories.read_trajectories(entry.trajectories, name)
    if entry.recordings is not None:
        yield from recordings.read_recordings(entry.recordings, name)


def source_name(entry: SourceEntry, index: int) -> str:
    """The entry's `name`, else the end of its path and its place among the sources.

    Keys are made from it: an unnamed source that moves in the list gets other keys.
    """
    source = entry.source
    if source.name:
        return source.name
    parts = [p for p in PurePath(source.path).parts if not paths.is_pattern(p)]
    return f"{slug(PurePath(parts[-1]).stem if parts else '', fallback='source')}-{index}"


def input_files(entry: SourceEntry) -> list[Path]:
    """The files whose bytes the corpus rests on, sorted; none for a name on the Hugging Face hub.

    Raises StrettoError when a path matches nothing.
    """
    if entry.trajectories is not None:
        return paths.lerobot_files(entry.trajectories.path)
    if entry.recordings is not None:
        return recordings.recording_files(entry.recordings)
    source = entry.dialogues
    assert source is not None
    if source.format == "huggingface":
        return hub.local_files(source.path)
    return paths.matching_files(source.path)
