"""Recordings by field names: `json`, `jsonl`, NeMo's flat manifest, and audio with a text beside it.

A record names its audio and has either `segments` (each with text, times and speaker), or `words`
with times, or one `text` that one speaker says.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generators.sources.fields import MISSING, Names, first_of, optional_text, required
from generators.sources.recording_raw import (
    RawFile,
    RawRecording,
    RawSegment,
    RawWord,
    listing,
    mapping,
    number,
    word_of,
)
from generators.sources.recording_words import joined
from generators.sources.refusal import Refused, kind
from generators.sources.text import clean
from schemas.config import RecordingSource
from schemas.config.sources import MAPPED

SIDECARS = (".lab", ".txt")
MAX_TEXT_BYTES = 1 << 20


@dataclass(frozen=True)
class RecordingFields:
    """Candidate names of each field; the first present one counts."""

    id: Names = ("id",)
    audio: Names = ("audio", "audio_filepath", "audio_path", "wav", "path", "file")
    assistant_audio: Names = ("assistant_audio", "agent_audio")
    offset: Names = ("offset",)
    duration: Names = ("duration",)
    text: Names = ("text", "transcript", "transcription", "sentence")
    speaker: Names = ("speaker", "role")
    segments: Names = ("segments", "utterances", "turns")
    start: Names = ("start", "start_s", "start_time")
    end: Names = ("end", "end_s", "end_time")
    words: Names = ("words", "alignments")
    word: Names = ("word", "text", "symbol")
    group: Names = ("group",)
    language_field: Names = ("language", "lang")

    @staticmethod
    def of(source: RecordingSource) -> RecordingFields:
        """The names that count for `source`."""
        return RecordingFields(**{n: (v,) for n in MAPPED if (v := getattr(source, n)) is not None})


def read_mapped(value: dict[str, Any], fields: RecordingFields) -> RawRecording:
    """The recording of one mapping."""
    audio = _path(required(value, fields.audio, "audio"), "audio")
    other = first_of(value, fields.assistant_audio)
    offset, duration = first_of(value, fields.offset), first_of(value, fields.duration)
    length_s = number(duration, "the duration") if _there(duration) else None
    ranged = _there(offset)
    segments, loose = _segments(value, fields)
    return RawRecording(
        audio=(RawFile(audio),),
        assistant_audio=(RawFile(_path(other, "assistant_audio")),) if _there(other) else (),
        segments=segments,
        record_id=optional_text(value, fields.id, "the id"),
        start_s=number(offset, "the offset") if ranged else 0.0,
        # without an offset the duration is that of the whole file, and must agree with it
        duration_s=length_s if ranged else None,
        file_s=None if ranged else length_s,
        group=optional_text(value, fields.group, "the group"),
        language=optional_text(value, fields.language_field, "the language"),
        loose=loose,
    )


def read_sidecar(path: str) -> tuple[RawRecording, str]:
    """The recording of an audio file with its text beside it, and that text's path."""
    for suffix in SIDECARS:
        beside = Path(path).with_suffix(suffix)
        if beside.is_file():
            text = _file_text(beside)
            return RawRecording((RawFile(path),), (RawSegment(text=text),)), str(beside)
    raise Refused("no text beside it", f"write a {' or '.join(SIDECARS)} of the same name")


def _file_text(path: Path) -> str:
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise Refused(f"{path} is over 1 MiB, which is no transcript")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is not UTF-8 (byte {error.start})", "save it as UTF-8") from None


def _there(value: Any) -> bool:
    return value is not MISSING and value is not None


def _path(value: Any, what: str) -> str:
    if isinstance(value, str) and not value.strip():
        raise Refused(f"`{what}` is empty, not the path of a file", f"map `{what}`")
    if not isinstance(value, str):
        raise Refused(f"`{what}` is {kind(value)}, not a path", f"map `{what}`")
    return value


def _segments(
    value: dict[str, Any], fields: RecordingFields
) -> tuple[tuple[RawSegment, ...], bool]:
    """(segments, whether they are to be cut at their pauses)."""
    items = first_of(value, fields.segments)
    if _there(items):
        found = listing(items, "`segments`")
        return tuple(_segment(s, fields, n) for n, s in enumerate(found, start=1)), False
    words = _words(first_of(value, fields.words), fields, "the record")
    if words:
        labels = dict.fromkeys(word.label for word in words)
        own = {label: tuple(w for w in words if w.label == label) for label in labels}
        return tuple(RawSegment(joined(w), label=x, words=w) for x, w in own.items()), True
    text = required(value, fields.text, "text")
    if not isinstance(text, str):
        raise Refused(f"`text` is {kind(text)}, not a text")
    return (RawSegment(text=text, label=_label(value, fields)),), False


def _segment(item: Any, fields: RecordingFields, number_: int) -> RawSegment:
    what = f"segment {number_}"
    value = mapping(item, what)
    words = _words(first_of(value, fields.words), fields, what)
    start, end = first_of(value, fields.start), first_of(value, fields.end)
    if not words and not _there(start):
        raise Refused(f"{what} has neither a start nor words", "map `start` and `end`")
    start_s = number(start, f"{what}: start") if _there(start) else 0.0
    if not _there(end) and _there(length := first_of(value, fields.duration)):
        end = start_s + number(length, f"{what}: duration")
    if not words and not _there(end):
        raise Refused(f"{what} has no end", "map `end`")
    channel = value.get("channel")
    return RawSegment(
        text=optional_text(value, fields.text, f"{what}: text"),
        start_s=start_s,
        end_s=number(end, f"{what}: end") if _there(end) else None,
        label=_label(value, fields),
        channel=channel if isinstance(channel, int) and not isinstance(channel, bool) else None,
        words=words,
    )


def _label(value: dict[str, Any], fields: RecordingFields) -> str | None:
    found = first_of(value, fields.speaker)
    if not _there(found):
        return None
    return clean(str(found))[0] if isinstance(found, str | int) else None


def _words(items: Any, fields: RecordingFields, what: str) -> tuple[RawWord, ...] | None:
    if not _there(items):
        return None
    found = enumerate(listing(items, f"the words of {what}"), start=1)
    words = [word_of(item, fields.word, n) for n, item in found]
    return tuple(word for word in words if word is not None) or None
