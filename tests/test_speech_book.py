"""A user's own voices: what the file may say, and who gets which voice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from worlds import dialogue

from generators.scene.voices import assistant_voice, check_voices, user_voice, voice_of
from generators.speech import Speech, SpeechRequest, open_backend
from generators.speech.voice_book import read_book
from generators.speech.voices import variants
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.records import Turn

LANGUAGES = {"languages": ["en", "de"]}
ALICE = {"id": "alice", "engine": "espeak", **LANGUAGES, "roles": ["assistant"]}
USERS = [
    {"id": f"u{n}", "engine": "espeak", **LANGUAGES, "age": "adult", "gender": "male",
     "settings": {"variant": f"m{n}", "pitch": [40, 60], "rate_wpm": 160}}
    for n in range(1, 7)
]  # fmt: skip


def book(folder: Path, *voices: dict[str, Any], **top: Any) -> str:
    path = folder / "voices.yaml"
    path.write_text(json.dumps({"licence": "CC0-1.0", **top, "voices": list(voices)}))
    return str(path)


def config(voices: str | None, seed: int = 7, **speech: Any) -> Config:
    data = {"name": "t", "seed": seed, "sources": [{"dialogues": {"path": "x"}}]}
    return Config.from_mapping(data | {"speech": {"voices": voices, **speech}}, "test")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"engine": "festival"}, "voice alice: unknown engine 'festival'; use cosyvoice, espeak"),
        ({"settings": {"varient": "f1"}}, "unknown setting `varient` of espeak; did you mean"),
        ({"settings": {"variant": "belindra"}}, "no variant 'belindra'; did you mean belinda"),
        ({"settings": {"pitch": 120}}, "`pitch` is 120; write a whole number from 0 to 99"),
        ({"settings": {"pitch": [60, 40]}}, "`pitch` is .60, 40.; write a whole number"),
        ({"settings": {"pitch": "high"}}, "`pitch` is 'high'"),
        ({"settings": {"pitch": True}}, "voices.0.settings.pitch"),
        ({"languages": ["klingonese"]}, "voice alice: espeak-ng speaks no language"),
        ({"languages": []}, "voices.0.languages"),
        ({"roles": ["singer"]}, "voices.0.roles"),
        ({"age": "old"}, "voices.0.age"),
        ({"id": "a b"}, "voices.0.id"),
        ({"gendr": "female"}, "did you mean `gender`"),
        ({"engine": "cosyvoice", "settings": {"prompt_wav": "no.wav"}, "consent": "yes"},
         "`prompt_wav` can't be read: no such file"),
    ],
)  # fmt: skip
def test_what_the_file_may_not_say(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(StrettoError, match=message):
        read_book(book(tmp_path, ALICE | change))


def test_a_recorded_voice_needs_consent_and_every_voice_a_licence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    settings = {"mode": "cross_lingual", "prompt_wav": "a.wav", "speed": [0.9, 1.1]}
    recorded = ALICE | {"engine": "cosyvoice", "settings": settings}
    with pytest.raises(StrettoError, match="made from a recording and has no `consent`"):
        read_book(book(tmp_path, recorded))
    with pytest.raises(StrettoError, match="it has no `licence`"):
        read_book(book(tmp_path, recorded, licence=None))
    first = read_book(book(tmp_path, recorded | {"consent": "on file"}))
    soundfile.write(tmp_path / "a.wav", np.ones(16000), 16000)
    cfg = config(book(tmp_path, recorded, consent="on file"), backend="cosyvoice")
    voice = voice_of(assistant_voice("en", cfg), cfg)
    assert voice.get("prompt_wav") == str((tmp_path / "a.wav").resolve())
    assert 0.9 <= voice.get("speed") <= 1.1 and voice.get("none", 3) == 3
    # another recording under the same name is another voice, wherever the file lies
    assert read_book(str(tmp_path / "voices.yaml")).digest() != first.digest()
    assert voice.get("prompt_wav_hash") in str(voice.shape())
    assert str(tmp_path) not in str(voice.shape())


def test_broken_files_are_one_line(tmp_path: Path) -> None:
    for text in ("voices: [", "", "- 3", "voices: {}", "\x00"):
        (tmp_path / "v.yaml").write_text(text)
        with pytest.raises(StrettoError, match="v.yaml"):
            read_book(str(tmp_path / "v.yaml"))
    with pytest.raises(StrettoError, match="no such file"):
        read_book(str(tmp_path / "none.yaml"))
    with pytest.raises(StrettoError, match="two espeak voices have the id 'alice'"):
        read_book(book(tmp_path, ALICE, ALICE))


def test_a_cast_that_cannot_be_is_refused_before_work(tmp_path: Path) -> None:
    with pytest.raises(StrettoError, match="no voices of its own"):
        check_voices(config(None, backend="transformers"))
    with pytest.raises(StrettoError, match="no variant 'f44'; did you mean f4"):
        check_voices(config(None, assistant_voice="f44"))
    for voices, more, message in (
        ([ALICE], {}, "no espeak voice for users"),
        ([USERS[0]], {}, "no espeak voice for the assistant"),
        ([ALICE | {"roles": ["user", "assistant"]}], {}, "one voice"),
        ([ALICE, USERS[0]], {"assistant_voice": "alise"}, "did you mean alice"),
    ):
        with pytest.raises(StrettoError, match=message):
            check_voices(config(book(tmp_path, *voices), **more))
    check_voices(config(book(tmp_path, ALICE, USERS[0]), assistant_voice="alice"))


def test_the_assistant_is_fixed_and_users_differ(tmp_path: Path) -> None:
    others = [ALICE | {"id": f"a{n}"} for n in range(5)]
    path = book(tmp_path, *others, *USERS)
    assert {assistant_voice("en", config(path)) for _ in range(3)} == {
        assistant_voice("en", config(path))
    }
    assert len({assistant_voice("en", config(path, seed)) for seed in range(30)}) == 5
    assert assistant_voice("de", config(path, assistant_voice="a3")) == "espeak:a3@de"
    users = {user_voice(dialogue("Hi.", key=f"k-{n}"), None, config(path)) for n in range(40)}
    assert len(users) > 20  # six people, each with its pitch of that day
    voice = voice_of(sorted(users)[0], config(path))
    assert voice.language == "en-US" and 40 <= voice.pitch <= 60 and voice.rate_wpm == 160


@pytest.mark.parametrize("own", [False, True])
def test_nobody_shares_a_voice(tmp_path: Path, own: bool) -> None:
    cfg = config(book(tmp_path, ALICE | {"roles": ["assistant", "user"]}, *USERS) if own else None)

    def who(name: str) -> str:
        voice = voice_of(name, cfg)
        return voice.variant or "alice"

    for n in range(60):
        turns = [Turn(role="user", text="Hi.", speaker=s) for s in ("ann", "bob", "cy")]
        record = dialogue(*turns, key=f"k-{n}")
        names = [user_voice(record, s, cfg) for s in ("ann", "bystander", "bob", "cy")]
        people = {who(name) for name in [*names, assistant_voice("en", cfg)]}
        assert len(people) == 5
        # who comes later changes nobody's voice: the world may not know it yet
        assert user_voice(dialogue(*turns[:2], key=f"k-{n}"), "bob", cfg) == names[2]
        alone = dialogue("Hi.", key=f"k-{n}")
        assert who(user_voice(alone, "bystander", cfg)) != who(user_voice(alone, None, cfg))


def test_too_few_voices_share_among_others_but_never_with_the_user(tmp_path: Path) -> None:
    cfg = config(book(tmp_path, ALICE, *USERS[:2]))
    turns = [Turn(role="user", text="Hi.", speaker=s) for s in ("ann", "bob", "cy")]
    for n in range(20):
        record = dialogue(*turns, key=f"k-{n}")
        ann, *rest = (user_voice(record, s, cfg) for s in ("ann", "bob", "cy", "bystander"))
        assert all(name.split("@")[0] != ann.split("@")[0] for name in rest)
    lone = config(book(tmp_path, ALICE, USERS[0]))
    with pytest.raises(StrettoError, match="no voice of 1 in language 'en' is free for 'bob'"):
        user_voice(dialogue(*turns), "bob", lone)
    with pytest.raises(StrettoError, match="no voice of the assistant .alice. speaks 'fr'"):
        assistant_voice("fr", lone)


def test_every_variant_of_the_wheel_can_be_a_users_voice(tmp_path: Path) -> None:
    entries = [
        {"id": f"v{n}", "engine": "espeak", "languages": ["en"], "settings": {"variant": name}}
        for n, name in enumerate(variants())
    ]
    cfg = config(book(tmp_path, ALICE, *entries))
    voices = [voice_of(f"espeak:v{n}@en", cfg) for n in range(len(entries))]
    backend = open_backend("espeak", 16000)
    said = backend.say([SpeechRequest("Good morning, my friend.", v, 1) for v in voices])
    backend.close()
    assert len(said) == 104 and all(isinstance(s, Speech) for s in said)
    assert len({s.pcm.tobytes() for s in said if isinstance(s, Speech)}) == 104
