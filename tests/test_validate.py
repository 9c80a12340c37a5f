"""`stretto validate`: a sound corpus passes, and each kind of damage is found with a clear line."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from corpus_fixture import FADE_S, dialogue, fit_codecs, flac, members, npy, real_corpus, robot

from jobs.validate import run
from pipeline.media import MemberMedia
from pipeline.pack import index_row
from pipeline.store import open_store
from pipeline.validate import SAMPLE_CHECKS, Line, validate
from pipeline.validate_timeline import Seen
from pipeline.validate_tokens import unmatched
from schemas.errors import StrettoError
from schemas.timeline import Hear, Say, Timeline, Write
from token_schema import lanes, placement
from token_schema.decode import DecodedText
from token_schema.placement import PlacedText, QueuedText

CHECKS = {name: check for name, _, check in SAMPLE_CHECKS}


def seen(timeline: Timeline, **changed: bytes) -> Seen:
    parts = members(timeline) | {name.replace("_", "."): data for name, data in changed.items()}
    return Seen(index_row(timeline) | {"subset": timeline.subset}, timeline, parts, FADE_S)


def faults(sample: Seen, name: str) -> list[str]:
    return list(CHECKS[name](sample))


def change(timeline: Timeline, event_id: str, **fields: object) -> Timeline:
    """The Timeline with other fields in one event."""

    def swap(events: tuple) -> tuple:
        return tuple(e.model_copy(update=fields) if e.id == event_id else e for e in events)

    return timeline.model_copy(
        update={"world": swap(timeline.world), "agent": swap(timeline.agent)}
    )


def event(timeline: Timeline, event_id: str) -> Hear | Say:
    return next(e for e in (*timeline.world, *timeline.agent) if e.id == event_id)


# ---- one sample ----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [dialogue, robot])
def test_a_sound_sample_has_no_fault(make: Callable[[], Timeline]) -> None:
    sample = seen(make())
    assert {name: faults(sample, name) for name in CHECKS} == {name: [] for name in CHECKS}


def late_evidence(t: Timeline) -> Timeline:
    return change(t, "a003", decided_s=5.5)


def wrong_citation(t: Timeline) -> Timeline:
    cited = event(t, "a003").evidence[0].model_copy(update={"revealed_s": 5.0})
    return change(t, "a003", evidence=(cited,))


def unknown_citation(t: Timeline) -> Timeline:
    cited = event(t, "a003").evidence[0].model_copy(update={"event": "u999"})
    return change(t, "a003", evidence=(cited,))


def late_cut(t: Timeline) -> Timeline:
    return change(t, "a001", cut_s=4.7)


def late_label(t: Timeline) -> Timeline:
    label = t.labels[1].model_copy(update={"evidence": event(t, "a003").evidence})
    return t.model_copy(update={"labels": (t.labels[0], label, *t.labels[2:])})


def overlapping_speech(t: Timeline) -> Timeline:
    early = tuple(p.model_copy(update={"start_s": 2.0}) for p in event(t, "u002").pieces)
    return change(t, "u002", pieces=early)


def swapped_words(t: Timeline) -> Timeline:
    words = event(t, "u000").words
    return change(t, "u000", words=(words[1], words[0], *words[2:]))


def other_word(t: Timeline) -> Timeline:
    words = event(t, "u000").words
    return change(t, "u000", words=(words[0].model_copy(update={"text": "why"}), *words[1:]))


def word_outside(t: Timeline) -> Timeline:
    words = event(t, "a003").words
    return change(t, "a003", words=(*words[:-1], words[-1].model_copy(update={"end_s": 8.0})))


def word_after_cut(t: Timeline) -> Timeline:
    words = event(t, "a001").words
    late = words[-1].model_copy(update={"start_s": 5.2, "end_s": 5.25})
    return change(t, "a001", words=(*words[:-1], late))


def sound_after_cut(t: Timeline) -> Timeline:
    long = tuple(p.model_copy(update={"end_s": 6.0}) for p in event(t, "a001").pieces)
    return change(t, "a001", pieces=long)


def twin_ids(t: Timeline) -> Timeline:
    return change(t, "u002", id="u000")


def lost_label(t: Timeline) -> Timeline:
    return t.model_copy(update={"labels": t.labels[:-1]})


def short_track(t: Timeline) -> Timeline:
    return t.model_copy(update={"duration_s": t.duration_s + 1})


@pytest.mark.parametrize(
    ("name", "broken", "says"),
    [
        ("causal", late_evidence, "a003 is decided at 5.5 s and rests on u002, revealed at 5.75 s"),
        ("causal", wrong_citation, "says u002 word 3 is revealed at 5.0 s, not 5.75 s"),
        ("causal", unknown_citation, "u999 word 3, which is not there"),
        ("causal", late_cut, "a001 cut is decided at 4.7 s and rests on u002"),
        ("causal", late_label, "label 1 is decided at 2.0 s"),
        ("channels", overlapping_speech, "u002 at 2.0 s overlaps u000"),
        ("words", swapped_words, "'how' comes before the word before it"),
        ("words", other_word, "'why' is not in the text at its place"),
        ("words", word_outside, "'beans' lies outside of its pieces"),
        ("cuts", word_after_cut, "begins after the cut"),
        ("cuts", sound_after_cut, "a piece up to 6.0 s"),
        ("events", twin_ids, "two events have the id u000"),
        ("events", lost_label, "9 labels for 10.0 s"),
        ("tracks", short_track, "samples in 11.0 s"),
    ],
)
def test_a_broken_timeline_is_found(
    name: str, broken: Callable[[Timeline], Timeline], says: str
) -> None:
    timeline = dialogue()
    whole = seen(timeline)
    found = list(CHECKS[name](Seen(whole.row, broken(timeline), whole.members, FADE_S)))
    assert any(says in line for line in found), found


def test_action_rows_are_taken_once_and_in_time() -> None:
    timeline = robot()
    skips = change(timeline, "motion", first_step=21, step_count=59)
    assert "begins at row 21, not 20" in faults(seen(skips), "channels")[0]
    blind = change(timeline, "motion", step_evidence="look.back")
    assert "look.back, which is not there" in faults(seen(blind), "causal")[0]


def test_members_must_be_what_the_timeline_says() -> None:
    timeline = robot()
    pcm = MemberMedia(members(timeline)).speak()
    for changed, says in (
        ({"speak_flac": flac(pcm[:-160])}, "speak.flac has 127840 samples"),
        ({"speak_flac": flac(pcm, 8000)}, "not mono 16-bit FLAC at 16000 Hz"),
        ({"act_npy": npy(np.zeros((80, 3)))}, "act.npy is float64"),
        ({"act_npy": npy(np.zeros((79, 3), np.float32))}, "act.npy is float32 (79, 3)"),
        ({"act_npy": npy(np.full((80, 3), np.nan, np.float32))}, "not finite"),
        ({"look_front_mp4": members(_shorter(timeline))["look.front.mp4"]}, "has 79 frames"),
        ({"notes_txt": b"?"}, "member notes.txt is not in the Timeline"),
    ):
        found = faults(seen(timeline, **changed), "members")
        assert found and says in found[0], (says, found)


def _shorter(timeline: Timeline) -> Timeline:
    track = timeline.look[0].model_copy(update={"frame_count": 79})
    return timeline.model_copy(update={"look": (track,)})


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    evil = np.array([_Touch(ran)], dtype=object)
    target = tmp_path / "evil.npy"
    np.save(target, evil, allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        faults(seen(robot(), act_npy=target.read_bytes()), "members")
    assert not ran.exists()


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.path,))


def test_sound_where_nothing_is_said_and_silence_where_something_is() -> None:
    timeline = dialogue()
    pcm = MemberMedia(members(timeline)).speak()
    humming = pcm.copy()
    humming[16000 * 9] = 1
    found = faults(seen(timeline, speak_flac=flac(humming)), "silence")
    assert "speak sounds at 9.0000 s" in found[0]
    mute = pcm.copy()
    mute[round(6.4 * 16000) :] = 0
    assert "where a003 is said" in faults(seen(timeline, speak_flac=flac(mute)), "silence")[0]


# ---- a whole corpus ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_corpus(tmp_path_factory.getbasetemp())


@pytest.fixture
def copy(corpus: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(corpus, tmp_path / "corpus"))


def test_a_sound_corpus_passes(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(str(corpus))
    out = capsys.readouterr().out
    assert code == 0, out
    assert "FAIL" not in out
    lines = {line.name: line for line in validate(open_store(str(corpus)))}
    assert lines["tokens"].state == "--"
    assert all(line.checked for name, line in lines.items() if name != "tokens")


@pytest.fixture(scope="module")
def coded(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus with codecs. Tests read it and change nothing."""
    folder = Path(shutil.copytree(corpus, tmp_path_factory.mktemp("coded") / "corpus"))
    fit_codecs(folder)
    return folder


