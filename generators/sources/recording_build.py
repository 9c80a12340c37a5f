"""A raw recording, checked: its channels as ranges of files that agree with the manifest.

`build(raw, source, places)` raises Refused with the one reason that a person needs.
"""

from __future__ import annotations

from dataclasses import dataclass

from generators.sources.recording_audio import Header, Places, probe
from generators.sources.recording_raw import RawFile, RawRecording
from generators.sources.recording_roles import Channels, Side, channels_of, sides_of
from generators.sources.recording_segments import DURATION_SLACK_S, sayable, segments_of
from generators.sources.refusal import Refused, seconds
from schemas import ChannelRange, Segment
from schemas.config import RecordingSource


@dataclass(frozen=True)
class Built:
    """What of a Recording is worked out here."""

    duration_s: float
    user: ChannelRange
    assistant: ChannelRange | None
    segments: tuple[Segment, ...]
    notes: tuple[str, ...]


def build(raw: RawRecording, source: RecordingSource, places: Places) -> Built:
    """The checked parts of a Recording."""
    files = _opened(raw.audio, places)
    here = _channels(raw.audio, files)
    channels = channels_of(raw, here, source)
    sides = sides_of(raw, channels, source)
    user = _range(raw, raw.audio, files, channels.user)
    duration_s = user.frame_count / user.sample_rate_hz
    notes: list[str] = []
    assistant = None
    own = [s for s, side in zip(raw.segments, sides, strict=True) if side == "assistant"]
    # with no channel of its own it is refused, whatever it says: nothing separates their sound
    if own and (channels.assistant is None or any(sayable(s) for s in own)):
        assistant = _assistant(raw, files, channels, sides, places)
        other_s = assistant.frame_count / assistant.sample_rate_hz
        if abs(other_s - duration_s) > DURATION_SLACK_S:
            notes.append(f"{abs(other_s - duration_s):.2f} s of silence added to the shorter file")
        duration_s = max(duration_s, other_s)
    elif channels.assistant is not None:
        notes.append("no words of the assistant: its channel is not used")
    segments = segments_of(raw, sides, round(duration_s, 6), notes)
    return Built(round(duration_s, 6), user, assistant, segments, tuple(notes))


Files = dict[str, tuple[str, Header]]  # a manifest's path -> where it is, and its header


def _opened(audio: tuple[RawFile, ...], places: Places) -> Files:
    found = {file.path: places.find(file.path) for file in audio}
    return {path: (there, probe(there)) for path, there in found.items()}


def _channels(audio: tuple[RawFile, ...], files: Files) -> list[int]:
    found: list[int] = []
    for file in audio:
        count = files[file.path][1].channels
        if file.channels is not None and len(file.channels) > count:
            raise Refused(f"{file.path} has {count} channels, the manifest lists more")
        found += file.channels if file.channels is not None else range(count)
    return sorted(set(found))


def _assistant(
    raw: RawRecording,
    files: Files,
    channels: Channels,
    sides: list[Side | None],
    places: Places,
) -> ChannelRange:
    if raw.assistant_audio:
        own = _opened(raw.assistant_audio, places)
        here = _channels(raw.assistant_audio, own)
        if len(here) > 1:
            raise Refused(f"the assistant's file has {len(here)} channels", "give a mono file")
        return _range(raw, raw.assistant_audio, own, here[0], other=True)
    if channels.assistant is None and all(side == "assistant" for side in sides if side):
        raise Refused("only the assistant speaks, and no channel is the user's", "map the `roles`")
    if channels.assistant is None:
        fix = "give each a channel, or map both to `user` with `roles`"
        raise Refused("one channel holds both speakers: their sound can't be separated", fix)
    return _range(raw, raw.audio, files, channels.assistant)


def _range(
    raw: RawRecording,
    audio: tuple[RawFile, ...],
    files: Files,
    channel: int,
    other: bool = False,
) -> ChannelRange:
    """The frames of one channel. Raises Refused where manifest and file disagree."""
    file = next(f for f in audio if f.channels is None or channel in f.channels)
    path, header = files[file.path]
    if not other:  # the manifest describes the first file
        _agrees(raw, path, header)
    start_s = raw.start_s
    length_s = header.duration_s - start_s if raw.duration_s is None else raw.duration_s
    if start_s < 0 or length_s <= 0 or start_s + length_s > header.duration_s + DURATION_SLACK_S:
        span = f"{seconds(start_s)} to {seconds(start_s + length_s)} s"
        raise Refused(f"{span} is not in {path}, which lasts {seconds(header.duration_s)} s")
    first = min(round(start_s * header.sample_rate_hz), header.frames - 1)
    count = min(max(1, round(length_s * header.sample_rate_hz)), header.frames - first)
    return ChannelRange(
        path=path,
        channel=channel if file.channels is None else file.channels.index(channel),
        sample_rate_hz=header.sample_rate_hz,
        frame_start=first,
        frame_count=count,
    )


def _agrees(raw: RawRecording, path: str, header: Header) -> None:
    if raw.rate_hz is not None and raw.rate_hz != header.sample_rate_hz:
        raise Refused(
            f"the manifest says {raw.rate_hz} Hz, {path} is sampled at {header.sample_rate_hz} Hz",
            "make the manifest anew",
        )
    if raw.file_s is not None and abs(raw.file_s - header.duration_s) > DURATION_SLACK_S:
        raise Refused(
            f"the manifest says {seconds(raw.file_s)} s, {path} lasts {seconds(header.duration_s)} s",
            "is it truncated or another file?",
        )
