"""`stretto validate`, sample by sample: each kind of damage to a Timeline or a member is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus_fixture import FADE_S, dialogue, flac, members, npy, robot

from pipeline.media import MemberMedia
from pipeline.pack import index_row
from pipeline.validate import SAMPLE_CHECKS
from pipeline.validate_timeline import Seen
from schemas.timeline import Timeline

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


def event(timeline: Timeline, event_id: str) -> Any:
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
