"""Backchannels of either side: "mm-hmm" after a word of the other's.

The assistant's is drawn word by word from what it has heard so far and looks at nothing later, so it
comes whether or not the user goes on. The user is the world and may know where the assistant's turn
ends: it keeps clear of its edges, so that what is meant as listening is not heard as an answer.
Neither claims the floor, and none stops the other.
"""

from __future__ import annotations

from collections.abc import Iterator

from generators.scene.pools import choose, phrases
from generators.scene.timing import Timing
from generators.scene.voices import assistant_voice
from generators.speech.tokens import Token, readable, tokens
from generators.text_split import is_complete
from schemas.config import Config
from schemas.scene import Anchor, Utterance, one_breath

# After the word: people take 0.1 to 0.3 s. A decision is seen one frame later: in steps of 80 ms it
# must come this early, or speech waits.
DELAY_S = (0.12, 0.3)
LEAD_S = 0.1
# Words that give something to acknowledge, and words between two backchannels.
MIN_WORDS = 4
# How often speech passes a word: turns a rate a minute into a chance a word.
WORDS_PER_MIN = 165.0
# People answer clause ends far more often than other words, and never "the".
AT_CLAUSE, AT_WORD = 4.0, 0.7
EDGE_WORDS = 3


def backchannels_in(utterance: Utterance, timing: Timing, config: Config) -> Iterator[Utterance]:
    """The assistant's backchannels into a user's utterance."""
    if not phrases("backchannel", utterance.language):
        return
    chance = config.scene.backchannel.per_min / WORDS_PER_MIN
    for char in places(utterance, timing, "backchannel", chance):
        word_id = f"{utterance.id}@{char}"
        text = choose(timing, word_id, "backchannel", utterance.language)
        assert text is not None
        yield Utterance(
            id=f"b{utterance.id[1:]}-{char}",
            speaker="assistant",
            behaviour="backchannel",
            turn_index=utterance.turn_index,
            text=text,
            language=utterance.language,
            voice=assistant_voice(utterance.language, config),
            spans=one_breath(text),
            anchor=Anchor(
                of=utterance.id,
                edge="word",
                char=char,
                offset_s=timing.between(word_id, "backchannel_delay", DELAY_S),
            ),
            lead_s=LEAD_S,
            evidence=(word_id,),
        )


def places(utterance: Utterance, timing: Timing, name: str, chance: float) -> Iterator[int]:
    """Ends of words (characters) after which a listener says something, drawn word by word from
    the words so far."""
    text, language = utterance.text, utterance.language
    since = 0
    for token in tokens(readable(text)):
        if not token.must_sound:
            continue
        since += 1
        if is_complete(text[: token.end], language):
            since = 0
            continue
        weight = _weight(text, token, language)
        if since >= MIN_WORDS and timing.chance(
            f"{utterance.id}@{token.end}", name, chance * weight
        ):
            yield token.end
            since = 0


def inner_places(
    utterance: Utterance, timing: Timing, name: str, chance: float, until: float = 1.0
) -> list[int]:
    """Like `places`, for the world, which knows where sentences end: away from their first and last
    words, so that "mm-hmm" falls into speech, and before the share `until` of the text."""
    inside = _inside(utterance)
    return [
        char
        for char in places(utterance, timing, name, chance)
        if char <= until * len(utterance.text) and char in inside
    ]


def _inside(utterance: Utterance) -> set[int]:
    """Ends of the words that stand EDGE_WORDS from both edges of their span."""
    found: set[int] = set()
    for span in utterance.spans:
        text = readable(utterance.text)[span.char_start : span.char_end]
        ends = [span.char_start + t.end for t in tokens(text) if t.must_sound]
        found.update(ends[EDGE_WORDS - 1 : -EDGE_WORDS])
    return found


def _weight(text: str, token: Token, language: str) -> float:
    word = text[token.start : token.end]
    if word[-1] in ",;:，；：、،":
        return AT_CLAUSE
    return 0.0 if word.lower() in phrases("unfinished", language) else AT_WORD
