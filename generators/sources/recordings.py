"""Recorded conversations to Recordings: by reference, each checked before it is planned.

    for item in read_recordings(source, "calls"):
        ...  # Recording | Rejection, in input order

Headers are read here and samples only when a shard is made (`recorded_audio.py`), so that planning
a large corpus does not decode it twice. Which channel is whose stands in `recording_roles.py`.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from generators.sources import paths, readers
from generators.sources.dialogues import LANGUAGE, record_key
from generators.sources.readers import Raw
from generators.sources.recording_audio import Places
from generators.sources.recording_build import Built, build
from generators.sources.recording_lhotse import is_cut, read_cut
from generators.sources.recording_mapped import RecordingFields, read_mapped, read_sidecar
from generators.sources.recording_moshi import read_moshi, words_path
from generators.sources.recording_raw import RawRecording
from generators.sources.recording_windows import windows
from generators.sources.refusal import Fault, Refused, kind, one_line, rejection, short
from schemas import Recording, Rejection
from schemas.config import RecordingSource

NEMO = RecordingFields(
    audio=("audio_filepath",), text=("text",), segments=(), words=(), language_field=("lang",)
)


def read_recordings(source: RecordingSource, name: str) -> Iterator[Recording | Rejection]:
    """The recordings of a source in input order, and a Rejection for each that can't be used.

    Of two records with one id the first is kept. Raises StrettoError when `path` matches nothing or
    `audio_root` is no folder.
    """
    reader = _Reader(source, name)
    good = 0
    for path in paths.matching_files(source.path):
        places = Places(source, path)
        for item in _items(source, path):
            for result in reader.read(item, places):
                yield result
                good += isinstance(result, Recording)
                if good == source.limit:
                    return


def recording_files(source: RecordingSource) -> list[Path]:
    """The manifests, and the audio and the words' files of every recording that can be used."""
    reader = _Reader(source, "files")
    for path in (found := paths.matching_files(source.path)):
        places = Places(source, path)
        for item in _items(source, path):
            reader.read(item, places)
    # absolute, since a manifest may name audio by absolute paths where it lies at a relative one
    return sorted({p.absolute() for p in (*found, *(Path(p) for p in reader.files))}, key=str)


def _items(source: RecordingSource, path: Path) -> Iterator[Raw | Fault]:
    if source.format == "sidecar":
        yield Raw(str(path), str(path))
    elif source.format == "json" or (source.format == "lhotse" and _is_list(path)):
        yield from readers.read_json(path)
    else:
        yield from _lines(path)


def _is_list(path: Path) -> bool:
    """A Lhotse manifest is a JSON list (`cuts.json`) or has one cut a line."""
    if path.suffix == ".gz":
        return False
    with readers.open_input(path) as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _lines(path: Path) -> Iterator[Raw | Fault]:
    """JSONL, `.gz` too; a broken archive is a Fault where it breaks."""
    if path.suffix != ".gz":
        yield from readers.read_jsonl(path)
        return
    try:
        with gzip.open(path) as file:
            yield from readers.json_lines(path, file)  # type: ignore[arg-type]
    except (OSError, EOFError, zlib.error) as error:
        yield Fault(str(path), "file", f"broken gzip: {error}", "copy it again")


class _Reader:
    """Reads the recordings of one source; `files` are those that they rest on."""

    def __init__(self, source: RecordingSource, name: str) -> None:
        self.source, self.name = source, name
        self.fields = NEMO if source.format == "nemo" else RecordingFields.of(source)
        self.seen: set[int] = set()
        self.files: set[str] = set()

    def read(self, item: Raw | Fault, places: Places) -> list[Recording | Rejection]:
        """One recording (several where it is a long one), or why not."""
        if isinstance(item, Fault):
            return [rejection(self.name, item)]
        record_id = None
        try:
            raw, beside = self._raw(item.value, places)
            built = build(raw, self.source, places)
            record_id = one_line(_record_id(raw))
            recording = self._recording(item, raw, built, record_id)
            found = windows(recording, self.source.longest_s)
        except Refused as refused:
            record_id = record_id or _any_id(item)
            return [rejection(self.name, Fault(item.where, record_id, refused.reason, refused.fix))]
        ranges = (recording.user, recording.assistant)
        self.files |= {*beside, *(r.path for r in ranges if r is not None)}
        return [r if r.segments else self._unused(r) for r in found]

    def _unused(self, silent: Recording) -> Rejection:
        """A window in which nobody speaks."""
        fault = Fault(silent.where, silent.record_id, f"nobody speaks: {silent.notes[-1]}")
        return rejection(self.name, fault, unused=True)

    def _raw(self, value: Any, places: Places) -> tuple[RawRecording, tuple[str, ...]]:
        """(the recording as the manifest says, the files beside its audio that were read)."""
        if self.source.format == "sidecar":
            raw, beside = read_sidecar(value)
            return raw, (beside,)
        if not isinstance(value, dict):
            raise Refused(f"the record is {kind(value)}, not a mapping")
        if self.source.format == "moshi":
            path = value.get("path")
            if not isinstance(path, str):
                raise Refused("no text `path`", "each line is {path, duration}")
            audio = places.find(path)
            return read_moshi(value, audio), (words_path(audio),)
        if self.source.format == "lhotse" or (self.source.format == "nemo" and is_cut(value)):
            return read_cut(value), ()
        return read_mapped(value, self.fields), ()

    def _recording(self, item: Raw, raw: RawRecording, built: Built, record_id: str) -> Recording:
        language = raw.language or self.source.language
        if not LANGUAGE.fullmatch(language):
            raise Refused(f"the language {short(language)} is not a tag such as `en` or `pt-BR`")
        key = record_key(self.name, record_id)
        number = int(key[-12:], 16)
        if number in self.seen:
            raise Refused("a record with this id came before; the first one is kept", "rename it")
        self.seen.add(number)
        return Recording(
            key=key,
            source=self.name,
            record_id=record_id,
            group=one_line(raw.group or raw.audio[0].path),
            where=one_line(item.where),
            language=language,
            licence=self.source.licence,
            duration_s=built.duration_s,
            user=built.user,
            assistant=built.assistant,
            segments=built.segments,
            notes=tuple(one_line(note) for note in (*raw.notes, *built.notes)),
        )


def _record_id(raw: RawRecording) -> str:
    """The id the record states, else its audio and where in it: never what is said."""
    if raw.record_id and raw.record_id.strip():
        return raw.record_id.strip()
    place = f"@{raw.start_s:g}" if raw.duration_s is not None else ""
    return f"{raw.audio[0].path}{place}"


def _any_id(item: Raw) -> str:
    """What to call a record that was refused."""
    value = item.value
    if isinstance(value, str):
        return value
    names = ("id", "path", "audio_filepath", "audio")
    found = (
        next((v for n in names if isinstance(v := value.get(n), str)), None)
        if isinstance(value, dict)
        else None
    )
    return found or item.where.rpartition("/")[2]
