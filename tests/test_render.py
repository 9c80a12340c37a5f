"""Rendered samples: every turn is said, channels do not overlap themselves, evidence is real."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import config, dialogue, sample_of

from generators.mix import faded
from generators.scene import plan_scene
from schemas.errors import StrettoError
from schemas.records import Turn
from schemas.sample import Sample
from schemas.timeline import Hear, Say, ToolCall, TypedInput, Write

TALK = (
    "Good morning, I am looking for a birthday present, something for my sister, who likes to cook.",
    "How about a good knife? Or a cookbook? We have a shelf full of them, from twenty countries.",
    "A cookbook sounds nice. Do you have one with Persian food?",
    "Yes, two of them. The green one has the better pictures.",
)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return sample_of(dialogue(*TALK), config(barge_in={"rate": 0}, backchannel={"per_min": 300}))


def test_every_turn_is_heard_or_said(sample: Sample) -> None:
    heard = [e.text for e in sample.timeline.world if isinstance(e, Hear)]
    said = [e.text for e in sample.timeline.agent if isinstance(e, Say) and e.behaviour == "turn"]
    assert heard == [TALK[0], TALK[2]] and said == [TALK[1], TALK[3]]
    for event in (*sample.timeline.world, *sample.timeline.agent):
        if isinstance(event, (Hear, Say)):
            assert [w.text for w in event.words] == event.text.split()


def test_words_point_into_the_text_and_rise(sample: Sample) -> None:
    for event in (*sample.timeline.world, *sample.timeline.agent):
        if not isinstance(event, (Hear, Say)):
            continue
        last = event.start_s
        for word in event.words:
            assert event.text[word.char_start : word.char_end] == word.text
            assert last <= word.start_s < word.end_s <= event.end_s
            last = word.end_s


def test_a_channel_never_overlaps_itself(sample: Sample) -> None:
    for events in (sample.timeline.world, sample.timeline.agent):
        spans = sorted(
            (p.start_s, p.end_s) for e in events if isinstance(e, (Hear, Say)) for p in e.pieces
        )
        assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:], strict=False))


def test_agent_events_rest_on_what_is_revealed(sample: Sample) -> None:
    hears = {e.id: e for e in sample.timeline.world if isinstance(e, Hear)}
    cited = 0
    for event in sample.timeline.agent:
        for e in event.evidence:
            assert e.revealed_s == hears[e.event].words[e.word or 0].end_s
            assert e.revealed_s <= event.decided_s <= event.start_s
            cited += 1
    assert cited >= 4


def test_sound_lies_where_the_pieces_say(sample: Sample) -> None:
    rate = sample.timeline.listen.sample_rate_hz
    for track, events in (
        (sample.listen, sample.timeline.world),
        (sample.speak, sample.timeline.agent),
    ):
        silent = np.ones(len(track), bool)
        for e in events:
            if isinstance(e, (Hear, Say)):
                for p in e.pieces:
                    silent[round(p.start_s * rate) : round(p.end_s * rate)] = False
                    assert track[round(p.start_s * rate) : round(p.end_s * rate)].any()
        assert not track[silent].any()


def test_a_backchannel_is_short_and_leaves_the_floor(sample: Sample) -> None:
    found = [
        e for e in sample.timeline.agent if isinstance(e, Say) and e.behaviour == "backchannel"
    ]
    assert found
    for event in found:
        assert event.end_s - event.start_s < 1.0
        assert event.cut_s is None
        assert not any(w.id == f"write-{event.id}" for w in sample.timeline.agent)


def test_write_leads_speech(sample: Sample) -> None:
    says = {e.id: e for e in sample.timeline.agent if isinstance(e, Say)}
    writes = [e for e in sample.timeline.agent if isinstance(e, Write)]
    assert len(writes) == 2
    for write in writes:
        say = says[write.id.removeprefix("write-")]
        assert write.start_s == say.decided_s < say.start_s


def test_system_and_tool_turns_are_kept() -> None:
    record = dialogue(
        Turn(role="system", text="You sell tickets."),
        Turn(role="user", text="Is there a train at nine?"),
        Turn(role="assistant", text="Let me look."),
        Turn(role="tool", text='{"trains": ["09:05"]}'),
        Turn(role="assistant", text="There is one at five past nine."),
    )
    timeline = sample_of(record, config()).timeline
    assert timeline.context.system == "You sell tickets."
    [tool] = [e for e in timeline.world if isinstance(e, TypedInput)]
    reply = [e for e in timeline.agent if isinstance(e, Say)][-1]
    assert tool.kind == "tool_result" and reply.evidence[0].event == tool.id
    assert tool.revealed_s <= reply.decided_s


def test_runs_of_turns_by_one_speaker_are_all_said() -> None:
    turns = [
        ("user", "Hello."),
        ("user", "Are you open?"),
        ("assistant", "We are."),
        ("assistant", "Until nine."),
    ]
    record = dialogue(*(Turn(role=r, text=t) for r, t in turns))  # type: ignore[arg-type]
    timeline = sample_of(record, config()).timeline
    assert [e.text for e in timeline.world if isinstance(e, Hear)] == ["Hello.", "Are you open?"]
    assert [e.text for e in timeline.agent if isinstance(e, Say)] == ["We are.", "Until nine."]
    assert all(e.cut_s is None for e in timeline.agent)


@pytest.mark.parametrize("language", ["de", "es", "ru", "hi", "ar", "cmn", "tr"])
def test_other_languages(language: str) -> None:
    texts = {
        "de": ("Guten Tag, wie spät ist es?", "Es ist halb neun."),
        "es": ("¿Dónde está la estación?", "Está al final de la calle."),
        "ru": ("Где находится вокзал?", "Прямо и потом налево."),
        "hi": ("स्टेशन कहाँ है?", "सीधे जाइए और फिर बाएँ मुड़िए।"),
        "ar": ("أين المحطة؟", "في نهاية الشارع."),
        "cmn": ("请问车站在哪里？", "一直走，然后左转。"),
        "tr": ("İstasyon nerede?", "Düz gidin, sonra sola dönün."),
    }[language]
    timeline = sample_of(dialogue(*texts, language=language), config()).timeline
    said = [e for e in (*timeline.world, *timeline.agent) if isinstance(e, (Hear, Say))]
    assert len(said) >= 2 and all(e.words for e in said)


def test_bad_turns_are_refused_in_one_line() -> None:
    with pytest.raises(StrettoError, match="turn 1 has 5,000 characters"):
        plan_scene(dialogue("a " * 2500, "Yes."), config())
    with pytest.raises(StrettoError, match="nothing that can be spoken"):
        plan_scene(dialogue("...", "🙂"), config())
    with pytest.raises(StrettoError, match="would last"):
        sample_of(dialogue(*TALK), config(max_duration_s=5))
    with pytest.raises(StrettoError, match="more than 0.01 s"):
        sample_of(dialogue(*TALK), config(max_duration_s=0.01))


@pytest.mark.parametrize("at", [0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
def test_nothing_begins_after_a_cut(at: float) -> None:
    """Also not a sentence whose start falls into the fade."""
    turns = (
        "Tell me more.",
        "One is here. Two is there. Three is gone. Four is left. Five is on.",
        "No.",
    )
    cfg = config(barge_in={"rate": 1, "at": [at, at + 0.01]}, fade_s=0.4)
    sample = sample_of(dialogue(*turns), cfg)
    [say] = [e for e in sample.timeline.agent if isinstance(e, Say)]
    assert say.cut_s is not None
    assert not sample.speak[round(say.pieces[-1].end_s * 16000) :].any()
    assert all(p.start_s < say.cut_s for p in say.pieces)


@pytest.mark.parametrize("n", range(10))
def test_a_barge_in_of_one_short_word(n: int) -> None:
    """Shorter than what tells speech from a cough: it is plain when its last word has ended."""
    long = "There are seven of them. Each has a name of its own. I will tell you all of them now."
    turns = [
        Turn(role="user", text="How many?"),
        Turn(role="assistant", text=long),
        Turn(role="user", text="A.", interrupts=True),
        Turn(role="assistant", text="Fine."),
    ]
    timeline = sample_of(dialogue(*turns, key=f"t-{n}"), config()).timeline
    [cut] = [e for e in timeline.agent if isinstance(e, Say) and e.cut_s is not None]
    [heard] = [e for e in timeline.world if e.id == "u002"]
    assert isinstance(heard, Hear) and heard.plain_s == heard.words[-1].end_s
    assert cut.cut_by is not None and cut.cut_by.revealed_s == heard.plain_s


def test_tool_calls_are_agent_events() -> None:
    record = dialogue(
        Turn(role="user", text="Is there a train at nine?"),
        Turn(role="assistant", text="", tool_calls='[{"name": "trains"}]'),
        Turn(role="tool", text='["09:05"]'),
        Turn(role="assistant", text="At five past nine."),
    )
    timeline = sample_of(record, config()).timeline
    [call] = [e for e in timeline.agent if isinstance(e, ToolCall)]
    [result] = [e for e in timeline.world if isinstance(e, TypedInput)]
    [say] = [e for e in timeline.agent if isinstance(e, Say)]
    assert call.evidence[0].event == "u000" and call.evidence[0].revealed_s <= call.decided_s
    assert call.start_s < result.start_s < say.decided_s


@pytest.mark.parametrize(
    "bad",
    [
        {"reply_gap_s": [-1, 0]},
        {"reply_gap_s": [0, 0.05]},
        {"patience_s": [0, 0]},
        {"barge_in": {"at": [0.9, 0.1]}},
        {"start_s": [2, 1]},
        {"fade_s": 0},
    ],
)
def test_impossible_times_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(StrettoError, match=next(iter(bad))):
        config(**bad)


def test_a_fade_is_linear_and_ends_in_silence() -> None:
    pcm = np.full(100, 1000, np.int16)
    out = faded(pcm, cut=40, fade=10)
    assert out[:40].tolist() == [1000] * 40
    assert out[40:].tolist() == [1000, 900, 800, 700, 600, 500, 400, 300, 200, 100]
    assert faded(pcm, cut=200, fade=10) is pcm
    assert len(faded(pcm, cut=-20, fade=10)) == 0
