"""Text-to-speech models of `transformers`: the real classes, tiny, with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_voices import save_speecht5, save_vits

from generators.speech import Speech, SpeechRequest, Spoken, Voice, open_speech
from generators.speech.engines import engine
from schemas.config.speech import SpeechConfig
from schemas.errors import StrettoError

pytest.importorskip("torch")
pytest.importorskip("transformers")

TEXTS = (
    "hello there.",
    "how are you doing today my dear friend?",
    "yes",
    "what a long long sentence this is, and it goes on and on!",
    "no, never",
)


def voice(**settings: Any) -> Voice:
    return Voice("t", "en", engine="transformers", settings=tuple(sorted(settings.items())))


def requests(*texts: str, seed: int = 1, **settings: Any) -> list[SpeechRequest]:
    return [SpeechRequest(text, voice(**settings), seed) for text in texts]


def config(folder: Path, rate: int = 16000, **settings: Any) -> SpeechConfig:
    data = {"model": str(folder), **settings}
    return SpeechConfig.model_validate(
        {"backend": "transformers", "sample_rate_hz": rate, "transformers": data}
    )


def pcm(spoken: Spoken) -> np.ndarray:
    assert isinstance(spoken, Speech), spoken
    return spoken.pcm.astype(np.int32)


@pytest.fixture(scope="module")
def vits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_vits(tmp_path_factory.mktemp("vits"))


def test_batched_is_alone_but_for_rounding(vits: Path) -> None:
    """Without the margin behind each row their ends would differ by thousands of steps."""
    together = open_speech(config(vits)).say(requests(*TEXTS))
    alone = open_speech(config(vits, batch=1)).say(requests(*TEXTS))
    for one, other in zip(together, alone, strict=True):
        assert len(pcm(one)) == len(pcm(other)) > 1000
        assert np.abs(pcm(one) - pcm(other)).max() <= 2
        assert np.abs(pcm(one)).max() > 1000


def test_alone_is_the_same_bytes_in_any_company_and_order(vits: Path) -> None:
    pure = open_speech(config(vits, batch=1))
    first = [pcm(s) for s in pure.say(requests(*TEXTS))]
    again = [pcm(s) for s in pure.say(requests(*reversed(TEXTS)))]
    assert all(np.array_equal(a, b) for a, b in zip(first, reversed(again), strict=True))
    batched = open_speech(config(vits, batch=2))
    one, two = (
        batched.say(requests(*TEXTS)),
        open_speech(config(vits, batch=2)).say(requests(*TEXTS)),
    )
    assert all(np.array_equal(pcm(a), pcm(b)) for a, b in zip(one, two, strict=True))


def test_noise_is_of_the_seed_the_text_and_the_voice(vits: Path) -> None:
    speech = open_speech(config(vits))
    base, again, seeded, louder, slower = (
        pcm(speech.say(r)[0])
        for r in (
            requests("hello there."),
            requests("hello there."),
            requests("hello there.", seed=2),
            requests("hello there.", noise_scale=1.5),
            requests("hello there.", speaking_rate=0.5),
        )
    )
    assert np.array_equal(base, again)
    assert not np.array_equal(base, seeded) and not np.array_equal(base, louder)
    assert len(slower) > 1.4 * len(base)


def test_each_row_of_a_batch_keeps_its_own_voice(tmp_path: Path) -> None:
    model = save_vits(tmp_path / "many", num_speakers=3, speaker_embedding_size=8)
    mixed = [
        SpeechRequest("hello there.", voice(speaker_id=n % 3, speaking_rate=1.0 + n / 4), 1)
        for n in range(5)
    ]
    together = open_speech(config(model)).say(mixed)
    alone = open_speech(config(model, batch=1)).say(mixed)
    for one, other in zip(together, alone, strict=True):
        assert len(pcm(one)) == len(pcm(other)) and np.abs(pcm(one) - pcm(other)).max() <= 2
    lengths = [len(pcm(s)) for s in together]
    assert lengths[4] < lengths[0]
    [refused] = open_speech(config(model)).say(requests("hello", speaker_id=3))
    assert "speakers 0 to 2 only" in str(refused)


def test_batches_are_by_length_and_model(vits: Path) -> None:
    wanted = [*requests(*TEXTS), *requests("aa", "b", model="other")]
    batches = engine("transformers").batches(config(vits, batch=2), wanted)
    assert batches == [[2, 4], [0, 1], [3], [6, 5]]


def test_what_the_model_cannot_read_is_refused_not_dropped(vits: Path) -> None:
    said = open_speech(config(vits)).say(
        requests("call 555 now", "...", "hello", "x" * 3000, "Ünïcode")
    )
    assert "can't read '5'" in str(said[0]) and "numbers as words" in str(said[0])
    assert "nothing to speak" in str(said[1])
    assert isinstance(said[2], Speech) and said[2].words == ()
    assert "3000 characters" in str(said[3])
    assert "can't read 'ï'" in str(said[4])  # ü is in the vocabulary


def test_silent_and_endless_audio_is_caught(tmp_path: Path) -> None:
    import torch
    from transformers import VitsModel

    folder = save_vits(tmp_path / "silent")
    model = VitsModel.from_pretrained(folder)
    model.decoder.conv_post.weight.data.zero_()
    model.save_pretrained(folder)
    said = open_speech(config(folder)).say(requests("hello", "how are you"))
    assert all("only silence, with 3 seeds" in str(s) for s in said)
    model = VitsModel.from_pretrained(save_vits(tmp_path / "nan"))
    model.decoder.conv_post.weight.data.fill_(torch.nan)
    model.save_pretrained(tmp_path / "nan")
    [said_nan] = open_speech(config(tmp_path / "nan")).say(requests("hello"))
    assert "only silence" in str(said_nan)
    endless = save_vits(tmp_path / "endless", speaking_rate=0.01)
    [ran_away] = open_speech(config(endless)).say(requests("hello there"))
    assert "without end" in str(ran_away) and "11 characters" in str(ran_away)


def test_an_unlucky_seed_is_drawn_again(vits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds are set between the lengths of this text under two seeds."""
    from generators.speech import hf_tts

    first, again = (
        open_speech(config(vits)).say(requests("hello there.", seed=s))[0] for s in (1, 1)
    )
    assert np.array_equal(pcm(first), pcm(again))
    longest_s = len(pcm(first)) / 16000 - 0.01
    monkeypatch.setattr(hf_tts, "LONGEST_S", (longest_s, 0.0))
    monkeypatch.setattr(hf_tts, "TRIES", 12)
    [other] = open_speech(config(vits)).say(requests("hello there.", seed=1))
    assert 0 < len(pcm(other)) < len(pcm(first))


