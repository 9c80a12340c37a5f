"""Recordings in place of speech: slices of their audio for the scene, whole channels for the tracks.

speech = recorded_speech(record, audio)                 # what `speak` would have made
sample = as_recorded(sample, record, audio)             # the tracks as they were recorded
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from generators.place import PLAIN_AFTER_S, SpeechKey
from generators.scene.recording import Take, takes
from generators.sources.recorded_audio import RecordedAudio
from generators.speech import Speech, SpokenWord
from schemas.base import seconds
from schemas.errors import StrettoError
from schemas.label import Evidence
from schemas.records import Recording
from schemas.sample import Sample
from schemas.timeline import Hear, Piece, Provenance, Say


def recorded_speech(record: Recording, audio: RecordedAudio) -> dict[SpeechKey, Speech]:
    """The Speech of each span: a view of its channel, with the given words or none.

    Raises StrettoError where a channel is silent while something is said.
    """
    found: dict[SpeechKey, Speech] = {}
    for spoken in takes(record):
        for index, take in enumerate(spoken.takes):
            said = spoken.text[take.char_start : take.char_end]
            found[spoken.id, index] = _speech(take, audio, spoken.speaker, said)
    return found


def _speech(take: Take, audio: RecordedAudio, speaker: str, said: str) -> Speech:
    rate, channel = audio.sample_rate_hz, audio.of(speaker)
    start, end = round(take.start_s * rate), min(round(take.end_s * rate), len(channel))
    pcm = channel[start:end]
    if not pcm.any():
        raise StrettoError(
            f"the channel of the {speaker} is silent from {take.start_s:.3f} to {take.end_s:.3f} s, "
            f"where {said[:40]!r} is said",
            fix="are the channels the other way round? set `user_channel`",
        )
    words = tuple(
        SpokenWord(
            text=w.text,
            char_start=w.char_start - take.char_start,
            char_end=w.char_end - take.char_start,
            start_sample=round(w.start_s * rate) - start,
            end_sample=min(round(w.end_s * rate), end) - start,
        )
        for w in take.words or ()
    )
    return Speech(pcm, rate, words, "given")


def as_recorded(sample: Sample, record: Recording, audio: RecordedAudio) -> Sample:
    """The sample with its tracks as they were recorded, and what the assistant rests on.

    What a recorded assistant says rests on the last word of the user's that ended before it spoke.
    """
    count, rate = len(audio.user), audio.sample_rate_hz
    timeline = sample.timeline
    track = timeline.listen.model_copy(update={"sample_count": count, "sample_rate_hz": rate})
    world = [_as_heard(e) if isinstance(e, Hear) else e for e in timeline.world]
    heard = _heard_words(world)
    agent = [_rested(_as_said(e), heard) if isinstance(e, Say) else e for e in timeline.agent]
    timeline = timeline.model_copy(
        update={
            "provenance": _provenance(timeline.provenance, record, rate),
            "duration_s": seconds(count, rate),
            "listen": track,
            "speak": track,
            "world": tuple(sorted(world, key=lambda e: (e.start_s, e.id))),
            "agent": tuple(sorted(agent, key=lambda e: (e.decided_s, e.start_s, e.id))),
        }
    )
    # the room and the noise cannot be taken apart: `listen` is its own and only stem
    return replace(sample, timeline=timeline, listen=audio.user, speak=audio.assistant, stems={})


def _provenance(made: Provenance, record: Recording, rate_hz: int) -> Provenance:
    """Nobody was made to speak; what was resampled is noted."""
    rates = {r.sample_rate_hz for r in (record.user, record.assistant) if r is not None}
    changed = [f"resampled from {r} Hz to {rate_hz} Hz" for r in sorted(rates - {rate_hz})]
    backends = made.backends | {"speech": "recorded"}
    notes = (*record.notes, *changed)
    return made.model_copy(update={"backends": backends, "notes": notes})


def _as_heard(event: Hear) -> Hear:
    """The event from its first to its last word, where an aligner found them in a longer segment."""
    if not event.words or event.word_times == "given":
        return event
    start_s, ends_s = event.words[0].start_s, [w.end_s for w in event.words]
    plain_s = next((e for e in ends_s if e >= start_s + PLAIN_AFTER_S), ends_s[-1])
    times = {"start_s": start_s, "end_s": ends_s[-1], "plain_s": plain_s, "revealed_s": ends_s[-1]}
    return event.model_copy(update={**times, "pieces": _fitted(event)})


def _as_said(event: Say) -> Say:
    """The same of the assistant, who decides to speak when it does."""
    if not event.words or event.word_times == "given":
        return event
    start_s, end_s = event.words[0].start_s, event.words[-1].end_s
    times = {"decided_s": start_s, "start_s": start_s, "end_s": end_s, "planned_end_s": end_s}
    return event.model_copy(update={**times, "pieces": _fitted(event)})


def _fitted(event: Hear | Say) -> tuple[Piece, ...]:
    found = []
    for piece in event.pieces:
        own = [w for w in event.words if piece.char_start <= w.char_start < piece.char_end]
        times = {"start_s": own[0].start_s, "end_s": own[-1].end_s} if own else {}
        found.append(piece.model_copy(update=times))
    return tuple(found)


def _heard_words(world: Sequence[object]) -> list[tuple[float, Evidence]]:
    """Every word of the user's by the time it is revealed."""
    found = [
        (word.end_s, event.id, index)
        for event in world
        if isinstance(event, Hear)
        for index, word in enumerate(event.words)
    ]
    return [(s, Evidence(event=e, word=i, revealed_s=s)) for s, e, i in sorted(found)]


def _rested(event: Say, heard: list[tuple[float, Evidence]]) -> Say:
    at = bisect_right(heard, event.decided_s, key=lambda x: x[0])
    return event.model_copy(update={"evidence": (heard[at - 1][1],) if at else ()})
