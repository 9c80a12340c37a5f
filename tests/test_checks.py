"""Each exact check passes real speech and finds what is broken, with where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from broken_samples import both, clean, faster, found, later, louder, slower
from worlds import config, dialogue, sample_of

from generators.sources import read_source
from pipeline.checks import CHECKS
from pipeline.checks.scripts import syllabic, unspaced
from pipeline.checks.voices import amplitude, decibels, voices
from pipeline.vad import Vad
from schemas.config import ChecksConfig, Config, SourceEntry
from schemas.errors import StrettoError
from schemas.records import Dialogue
from schemas.sample import Sample
from schemas.timeline import Effect, Say

EXACT = [check.name for check in CHECKS if check.exact]


@pytest.mark.parametrize("name", EXACT)
def test_real_speech_passes(name: str) -> None:
    finding = found(name, clean())
    assert finding.verdict == "ok" and finding.figures, finding


@pytest.mark.parametrize(
    ("language", "turns"),
    [
        ("de", ("Wie spät ist es?", "Es ist kurz nach drei, glaube ich.")),
        ("hi", ("क्या समय हुआ है?", "अभी तीन बजे हैं।")),
        ("cmn", ("现在几点了？", "现在是下午三点。")),
        ("en", ("What is its number?", "It is +44 20 7517 1100, or $1,600 for II. and IV.")),
    ],
)
def test_real_speech_of_other_scripts_passes(language: str, turns: tuple[str, str]) -> None:
    sample = sample_of(dialogue(*turns, language=language), config())
    for name in EXACT:
        assert found(name, sample).verdict == "ok", name


def test_clipped_speech_is_found_where_it_is() -> None:
    assert found("clipping", both(clean(), louder(1.2))).verdict == "ok"
    finding = found("clipping", both(clean(), louder(30)))
    assert finding.verdict == "fail"
    assert {r.event for r in finding.reasons} <= {"u000", "a001", "u002", "a003"}
    assert "is at full scale, more than 1.0%" in finding.reasons[0].what
    one = finding.reasons[0]
    assert one.start_s is not None and one.end_s is not None and one.start_s < one.end_s
    assert found("clipping", both(clean(), louder(30)), clipping={"max_share": 1}).reasons == tuple(
        r for r in finding.reasons if "without a break" in r.what
    )


def test_clipping_that_was_asked_for_is_no_fault() -> None:
    loud = replace(clean(), listen=louder(30)(clean().listen), stems={})
    made = clean().timeline.provenance.model_copy(
        update={"acoustics": (Effect(name="clipping", source="user"),)}
    )
    asked = replace(loud, timeline=loud.timeline.model_copy(update={"provenance": made}))
    assert found("clipping", loud).verdict == "fail"
    unknown = found("clipping", asked)
    assert unknown.verdict == "ok" and "user_share" not in unknown.figures
    stemmed = found("clipping", replace(asked, stems={"user": clean().listen}))
    assert stemmed.verdict == "ok" and stemmed.figures["user_share"] == 0
    assert found("clipping", replace(asked, stems={"user": loud.listen})).verdict == "fail"


def heard_by(factor: float, *effects: Effect, voice: float = 1) -> Sample:
    """The user's voice times `voice` in the clean stem, and that times `factor` in `listen`."""
    stem = louder(voice)(clean().listen)
    made = clean().timeline.provenance.model_copy(update={"acoustics": effects})
    timeline = clean().timeline.model_copy(update={"provenance": made})
    return replace(clean(), timeline=timeline, listen=louder(factor)(stem), stems={"user": stem})


@pytest.mark.parametrize("name", ["clipping", "level"])
def test_the_acoustics_are_named_where_they_did_it(name: str) -> None:
    noise = Effect(name="noise", source="noise", settings={"kind": "white"})
    gain = Effect(name="gain", source="listen", settings={"db": 30.0})
    finding = found(name, heard_by(60, noise, gain))
    assert finding.verdict == "fail"
    for reason in finding.reasons:
        assert ": by acoustics.noise, acoustics.gain, not the voice" in reason.what
        assert reason.fix is not None and "acoustics.gain in the config" in reason.fix
    both_loud = found(name, heard_by(30, noise, gain, voice=60))
    assert both_loud.verdict == "fail"
    assert all("acoustics" not in r.what and r.fix is None for r in both_loud.reasons)


def test_a_gain_that_makes_it_too_quiet_is_named() -> None:
    gain = Effect(name="gain", source="listen", settings={"db": -40.0})
    echo = Effect(name="echo", source="speak", settings={"gain_db": -14.0})
    (reason,) = found("level", heard_by(0.01, echo, gain)).reasons
    assert reason.what.endswith("below -50: by acoustics.gain, not the voice")


def test_the_level_is_that_of_the_speech() -> None:
    usual = found("level", clean())
    half = found("level", both(clean(), louder(0.5)))
    for who in ("user_dbfs", "assistant_dbfs"):
        assert usual.figures[who] - half.figures[who] == pytest.approx(6.02, abs=0.05)
    quiet = found("level", both(clean(), louder(0.01)))
    assert [r.what[:9] for r in quiet.reasons] == ["the user ", "the assis"]
    assert "below -50" in quiet.reasons[0].what
    assert "above -6" in found("level", both(clean(), louder(60))).reasons[0].what


