"""When the assistant gives way: words as they are heard, nothing of what they were planned to be."""

from __future__ import annotations

import pytest

from generators.yielding import HeardWord, plain_word, yield_at

REACTION, PLAIN = 300, 200  # milliseconds stand for samples here


def heard(text: str, *spans: tuple[int, int]) -> list[HeardWord]:
    """Words of `text` at these times."""
    words, at = [], 0
    for word, (start, end) in zip(text.split(), spans, strict=True):
        at = text.index(word, at) + len(word)
        words.append(HeardWord(len(text[:at].rstrip(".,!?-…")), start, end))
    return words


@pytest.mark.parametrize(
    ("text", "spans", "at"),
    [
        # still speaking when it can be known: stop
        ("But I want the ferry.", [(0, 250), (250, 350), (350, 700), (700, 800), (800, 1200)], 550),
        # one whole word, then silence: it is over and finished
        ("Stop.", [(0, 400)], 700),
        # a beginning that was given up trails off
        ("But...", [(0, 300)], None),
        ("Could we...", [(0, 250), (250, 400)], None),
        # listening, however loud
        ("Okay.", [(0, 400)], None),
        ("I see.", [(0, 250), (250, 600)], None),
        ("Mm-hmm.", [(0, 500)], None),
        # what begins like listening and goes on is an interruption once that is heard
        ("Okay, but stop.", [(0, 300), (350, 500), (500, 900)], 600),
        # a pause in mid-sentence: told when it goes on
        (
            "No, the, the red one.",
            [(0, 250), (300, 420), (1500, 1600), (1600, 1900), (1900, 2200)],
            1900,
        ),
        # too short for speech; the next word settles it
        ("I want it now.", [(0, 90), (90, 400), (400, 500), (500, 900)], 500),
    ],
)
def test_what_stops_the_assistant(text: str, spans: list[tuple[int, int]], at: int | None) -> None:
    found = yield_at(text, "en", heard(text, *spans), REACTION, PLAIN)
    assert (found.at if found else None) == at
    if found:
        assert found.at >= heard(text, *spans)[found.word].end + REACTION


def test_it_rests_on_the_past_alone() -> None:
    """Any continuation after the moment of stopping gives the same moment."""
    text = "But I want the ferry"
    words = heard(text, (0, 250), (250, 350), (350, 700), (700, 800), (800, 1200))
    full = yield_at(text, "en", words, REACTION, PLAIN)
    assert full is not None
    known = [w for w in words if w.start < full.at]
    shorter = text[: known[-1].char_end]
    assert yield_at(shorter, "en", known, REACTION, PLAIN) == full
    assert yield_at(shorter + " island, please", "en", known, REACTION, PLAIN) == full


def test_a_cough_is_no_word() -> None:
    assert yield_at("", "en", [], REACTION, PLAIN) is None
    assert plain_word(heard("I want", (0, 90), (90, 400)), PLAIN) == 1
