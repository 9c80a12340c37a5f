"""TextBPE: any Unicode text comes back; the fit does not depend on order or threads."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import StrettoError
from token_schema.codecs.bpe import TextBPE, byte_of_char
from token_schema.codecs.fit import TextSettings, fit_text

TEXTS = [
    "Could you book a table for two, please?",
    "Sure, a table for two at seven.",
    "Können wir später anfangen?",
    "¿Dónde está la mesa?",
    "可以帮我订一张桌子吗",
    "def table(rows):\n    return [row for row in rows]\n",
] * 4
CODEC = fit_text(TEXTS, TextSettings(vocab_size=400))


@given(st.text(st.characters(exclude_categories=["Cs"])))
@settings(max_examples=200, deadline=None)
def test_any_text_comes_back(text: str) -> None:
    ids = CODEC.encode(text)
    assert CODEC.decode(ids) == text
    assert all(0 <= i < CODEC.size for i in ids)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a  b\t\r\n\x00\x7f",
        "🍎\U0001f469\u200d\U0001f467",
        "\ufeffe\u0301",
        "\U0010ffff",
        "<|endoftext|>",
        "x" * 20000,
    ],
)
def test_odd_text_and_every_prefix(text: str) -> None:
    ids = CODEC.encode(text)
    assert CODEC.decode(ids) == text
    for n in range(min(len(ids), 40)):
        assert isinstance(CODEC.decode(ids[:n]), str)


def test_all_bytes_are_there_and_merges_are_learned() -> None:
    assert sorted(byte_of_char().values()) == list(range(256))
    assert {CODEC.piece(i) for i in range(CODEC.size)} >= {bytes([b]) for b in range(256)}
    assert 256 < CODEC.size <= 400
    assert len(CODEC.encode(TEXTS[0])) < len(TEXTS[0].encode()) / 2


def test_order_and_batch_change_nothing() -> None:
    again = fit_text(reversed(TEXTS), TextSettings(vocab_size=400))
    assert again.to_files() == CODEC.to_files()
    assert CODEC.encode_batch(TEXTS) == [CODEC.encode(text) for text in TEXTS]


def test_files_come_back() -> None:
    back = TextBPE.from_files(CODEC.to_files())
    assert back.hash == CODEC.hash and back.to_files() == CODEC.to_files()
    assert back.encode(TEXTS[2]) == CODEC.encode(TEXTS[2])


def test_an_empty_corpus_still_gives_the_bytes() -> None:
    codec = fit_text([])
    assert codec.size == 256 and codec.decode(codec.encode("né")) == "né"


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(StrettoError, match="surrogate"):
        CODEC.encode("a\ud800")
    with pytest.raises(StrettoError, match="surrogate"):
        fit_text(["fine", "a\ud800"])
    with pytest.raises(StrettoError, match="outside of"):
        CODEC.decode([CODEC.size])
    with pytest.raises(StrettoError, match="outside of"):
        CODEC.decode([-1])
    with pytest.raises(StrettoError, match="vocab_size"):
        fit_text(TEXTS, TextSettings(vocab_size=100))


def span_ends(ids: list[int]) -> list[int]:
    """Ends by the slow way: the characters that the first bytes have begun."""
    data, out = b"", []
    for i in ids:
        data += CODEC.piece(i)
        out.append(sum(1 for byte in data if byte & 0xC0 != 0x80))
    return out


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=5))
@settings(max_examples=200, deadline=None)
def test_spans_have_the_ids_of_encode_and_the_ends_of_their_text(texts: list[str]) -> None:
    spans = CODEC.encode_spans(texts)
    assert [ids for ids, _ in spans] == CODEC.encode_batch(texts)
    for text, (ids, ends) in zip(texts, spans, strict=True):
        assert ends == span_ends(ids)
        assert ends == sorted(ends) and (ends[-1:] or [0]) == [len(text)]
        assert all(type(end) is int for end in ends)


def test_spans_of_odd_text() -> None:
    family = "\U0001f469\u200d\U0001f467"
    for text in ["", "\n\n a", "e\u0301 cafe\u0301", family, "table \U0001f34e table", "x" * 999]:
        ids, ends = CODEC.encode_spans([text])[0]
        assert ids == CODEC.encode(text) and ends == span_ends(ids)
        # the text up to the end of an id is what the ids so far have begun
        for n, end in enumerate(ends, 1):
            whole = CODEC.decode(ids[:n])
            assert text[: end - 1] == whole.rstrip("\ufffd")[: end - 1] and len(text[:end]) == end
    apple, ends = CODEC.encode_spans(["\U0001f34e"])[0]
    assert len(apple) > 1 and set(ends) == {1}  # one character over several ids
