"""Who is who in a recording: which segment is the user's, which channel is whose.

A name says it (the config's `roles`, then `user`, `agent`, ...; `SPEAKER_MAIN` in moshi's layout),
else the channel it is heard on, else there is only one speaker, and that is the user. One channel
that holds both is refused where the assistant is to be one of them: nothing separates their sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from generators.sources.recording_moshi import MAIN
from generators.sources.recording_raw import RawRecording, RawSegment
from generators.sources.refusal import Refused, short
from generators.sources.turns import ROLES
from schemas.config import RecordingSource

Side = Literal["user", "assistant"]


@dataclass(frozen=True)
class Channels:
    """The number of each side's channel; None where a side has none."""

    user: int
    assistant: int | None


def named_role(label: str | None, source: RecordingSource) -> str | None:
    """The role that a speaker's name says: `user`, `assistant`, `skip`, or None."""
    if label is None:
        return None
    folded = {name.casefold(): role for name, role in source.roles.items()}
    found = source.roles.get(label) or folded.get(label.casefold())
    if found is None and source.format == "moshi":
        found = "assistant" if label == MAIN else "user"
    found = found or ROLES.get(label.casefold())  # type: ignore[assignment]
    return found if found in ("user", "assistant", "skip") else None


def channels_of(raw: RawRecording, here: list[int], source: RecordingSource) -> Channels:
    """Which of the channels `here` is the user's and which the assistant's."""
    if raw.assistant_audio:  # each side has a file of its own
        return Channels(_picked(source.user_channel, here, 0), 0)
    for wanted in (source.user_channel, source.assistant_channel):
        if wanted is not None and wanted not in here:
            raise Refused(f"no channel {wanted}; channels here: {_list(here)}")
    if len(here) > 2 and source.user_channel is None:
        fix = "pick `user_channel` and `assistant_channel`"
        raise Refused(f"{len(here)} channels, and which is whose is not said", fix)
    said = _said(raw.segments, source)
    user = source.user_channel if source.user_channel is not None else said.get("user")
    other = source.assistant_channel
    other = other if other is not None else said.get("assistant")
    if user is None:
        left = [c for c in here if c != other]
        user = left[-1 if source.format == "moshi" else 0] if left else here[0]
    if other is None and len(here) == 2:
        other = next(c for c in here if c != user)
    if user not in here or (other is not None and other not in here):
        raise Refused(f"a segment is on a channel that is not there; channels here: {_list(here)}")
    return Channels(user, other if other != user else None)


def _picked(wanted: int | None, here: list[int], default: int) -> int:
    if wanted is not None and wanted not in here:
        raise Refused(f"no channel {wanted}; channels here: {_list(here)}")
    if wanted is None and len(here) > 1:
        raise Refused(f"the user's file has {len(here)} channels", "pick `user_channel`")
    return here[default] if wanted is None else wanted


def _list(channels: list[int]) -> str:
    return ", ".join(str(c) for c in channels)


def _said(segments: tuple[RawSegment, ...], source: RecordingSource) -> dict[str, int]:
    """The channel of each role, where named segments say theirs."""
    found: dict[str, int] = {}
    for segment in segments:
        role = named_role(segment.label, source)
        if role in ("user", "assistant") and segment.channel is not None:
            found.setdefault(str(role), segment.channel)
    return found


def sides_of(raw: RawRecording, channels: Channels, source: RecordingSource) -> list[Side | None]:
    """Whose each segment is; None for one that the config skips."""
    sides = [_side(s, channels, source) for s in raw.segments]
    unknown = [i for i, side in enumerate(sides) if side == ""]
    labels = list(dict.fromkeys(raw.segments[i].label or "" for i in unknown))
    if len(labels) > 1 or (labels and "user" in sides):
        names = ", ".join(short(label, 24) for label in labels)
        raise Refused(f"who is the user among {names}?", "map the names with `roles`")
    return [
        None if side == "skip" else "user" if side in ("user", "") else "assistant"
        for side in sides
    ]


def _side(segment: RawSegment, channels: Channels, source: RecordingSource) -> str:
    role = named_role(segment.label, source)
    if role is not None:
        return role
    if segment.channel is not None and channels.assistant is not None:
        return {channels.user: "user", channels.assistant: "assistant"}.get(segment.channel, "skip")
    return ""