def tokens_line(corpus: Path) -> Line:
    return {line.name: line for line in validate(open_store(str(corpus)))}["tokens"]


def test_tokens_are_checked_where_there_are_codecs(coded: Path) -> None:
    tokens = tokens_line(coded)
    assert tokens.state == "ok", tokens.first
    assert tokens.checked == 12


def test_a_broken_codec_is_a_finding(coded: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(coded, tmp_path / "corpus"))
    manifest = next((copy / "codecs/text").glob("*.json"))
    manifest.write_bytes(manifest.read_bytes()[:-20])
    assert broken(copy)["tokens"]


def no_text(*args: Any) -> PlacedText:
    """Nobody ever writes."""
    placed = placement.place_text(*args)
    return replace(placed, blocks=[[] for _ in placed.blocks], silent_events=0)


def no_text_and_says_so(*args: Any) -> PlacedText:
    placed = placement.place_text(*args)
    return replace(placed, blocks=[[] for _ in placed.blocks], silent_events=len(list(args[0])))


def no_cut_text(events: list[QueuedText], *args: Any) -> PlacedText:
    """What a barge-in cuts is forgotten, not cut."""
    return placement.place_text([e for e in events if e.cut_s is None], *args)


def text_twice(events: list[QueuedText], *args: Any) -> PlacedText:
    return placement.place_text([e for e in events for _ in range(2)], *args)


