"""Word error rate and speaker similarity: exact arithmetic, and tiny models of the real classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_listeners
from broken_samples import clean, found
from small_corpus import dialogue, files, write_corpus
from worlds import config, sample_of
from worlds import dialogue as dialogue_of

from jobs import generate
from pipeline.checks import asr as asr_module
from pipeline.checks.asr import open_asr
from pipeline.checks.snippets import Snippet, snippets
from pipeline.checks.speaker import finding as likeness
from pipeline.checks.speaker import window
from pipeline.checks.wer import finding as understood
from pipeline.checks.wer_score import Errors, errors, normalised
from schemas.config.checks import AsrCheck, SpeakerCheck
from schemas.errors import StrettoError

pytest.importorskip("transformers")
pytest.importorskip("jiwer")


class Models:
    """Models kept as a worker keeps them."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}

    def model(self, name: str, make: Any) -> Any:
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]


# ---- counting ------------------------------------------------------------------------------------


def test_errors_are_counted_by_word() -> None:
    assert errors("the cat sat", "the cat sat", "en") == Errors(0, 3)
    assert errors("the cat sat", "the hat sat down", "en") == Errors(2, 3)  # one wrong, one more
    assert errors("the cat sat", "", "en") == Errors(3, 3)
    assert errors("the cat sat", "", "en").rate == 1.0
    assert errors("...", "well", "en") == Errors(0, 0) and Errors(0, 0).rate is None
    assert errors("a b", "a", "en") + errors("c", "c", "en") == Errors(1, 3)


def test_what_is_spelled_otherwise_is_no_error() -> None:
    assert errors("It's twenty-one, isn't it?", "it is 21 is not it", "en") == Errors(0, 6)
    assert errors("Wie spät? Um 8!", "wie spät um 8", "de") == Errors(0, 4)
    assert errors("हो गया।", "हो गया", "hi") == Errors(0, 2)
    assert errors("हो गया।", "हा गया", "hi") == Errors(1, 2)  # a vowel sign is a letter
    assert normalised("ＡＢＣ　Straße", "de") == "abc strasse"


def test_errors_are_counted_by_character_where_no_spaces_are() -> None:
    assert errors("现在是下午三点。", "现在 是上午三点", "zh") == Errors(1, 7)
    assert errors("今何時ですか", "今何時ですか", "ja-JP") == Errors(0, 6)


def heard(*texts: str | None) -> list[tuple[Snippet, str | None]]:
    cut = list(snippets(clean()))
    assert len(cut) == len(texts) == 4
    return list(zip(cut, texts, strict=True))


def test_a_sample_fails_by_the_speaker_who_is_not_understood() -> None:
    settings = AsrCheck(model="m", max_wer=0.3)
    said = [s.text for s in snippets(clean())]
    assert understood(heard(*said), settings).verdict == "ok"
    finding = understood(heard(said[0], said[1], "nothing of the kind", said[3]), settings)
    # the user's come first: "Could you ...", "And when does the last train leave tonight?"
    swapped = [s.event for s in snippets(clean())]
    assert swapped == ["u000", "u002", "a001", "a003"]
    assert finding.figures["user_wer"] == 0 and finding.figures["assistant_wer"] > 0.3
    (reason,) = finding.reasons
    assert reason.event == "a001" and "heard 'nothing of the kind'" in reason.what
    assert [u["event"] for u in finding.details["utterances"]] == swapped


def test_unknown_languages_are_said_to_be_skipped() -> None:
    finding = understood(heard(None, None, None, None), AsrCheck(model="m"))
    assert finding.verdict == "nothing" and finding.details["skipped"] == 4


def test_snippets_hold_the_words_and_their_sound() -> None:
    cut = list(snippets(clean()))
    assert cut[0].text == "Could you tell me where the station is, please?"
    start = round((cut[0].start_s - 0.1) * 16000)
    assert np.array_equal(cut[0].pcm[:4000], clean().listen[max(0, start) :][:4000])
    short = list(snippets(clean(), max_s=1.0))
    assert len(short) > 4 and all(s.end_s - s.start_s <= 1.0 for s in short)
    joined = [" ".join(s.text for s in short if s.event == event.event) for event in cut]
    assert joined == [s.text for s in cut]
    assert len(cut[0].wave(8000)) == pytest.approx(len(cut[0].pcm) / 2, abs=2)


def test_a_word_that_a_barge_in_cut_is_not_asked_for() -> None:
    turns = ("Where is it?", "It is up the hill and then down again behind the old mill.", "Stop!")
    sample = sample_of(dialogue_of(*turns, "Fine."), config(barge_in={"rate": 1.0}))
    cut = [e for e in sample.timeline.agent if e.cut_s is not None and e.kind == "say"]
    if not cut:
        pytest.skip("this draw has no barge-in")
    text = next(s.text for s in snippets(sample) if s.event == cut[0].id)
    whole = [w.text for w in cut[0].words if not w.cut]
    assert text.split() == whole


