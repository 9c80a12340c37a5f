"""Recordings as the sources read them: each layout, who is who, which words are whose, what is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from recording_fixture import LENGTH_S, conversation, write_moshi

from generators.sources import input_files, open_recording, read_source
from schemas import Recording, Rejection, StrettoError
from schemas.config import Config, SourceEntry
from schemas.errors import MachineError

RATE_HZ = 16000


def entry(path: Path | str, format_: str, **fields: Any) -> SourceEntry:
    source = {"path": str(path), "format": format_, **fields}
    return SourceEntry(recordings=source)  # type: ignore[arg-type]


def read(path: Path | str, format_: str, **fields: Any) -> list[Any]:
    return list(read_source(entry(path, format_, **fields), "mine"))


def sound(seconds: float = 2.0, channels: int = 1, rate_hz: int = RATE_HZ) -> np.ndarray:
    """Noise, another in each channel: int16 [n, channels]."""
    count = round(seconds * rate_hz)
    return np.random.default_rng(1).integers(-3000, 3000, (count, channels)).astype(np.int16)


def write_audio(path: Path, **shape: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(**shape), shape.get("rate_hz", RATE_HZ))
    return path


def write_json(path: Path, *records: Any) -> Path:
    """A list in `.json`, a record a line in `.jsonl`."""
    lines = path.suffix == ".jsonl"
    path.write_text("\n".join(map(json.dumps, records)) if lines else json.dumps(records))
    return path


def said(recording: Recording) -> list[tuple[str, str, float, float]]:
    return [(s.speaker, s.text, s.start_s, s.end_s) for s in recording.segments]


def only(items: list[Any]) -> Recording:
    [item] = items
    assert isinstance(item, Recording), item
    return item


# ---- layouts -------------------------------------------------------------------------------------


def test_moshi_finetune(tmp_path: Path) -> None:
    """Left is the assistant; every word comes back with its time, as the text says it."""
    record = only(read(write_moshi(tmp_path), "moshi"))
    assert (record.user.channel, record.assistant and record.assistant.channel) == (1, 0)
    assert record.duration_s == LENGTH_S and record.record_id == "data_stereo/a.wav"
    for who in ("user", "assistant"):
        own = [s for s in record.segments if s.speaker == who]
        words = [w for s in own for w in s.words or ()]
        assert [(w.text, w.start_s, w.end_s) for w in words] == [
            (text, round(start, 6), round(end, 6)) for text, start, end in conversation().of(who)
        ]
        assert all(s.text[w.char_start : w.char_end] == w.text for s in own for w in s.words or ())
    # what the assistant said after it heard "mm-hmm" is an utterance of its own
    assert [s.text for s in record.segments if s.speaker == "assistant"] == [
        "I am fine, thank you.",
        "It is a lovely day, and I have been out all morning.",
        "To the old harbour.",
    ]


def test_a_user_without_words_is_heard_and_not_read(tmp_path: Path) -> None:
    record = only(read(write_moshi(tmp_path, user_words=False), "moshi"))
    assert record.user.channel == 1 and {s.speaker for s in record.segments} == {"assistant"}


def cut(tmp_path: Path, **fields: Any) -> dict[str, Any]:
    """A MultiCut of seconds 1 to 3 of a two-channel telephone call."""
    path = write_audio(tmp_path / "audio/call.wav", seconds=4.0, channels=2)
    recording = {
        "id": "call",
        "sources": [{"type": "file", "channels": [0, 1], "source": str(path)}],
        "sampling_rate": RATE_HZ,
        "num_samples": 4 * RATE_HZ,
        "duration": 4.0,
    }
    word = [["HELLO", 0.1, 0.3, 0.9], ["", 0.4, 0.2, 1.0], ["THERE", 0.6, 0.2, 0.8]]
    supervisions = [
        {"id": "s1", "start": 0.1, "duration": 0.7, "text": "HELLO THERE", "speaker": "maria",
         "channel": 0, "alignment": {"word": word}},
        {"id": "s2", "start": 1.0, "duration": 0.8, "text": "YES", "speaker": "paul", "channel": [1]},
    ]  # fmt: skip
    made = {"id": "call-1", "type": "MultiCut", "start": 1.0, "duration": 2.0, "channel": [0, 1]}
    return made | {"recording": recording, "supervisions": supervisions} | fields


@pytest.mark.parametrize("token", ["...", "\u2014", "\ud800"])
def test_a_channel_that_says_nothing_speakable_is_one_without_words(
    tmp_path: Path, token: str
) -> None:
    """Else its sound would lie in `speak`, where nothing is said."""
    write_audio(tmp_path / "a.wav", channels=2)
    words = [["Hello", [0.2, 0.8], "U"], [token, [1, 1.2], "SPEAKER_MAIN"]]
    (tmp_path / "a.json").write_text(json.dumps({"alignments": words}))
    manifest = write_json(tmp_path / "data.jsonl", {"path": "a.wav", "duration": 2.0})
    record = only(read(manifest, "moshi"))
    assert record.assistant is None and not open_recording(record, RATE_HZ).assistant.any()
    assert "no words of the assistant: its channel is not used" in record.notes


def test_a_lhotse_cut_of_a_telephone_call(tmp_path: Path) -> None:
    path = write_json(tmp_path / "cuts.jsonl", cut(tmp_path))
    record = only(read(path, "lhotse"))
    assert said(record) == [("user", "HELLO THERE", 0.1, 0.8), ("assistant", "YES", 1.0, 1.8)]
    first, second = record.segments
    assert [(w.text, w.start_s, w.end_s) for w in first.words or ()] == [
        ("HELLO", 0.1, 0.4),
        ("THERE", 0.6, 0.8),
    ]
    assert second.words is None and second.label == "paul"
    assert record.user.frame_start == RATE_HZ and record.user.frame_count == 2 * RATE_HZ
    assert record.group == "call" and record.record_id == "call-1"


def test_channels_can_be_swapped_by_channel_and_by_name(tmp_path: Path) -> None:
    path = write_json(tmp_path / "cuts.jsonl", cut(tmp_path))
    for fields in ({"user_channel": 1}, {"roles": {"Paul": "user", "maria": "assistant"}}):
        record = only(read(path, "lhotse", **fields))
        assert record.user.channel == 1 and said(record)[1][:2] == ("user", "YES")


def test_lhotse_in_gzip_and_a_channel_a_file(tmp_path: Path) -> None:
    """A recording of two mono files, as Lhotse has it; `cuts.jsonl.gz`."""
    made = cut(tmp_path)
    files = [write_audio(tmp_path / f"{c}.wav", seconds=4.0) for c in (0, 1)]
    made["recording"]["sources"] = [
        {"type": "file", "channels": [c], "source": str(f)} for c, f in enumerate(files)
    ]
    path = tmp_path / "cuts.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(made).encode()))
    record = only(read(path, "lhotse"))
    assert record.assistant is not None
    assert (record.assistant.path, record.assistant.channel) == (str(files[1]), 0)


def test_the_duplex_form_of_nemo(tmp_path: Path) -> None:
    """The agent is another recording, of another rate; roles are the speakers' names."""
    user = write_audio(tmp_path / "user.wav", seconds=2.0)
    agent = write_audio(tmp_path / "agent.wav", seconds=2.0, rate_hz=22050)

    def recording(path: Path, rate_hz: int) -> dict[str, Any]:
        source = {"type": "file", "channels": [0], "source": str(path)}
        return {"id": path.stem, "sources": [source], "sampling_rate": rate_hz, "duration": 2.0}

    made = {
        "id": "d1",
        "type": "MonoCut",
        "start": 0,
        "duration": 2.0,
        "channel": 0,
        "recording": recording(user, RATE_HZ),
        "custom": {"target_audio": recording(agent, 22050)},
        "supervisions": [
            {"start": 0.1, "duration": 0.5, "text": "hi", "speaker": "user"},
            {"start": 0.8, "duration": 0.9, "text": "hello", "speaker": "agent"},
        ],
    }
    record = only(read(write_json(tmp_path / "m.jsonl", made), "nemo"))
    assert said(record) == [("user", "hi", 0.1, 0.6), ("assistant", "hello", 0.8, 1.7)]
    assert record.assistant is not None and record.assistant.sample_rate_hz == 22050
    audio = open_recording(record, 24000)
    assert len(audio.user) == len(audio.assistant) == 48000