def all_held(timeline: Timeline, rows: np.ndarray, chunks: np.ndarray) -> np.ndarray:
    """Every block but the first says `<hold>`, also while the robot moves."""
    held = np.ones(len(chunks), bool)
    held[0] = False
    return held


@pytest.mark.parametrize(
    ("target", "mutant", "says"),
    [
        ("place_text", no_text, "does not give back"),
        ("place_text", no_text_and_says_so, "does not give back"),
        ("place_text", no_cut_text, "texts do not come back, encoding says it left out 0"),
        ("place_text", text_twice, "lane write"),
        ("_held", all_held, "the codec promises"),
    ],
)
def test_an_encoder_that_loses_something_is_found(
    coded: Path, monkeypatch: pytest.MonkeyPatch, target: str, mutant: Any, says: str
) -> None:
    monkeypatch.setattr(lanes, target, mutant)
    line = tokens_line(coded)
    assert line.state == "FAIL" and says in str(line), str(line)


def text(decided_s: float, text: str, cut: bool = False) -> Write:
    cut_s = decided_s + 1 if cut else None
    return Write(
        id=text,
        text=text,
        decided_s=decided_s,
        start_s=decided_s,
        end_s=9,
        planned_end_s=9,
        cut_s=cut_s,
    )


def test_a_text_may_be_missing_only_where_a_cut_took_it() -> None:
    whole, gone, last = text(1, "yes"), text(2, "no way", cut=True), text(3, "no way")
    sources = [last, gone, whole]  # decided_s orders them

    def check(*found: tuple[str, str]) -> str:
        told = [DecodedText(words, 0, 0, ended) for words, ended in found]  # type: ignore[arg-type]
        return unmatched(sources, told, may_drop=False)

    assert check(("yes", "end"), ("no way", "end")) == ""  # `gone` was cut before its first token
    assert check(("yes", "end"), ("no", "cut"), ("no way", "end")) == ""
    assert "does not give back no way, but 'no'" in check(("yes", "end"), ("no", "end"))
    assert "does not give back yes, but 'no way'" in check(("no way", "end"))
    assert "does not give back no way, but nothing more" in check(("yes", "end"))
    assert "does not give back yes" in check(("ye", "cut"), ("no way", "end"))  # nothing cut it
    found = check(("yes", "end"), ("no", "cut"), ("no way", "end"), ("no way", "end"))
    assert "gives back 'no way', which nobody wrote" in found
    assert unmatched(sources, [DecodedText("yes", 0, 0, "end")], may_drop=True) == ""


def test_a_schema_that_is_elsewhere_is_said(coded: Path, tmp_path: Path) -> None:
    """dataset.json may name a file relative to the folder in which `generate` ran."""
    copy = Path(shutil.copytree(coded, tmp_path / "corpus"))
    about = json.loads((copy / "dataset.json").read_bytes())
    about["config"]["schema"] = "schemas/mine.yaml"
    (copy / "dataset.json").write_text(json.dumps(about))
    line = tokens_line(copy)
    assert line.state == "--"
    assert "not at schemas/mine.yaml, seen from" in str(line) and "`stretto generate` ran" in str(
        line
    )


def broken(corpus: Path) -> dict[str, str]:
    """The text of each line that fails."""
    return {line.name: str(line) for line in validate(open_store(str(corpus))) if line.faults}


def tar_of(corpus: Path, kind: str = "dialogue") -> Path:
    return sorted((corpus / "train").glob(f"{kind}-*.tar"))[0]


