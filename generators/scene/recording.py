"""A recording as a Scene: each segment stands at its own time, nothing is drawn.

`takes(record)` cuts the segments into utterances and those into spans (a span sounds without a
pause where word times are known); `generators.recorded` slices the audio by the same takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from generators.scene.pools import phrases, sounds_like_listening
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.records import RecordedWord, Recording, Segment
from schemas.scene import SELF_GAP_S, Anchor, Scene, Span, Utterance

# the tag of a recorded sample, and the voice of whoever speaks in it
RECORDED = "recorded"
# a pause shorter than this stays inside a span: an inter-pausal unit by the human definition
SPAN_PAUSE_S = 0.2
# the human definition of a backchannel (turn_taking.json): short, alone, under the other's speech
BACKCHANNEL_MAX_S = 1.0
BACKCHANNEL_ALONE_S = 1.0
# and, since a short question fits it too, what listeners say, or in languages without phrases at
# most two words
BACKCHANNEL_WORDS = 2
# utterances of one speaker that are closer than the planner would place them are one
JOIN_S = SELF_GAP_S + 0.001


@dataclass(frozen=True)
class Take:
    """A span of an utterance: [char_start, char_end) of its text, and when it sounds.

    `words` (None: not known) count characters from the utterance's start, seconds from t = 0.
    """

    char_start: int
    char_end: int
    start_s: float
    end_s: float
    words: tuple[RecordedWord, ...] | None


@dataclass(frozen=True)
class Spoken:
    """An utterance: one or more segments of one speaker."""

    id: str
    speaker: Literal["user", "assistant"]
    text: str
    takes: tuple[Take, ...]

    @property
    def start_s(self) -> float:
        return self.takes[0].start_s

    @property
    def end_s(self) -> float:
        return self.takes[-1].end_s


def takes(record: Recording) -> list[Spoken]:
    """The utterances of a recording in order of their start."""
    runs: list[list[Segment]] = []
    last: dict[str, list[Segment]] = {}
    for segment in record.segments:
        run = last.get(segment.speaker)
        if run and segment.start_s - run[-1].end_s < JOIN_S:
            run.append(segment)
        else:
            last[segment.speaker] = [segment]
            runs.append(last[segment.speaker])
    return [_spoken(index, run) for index, run in enumerate(runs)]


def _spoken(index: int, run: list[Segment]) -> Spoken:
    text, found = "", []
    for segment in run:
        text += " " if text else ""
        found += _takes(segment, len(text))
        text += segment.text
    return Spoken(f"{run[0].speaker[0]}{index:03d}", run[0].speaker, text, tuple(found))


def _takes(segment: Segment, at: int) -> list[Take]:
    """A segment's runs of words; the whole of it where its words have no times."""
    words = segment.words
    if not words:
        return [Take(at, at + len(segment.text), segment.start_s, segment.end_s, None)]
    moved = [_moved(w, at) for w in words]
    cuts = [
        i
        for i in range(1, len(words))
        if round(words[i].start_s - words[i - 1].end_s, 6) >= SPAN_PAUSE_S
    ]
    edges = [0, *cuts, len(words)]
    return [_take(segment, moved, a, b, at) for a, b in zip(edges, edges[1:], strict=False)]


def _take(segment: Segment, words: list[RecordedWord], first: int, last: int, at: int) -> Take:
    start = words[first].char_start if first else at
    end = words[last].char_start if last < len(words) else at + len(segment.text)
    text_end = start + len(segment.text[start - at : end - at].rstrip())
    own = tuple(words[first:last])
    return Take(start, text_end, own[0].start_s, own[-1].end_s, own)


def _moved(word: RecordedWord, at: int) -> RecordedWord:
    update = {"char_start": word.char_start + at, "char_end": word.char_end + at}
    return word.model_copy(update=update)


def plan_recording(record: Recording, config: Config) -> Scene:
    """The Scene of a recording. Raises StrettoError for one that is too long."""
    scene = config.scene
    if record.duration_s > scene.max_duration_s:
        raise StrettoError(
            f"the recording lasts {record.duration_s:.6g} s, more than {scene.max_duration_s:g} s",
            fix="set the source's `longest_s`, or raise `scene.max_duration_s`",
        )
    spoken = takes(record)
    end_s = max(s.end_s for s in spoken)
    quiet = backchannels(spoken, record.language)
    return Scene(
        key=record.key,
        subset="recording",
        language=record.language,
        assistant_voice=None,  # no sample of the voice can be had but from the recording itself
        behaviours=(RECORDED,),
        tail_s=max(0.0, round(record.duration_s - end_s, 6)),
        events=tuple(_utterance(s, i, s.id in quiet, record, config) for i, s in enumerate(spoken)),
    )


def backchannels(spoken: list[Spoken], language: str) -> set[str]:
    """The ids of utterances that are backchannels: they take no turn and ask for no answer."""
    sides = {who: [s for s in spoken if s.speaker == who] for who in ("user", "assistant")}
    found = set()
    for who, other in (("user", "assistant"), ("assistant", "user")):
        own = sides[who]
        for i, s in enumerate(own):
            before_s = s.start_s - own[i - 1].end_s if i else BACKCHANNEL_ALONE_S + 1
            after_s = own[i + 1].start_s - s.end_s if own[i + 1 :] else BACKCHANNEL_ALONE_S + 1
            under_s = sum(
                max(0.0, min(s.end_s, o.end_s) - max(s.start_s, o.start_s)) for o in sides[other]
            )
            length_s = s.end_s - s.start_s
            alone = min(before_s, after_s) > BACKCHANNEL_ALONE_S
            short = length_s < BACKCHANNEL_MAX_S and under_s > length_s / 2
            if short and alone and _listens(s.text, language):
                found.add(s.id)
    return found


def _listens(text: str, language: str) -> bool:
    if phrases("listening", language):
        return sounds_like_listening(text, language)
    return len(text.split()) <= BACKCHANNEL_WORDS and not text.endswith(("?", "!"))


def _utterance(
    spoken: Spoken, index: int, quiet: bool, record: Recording, config: Config
) -> Utterance:
    limit = config.scene.max_turn_chars
    if len(spoken.text) > limit:
        raise StrettoError(
            f"a segment has {len(spoken.text):,} characters, more than {limit:,}",
            fix="split it or raise `scene.max_turn_chars`",
        )
    return Utterance(
        id=spoken.id,
        speaker=spoken.speaker,
        behaviour="backchannel" if quiet else "turn",
        turn_index=index,
        text=spoken.text,
        language=record.language,
        voice=RECORDED,
        spans=_spans(spoken, config.speech.sample_rate_hz),
        anchor=Anchor(offset_s=spoken.takes[0].start_s),
    )


def _spans(spoken: Spoken, rate_hz: int) -> tuple[Span, ...]:
    """Spans with their pauses as whole samples, so that each lands where it was recorded."""
    spans, ended = [], None
    for take in spoken.takes:
        start = round(take.start_s * rate_hz)
        pause_s = 0.0 if ended is None else max(0, start - ended) / rate_hz
        spans.append(
            Span(char_start=take.char_start, char_end=take.char_end, pause_before_s=pause_s)
        )
        ended = round(take.end_s * rate_hz)
    return tuple(spans)