# ---- real classes, random weights ----------------------------------------------------------------


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_listeners.whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def faster(whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_listeners.ctranslate2(whisper, tmp_path_factory.mktemp("ct2") / "model")


def some() -> list[Snippet]:
    """Two snippets of English, one of a language that no tiny model knows, one more of English."""
    cut = list(snippets(clean()))
    return [cut[0], cut[2], replace(cut[1], language="tlh"), cut[3]]


def transcribed(settings: AsrCheck, asked: Sequence[Snippet]) -> list[str | None]:
    return open_asr(settings).transcribe(asked)


@pytest.mark.slow
def test_faster_whisper_answers_each_snippet(faster: Path) -> None:
    """A batch, a batch of one and another order: each text stays with its snippet."""
    settings = AsrCheck(model=str(faster), device="cpu", batch=3)
    texts = transcribed(settings, some())
    assert texts[2] is None and all(texts[n] for n in (0, 1, 3))
    assert len(set(texts)) > 1, "a model that always says the same proves no order"
    assert transcribed(settings, some()[::-1]) == texts[::-1]
    assert transcribed(settings.model_copy(update={"batch": 1}), some()) == texts
    finding = found("wer", clean(), Models(), asr={"model": str(faster), "device": "cpu"})
    assert finding.verdict == "fail" and finding.figures["user_wer"] > 0.5


@pytest.mark.slow
def test_whisper_of_transformers_answers_each_snippet(whisper: Path) -> None:
    settings = AsrCheck(model=str(whisper), backend="transformers", device="cpu", batch=3)
    texts = transcribed(settings, some())
    assert texts[2] is None and all(texts[n] for n in (0, 1, 3))
    assert transcribed(settings, some()[::-1]) == texts[::-1]


@pytest.mark.slow
def test_a_ctc_model_answers_each_snippet(tmp_path: Path) -> None:
    """It knows no languages: it is asked about all."""
    model = tiny_listeners.ctc(tmp_path / "ctc")
    texts = transcribed(AsrCheck(model=str(model), backend="transformers", device="cpu"), some())
    assert all(isinstance(text, str) for text in texts) and len(set(texts)) > 1


@pytest.mark.slow
def test_a_device_or_type_that_is_not_there_is_refused(faster: Path, whisper: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    for settings in (
        AsrCheck(model=str(faster), device="cuda"),
        AsrCheck(model=str(faster), device="cpu", compute_type="int3"),
        AsrCheck(model=str(whisper), backend="transformers", device="cuda"),
        AsrCheck(model=str(whisper), backend="transformers", compute_type="int3"),
    ):
        with pytest.raises(StrettoError, match="can't be opened by") as error:
            asr_module.require(settings)
        assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["WavLM", "Wav2Vec2"])
def test_a_speaker_model_tells_voices_apart_as_it_can(tmp_path: Path, kind: str) -> None:
    settings = {"model": str(tiny_listeners.xvector(tmp_path / kind, kind)), "device": "cpu"}
    finding = found("speaker_similarity", clean(), Models(), speaker=settings)
    assert {"assistant_min", "user_assistant"} == set(finding.figures)
    assert all(-1 <= value <= 1 for value in finding.figures.values())
    alone = found("speaker_similarity", clean(), Models(), speaker=settings | {"batch": 1})
    for name, value in finding.figures.items():
        assert alone.figures[name] == pytest.approx(value, abs=1e-3)
    strict = found("speaker_similarity", clean(), Models(), speaker=settings | {"min_assistant": 1})
    assert strict.reasons[0].event == "a003" and "sounds unlike a001" in strict.reasons[0].what


@pytest.mark.slow
def test_the_main_job_with_a_model(faster: Path, tmp_path: Path, capsys: Any) -> None:
    """Configured, run on a share, reported; the shards stay as they are without it."""
    records = [dialogue(n) for n in range(3)]
    asked = {"vad": False, "asr": {"model": str(faster), "device": "cpu", "share": 1.0}}
    config = str(write_corpus(tmp_path, records, checks=asked))
    assert generate.run(config, str(tmp_path / "asr")) == 0
    plain = str(write_corpus(tmp_path, records, checks={"vad": False}))
    assert generate.run(plain, str(tmp_path / "plain")) == 0
    tars = [
        {n: b for n, b in files(tmp_path / out).items() if n.endswith(".tar")}
        for out in ("asr", "plain")
    ]
    assert tars[0] == tars[1] and tars[0]
    lines = (tmp_path / "asr/README.md").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("| wer ")]
    assert line.startswith("| wer | run | 3 of 3 | 0.0% | 0 | user wer ")


# ---- likeness by vectors that are known ----------------------------------------------------------


def test_likeness_is_the_cosine_to_the_first() -> None:
    cut = list(snippets(clean()))  # u000, u002, a001, a003
    settings = SpeakerCheck(model="m", min_assistant=0.5)
    same = np.array([[0, 1], [0, 1], [1, 0], [1, 0]], np.float32)
    finding = likeness(cut, same, settings)
    assert finding.verdict == "ok"
    assert finding.figures == {"assistant_min": 1.0, "user_assistant": 0.0}
    other = np.array([[0, 1], [0, 1], [1, 0], [0, 1]], np.float32)
    finding = likeness(cut, other, settings)
    assert [r.event for r in finding.reasons] == ["a003"]
    assert finding.reasons[0].start_s == cut[3].start_s
    alike = likeness(cut, np.ones((4, 1), np.float32), SpeakerCheck(model="m", max_user=0.9))
    assert "sounds like the user: 1.00, above 0.9" in alike.reasons[0].what
    assert likeness(cut[:1], same[:1], settings).verdict == "nothing"


def test_a_short_utterance_fills_its_window() -> None:
    snippet = next(snippets(clean()))
    wave = window(snippet, 16000, 3 * len(snippet.pcm) / 16000)
    assert len(wave) == 3 * len(snippet.pcm)
    assert np.array_equal(wave[: len(snippet.pcm)], wave[len(snippet.pcm) : 2 * len(snippet.pcm)])