def test_nemo_lines_with_offsets_are_kept_together(tmp_path: Path) -> None:
    write_audio(tmp_path / "wavs/long.wav", seconds=4.0)
    lines = [
        {"audio_filepath": "wavs/long.wav", "offset": o, "duration": 1.5, "text": f"part {o}"}
        for o in (0.0, 2.0)
    ]
    first, second = read(write_json(tmp_path / "m.jsonl", *lines), "nemo")
    assert first.group == second.group and first.key != second.key
    assert (second.user.frame_start, second.duration_s) == (2 * RATE_HZ, 1.5)
    assert said(second) == [("user", "part 2.0", 0.0, 1.5)]


def test_json_by_mapping(tmp_path: Path) -> None:
    """Dotted names; a file a side; words as mappings; Chinese words are joined without spaces."""
    write_audio(tmp_path / "u.wav"), write_audio(tmp_path / "a.wav", seconds=1.5)
    words = [{"w": "你", "start": 0.1, "end": 0.3}, {"w": "好", "start": 0.3, "duration": 0.2}]
    made = {
        "meta": {"key": "k1", "lang": "zh"},
        "files": {"in": "u.wav", "out": "a.wav"},
        "parts": [
            {"who": "caller", "says": None, "tokens": words},
            {"who": "bot", "says": "好的", "from": 0.9, "to": 1.4},
        ],
    }
    names = {
        "id": "meta.key",
        "audio": "files.in",
        "assistant_audio": "files.out",
        "segments": "parts",
        "speaker": "who",
        "text": "says",
        "start": "from",
        "end": "to",
        "words": "tokens",
        "word": "w",
        "language_field": "meta.lang",
        "roles": {"caller": "user"},
    }
    record = only(read(write_json(tmp_path / "x.json", made), "json", **names))
    assert said(record) == [("user", "你好", 0.1, 0.5), ("assistant", "好的", 0.9, 1.4)]
    assert record.language == "zh" and record.record_id == "k1"
    assert record.notes == ("0.50 s of silence added to the shorter file",)


