"""Lhotse cuts (MonoCut, MultiCut), and NeMo's duplex form of them, as recordings.

A cut is a stretch of a recording with its supervisions, whose times (and those of their words)
count from the cut's start. In the duplex form the recording is the user and `custom.target_audio`
another recording of the same length, the agent.
"""

from __future__ import annotations

import re
from typing import Any

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
from generators.sources.refusal import Refused, kind, short

_TAG = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]{1,8})*")
# a name that a diariser gave: it says who is who within one recording only
_LOCAL = re.compile(r"(speaker|spk|s)?[-_ ]?(\d{1,2}|[a-z]|main)", re.I)
_ROLE_NAMES = ("user", "assistant", "agent")


def is_cut(value: Any) -> bool:
    """Whether a manifest's line is a Lhotse cut."""
    return isinstance(value, dict) and ("recording" in value or "supervisions" in value)


def read_cut(value: dict[str, Any]) -> RawRecording:
    """The recording of one cut."""
    if value.get("type", "MonoCut") not in ("MonoCut", "MultiCut"):
        raise Refused(f"a {short(value['type'])} is not read", "save it with `save_audios()` first")
    if "recording" not in value:
        raise Refused("the cut has no `recording`", "use `CutSet.from_manifests(recordings, ...)`")
    recording = mapping(value["recording"], "`recording`")
    files = _files(recording, "`recording`")
    segments = _segments(listing(value.get("supervisions", []), "`supervisions`"))
    target = mapping(value.get("custom") or {}, "`custom`").get("target_audio")
    return RawRecording(
        audio=files,
        assistant_audio=_files(mapping(target, "`target_audio`"), "`target_audio`")
        if target
        else (),
        segments=segments,
        record_id=str(value["id"]) if value.get("id") is not None else None,
        start_s=number(value.get("start", 0), "the cut's `start`"),
        duration_s=number(value.get("duration"), "the cut's `duration`"),
        file_s=number(recording.get("duration"), "the recording's `duration`"),
        rate_hz=_rate(recording),
        group=_group(value, recording, segments),
        language=_language(value),
    )


def _rate(recording: dict[str, Any]) -> int | None:
    rate = recording.get("sampling_rate")
    return None if rate is None else int(number(rate, "`sampling_rate`"))


def _files(recording: dict[str, Any], what: str) -> tuple[RawFile, ...]:
    if recording.get("transforms"):
        raise Refused(f"{what} has transforms (speed, volume, ...)", "save the audio with them")
    sources = listing(recording.get("sources"), f"the sources of {what}")
    if not sources:
        raise Refused(f"{what} has no source of audio")
    return tuple(_file(mapping(source, f"a source of {what}")) for source in sources)


def _file(source: dict[str, Any]) -> RawFile:
    path, how = source.get("source"), source.get("type")
    if how != "file" or not isinstance(path, str):
        raise Refused(f"audio of type {short(how)} is not read", "save it as files")
    channels = listing(source.get("channels"), "the channels of a source")
    return RawFile(path, tuple(int(number(c, "a channel")) for c in channels))


def _segments(supervisions: list[Any]) -> tuple[RawSegment, ...]:
    return tuple(
        _segment(mapping(s, f"supervision {n}"), f"supervision {n}")
        for n, s in enumerate(supervisions, start=1)
    )


def _segment(value: dict[str, Any], what: str) -> RawSegment:
    start_s = number(value.get("start"), f"{what}: start")
    text, label = value.get("text"), value.get("speaker")
    if text is not None and not isinstance(text, str):
        raise Refused(f"{what}: text is {kind(text)}")
    return RawSegment(
        text=text,
        start_s=start_s,
        end_s=start_s + number(value.get("duration"), f"{what}: duration"),
        label=str(label) if label is not None else None,
        channel=_channel(value.get("channel")),
        words=_words(value.get("alignment"), what),
    )


def _channel(value: Any) -> int | None:
    """The one channel a supervision is heard on; None where it is on several."""
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _words(alignment: Any, what: str) -> tuple[RawWord, ...] | None:
    items = mapping(alignment, f"{what}: alignment").get("word") if alignment else None
    if not items:
        return None
    found = []
    for number_, item in enumerate(listing(items, f"{what}: alignment.word"), start=1):
        if isinstance(item, list) and len(item) >= 3:  # [symbol, start, duration, score]
            start_s = number(item[1], f"{what}: word {number_}: start")
            end_s = start_s + number(item[2], f"{what}: word {number_}: duration")
            item = [item[0], start_s, end_s]
        found.append(word_of(item, ("symbol",), number_))
    return tuple(word for word in found if word is not None)


def _group(value: Any, recording: dict[str, Any], segments: tuple[RawSegment, ...]) -> str | None:
    """The speaker of a monologue, so that nobody is on both sides of a split; else the recording."""
    labels = {s.label for s in segments}
    label = labels.pop() if len(labels) == 1 else None
    if label and label.lower() not in _ROLE_NAMES and not _LOCAL.fullmatch(label):
        return f"speaker {label}"
    found = recording.get("id")
    return str(found) if found is not None else None


def _language(value: dict[str, Any]) -> str | None:
    """The supervisions' language where it is a tag: many corpora write "English"."""
    found = {s.get("language") for s in value.get("supervisions", []) if isinstance(s, dict)}
    tag = found.pop() if len(found) == 1 else None
    return tag if isinstance(tag, str) and _TAG.fullmatch(tag) else None
