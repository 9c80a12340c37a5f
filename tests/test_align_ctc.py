"""The forced aligner with random-weight models of the real classes: times, languages, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_ctc import write_ctc

from generators.align import Alignment, Unaligned, open_aligner
from generators.align.base import sounding
from generators.align.cache import CachedAligner
from generators.align.ctc import CtcAligner, closed
from generators.align.emissions import WINDOW_S, windows
from generators.align.model import open_model
from generators.speech.artefacts import FolderArtefacts
from schemas.config import AlignConfig
from schemas.errors import StrettoError

pytest.importorskip("transformers", reason="transformers is absent: forced alignment is not run")
RATE = 16000
MIXED = "abcdefghijklmnopqrstuvwxyzäöüß你好नमस्तेمرحبا"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ctc(tmp_path_factory.mktemp("ctc") / "model", MIXED)


@pytest.fixture(scope="module")
def aligner(folder: Path) -> CtcAligner:
    return CtcAligner(config(folder))


def config(folder: Path, **more: Any) -> AlignConfig:
    return AlignConfig(**{"model": str(folder), "device": "cpu", "min_score": 0, **more})


def noise(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=round(seconds * rate)) * 3000).astype(np.int16)


def item(text: str, pcm: np.ndarray, rate: int = RATE) -> Unaligned:
    return Unaligned(text, "en", pcm, rate)


def words_of(answer: Alignment | StrettoError) -> list[tuple[str, int, int]]:
    assert isinstance(answer, Alignment), answer
    return [(w.text, w.start_sample, w.end_sample) for w in answer.words]


@pytest.mark.parametrize(
    "text",
    ["Hello, it is on the table.", "Schöne Grüße!", "你好，你好", "नमस्ते नमस्ते", "مرحبا مرحبا",
     "call 555 0199 now", "an \U0001f34e a day", "ok", "straße 7"],
)  # fmt: skip
@pytest.mark.parametrize("rate", [16000, 24000, 8000])
def test_words_lie_inside_and_rise_in_any_language(
    aligner: CtcAligner, text: str, rate: int
) -> None:
    pcm = noise(2.5, rate=rate)
    [found] = aligner.align([item(text, pcm, rate)])
    words = words_of(found)
    assert isinstance(found, Alignment) and found.word_times == "aligned"
    assert [w.char_start for w in found.words] == [t.start for t in sounding(text)]
    assert all(text[w.char_start : w.char_end] == w.text for w in found.words)
    assert all(0 <= start < end <= len(pcm) for _, start, end in words)
    assert all(a[2] <= b[1] for a, b in zip(words, words[1:], strict=False))
    assert len(found.scores) == len(words) and all(0 <= s <= 1 for s in found.scores)


@pytest.mark.parametrize(
    ("kind", "norm", "offset"),
    [("Wav2Vec2", "group", 40), ("Hubert", "group", 40), ("WavLM", "layer", 40),
     ("Wav2Vec2Bert", "layer", 120)],
)  # fmt: skip
def test_models_of_every_kind(tmp_path: Path, kind: str, norm: str, offset: int) -> None:
    path = write_ctc(tmp_path / "m", kind=kind, norm=norm)
    emitter, _ = open_model(str(path), None, "cpu")
    assert (emitter.stride, emitter.offset) == (320, offset)  # 20 ms, as their papers say
    [units] = emitter.emissions([noise(1.0).astype(np.float32) / 32768])
    assert units.shape[0] in (49, 50) and units.shape[1] == emitter.vocabulary.size + 1
    probabilities = np.exp(units[:, :-1] / 4096).sum(axis=1)
    assert np.allclose(probabilities, 1, atol=1e-2)
    [found] = CtcAligner(config(path)).align([item("hello there", noise(1.0))])
    assert len(words_of(found)) == 2


def test_neighbours_in_a_batch_change_nothing(folder: Path, aligner: CtcAligner) -> None:
    """The samples of a shard are the same whoever stands beside them."""
    items = [item("hello there", noise(0.7 + 0.31 * n, n)) for n in range(6)]
    together = aligner.align(items)
    assert together == [aligner.align([one])[0] for one in items]
    assert together == CtcAligner(config(folder)).align(items[::-1])[::-1]
    emitter, _ = open_model(str(folder), None, "cpu")
    batched = replace(emitter, rows=4)  # as on a GPU: padded, in batches of one fixed shape
    signals = [i.pcm.astype(np.float32) / 32768 for i in items]
    rows = batched.emissions(signals)
    for row, signal, single in zip(rows, signals, emitter.emissions(signals), strict=True):
        assert np.array_equal(row, batched.emissions([signal])[0])
        # padding and mask are told to the model: it hears the same but for rounding
        assert row.shape == single.shape and np.abs(row - single).max() <= 0.02 * 4096


def test_long_sound_is_heard_in_windows_that_join_without_a_seam(folder: Path) -> None:
    for count in (1, 31 * RATE, 33 * RATE, 61 * RATE, 200 * RATE + 77):
        found = windows(0, count, RATE, 320)
        kept = [(w.start // 320 + w.skip, w.keep) for w in found]
        assert kept[0][0] == 0 and kept[-1][1] is None and found[-1].stop == count
        for (at, keep), (after, _) in zip(kept, kept[1:], strict=False):
            assert keep is not None and at + keep == after
        assert all(w.stop - w.start <= (WINDOW_S + 6) * RATE for w in found)
    emitter, _ = open_model(str(folder), None, "cpu")
    signal = noise(70).astype(np.float32) / 32768
    [units] = emitter.emissions([signal])
    assert len(units) == emitter.frames(len(signal))


def test_what_cannot_be_aligned_is_one_line_and_stops_no_other(aligner: CtcAligner) -> None:
    bad = {
        "nothing sounds": item("hello", np.zeros(RATE, np.int16)),
        "its text has 60 letters": item("a" * 60, noise(0.5)),
        "no word to align": item("", noise(1)),
        "0 samples": item("hello", np.zeros(0, np.int16)),
        "can write no letter": item("ελληνικά 12", noise(1)),
    }
    good = item("hello", noise(1))
    answers = aligner.align([good, *bad.values(), good])
    assert words_of(answers[0]) == words_of(answers[-1])
    for said, answer in zip(bad, answers[1:-1], strict=True):
        assert isinstance(answer, StrettoError) and said in str(answer), (said, answer)
        assert answer.where and answer.fix and "\n" not in str(answer)


def test_a_low_score_is_an_error_or_an_estimate(folder: Path) -> None:
    said = [item("hello there", noise(1))]
    strict = open_aligner(config(folder, min_score=0.9, fallback="none")).align(said)[0]
    assert isinstance(strict, StrettoError) and "below 0.9" in str(strict)
    kind = open_aligner(config(folder, min_score=0.9)).align(said)[0]
    assert isinstance(kind, Alignment) and kind.word_times == "estimated"
    heard = open_aligner(config(folder)).align(said)[0]
    assert isinstance(heard, Alignment) and heard.word_times == "aligned"


def test_a_word_has_the_sound_around_its_peaks() -> None:
    pcm = np.concatenate([noise(0.5), np.zeros(RATE // 2, np.int16), noise(0.5)])
    # peaks: two words in the first sound, one in the second; a word's sound reaches 4,000 samples
    cuts = closed([(1000, 1320), (5000, 5320), (17000, 17320)], item("a b c", pcm))
    assert cuts == [(0, 5000), (5000, 8000), (16000, 21320)]
    assert closed([(23000, 23320)], item("c", pcm)) == [(19000, 24000)]
    assert closed([(11000, 11320)], item("a", pcm)) == [(10880, 11360)]  # in silence: to a frame


def test_the_cache_is_write_once(aligner: CtcAligner, tmp_path: Path) -> None:
    items = [item("hello there", noise(1)), item("ok", noise(1, 2)), item("", noise(1))]
    first = CachedAligner(aligner, FolderArtefacts(tmp_path))
    answers = first.align([*items, items[0]])
    assert first.aligned_count == 3 and answers[0] == answers[3]
    again = CachedAligner(aligner, FolderArtefacts(tmp_path))
    assert again.align(items)[:2] == answers[:2] and again.aligned_count == 1  # the error alone
    # another text, language or rate is another key
    keys = {again.key(i) for i in (items[0], replace(items[0], text="hello"),
                                   replace(items[0], language="de"),
                                   replace(items[0], sample_rate_hz=8000))}  # fmt: skip
    assert len(keys) == 4
    # who was first is right; a broken entry is made again
    path = next(tmp_path.rglob(f"{again.key(items[0])}*"))
    path.write_text(path.read_text().replace('"hello"', '"HELLO"'))
    assert (
        words_of(CachedAligner(aligner, FolderArtefacts(tmp_path)).align(items)[0])[0][0] == "HELLO"
    )
    path.write_text("{")
    assert CachedAligner(aligner, FolderArtefacts(tmp_path)).align(items)[0] == answers[0]
    assert CachedAligner(aligner, FolderArtefacts(tmp_path)).align(items)[0] == answers[0]
    assert not [p for p in tmp_path.rglob(".*") if p.is_file()]


def test_another_model_is_another_version(
    folder: Path, tmp_path: Path, aligner: CtcAligner
) -> None:
    other = CtcAligner(config(write_ctc(tmp_path / "other", "abc")))
    assert aligner.version() != other.version()
    assert aligner.version() == CtcAligner(config(folder)).version()
    # a kept answer that was good enough then may not be now
    assert aligner.version() != CtcAligner(config(folder, min_score=0.5)).version()
    assert "transformers" in aligner.version() and str(folder) not in aligner.version()


def test_what_is_no_ctc_model_is_refused_before_work(tmp_path: Path, folder: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_text((folder / "config.json").read_text())
    text = write_text_model(tmp_path / "bert")
    for path, said in (
        (empty, "no config.json in"),
        (tmp_path / "absent", "no model at"),
        (bare, "no \\*.safetensors in"),
        (text, "can't be opened as a CTC model"),
    ):
        with pytest.raises(StrettoError, match=said) as caught:
            open_aligner(config(path)).check()
        assert "\n" not in str(caught.value)
    with pytest.raises(StrettoError, match="there is no GPU 99"):
        open_aligner(config(folder, device="cuda:99")).check()


def test_a_missing_weight_is_refused(folder: Path, tmp_path: Path) -> None:
    """transformers would fill it with random numbers."""
    from safetensors.torch import load_file, save_file

    path = write_ctc(tmp_path / "m")
    weights = load_file(path / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, path / "model.safetensors", {"format": "pt"})
    with pytest.raises(StrettoError, match="lacks 1 weights, the first lm_head.weight"):
        open_aligner(config(path)).check()


def test_without_transformers_the_run_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generators.align.model.find_spec", lambda name: None)
    with pytest.raises(StrettoError, match="pip install 'stretto\\[align\\]'"):
        open_aligner(config(folder)).check()


@pytest.mark.slow
def test_romanised_text_for_models_of_latin_letters(tmp_path: Path) -> None:
    pytest.importorskip("uroman", reason="uroman is absent: romanised text is not aligned")
    path = write_ctc(tmp_path / "mms", "abcdefghijklmnopqrstuvwxyz'", None, pad="<blank>")
    romanised = CtcAligner(config(path, romanise=True))
    said = [item("你好 नमस्ते", noise(2)), item("Привет, мир", noise(2))]
    for answer, words in zip(romanised.align(said), (3, 2), strict=True):
        assert len(words_of(answer)) == words
        assert isinstance(answer, Alignment)
    assert "uroman" in romanised.version()
    assert all(isinstance(a, StrettoError) for a in CtcAligner(config(path)).align(said))


def write_text_model(folder: Path) -> Path:
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                                     intermediate_size=16, vocab_size=20)  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    return folder
