"""Given words: put into their text, checked against the audio, cut into utterances at pauses.

Aligners round to frames of 10 to 40 ms, so words that overlap or overrun by up to `SLACK_S` are
trimmed; what lies further off is refused, since then the times belong to another recording.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from generators.sources.recording_raw import RawWord
from generators.sources.refusal import Refused, seconds, short
from generators.speech.tokens import HAN, KANA
from schemas.records import RecordedWord, Segment

SLACK_S = 0.05
_NO_SPACES = re.compile(f"[{HAN}{KANA}]")
MIN_WORD_S = 0.02
# an utterance ends at a pause this long, whoever speaks next
TURN_PAUSE_S = 1.0
# or at a shorter one in which the other has said something: it may be what the rest answers
ANSWER_PAUSE_S = 0.2


def joined(words: Iterable[RawWord]) -> str:
    """The words as a text; no space between Chinese or Japanese ones."""
    text = ""
    for word in words:
        glue = "" if not text or _wide(text[-1]) and _wide(word.text[0]) else " "
        text += glue + word.text
    return text


def _wide(char: str) -> bool:
    return bool(_NO_SPACES.fullmatch(char))


def checked(words: Sequence[RawWord], duration_s: float, who: str) -> list[RawWord]:
    """The words of one speaker in order, inside [0, duration_s], without overlap.

    Raises Refused, naming the word, for what is off by more than `SLACK_S`.
    """
    found: list[RawWord] = []
    for number, word in enumerate(words, start=1):
        what = f"{who}, word {number} {short(word.text, 24)}"
        if word.end_s < word.start_s:
            raise Refused(f"{what} ends at {seconds(word.end_s)} s, before its start")
        if word.start_s < -SLACK_S or word.end_s > duration_s + SLACK_S:
            span = f"{seconds(word.start_s)} to {seconds(word.end_s)} s"
            raise Refused(f"{what} at {span} lies outside of {seconds(duration_s)} s of audio")
        if found and word.start_s < found[-1].start_s:
            raise Refused(f"{what} starts before the word before it: times must rise")
        if found and word.start_s < found[-1].end_s - SLACK_S:
            raise Refused(
                f"{what} overlaps the word before it, which ends {seconds(found[-1].end_s)} s"
            )
        start_s, end_s = (min(max(x, 0.0), duration_s) for x in (word.start_s, word.end_s))
        if found and found[-1].end_s > start_s:
            found[-1] = replace(found[-1], end_s=start_s)
        found.append(replace(word, start_s=start_s, end_s=end_s))
    return _sounding(found, duration_s)


def _sounding(words: list[RawWord], duration_s: float) -> list[RawWord]:
    """Words of no length (an aligner had no frame left for them) last `MIN_WORD_S` where there is
    room before the next one."""
    nexts = [w.start_s for w in words[1:]] + [duration_s]
    return [
        word
        if word.end_s - word.start_s >= MIN_WORD_S
        else replace(word, end_s=max(word.end_s, min(word.start_s + MIN_WORD_S, after_s)))
        for word, after_s in zip(words, nexts, strict=True)
    ]


def placed(
    text: str | None, words: Sequence[RawWord]
) -> tuple[str, tuple[RecordedWord, ...], bool]:
    """(text, its words, whether the text had to be made from the words).

    The words are looked for in the text in order, without case; where one is not there (numbers
    written out, another spelling), what the words say is the text.
    """
    spans = _spans(text, words) if text else None
    made = spans is None
    if spans is None:
        spans = _spans(text := joined(words), words)
    assert text is not None and spans is not None
    found = tuple(_recorded(text, s, w) for s, w in zip(spans, words, strict=True))
    return text, found, made


def _recorded(text: str, span: tuple[int, int], word: RawWord) -> RecordedWord:
    return RecordedWord(
        text=text[slice(*span)],
        char_start=span[0],
        char_end=span[1],
        start_s=round(word.start_s, 6),
        end_s=round(word.end_s, 6),
    )


def _spans(text: str, words: Sequence[RawWord]) -> list[tuple[int, int]] | None:
    """Where each word stands in the text; None when words and text are not the same words."""
    folded = text.lower()
    if len(folded) != len(text):  # a few letters change their length: compare as they are
        folded = text
    at, found = 0, []
    for word in words:
        wanted = word.text.lower() if folded is not text else word.text
        start = folded.find(wanted, at)
        if start < 0 or any(c.isalnum() for c in text[at:start]):
            return None
        at = start + len(wanted)
        found.append((start, at))
    return None if any(c.isalnum() for c in text[at:]) else found


def cut_up(segment: Segment, pause_s: float, others: Sequence[Segment]) -> list[Segment]:
    """A segment with words as the utterances it holds: cut at pauses of `pause_s`, and where one of
    the `others` ended a word in the meantime.

    What an assistant says rests on what it heard before it began: an utterance must not run on
    over a pause in which it heard something new.
    """
    words = segment.words
    if not words:
        return [segment]
    heard = sorted(w.end_s for o in others for w in o.words or ()) or [o.end_s for o in others]
    cuts, begin = [0], 0
    for i in range(1, len(words)):
        gap_s = words[i].start_s - words[i - 1].end_s
        new = bisect_left(heard, words[i].start_s) > bisect_left(heard, words[begin].start_s)
        if gap_s >= pause_s or (gap_s >= ANSWER_PAUSE_S and new):
            cuts.append(i)
            begin = i
    edges = [*cuts, len(words)]
    return [_part(segment, a, b) for a, b in zip(edges, edges[1:], strict=False)]


def _part(segment: Segment, first: int, last: int) -> Segment:
    """Words [first, last) of a segment, with the punctuation that follows them."""
    words = segment.words or ()
    start = words[first].char_start if first else 0
    end = words[last].char_start if last < len(words) else len(segment.text)
    text = segment.text[start:end].rstrip()
    own: list[Any] = [
        w.model_copy(update={"char_start": w.char_start - start, "char_end": w.char_end - start})
        for w in words[first:last]
    ]
    times = {"start_s": own[0].start_s, "end_s": own[-1].end_s}
    return segment.model_copy(update={"text": text, "words": tuple(own), **times})