def test_words_win_over_a_text_that_says_otherwise(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav")
    words = [["it", 0.1, 0.3], ["costs", 0.3, 0.6], ["five", 0.6, 0.9]]
    segment = {"text": "It costs 5.", "start": 0.0, "end": 1.0, "words": words}
    made = {"audio": "a.wav", "segments": [segment]}
    record = only(read(write_json(tmp_path / "x.jsonl", made), "jsonl"))
    assert record.segments[0].text == "it costs five"
    assert record.notes == ("1 segments took their text from the words",)
    segment["text"] = "It -- costs FIVE!"
    record = only(read(write_json(tmp_path / "x.jsonl", made), "jsonl"))
    assert record.segments[0].text == "It -- costs FIVE!" and not record.notes
    assert [w.text for w in record.segments[0].words or ()] == ["It", "costs", "FIVE"]


def test_a_text_beside_each_file(tmp_path: Path) -> None:
    for name in ("a.flac", "b.wav", "c.ogg", "d.mp3"):
        write_audio(tmp_path / name).with_suffix(".lab").write_text("HELLO\nTHERE\n")
    records = read(tmp_path / "*.[fwom]*", "sidecar")
    assert [said(r)[0][1] for r in records] == ["HELLO THERE"] * 4
    assert all(r.duration_s == pytest.approx(2.0, abs=0.1) for r in records)


def test_the_fingerprint_rests_on_audio_and_words_too(tmp_path: Path) -> None:
    path = write_moshi(tmp_path, ("a", "b"))
    names = [p.name for p in input_files(entry(path, "moshi"))]
    assert sorted(names) == ["a.json", "a.wav", "b.json", "b.wav", "data.jsonl"]


def long_talk(tmp_path: Path, *spans: tuple[float, float]) -> Path:
    """30 s of two channels in which someone says something at each span, in turns."""
    write_audio(tmp_path / "long.wav", seconds=30.0, channels=2)
    speakers = ("user", "assistant")
    segments = [
        {"text": f"part {i}", "start": s, "end": e, "speaker": speakers[i % 2]}
        for i, (s, e) in enumerate(spans)
    ]
    made = {"id": "talk", "audio": "long.wav", "segments": segments}
    return write_json(tmp_path / "x.jsonl", made)


def test_a_long_recording_is_cut_where_nobody_speaks(tmp_path: Path) -> None:
    """All of its sound and every segment once, in windows of one group; the times move along."""
    spans = ((0.5, 3.0), (3.5, 8.0), (7.5, 11.0), (12.0, 12.5), (13.0, 19.0), (20.0, 29.0))
    path = long_talk(tmp_path, *spans)
    records = read(path, "jsonl", longest_s=12)
    assert [r.record_id for r in records] == ["talk#0", "talk#1", "talk#2"]
    assert {r.group for r in records} == {"long.wav"} and len({r.key for r in records}) == 3
    assert [r.user.frame_start / RATE_HZ for r in records] == [0.0, 11.5, 19.5]
    assert sum(r.user.frame_count for r in records) == 30 * RATE_HZ
    found = [(r.user.frame_start / RATE_HZ, s) for r in records for s in r.segments]
    assert [(s.text, at + s.start_s) for at, s in found] == [
        (f"part {i}", pytest.approx(start)) for i, (start, _) in enumerate(spans)
    ]
    for r in records:  # who does not speak in a window has no channel there
        assert (r.assistant is not None) == any(s.speaker == "assistant" for s in r.segments)
    assert only(read(path, "jsonl")).duration_s == 30.0


def test_a_window_without_speech_is_listed_unused(tmp_path: Path) -> None:
    first, silent = read(long_talk(tmp_path, (0.5, 3.0), (3.5, 8.0)), "jsonl", longest_s=20)
    assert isinstance(first, Recording) and len(first.segments) == 2
    assert silent.status == "unused" and "nobody speaks: " in silent.reason


def test_speech_without_a_common_pause_is_refused(tmp_path: Path) -> None:
    [refused] = read(long_talk(tmp_path, (0.5, 16.0), (15.9, 29.0)), "jsonl", longest_s=12)
    assert "people speak from 0.2 to 12.2 s without a pause" in refused.reason


# ---- sound ---------------------------------------------------------------------------------------


def test_channels_come_bit_by_bit_at_their_own_rate(tmp_path: Path) -> None:
    record = only(read(write_moshi(tmp_path), "moshi"))
    audio = open_recording(record, 24000)
    assert np.array_equal(audio.user, conversation().pcm[:, 1])
    assert np.array_equal(audio.assistant, conversation().pcm[:, 0])


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 48000])
def test_any_rate_is_resampled_to_the_same_length_of_time(tmp_path: Path, rate_hz: int) -> None:
    """A 440 Hz tone stays one, at its level and in phase: nothing is shifted."""
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)
    soundfile.write(tmp_path / "a.wav", tone, rate_hz, subtype="PCM_16")
    write_json(tmp_path / "x.jsonl", {"audio": "a.wav", "text": "tone"})
    audio = open_recording(only(read(tmp_path / "x.jsonl", "jsonl")), 16000)
    wanted = 0.3 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert len(audio.user) == 16000 and not audio.assistant.any()
    assert np.abs(audio.user / 32768 - wanted)[200:-200].max() < 0.002


