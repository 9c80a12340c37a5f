"""Stretches of a user's turn: sentences, clauses, and stops in mid-sentence, with their pauses.

    spans, tags = user_spans("I'd like a room with a view of the old harbour.", "en", timing, "u000")

A pause ends before the assistant would have spoken (timing.py): short after a finished sentence, long
where the sentence is plainly unfinished.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from generators.scene.pools import phrases
from generators.scene.timing import RESUME_MARGIN_S, Timing
from generators.text_split import Span as TextSpan
from generators.text_split import clauses, is_complete, sentences, word_count
from schemas.draws import rng
from schemas.scene import Span

# a sentence of more words is spoken in clauses, with a pause between them
CLAUSE_WORDS = 8
_WORD = re.compile(r"\S+")


def user_spans(
    text: str, language: str, timing: Timing, event_id: str, hesitant: bool = True
) -> tuple[tuple[Span, ...], tuple[str, ...]]:
    """The spans of a turn with the pause before each, and the tags of what they do.

    `hesitant` False: no stop in mid-sentence, as in a clean twin.
    """
    spans: list[Span] = []
    tags: set[str] = set()
    for number, sentence in enumerate(sentences(text, language)):
        sentence_id = f"{event_id}:s{number}"
        stop = _hesitation(sentence.of(text), language, timing, sentence_id) if hesitant else None
        for piece, hesitates in _pieces(sentence, text, stop):
            pause_s = 0.0
            if spans:
                before = text[spans[-1].char_start : spans[-1].char_end]
                stretch_id = f"{event_id}:{len(spans) - 1}"
                pause_s = pause_after(before, language, timing, stretch_id, hesitates)
                if hesitates:
                    tags.add("hesitation")
                elif timing.waits_for_more(stretch_id) and is_complete(before, language):
                    tags.add("wait_for_more")
            spans.append(Span(char_start=piece.start, char_end=piece.end, pause_before_s=pause_s))
    return tuple(spans), tuple(sorted(tags))


def pause_after(
    before: str, language: str, timing: Timing, stretch_id: str, hesitates: bool = False
) -> float:
    """The user's pause after the stretch `before`; it ends before the assistant would speak."""
    complete = is_complete(before, language)
    if not hesitates:
        return timing.user_pause_s(stretch_id, complete)
    latest = timing.reply_gap_s(stretch_id, complete) - RESUME_MARGIN_S
    drawn = timing.between(stretch_id, "hesitation", timing.config.scene.hesitation.pause_s)
    return round(min(drawn, latest), 6)


def _pieces(sentence: TextSpan, text: str, stop: int | None) -> Iterator[tuple[TextSpan, bool]]:
    """The clauses of a sentence; the one that `stop` (a place in the sentence) lies in is cut
    there, and what follows the stop comes after a hesitation."""
    for clause in clauses(sentence.of(text), CLAUSE_WORDS):
        start, end = sentence.start + clause.start, sentence.start + clause.end
        at = None if stop is None else sentence.start + stop
        if at is None or not start < at < end:
            yield TextSpan(start, end), False
            continue
        yield TextSpan(start, start + len(text[start:at].rstrip())), False
        yield TextSpan(at + len(text[at:end]) - len(text[at:end].lstrip()), end), True


def _hesitation(sentence: str, language: str, timing: Timing, sentence_id: str) -> int | None:
    """Where the user stops in mid-sentence: after a word that ends none; None for most sentences."""
    hesitation = timing.config.scene.hesitation
    ends = set(phrases("unfinished", language))
    if word_count(sentence) < hesitation.min_words or not ends:
        return None
    if not timing.chance(sentence_id, "hesitates", hesitation.rate):
        return None
    words = list(_WORD.finditer(sentence))[2:-2]
    places = [w.end() for w in words if w[0].lower() in ends]
    if not places:
        return None
    draw = rng(timing.config.seed, timing.key, sentence_id, "hesitation_at")
    return places[int(draw.integers(len(places)))]
