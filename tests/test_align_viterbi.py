"""The exact CTC path against all paths, and the labels of texts in several scripts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from generators.align.base import sounding
from generators.align.ctc import word_frames, word_scores
from generators.align.labels import Labels, Vocabulary, spelled, vocabulary
from generators.align.viterbi import (
    UNITS_PER_NAT,
    ctc_spans,
    frames_needed,
    quantised,
    with_wildcard,
)


def collapsed(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    """CTC's rule: equal neighbours are one, blanks are none."""
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def best_total(units: np.ndarray, labels: tuple[int, ...], blank: int) -> int | None:
    """Over every path there is."""
    frames, count = units.shape
    totals = [
        sum(int(units[t, label]) for t, label in enumerate(path))
        for path in itertools.product(range(count), repeat=frames)
        if collapsed(path, blank) == labels
    ]
    return max(totals, default=None)


def total_of(units: np.ndarray, labels: tuple[int, ...], blank: int, spans: np.ndarray) -> int:
    """What the path of these spans sums to."""
    path = np.full(len(units), blank)
    for label, (start, end) in zip(labels, spans, strict=True):
        path[start:end] = label
    assert collapsed(tuple(path), blank) == labels
    return int(units[np.arange(len(units)), path].sum())


@pytest.mark.parametrize("blank", [0, 2])
def test_no_path_is_better(blank: int) -> None:
    rng = np.random.default_rng(1)
    cases = 0
    for frames, size in itertools.product((1, 2, 3, 5, 6), (1, 2, 3, 4)):
        for _ in range(4):
            # few values, so that ties are many
            units = rng.integers(-3, 1, (frames, 4)).astype(np.int32)
            labels = tuple(int(x) for x in rng.choice([i for i in range(4) if i != blank], size))
            best = best_total(units, labels, blank)
            if best is None:
                assert frames < frames_needed(labels)
                with pytest.raises(ValueError, match="do not fit"):
                    ctc_spans(units, labels, blank)
                continue
            spans = ctc_spans(units, labels, blank)
            assert (spans[:, 0] < spans[:, 1]).all()
            assert (spans[1:, 0] >= spans[:-1, 1]).all()
            assert total_of(units, labels, blank, spans) == best
            cases += 1
    assert cases > 40


def emission(spans: list[tuple[int, int, int]], frames: int, size: int) -> np.ndarray:
    """Log-probabilities that name one label a frame: (label, start, end), else blank 0."""
    probs = np.full((frames, size), 0.01)
    path = np.zeros(frames, dtype=int)
    for label, start, end in spans:
        path[start:end] = label
    probs[np.arange(frames), path] = 1 - 0.01 * (size - 1)
    return np.log(probs)


def test_known_spans_come_back_exactly() -> None:
    known = [(1, 3, 5), (2, 5, 6), (2, 9, 12), (3, 12, 13), (1, 20, 21)]
    units = quantised(emission(known, 30, 5))
    spans = ctc_spans(units, [label for label, _, _ in known], 0)
    assert [
        (label, int(s), int(e)) for (label, _, _), (s, e) in zip(known, spans, strict=True)
    ] == known
    # the words "1 2", "2 3" and "1"
    labels = Labels((1, 2, 2, 3, 1), (0, 0, 1, 1, 2))
    assert word_frames(spans, labels.words, 3) == [(3, 6), (9, 13), (20, 21)]
    assert word_scores(units, spans, labels, 9) == pytest.approx([0.96] * 3, abs=1e-3)


def test_the_wildcard_takes_any_letters_and_leaves_silence_alone() -> None:
    # heard: 1 2, then 3 4 3, then 2; known are only the first and the last word
    heard = [(1, 2, 3), (2, 4, 5), (3, 10, 11), (4, 13, 14), (3, 16, 17), (2, 25, 26)]
    units = with_wildcard(quantised(emission(heard, 30, 5)))
    spans = ctc_spans(units, [1, 2, 5, 2], 0)
    assert spans.tolist() == [[2, 3], [4, 5], [10, 17], [25, 26]]
    assert word_scores(units, spans, Labels((1, 2, 5, 2), (0, 0, 1, 2)), 5)[1] is None


def test_quantised_is_in_fine_integer_steps() -> None:
    units = quantised(np.array([[0.0, -1.0, -1e9, -np.inf]]))
    assert units.dtype == np.int32
    assert units.tolist() == [[0, -UNITS_PER_NAT, -100 * UNITS_PER_NAT, -100 * UNITS_PER_NAT]]


def lower(letters: str = "abcdefghijklmnopqrstuvwxyz'") -> Vocabulary:
    ids = {"<pad>": 0, "|": 1} | {c: i + 2 for i, c in enumerate(letters)}
    return vocabulary(ids, len(ids), 0, "|")


def written(text: str, known: Vocabulary) -> str:
    """The labels as text, the wildcard as *, the delimiter as |."""
    names = {index: char for char, index in known.ids.items()} | {known.wildcard: "*"}
    labels = spelled(text, sounding(text), known)
    assert len(labels.ids) == len(labels.words)
    assert {w for w in labels.words if w >= 0} == set(range(len(sounding(text))))
    return "".join("|" if i == known.delimiter else names[i] for i in labels.ids)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Hello, world!", "hello|world"),
        ("It\u2019s 'fine' -- don't", "it's|fine|don't"),
        ("Über Straße, naïve", "uber|strasse|naive"),
        ("It costs $42.50 at 3pm", "it|costs|*|at|*pm"),
        ("I \U0001f34e you", "i|you"),
        ("नमस्ते world", "*|world"),
        ("مرحبا", "*"),
        ("你好 ok", "**|ok"),
    ],
)
def test_english_letters_and_wildcards(text: str, labels: str) -> None:
    assert written(text, lower()) == labels


def test_a_language_in_its_own_letters() -> None:
    assert written("Über Straße", lower("abcdefghijklmnopqrstuvwxyzäöüß")) == "über|straße"
    assert written("你好吗？", lower("你好吗")) == "你好吗"
    assert written("नमस्ते दुनिया", lower("नमस्तेदुिया")) == "नमस्ते|दुनिया"
    assert written("مرحبا بك", lower("مرحباك")) == "مرحبا|بك"
    upper = vocabulary({"<pad>": 0, "|": 1, "H": 2, "I": 3}, 4, 0, "|")
    assert written("hi Hi", upper) == "HI|HI"


def test_vocabularies_of_other_makers() -> None:
    mms = vocabulary({"<blank>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "'": 5}, 6, 1, "|")
    assert mms.blank == 0 and mms.delimiter is None
    assert written("a a", mms) == "aa"
    with pytest.raises(ValueError, match="no blank"):
        vocabulary({"a": 0}, 1, None, "|")
    with pytest.raises(ValueError, match="no single letters"):
        vocabulary({"<pad>": 0, "the": 1}, 2, 0, "|")