def nan(path: Path) -> None:
    wave = np.zeros(RATE_HZ * 2, np.float32)
    wave[500] = np.nan
    soundfile.write(path, wave, RATE_HZ, subtype="FLOAT")


def half(path: Path) -> None:
    write_audio(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damaged(path: Path) -> None:
    """A FLAC whose header is whole and whose middle is not."""
    write_audio(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    path.write_bytes(data)


def same(path: Path) -> None:
    soundfile.write(path, np.repeat(sound(), 2, axis=1), RATE_HZ)


TWO = [
    {"speaker": "user", "text": "hi", "start": 0.1, "end": 0.5},
    {"speaker": "assistant", "text": "yo", "start": 0.8, "end": 1.5},
]


@pytest.mark.parametrize(
    ("make", "name", "fields", "reason"),
    [
        (nan, "a.wav", {"text": "x"}, "holds NaN or infinity"),
        (half, "a.mp3", {"text": "x"}, "is truncated"),
        (damaged, "a.flac", {"text": "x"}, "can't be decoded"),
        (same, "a.wav", {"segments": TWO}, "both channels hold the same sound"),
    ],
)
def test_damage_that_shows_when_audio_is_decoded(
    tmp_path: Path, make: Callable[[Path], None], name: str, fields: dict[str, Any], reason: str
) -> None:
    make(tmp_path / name)
    record = only(read(write_json(tmp_path / "x.jsonl", {"audio": name, **fields}), "jsonl"))
    with pytest.raises(StrettoError, match=reason) as caught:
        open_recording(record, 16000)
    assert not isinstance(caught.value, MachineError)


def test_a_file_that_is_gone_stops_the_run(tmp_path: Path) -> None:
    """It was there when the plan was made: a missing mount, nothing to quarantine for."""
    record = only(read(write_moshi(tmp_path), "moshi"))
    Path(record.user.path).unlink()
    with pytest.raises(MachineError, match="can't be read"):
        open_recording(record, 16000)


# ---- refusals ------------------------------------------------------------------------------------


def seg(start: float, end: float, text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"text": text, "start": start, "end": end, **more}


def words(*times: tuple[float, float]) -> dict[str, Any]:
    return {"audio": "a.wav", "words": [["w", s, e] for s, e in times]}


BAD: dict[str, tuple[Any, str]] = {
    "not a mapping": ([1], "the record is a list, not a mapping"),
    "no audio": ({"text": "x"}, "no field `audio` or"),
    "audio a number": ({"audio": 5, "text": "x"}, "`audio` is a number, not a path"),
    "missing": ({"audio": "gone.wav", "text": "x"}, "is not there"),
    "up and out": ({"audio": "../../etc/passwd", "text": "x"}, "leaves"),
    "absolute": ({"audio": "/etc/passwd", "text": "x"}, "lies outside of"),
    "through": ({"audio": "sub/../../x.wav", "text": "x"}, "leaves"),
    "a URL": ({"audio": "https://x.org/a.wav", "text": "x"}, "not the path of a file"),
    "a NUL": ({"audio": "a\0.wav", "text": "x"}, "not the path of a file"),
    "a folder": ({"audio": "sub", "text": "x"}, "the path 'sub' names a folder"),
    "the folder": ({"audio": ".", "text": "x"}, "the path '.' names a folder"),
    "no path": ({"audio": "", "text": "x"}, "`audio` is empty, not the path"),
    "an absurd time": (words((0.1, 1e300)), "at 0.100 to 1e+300 s lies outside"),
    "not audio": ({"audio": "text.wav", "text": "x"}, "is no readable audio"),
    "empty file": ({"audio": "empty.wav", "text": "x"}, "is empty"),
    "no sample": ({"audio": "none.wav", "text": "x"}, "holds no sample"),
    "truncated": ({"audio": "half.wav", "text": "x"}, "is truncated: its header claims more"),
    "8-bit": ({"audio": "eight.wav", "text": "x"}, "is 8-bit PCM"),
    "4 kHz": ({"audio": "slow.wav", "text": "x"}, "is sampled at 4000 Hz"),
    "3 channels": ({"audio": "three.wav", "text": "x"}, "3 channels, and which is whose"),
    "longer": ({"audio": "a.wav", "duration": 9, "text": "x"}, "says 9.000 s, "),
    "shorter": ({"audio": "a.wav", "duration": 1, "text": "x"}, "lasts 2.000 s"),
    "range": ({"audio": "a.wav", "offset": 1, "duration": 5, "text": "x"}, "1.000 to 6.000 s is not"),
    "before": ({"audio": "a.wav", "offset": -1, "duration": 1, "text": "x"}, "is not in"),
    "duration": ({"audio": "a.wav", "duration": "2", "text": "x"}, "the duration is a text"),
    "no text": ({"audio": "a.wav"}, "no field `text`"),
    "empty": ({"audio": "a.wav", "text": " ... \n"}, "the transcript is empty"),
    "null": ({"audio": "a.wav", "segments": [seg(0, 1, "")]}, "the transcript is empty"),
    "no segment": ({"audio": "a.wav", "segments": []}, "the transcript is empty"),
    "text a list": ({"audio": "a.wav", "text": ["x"]}, "`text` is a list"),
    "falls": ({"audio": "a.wav", "segments": [seg(1, 0.5)]}, "lasts -0.500 s"),
    "outside": ({"audio": "a.wav", "segments": [seg(1, 7)]}, "1.000 to 7.000 s lies outside of 2.0"),
    "early": ({"audio": "a.wav", "segments": [seg(-1, 1)]}, "lies outside of 2.000 s of audio"),
    "no end": ({"audio": "a.wav", "segments": [{"text": "x", "start": 0}]}, "segment 1 has no end"),
    "overlap": (
        {"audio": "a.wav", "segments": [seg(0, 1.0), seg(0.5, 1.5)]},
        "two segments of the user overlap: 0.000 to 1.000 s and 0.500 to 1.500 s",
    ),
    "word outside": (words((0.1, 0.3), (1.8, 2.4)), "word 2 'w' at 1.800 to 2.400 s lies outside"),
    "word before 0": (words((-0.3, 0.3)), "lies outside of 2.000 s"),
    "words fall": (words((0.5, 0.6), (0.1, 0.2)), "word 2 'w' starts before the word before it"),
    "word ends first": (words((0.5, 0.2)), "word 1 'w' ends at 0.200 s, before its start"),
    "words overlap": (words((0.1, 0.9), (0.5, 1.2)), "word 2 'w' overlaps the word before it"),
    "word a number": ({"audio": "a.wav", "words": [[7, 0, 1]]}, "word 1 is a number, not a text"),
    "word odd": ({"audio": "a.wav", "words": [["x", 1]]}, "not [word, [start, end]]"),
    "word NaN": ({"audio": "a.wav", "words": [["x", float("nan"), 1]]}, "start is not finite"),
    "words elsewhere": (
        {"audio": "a.wav", "segments": [seg(0, 0.5, words=[["hello", 1.2, 1.5]])]},
        "is said from 0.000 to 0.500 s, its words from 1.200 to 1.500 s",
    ),
    "two in mono": ({"audio": "a.wav", "segments": TWO}, "one channel holds both speakers"),
    "no user": (
        {"audio": "a.wav", "text": "x", "speaker": "agent"},
        "only the assistant speaks, and no channel is the user's",
    ),
    "huge": ({"audio": "a.wav", "duration": 10**400, "text": "x"}, "the duration is not finite"),
    "who is who": (
        {"audio": "a.wav", "segments": [seg(0, 0.5, speaker="A"), seg(1, 1.5, speaker="B")]},
        "who is the user among 'A', 'B'?",
    ),
    "language": ({"audio": "a.wav", "text": "x", "language": "en; rm"}, "is not a tag such as"),
    "came before": ({"audio": "a.wav", "text": "x", "id": "good"}, "a record with this id came before"),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of bad audio once."""
    place = tmp_path_factory.mktemp("bad")
    (place / "sub").mkdir()
    write_audio(place / "a.wav")
    half(place / "half.wav")
    write_audio(place / "three.wav", channels=3)
    write_audio(place / "slow.wav", rate_hz=4000)
    soundfile.write(place / "eight.wav", sound(), RATE_HZ, subtype="PCM_U8")
    soundfile.write(place / "none.wav", sound()[:0], RATE_HZ)
    (place / "empty.wav").write_bytes(b"")
    (place / "text.wav").write_text("this is not audio at all")
    return place


@pytest.mark.parametrize("case", BAD)
def test_one_line_for_a_bad_record_and_the_good_ones_come(folder: Path, case: str) -> None:
    record, reason = BAD[case]
    good = {"id": "good", "audio": "a.wav", "text": "fine"}
    path = write_json(folder / "x.jsonl", good, record, {**good, "id": "good2"})
    first, bad, last = read(path, "jsonl")
    assert isinstance(first, Recording) and isinstance(last, Recording)
    assert isinstance(bad, Rejection) and bad.stage == "source", bad
    assert reason in bad.reason and "\n" not in bad.line() and f"{path}:2" in bad.where


def test_two_speakers_in_mono_may_both_be_listened_to(tmp_path: Path) -> None:
    """Mapped to the user, nobody answers: the assistant only listens."""
    write_audio(tmp_path / "a.wav")
    path = write_json(tmp_path / "x.jsonl", {"audio": "a.wav", "segments": TWO})
    record = only(read(path, "jsonl", roles={"assistant": "user"}))
    assert record.assistant is None and [s.label for s in record.segments] == ["user", "assistant"]


def test_absolute_paths_and_names_alone(tmp_path: Path) -> None:
    """Elsewhere only with the config's word; by name below `audio_root`, where there is one such."""
    audio = write_audio(tmp_path / "deep/er/a.wav")
    (tmp_path / "manifests").mkdir()
    path = tmp_path / "manifests/x.jsonl"
    write_json(path, {"audio": str(audio), "text": "x"})
    assert isinstance(read(path, "jsonl")[0], Rejection)
    assert only(read(path, "jsonl", audio_outside=True)).user.path == str(audio)
    assert only(read(path, "jsonl", audio_root=str(tmp_path))).user.path == str(audio)
    write_json(path, {"audio": "upstream/corpus/er/a.wav", "text": "x"})
    named = {"audio_root": str(tmp_path), "audio_by": "name"}
    assert only(read(path, "jsonl", **named)).user.path == str(audio)
    stripped = {"audio_root": str(tmp_path / "deep"), "audio_prefix": "upstream/corpus/"}
    assert only(read(path, "jsonl", **stripped)).user.path == str(audio)


def test_a_name_that_two_files_have_is_refused(tmp_path: Path) -> None:
    for place in ("one", "two"):
        write_audio(tmp_path / place / "a.wav")
    path = write_json(tmp_path / "x.jsonl", {"audio": "upstream/a.wav", "text": "x"})
    [refused] = read(path, "jsonl", audio_root=str(tmp_path), audio_by="name")
    assert "2 files named a.wav" in refused.reason


MOSHI_BAD = {
    "no words' file": (None, "no file with its words"),
    "broken": ("{", "broken JSON"),
    "a list": ("[]", "the words' file is a list, not a mapping"),
    "no alignments": ("{}", "`alignments` is null, not a list"),
    "empty": ('{"alignments": []}', "the transcript is empty"),
    "without times": ('{"alignments": [["hi"]]}', "not [word, [start, end]]"),
}


@pytest.mark.parametrize("case", MOSHI_BAD)
def test_moshi_words_that_cannot_be_read(tmp_path: Path, case: str) -> None:
    content, reason = MOSHI_BAD[case]
    path = write_moshi(tmp_path)
    beside = tmp_path / "data_stereo/a.json"
    beside.unlink() if content is None else beside.write_text(content)
    [refused] = read(path, "moshi")
    assert isinstance(refused, Rejection) and reason in refused.reason


def source_of(made: dict[str, Any], **fields: Any) -> None:
    made["recording"]["sources"][0] |= fields


LHOTSE_BAD: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "mixed": (lambda c: c.update(type="MixedCut"), "a 'MixedCut' is not read"),
    "no recording": (lambda c: c.pop("recording"), "the cut has no `recording`"),
    "shar": (lambda c: source_of(c, type="shar"), "audio of type 'shar' is not read"),
    "a command": (lambda c: source_of(c, type="command"), "audio of type 'command' is not read"),
    "rate": (lambda c: c["recording"].update(sampling_rate=8000), "the manifest says 8000 Hz"),
    "length": (lambda c: c["recording"].update(duration=9.0), "the manifest says 9.000 s"),
    "perturbed": (
        lambda c: c["recording"].update(transforms=[{"name": "Speed"}]),
        "has transforms",
    ),
    "channel": (lambda c: source_of(c, channels=[0, 1, 2]), "has 2 channels, the manifest lists"),
    "words outside": (lambda c: c.update(duration=0.5), "lies outside of 0.500 s"),
    "start a text": (lambda c: c.update(start="1"), "the cut's `start` is a text, not a number"),
}


@pytest.mark.parametrize("case", LHOTSE_BAD)
def test_cuts_that_cannot_be_read(tmp_path: Path, case: str) -> None:
    spoil, reason = LHOTSE_BAD[case]
    spoil(made := cut(tmp_path))
    [refused] = read(write_json(tmp_path / "cuts.jsonl", made), "lhotse")
    assert isinstance(refused, Rejection) and reason in refused.reason


def test_a_broken_archive_is_told_and_what_came_before_is_kept(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav")
    line = json.dumps({"audio": "a.wav", "text": "x"}) + "\n"
    data = gzip.compress(line.encode() + np.random.default_rng(0).bytes(100_000).hex().encode())
    (tmp_path / "x.jsonl.gz").write_bytes(data[: len(data) // 2])
    *_, last = read(tmp_path / "x.jsonl.gz", "jsonl")
    assert isinstance(last, Rejection) and "broken gzip" in last.reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"format": "moshi", "text": "t"}, "`text` maps a field of json and jsonl, not of moshi"),
        ({"user_channel": 1, "assistant_channel": 1}, "can't be one channel"),
        ({"audio_by": "name"}, "needs `audio_root`"),
        ({"formt": "moshi"}, "format"),
    ],
)
def test_a_config_that_cannot_be_meant(fields: dict[str, Any], reason: str) -> None:
    data = {"name": "x", "sources": [{"recordings": {"path": "x.jsonl", **fields}}]}
    with pytest.raises(StrettoError, match=reason):
        Config.from_mapping(data, "x.yaml")


def test_a_root_that_is_no_folder_refuses_the_run(tmp_path: Path) -> None:
    path = write_json(tmp_path / "x.jsonl", {"audio": "a.wav", "text": "x"})
    with pytest.raises(StrettoError, match="no folder here"):
        read(path, "jsonl", audio_root=str(tmp_path / "nowhere"))
