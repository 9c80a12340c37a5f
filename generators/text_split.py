"""Where a text may be cut for speech: sentences, clauses, and whether a stretch sounds finished.

Pure regular expressions, no model. Every function keeps all non-space text: the spans joined are
the text without the white space between them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass

STOPS = ".?!…؟۔।॥።။։"
WIDE_STOPS = "。？！｡"
CLOSERS = "\"'”’»›)]}）」』】》"
# A run of stops and the quotes that close after it. Possessive, and only from the run's first stop:
# linear also on 100,000 dots.
_STOPS = re.compile(rf"(?<![{STOPS}{WIDE_STOPS}])([{STOPS}{WIDE_STOPS}]++)[{re.escape(CLOSERS)}]*+")
_NEXT = re.compile(r"(?:\s+|$)(\S?)")
_PARAGRAPH = re.compile(r"\n\s*\n")
_LAST_WORD = re.compile(r"(?:[^\W\d_]+\.)*[^\W\d_]+$")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+(?:['’.\-][^\W_]+)*")
_CLAUSE_MARK = re.compile(
    r"(?<![,;:،؛])[,;:،؛]++[\"'”’»)]*+(?=\s|$)|[，；：、]|(?<=\s)[–—-]++(?=\s)|—"
)

# Never the end of a sentence: a name or an explanation follows. Lower case, without the last dot.
_BEFORE_MORE = {
    "en": "dr mr mrs ms prof st gen col capt lt sgt rev hon fig e.g i.e vs cf approx",
    "de": "dr hr fr prof z.b d.h bzw ca vgl u.a o.ä s.o nr abb evtl ggf inkl",
    "es": "sr sra srta dr dra d ud uds p.ej pág núm prof",
    "fr": "m mm mme mlle dr pr p.ex cf env",
    "it": "sig sig.ra dott dr prof ing avv p.es es cfr",
    "pt": "sr sra srta dr dra prof p.ex pág núm",
    "nl": "dhr mevr dr prof bijv d.w.z o.a ca nr",
}
# The end of a sentence only when the next word begins with a capital.
_MAYBE_LAST = set("etc a.m p.m u.s u.k inc ltd co corp jr sr usw ecc dept est".split())
# Languages that write ordinal numbers with a dot: "am 3. Mai".
_ORDINAL_DOT = set("de da nb no nn fi cs sk hu et hr sl sr is pl lv tr".split())
MIN_CLAUSE_WORDS = 3


@dataclass(frozen=True)
class Span:
    """A half-open range of code points."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """The text inside."""
        return text[self.start : self.end]


def sentences(text: str, language: str = "en") -> list[Span]:
    """The sentences of `text` in order, without white space at their edges.

    Not split: numbers ("3.5"), abbreviations ("Dr. No", "e.g. tea"), initials, ordinals where the
    language (a tag) writes them with a dot, list numbers, "..." before a small letter. A stretch
    without any letter or digit joins its neighbour. Empty for a blank text.
    """
    base = language.replace("_", "-").split("-")[0].lower()
    cuts = [match.end() for match in _PARAGRAPH.finditer(text)]
    begin = 0
    for match in _STOPS.finditer(text):
        if _ends(text, begin, match, base):
            cuts.append(match.end())
            begin = match.end()
    return _join_mute(text, _pieces(text, sorted(cuts)))


def is_complete(text: str, language: str = "en") -> bool:
    """Whether a stretch of speech sounds finished: a stop at its end, not "...", not "Dr."."""
    bare = text.rstrip().rstrip(CLOSERS)
    if bare.endswith(("...", "…")) or not bare.endswith(tuple(STOPS + WIDE_STOPS)):
        return False
    # abbreviations are short: 40 characters back is enough, and keeps this linear
    word = _LAST_WORD.search(bare[-41:-1])
    base = language.replace("_", "-").split("-")[0].lower()
    return not (bare[-1] == "." and word and word[0].lower() in _abbreviations(base))


def with_mark(text: str, char_end: int) -> str:
    """The text up to a word, with the punctuation that clings to it: how it ends is heard with it."""
    end = char_end
    while end < len(text) and not text[end].isspace() and not text[end].isalnum():
        end += 1
    return text[:end]


def clauses(text: str, max_words: int) -> list[Span]:
    """`text` cut at commas, semicolons, colons and dashes until no part has over `max_words`.

    A cut needs at least 3 words on each side and is taken nearest to the middle; a part that offers
    none stays long.
    """
    whole = _trimmed(text, 0, len(text))
    return _clauses(text, whole, max_words) if whole else []


def word_count(text: str) -> int:
    """Words in `text`; a Chinese or Japanese character counts as one."""
    return len(_WORD.findall(text))


def _clauses(text: str, span: Span, max_words: int) -> list[Span]:
    words = [match.start() for match in _WORD.finditer(text, span.start, span.end)]
    if len(words) <= max_words:
        return [span]
    best: tuple[int, int] | None = None
    for match in _CLAUSE_MARK.finditer(text, span.start, span.end):
        before = bisect_left(words, match.end())
        if min(before, len(words) - before) >= MIN_CLAUSE_WORDS:
            best = min(best or (len(words) + 1, 0), (abs(len(words) - 2 * before), match.end()))
    if best is None:
        return [span]
    halves = _pieces(text[: span.end], [best[1]], span.start)
    return [part for half in halves for part in _clauses(text, half, max_words)]


def _ends(text: str, begin: int, match: re.Match[str], language: str) -> bool:
    """Whether this stop ends the sentence that began at `begin`."""
    stop = match[1]
    if any(char in WIDE_STOPS for char in stop):
        return True
    after = _NEXT.match(text, match.end())
    if not after:  # a stop inside a word or a number: "3.5", "example.com"
        return False
    following = after[1]
    if stop in ("...", "…"):
        return not following.islower()
    if stop != "." or not following:
        return True
    # Abbreviations and numbers are short: 40 characters back is enough, and keeps this linear.
    before = text[max(begin, match.start() - 40) : match.start()]
    if before.split("\n")[-1].strip().isdigit():  # "1. Mix the flour."
        return False
    if language in _ORDINAL_DOT and re.search(r"(?<![\d.,])\d{1,2}$", before):
        return False
    found = _LAST_WORD.search(before)
    return not found or _word_ends(found[0], following, language)


def _word_ends(word: str, following: str, language: str) -> bool:
    """Whether a sentence may end with `word` and a dot."""
    lower = word.lower()
    if lower in _abbreviations(language):
        return False
    if lower in _MAYBE_LAST:
        return following.isupper()
    if lower in ("no", "nr", "p", "fig"):  # "No. 5" is a number, "No. I said" is not
        return not following.isdigit()
    # An initial: "J. Smith". "So do I. Then" is not one.
    return len(word) > 1 or word == "I" or not word.isascii()


def _abbreviations(language: str) -> set[str]:
    return set(_BEFORE_MORE.get(language, _BEFORE_MORE["en"]).split())


def _pieces(text: str, cuts: list[int], start: int = 0) -> list[Span]:
    """The trimmed, non-empty stretches between the cuts."""
    edges = [start, *cuts, len(text)]
    found = [_trimmed(text, low, high) for low, high in zip(edges, edges[1:], strict=False)]
    return [span for span in found if span]


def _trimmed(text: str, start: int, end: int) -> Span | None:
    """The span without white space at its edges; None when nothing is left."""
    part = text[start:end]
    if not part.strip():
        return None
    left = len(part) - len(part.lstrip())
    return Span(start + left, start + len(part.rstrip()))


def _join_mute(text: str, spans: list[Span]) -> list[Span]:
    """Spans without a letter or digit, joined to the one before, or after if they are first."""
    joined: list[Span] = []
    only_mute = False
    for span in spans:
        mute = not any(char.isalnum() for char in span.of(text))
        if joined and (mute or only_mute):
            joined[-1] = Span(joined[-1].start, span.end)
        else:
            joined.append(span)
        only_mute = mute and (only_mute or len(joined) == 1 and joined[0] == span)
    return joined
