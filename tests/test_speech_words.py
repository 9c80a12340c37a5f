"""Word times from events, where the events don't fit the words."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from generators.speech.tokens import readable, tokens
from generators.speech.words import word_times

EVENTS = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9), st.integers(0, 900)), max_size=9)
PHONEMES = st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(["a", "t", ""])), max_size=30)


@given(st.text("ab1 -+你!", max_size=60), EVENTS, PHONEMES)
@settings(max_examples=1000, deadline=None)
def test_any_events_give_ordered_words(text: str, events: list, phonemes: list) -> None:
    events = [list(e) for e in zip(*[sorted(c) for c in zip(*events, strict=True)], strict=True)]
    found = tokens(text)
    timed = word_times(found, events, sorted(phonemes), 1000)
    if timed:
        sounding = [token for token in found if token.must_sound]
        assert [token for token, _, _ in timed if token.must_sound] == sounding
    at = 0
    for token, start, end in timed:
        assert token.may_sound and at <= start < end <= 1000
        at = end


def test_merged_words_are_cut_at_the_nearest_phoneme() -> None:
    found = tokens("I am here")
    phonemes = [[0, "aɪ"], [160, "ɐ"], [290, "m"], [500, "h"], [900, ""]]
    timed = word_times(found, [[1, 1, 0], [6, 4, 500]], phonemes, 1000)
    assert [(start, end) for _, start, end in timed] == [(0, 160), (160, 500), (500, 900)]


def test_an_event_on_a_dash_is_the_next_words_but_a_sign_keeps_its_own() -> None:
    timed = word_times(tokens("wait -- what"), [[1, 4, 0], [6, 2, 400]], [], 1000)
    assert [(token.start, start) for token, start, _ in timed] == [(0, 0), (8, 400)]
    timed = word_times(tokens("2 + 3"), [[1, 1, 0], [3, 1, 300], [5, 1, 600]], [], 1000)
    assert [start for _, start, _ in timed] == [0, 300, 600]


def test_tokens_split_scripts_without_spaces() -> None:
    text = "我要latte，谢谢。 ok「好」"
    assert [text[t.start : t.end] for t in tokens(text)] == [
        "我", "要", "latte，", "谢", "谢。", "ok「", "好」"
    ]  # fmt: skip


@given(st.text(max_size=80))
def test_blanking_keeps_every_position(text: str) -> None:
    clean = readable(text)
    assert len(clean) == len(text)
    assert all(a == b or b == " " for a, b in zip(text, clean, strict=True))
    clean.encode()