def test_muted_speech_is_found() -> None:
    muted = replace(clean(), speak=np.zeros_like(clean().speak))
    level, silence = found("level", muted), found("silence", muted)
    assert level.reasons[0].what == "the assistant is silent where words should be"
    assert silence.figures["assistant_dead_words"] == 1 and silence.figures["user_dead_words"] == 0
    assert {r.event for r in silence.reasons} == {"a001", "a003", None}


def test_speech_beside_its_words_is_found() -> None:
    finding = found("silence", both(clean(), later(0.5)))
    assert finding.figures["user_edge_s"] >= 0.5
    assert "begins with 0.5" in finding.reasons[0].what and finding.reasons[0].event == "u000"
    assert found("silence", both(clean(), later(0.1))).verdict == "ok"


def test_padding_behind_the_words_is_found() -> None:
    """As of an engine that pads its output: the piece is longer than its sound."""
    padded = [
        e.model_copy(update={"pieces": (*e.pieces[:-1], _longer(e.pieces[-1]))})
        if isinstance(e, Say)
        else e
        for e in clean().timeline.agent
    ]
    timeline = clean().timeline.model_copy(update={"agent": tuple(padded)})
    reasons = found("silence", replace(clean(), timeline=timeline)).reasons
    assert reasons and all("ends with" in r.what for r in reasons)


def _longer(piece: Any) -> Any:
    return piece.model_copy(update={"end_s": piece.end_s + 0.5})


def test_a_hole_in_a_word_is_found() -> None:
    word = max(voices(clean())[1].utterances[0].words, key=lambda w: w.end_s - w.start_s)
    middle_s, holed = (word.start_s + word.end_s) / 2, clean().speak.copy()
    holed[round((middle_s - 0.1) * 16000) : round((middle_s + 0.1) * 16000)] = 0
    sample = replace(clean(), speak=holed)
    assert found("silence", sample).verdict == "ok"
    finding = found("silence", sample, silence={"max_inside_s": 0.18})
    reason = next(r for r in finding.reasons if r.start_s == word.start_s)
    assert reason.event == "a001" and "inside a word" in reason.what


def test_runaway_and_squeezed_speech_are_found() -> None:
    slow, fast = found("rate", slower(clean(), 15)), found("rate", faster(clean(), 3))
    assert slow.reasons and all("below 1" in r.what for r in slow.reasons)
    assert fast.reasons and all("above 30" in r.what for r in fast.reasons)
    assert found("rate", slower(clean(), 2)).verdict == "ok"
    assert fast.figures["user_characters_per_s"] == pytest.approx(
        3 * found("rate", clean()).figures["user_characters_per_s"], rel=0.02
    )


def test_bounds_follow_the_script() -> None:
    sample = sample_of(
        dialogue("现在几点了？", "现在是下午三点，我们走吧。", language="cmn"), config()
    )
    tight: dict[str, Any] = {"letters": [5, 30], "syllables": [5, 15]}
    assert found("rate", slower(sample, 3), rate=tight).verdict == "fail"
    assert found("rate", slower(sample, 3), rate=tight | {"syllables": [0.5, 15]}).verdict == "ok"
    assert syllabic("東京 A") and not syllabic("Tokyo 東") and not syllabic("...")
    assert unspaced("zh-CN") and unspaced("ja") and not unspaced("en")


def test_arithmetic_is_exact() -> None:
    assert decibels(32768**2 * 100, 100) == 0.0
    assert decibels(16384**2 * 7, 7) == -6.02 and decibels(0, 9) is None
    assert amplitude(0) == 32768 and amplitude(-20) == 3276 and amplitude(-54) == 65


def test_one_sided_and_wordless_samples() -> None:
    """A sample in which somebody says nothing is measured for the other, or not at all."""
    sample = clean()
    alone = replace(sample, timeline=sample.timeline.model_copy(update={"world": ()}))
    for name in ("level", "silence", "rate"):
        assert {f.split("_")[0] for f in found(name, alone).figures} == {"assistant"}
    nobody = replace(alone, timeline=alone.timeline.model_copy(update={"agent": ()}))
    assert {found(name, nobody).verdict for name in ("level", "silence", "rate")} == {"nothing"}


def test_the_detector_misses_and_hears_too_much() -> None:
    pytest.importorskip("silero_vad")

    class Models:
        def model(self, name: str, make: Any) -> Any:
            return VAD

    VAD = Vad()
    heard = lambda sample, **more: found("speech", sample, Models(), vad=True, **more)  # noqa: E731
    assert heard(clean()).verdict == "ok"
    muted = replace(clean(), speak=np.zeros_like(clean().speak))
    reasons = heard(muted).reasons
    spans = [(r.start_s, r.end_s) for r in reasons if r.what == "missing speech in speak"]
    first = voices(clean())[1].utterances[0]
    assert spans and spans[0][0] == pytest.approx(first.start_s, abs=0.3)
    crossed = replace(clean(), listen=np.maximum(clean().listen, clean().speak))
    assert any(r.what == "unexpected speech in listen" for r in heard(crossed).reasons)
    assert heard(both(clean(), later(0.5))).verdict == "fail"
    assert heard(_with_echo(crossed)).verdict == "ok"  # its own echo is no surprise