def test_audio_is_resampled_and_below_full_scale(vits: Path) -> None:
    low = open_speech(config(vits, rate=8000)).say(requests("hello there."))[0]
    high = open_speech(config(vits, rate=24000)).say(requests("hello there."))[0]
    assert abs(len(pcm(low)) * 3 - len(pcm(high))) <= 3
    assert np.abs(pcm(high)).max() <= 0.9 * 32767


@pytest.mark.parametrize(
    "change, message",
    [
        ({"model": "/nowhere/model"}, "speech model /nowhere/model: there is no such folder"),
        ({"device": "cuda:7"}, "speech.transformers.device: there is no device cuda:7 here"),
    ],
)
def test_what_is_missing_is_refused_before_work(
    vits: Path, change: dict[str, str], message: str
) -> None:
    with pytest.raises(StrettoError, match=message):
        open_speech(config(vits, **change)).check()


def test_models_that_cannot_speak_are_refused(vits: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(StrettoError, match="a bert model does not speak"):
        open_speech(config(tmp_path)).check()
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "speecht5"}))
    with pytest.raises(StrettoError, match="makes spectrograms only; name its vocoder"):
        open_speech(config(tmp_path)).check()
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(StrettoError, match="it can't be loaded"):
        open_speech(config(tmp_path)).check()
    with pytest.raises(StrettoError, match="the transformers backend has no model"):
        open_speech(SpeechConfig(backend="transformers"))
    # a model that needs phonemes, without the library that makes them
    spoken = save_vits(tmp_path / "phonemes")
    path = spoken / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"phonemize": True}))
    with pytest.raises(StrettoError, match="pip install phonemizer"):
        open_speech(config(spoken)).check()


def test_the_version_follows_the_weights(vits: Path, tmp_path: Path) -> None:
    same, other = save_vits(tmp_path / "same"), save_vits(tmp_path / "other", seed=1)
    base = open_speech(config(vits)).version()
    assert base == open_speech(config(same)).version()
    assert base != open_speech(config(other)).version()
    assert base != open_speech(config(vits, batch=1)).version()


def test_another_model_speaks_one_by_one_through_the_pipeline(tmp_path: Path) -> None:
    model, vocoder = save_speecht5(tmp_path)
    for name in ("ann", "bob"):
        np.save(tmp_path / f"{name}.npy", np.full(4, 0.1 if name == "ann" else 3.0, np.float32))
    cfg = config(model, vocoder=str(vocoder))
    speech = open_speech(cfg)
    speech.check()

    def said(name: str, *texts: str) -> list[np.ndarray]:
        wanted = requests(*texts, speaker_embedding=str(tmp_path / f"{name}.npy"))
        return [pcm(spoken) for spoken in speech.say(wanted)]

    texts = ("hello there my friend.", "how are you?", "yes of course")
    first, other = said("ann", *texts), said("bob", *texts)
    again = [said("ann", text)[0] for text in reversed(texts)]
    assert all(np.array_equal(a, b) for a, b in zip(first, reversed(again), strict=True))
    assert not any(
        len(a) == len(b) and np.array_equal(a, b) for a, b in zip(first, other, strict=True)
    )
    [refused] = speech.say(requests("hello"))
    assert "needs a `speaker_embedding`" in str(refused)
