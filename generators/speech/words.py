"""Word times from espeak-ng's word and phoneme events.

The events are not the words of the text: "I am" is one event, "$42.50" is six, "wait -- what" has
its second event on the dashes. So events are mapped by character position: a word starts at the
first event inside it; words without an event share the span of the word before them, cut at the
phoneme boundaries nearest to their share of the letters; a word ends where the pause before the
next one begins. Pure functions; times are samples at the engine's rate.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from generators.speech.tokens import Token

Event = Sequence[int]  # [character position from 1, length, sample]
Phoneme = Sequence  # [sample, IPA name, "" for a pause]
Timed = tuple[Token, int, int]


def word_times(
    tokens: Sequence[Token], events: Sequence[Event], phonemes: Sequence[Phoneme], n_samples: int
) -> list[Timed]:
    """(token, start, end) of every sounding token, in order, without overlap, in [0, n_samples]."""
    heads = _heads(tokens, events) if tokens else {}
    if not heads:
        return []
    groups = _groups(tokens, heads)
    starts = [start for start, _ in groups] + [n_samples]
    timed: list[Timed] = []
    for index, (start, members) in enumerate(groups):
        end = _speech_end(start, starts[index + 1], phonemes)
        if end - start < len(members):
            end = starts[index + 1]
        timed.extend(_share(members, start, end, phonemes))
    return timed


def _heads(tokens: Sequence[Token], events: Sequence[Event]) -> dict[int, int]:
    """Token index -> sample of the first event that belongs to it."""
    starts = [token.start for token in tokens]
    placed = [(_token_at(tokens, starts, event[0] - 1), event[2]) for event in events]
    direct = {index for index, _ in placed}
    heads: dict[int, int] = {}
    for index, sample in placed:
        if index >= len(tokens):
            continue
        if not tokens[index].must_sound:
            index = _silent_to_next(tokens, index, direct)
        if not tokens[index].may_sound:
            continue
        heads.setdefault(index, sample)
    return heads


def _token_at(tokens: Sequence[Token], starts: list[int], position: int) -> int:
    """The token at a character position, or the next one when it falls between two."""
    index = max(0, bisect_right(starts, position) - 1)
    return index + 1 if position >= tokens[index].end else index


def _silent_to_next(tokens: Sequence[Token], index: int, direct: set[int]) -> int:
    """An event on "--" is the next word's, unless that has its own (then "+" was read aloud)."""
    following = index + 1
    while following < len(tokens) and not tokens[following].must_sound:
        following += 1
    return following if following < len(tokens) and following not in direct else index


def _groups(tokens: Sequence[Token], heads: dict[int, int]) -> list[tuple[int, list[Token]]]:
    """(start sample, tokens) of each run that begins at a head; a sample at least for each."""
    groups: list[tuple[int, list[Token]]] = []
    before: list[Token] = []
    for index, token in enumerate(tokens):
        if index in heads and (not groups or heads[index] >= groups[-1][0] + len(groups[-1][1])):
            groups.append((heads[index], before + [token]))
            before = []
        elif token.must_sound or index in heads:
            (groups[-1][1] if groups else before).append(token)
    return groups


def _speech_end(start: int, end: int, phonemes: Sequence[Phoneme]) -> int:
    """Where the last sound of [start, end) stops: the start of the pauses that close it."""
    last = end
    for sample, name in reversed(phonemes):
        if sample >= end:
            continue
        if sample <= start or name:
            break
        last = sample
    return last


def _share(members: list[Token], start: int, end: int, phonemes: Sequence[Phoneme]) -> list[Timed]:
    """Cut [start, end) between words in proportion to letters, at phoneme boundaries if any."""
    boundaries = [sample for sample, _ in phonemes if start < sample < end]
    total = sum(token.weight for token in members)
    timed, at, spoken = [], start, 0
    for index, token in enumerate(members):
        spoken += token.weight
        left = len(members) - index - 1
        cut = end if left == 0 else start + (end - start) * spoken // total
        if left and len(boundaries) >= left:
            # Leave a boundary for each of the words that follow.
            usable = [sample for sample in boundaries if sample > at]
            usable = usable[: max(1, len(usable) - left + 1)]
            cut = min(usable, key=lambda sample: abs(sample - cut), default=cut)
        cut = min(max(cut, at + 1), end - left)
        timed.append((token, at, cut))
        at = cut
    return timed