def test_a_flipped_byte(copy: Path) -> None:
    tar = tar_of(copy)
    data = bytearray(tar.read_bytes())
    data[len(data) // 2] ^= 1
    tar.write_bytes(data)
    assert "train/dialogue-000000.tar: sha256 is" in broken(copy)["checksums"]
    assert run(str(copy)) == 1


def test_a_truncated_tar(copy: Path) -> None:
    tar = tar_of(copy)
    tar.write_bytes(tar.read_bytes()[:-200_000])
    found = broken(copy)
    assert "bytes, committed" in found["checksums"]
    assert "dialogue-000000.tar: dialogues-0-" in found["slices"]


def test_a_missing_tar(copy: Path) -> None:
    tar_of(copy).unlink()
    assert "is missing, its commit record is there" in broken(copy)["checksums"]


def test_a_missing_commit_record(copy: Path) -> None:
    (copy / "commits/train-dialogue-000000.json").unlink()
    found = broken(copy)
    assert "commits/train-dialogue-000000.json: is missing" in found["committed"]
    assert "train/dialogue-000000.tar: is a tar without a commit record" in found["committed"]
    assert "in no commit record" in found["index"]


def test_a_record_that_is_lost_and_one_that_is_there_twice(copy: Path) -> None:
    path = copy / "commits/train-dialogue-000000.json"
    commit = json.loads(path.read_bytes())
    lost = commit["keys"].pop()
    commit["keys"].append(commit["keys"][0])
    path.write_text(json.dumps(commit))
    line = broken(copy)["accounted"]
    assert f"{lost}: is planned in train-dialogue-000000, but neither" in line
    assert "is in train-dialogue-000000 2 times" in line


def test_another_plan(copy: Path) -> None:
    plan = copy / "plan/train-dialogue-000000.jsonl"
    plan.write_bytes(plan.read_bytes() + b"\n")
    assert "not the bytes that were planned" in broken(copy)["accounted"]


def test_another_fingerprint(copy: Path) -> None:
    path = copy / "commits/train-dialogue-000000.json"
    commit = json.loads(path.read_bytes())
    path.write_text(json.dumps(commit | {"fingerprint": "0" * 64}))
    assert "another config, input or version" in broken(copy)["committed"]


def test_a_stray_tar(copy: Path) -> None:
    shutil.copy(tar_of(copy), copy / "train/dialogue-000099.tar")
    assert "train/dialogue-000099.tar: is a tar without" in broken(copy)["committed"]


def test_an_index_that_lies(copy: Path) -> None:
    path = copy / "index.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0]["start_byte"] += 512
    rows[1]["group"] = rows[-1]["group"]
    pq.write_table(pq.read_table(path).from_pylist(rows), path)
    found = broken(copy)
    assert f"{rows[0]['key']}: the index says start_byte=512" in found["index"]
    assert "stands in train and val" in found["splits"]


def test_an_edit_that_mends_the_checksums(copy: Path) -> None:
    """Checksums alone would not find this: the Timeline itself is at fault."""
    tar = tar_of(copy)
    data = tar.read_bytes()
    at = data.index(b'"decided_s":', data.index(b'"agent":['))
    end = data.index(b",", at)
    number = data[at + 12 : end]
    data = data[: at + 12] + b"0.0".ljust(len(number)) + data[end:]
    tar.write_bytes(data)
    path = copy / "commits/train-dialogue-000000.json"
    commit = json.loads(path.read_bytes())
    path.write_text(json.dumps(commit | {"sha256": hashlib.sha256(data).hexdigest()}))
    found = broken(copy)
    assert "is decided at 0.0 s and rests on" in found["causal"]
    assert "checksums" not in found


def test_a_summary_that_miscounts(copy: Path) -> None:
    about = json.loads((copy / "dataset.json").read_bytes())
    wrong = {"hours": about["hours"] + 0.1, "samples": about["samples"] + 1}
    (copy / "dataset.json").write_text(json.dumps(about | wrong))
    line = broken(copy)["accounted"]
    assert "dataset.json: says hours" in line and "says samples 13, there it is 12" in line


def test_rows_that_do_not_fit_the_index_are_a_finding(copy: Path) -> None:
    path = copy / "commits/train-dialogue-000000.json"
    commit = json.loads(path.read_bytes())
    commit["rows"][0]["start_byte"] = "zero"
    path.write_text(json.dumps(commit))
    assert "train-dialogue-000000.json: not index rows" in broken(copy)["accounted"]


def test_files_that_are_no_json_are_findings(copy: Path) -> None:
    (copy / "commits/train-dialogue-000000.json").write_text("{")
    (copy / "dataset.json").write_text("[")
    line = broken(copy)["accounted"]
    assert "not a commit record" in line
    assert "dataset.json" in line


def test_no_corpus_is_bad_usage(tmp_path: Path) -> None:
    with pytest.raises(StrettoError, match="no corpus"):
        run(str(tmp_path))
