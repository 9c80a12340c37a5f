"""Sentences, clauses, completeness."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generators.text_split import Span, clauses, is_complete, sentences, word_count


def parts(spans: list[Span], text: str) -> list[str]:
    return [span.of(text) for span in spans]


@pytest.mark.parametrize(
    "text, language, wanted",
    [
        ("He paid 3.50. Left! Oh?! Yes", "en", ["He paid 3.50.", "Left!", "Oh?!", "Yes"]),
        ("i want tea. can you help", "en", ["i want tea.", "can you help"]),
        ("wait... maybe. Well... No", "en", ["wait... maybe.", "Well...", "No"]),
        ("Dr. J. Smith came, e.g. today. No. 5 won. No. I said", "en",
         ["Dr. J. Smith came, e.g. today.", "No. 5 won.", "No.", "I said"]),
        ("It is 5 p.m. Then 6 p.m. or so.", "en", ["It is 5 p.m.", "Then 6 p.m. or so."]),
        ("So do I. See example.com. Bye", "en", ["So do I.", "See example.com.", "Bye"]),
        ("1. Mix. 2. Bake.", "en", ["1. Mix.", "2. Bake."]),
        ('He said "Go." I left. (Yes.) No', "en", ['He said "Go."', "I left.", "(Yes.)", "No"]),
        ("Am 3. Mai, z.B. morgens. Gut?", "de-DE", ["Am 3. Mai, z.B. morgens.", "Gut?"]),
        ("你好。今天好吗？“好！”谢谢", "zh", ["你好。", "今天好吗？", "“好！”", "谢谢"]),
        ("मैं ठीक हूँ। आप? हाँ", "hi", ["मैं ठीक हूँ।", "आप?", "हाँ"]),
        ("نعم. كيف حالك؟ جيد", "ar", ["نعم.", "كيف حالك؟", "جيد"]),
        ("Title\n\n1. Mix", "en", ["Title", "1. Mix"]),
        ("Hello! ! ... ok. ...", "en", ["Hello! !", "... ok. ..."]),
        ("...", "en", ["..."]),
        ("  \n ", "en", []),
    ],
)  # fmt: skip
def test_sentences(text: str, language: str, wanted: list[str]) -> None:
    assert parts(sentences(text, language), text) == wanted


MIXED = st.text('ab.X 1?!…。,;-—\n"”()ं。', max_size=80) | st.text(max_size=60)


@given(MIXED, st.sampled_from(["en", "de", "zh", "xx"]), st.integers(1, 8))
@settings(max_examples=300, deadline=None)
def test_nothing_is_lost(text: str, language: str, max_words: int) -> None:
    for spans in (sentences(text, language), clauses(text, max_words)):
        assert "".join("".join(parts(spans, text)).split()) == "".join(text.split())
        at = 0
        for span in spans:
            assert at <= span.start < span.end and span.of(text) == span.of(text).strip()
            at = span.end
    if any(char.isalnum() for char in text):
        assert all(any(c.isalnum() for c in part) for part in parts(sentences(text), text))


def test_clauses_keep_three_words_on_each_side() -> None:
    text = "I would like a coffee, and then a tea with milk, but not hot; also a cake, please"
    assert parts(clauses(text, 6), text) == [
        "I would like a coffee,",
        "and then a tea with milk,",
        "but not hot;",
        "also a cake, please",
    ]
    assert parts(clauses("Yes, I am on my way to you", 4), "Yes, I am on my way to you") == [
        "Yes, I am on my way to you"
    ]
    assert clauses(text, 99) == [Span(0, len(text))]


def test_complete() -> None:
    for text in ("Hi.", "Hi?  ", '"Hi."', "你好。", "كيف؟", "Go!)"):
        assert is_complete(text), text
    for text in ("Hi", "", "Hi,", "Hi...", "Hi…", "I saw Dr.", "and -"):
        assert not is_complete(text), text


def test_words_are_counted_in_scripts_without_spaces() -> None:
    assert word_count("I don't know, 3.5 e-mails") == 5
    assert word_count("你好 ok") == 3


@pytest.mark.parametrize("bad", [".", "a. ", ", ", "? ", "。", "-", "\n", '" '])
def test_100_000_characters_take_no_time(bad: str) -> None:
    text = bad * (100_000 // len(bad))
    begin = time.process_time()
    sentences(text)
    clauses(text, 5)
    assert time.process_time() - begin < 5


def test_a_word_without_end_is_judged_at_once() -> None:
    """It took minutes when the last word was searched for from every place."""
    assert is_complete("a" * 100_000 + ".")
    assert not is_complete("a" * 100_000)