def _with_echo(sample: Sample) -> Sample:
    made = sample.timeline.provenance.model_copy(
        update={"acoustics": (Effect(name="echo", source="assistant"),)}
    )
    return replace(sample, timeline=sample.timeline.model_copy(update={"provenance": made}))


def _config(**checks: Any) -> Config:
    data = {"name": "x", "sources": [{"dialogues": {"path": "x"}}], "checks": checks}
    return Config.from_mapping(data, "x.yaml")


def test_checks_are_switched_and_bounded_in_the_config() -> None:
    assert ChecksConfig().clipping is not None and ChecksConfig().asr is None
    off = _config(clipping=False, level=True, vad_share=0.5).checks
    assert off.clipping is None and off.level == ChecksConfig().level and off.vad_share == 0.5
    for wrong, said in (
        ({"clipping": {"max_shares": 1}}, "did you mean `max_share`"),
        ({"cliping": False}, "did you mean `clipping`"),
        ({"level": {"dbfs": [-6, -50]}}, "low bound -6 is not below the high bound -50"),
        ({"rate": {"letters": [0, 30]}}, "greater than 0"),
        ({"asr": {"backend": "faster-whisper"}}, "checks.asr.model"),
        ({"asr": {"model": "tiny", "backend": "sphinx"}}, "'faster-whisper' or 'transformers'"),
        ({"asr": {"model": "tiny", "reject": True}}, "checks.asr.reject needs checks.verdicts"),
    ):
        with pytest.raises(StrettoError, match=said) as error:
            _config(**wrong)
        assert "\n" not in str(error.value)


def test_speech_of_others_is_nobodys() -> None:
    """A voice in the background may be as loud, as quiet or as fast as it likes."""
    sample = clean()
    others = tuple(
        e.model_copy(update={"behaviour": "background", "speaker": "bystander"})
        for e in sample.timeline.world
    )
    crowd = replace(sample, timeline=sample.timeline.model_copy(update={"world": others}))
    loud = replace(crowd, listen=louder(0.001)(crowd.listen))
    for name in ("level", "silence", "rate"):
        finding = found(name, loud)
        assert finding.verdict == "ok" and not any("user" in f for f in finding.figures)


def test_inputs_that_none_of_us_made_are_inside_the_bounds(shared_dir: Path) -> None:
    """Dialogues of two corpora, spoken; numbers, code and odd signs are in them."""
    talk = {"format": "json", "turns": "turns", "role": "speaker", "text": "utterance"}
    sgd = {"id": "dialogue_id", "roles": {"USER": "user", "SYSTEM": "assistant"}}
    for source in (
        {"path": str(shared_dir / "data/oasst_en_100/en_100_tree.jsonl"), "format": "tree"},
        {"path": str(shared_dir / "data/sgd/test_dialogues_011.json"), **talk, **sgd},
    ):
        entry = SourceEntry.model_validate({"dialogues": source})
        records = [r for r in read_source(entry, "real") if isinstance(r, Dialogue)][:40:8]
        assert len(records) == 5
        for record in records:
            sample = sample_of(record, config())
            for name in EXACT:
                assert found(name, sample).verdict == "ok", (record.key, name)


def test_real_recordings_are_inside_the_bounds(shared_dir: Path) -> None:
    """What people and other engines said, as one long word of an assistant's."""
    paths = sorted((shared_dir / "data/asr_reference_en").glob("*.flac"))
    paths += sorted((shared_dir / "data/vap_phrases_tts_aligned").rglob("*.wav"))[::4]
    assert len(paths) > 4
    for path in paths:
        pcm, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
        for name in ("clipping", "level", "silence"):
            finding = found(name, _recorded(pcm[:, 0].copy(), rate_hz))
            assert finding.verdict == "ok", (path.name, name, finding.reasons)


def _recorded(pcm: Any, rate_hz: int) -> Sample:
    """A sample whose assistant says one word for as long as the recording lasts."""
    timeline, end_s = clean().timeline, len(pcm) / rate_hz
    say = next(e for e in timeline.agent if isinstance(e, Say))
    word = say.words[0].model_copy(update={"start_s": 0.0, "end_s": end_s})
    piece = say.pieces[0].model_copy(update={"start_s": 0.0, "end_s": end_s})
    said = say.model_copy(update={"start_s": 0.0, "words": (word,), "pieces": (piece,)})
    track = timeline.speak.model_copy(update={"sample_rate_hz": rate_hz, "sample_count": len(pcm)})
    update = {"agent": (said,), "world": (), "listen": track, "speak": track, "duration_s": end_s}
    return Sample(timeline.model_copy(update=update), np.zeros_like(pcm), pcm)
