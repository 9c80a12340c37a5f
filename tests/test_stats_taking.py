"""Whose words count and how, on Timelines made by hand: the definitions of the human numbers."""

from __future__ import annotations

import json

import pytest
from corpus_fixture import dialogue
from hand_made import heard, rests_on, said, timeline
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tally import Tally
from pipeline.turn_taking import ipus, measure, overlaps, total
from schemas.label import Evidence
from schemas.timeline import Sound, TimedWord, Timeline


def transitions(found: Timeline) -> list[tuple[str, float]]:
    return [(t.to, t.fto_s) for t in measure(found).transitions]


def tallied(*samples: Timeline) -> dict:
    tally = Tally()
    for sample in samples:
        tally.add(sample)
    return tally.result()


def test_offsets_of_both_sides_are_those_of_the_words() -> None:
    found = timeline(
        heard("u0", [(0.5, 1.0), (1.1, 2.0)]),
        said("a0", [(2.3, 3.0), (3.1, 4.0)]),
        heard("u1", [(3.6, 5.0)]),
        said("a1", [(5.0, 6.0)]),
        heard("u2", [(6.131, 7.0)]),
        duration_s=10.0,
    )
    assert transitions(found) == [
        ("assistant", 0.3),
        ("user", -0.4),
        ("assistant", 0.0),
        ("user", 0.131),
    ]
    taking = tallied(found)["turn_taking"]
    assert taking["user"]["fto"]["s"]["p50"] == pytest.approx((-0.4 + 0.131) / 2)
    assert taking["user"]["fto_overlap_share"] == 0.5
    # a gap of exactly 0 s is no overlap
    assert taking["assistant"]["fto_overlap_share"] == 0.0
    assert taking["assistant"]["fto_gap_lt_200ms_share"] == 0.5
    assert taking["user"]["fto_gap"]["n"] == taking["user"]["fto_overlap"]["n"] == 1
    assert taking["both"]["fto"]["n"] == 4
    assert taking["transitions_per_min"] == 24.0
    assert taking["user"]["fto"]["histogram_200ms"] == {"-0.4": 1, "0.0": 1}
    # 0.4 s of both; 0.5 + 0.3 + 0.131 + 3 s of neither, and 0.1 s pauses lie inside IPUs
    assert taking["overlap_frac"] == 0.04
    assert taking["silent_frac"] == pytest.approx(0.3931)
    assert taking["overlap"]["n"] == 1 and taking["overlap"]["mean"] == 0.4


def test_a_speech_inside_the_others_takes_no_floor() -> None:
    found = timeline(
        heard("u0", [(0.0, 5.0)]),
        said("b0", [(2.0, 2.4)], behaviour="backchannel"),
        said("a0", [(5.3, 9.0)]),
        heard("u1", [(6.4, 6.9)], behaviour="backchannel"),
        heard("u2", [(9.2, 10.0)]),
    )
    assert transitions(found) == [("assistant", 0.3), ("user", 0.2)]
    taking = tallied(found)["turn_taking"]
    assert taking["assistant"]["backchannel"]["s"]["p50"] == 0.4
    assert taking["user"]["backchannel"]["s"]["p50"] == 0.5
    # 2 in 20 s
    assert taking["both"]["backchannels_per_min"] == 6.0
    assert taking["user"]["backchannels_per_min"] == 3.0


def test_a_short_speech_that_sticks_out_takes_the_floor() -> None:
    found = timeline(heard("u0", [(0.0, 5.0)]), said("b0", [(4.8, 5.2)]), heard("u1", [(5.5, 6.0)]))
    assert transitions(found) == [("assistant", -0.2), ("user", 0.3)]


def test_pauses_of_both_sides() -> None:
    found = timeline(
        heard("u0", [(0.0, 1.0), (1.5, 2.0), (2.19, 3.0)]),
        said("a0", [(3.5, 4.0), (4.7, 5.0)]),
        said("a1", [(6.0, 7.0)]),
    )
    taking = measure(found)
    assert taking.user_pauses_s == (0.5,)
    assert taking.assistant_pauses_s == (0.7, 1.0)
    assert tallied(found)["turn_taking"]["both"]["pause"]["n"] == 3


def test_bystanders_and_sounds_are_left_out_and_side_speech_counts() -> None:
    own = (heard("u0", [(0.5, 2.0)]), said("a0", [(2.3, 6.0)]), heard("u1", [(6.2, 7.0)]))
    alone = timeline(*own)
    among = timeline(
        *own,
        heard(
            "g0", [(1.8, 4.0)], speaker="bystander", behaviour="background", addressed_to="other"
        ),
        Sound(id="n0", name="cough", start_s=3.0, end_s=3.3, revealed_s=3.3),
    )
    assert measure(among) == measure(alone)
    before, after = tallied(alone), tallied(among)
    for name in ("turn_taking", "distance", "words_per_min", "turns"):
        assert after[name] == before[name]
    aside = heard("s0", [(9.0, 10.0)], behaviour="side_speech", addressed_to="other")
    assert measure(timeline(*own, aside)).user == (*measure(alone).user, (9.0, 10.0))


def test_a_cut_word_counts_as_far_as_it_sounded() -> None:
    barge = heard("u1", [(3.0, 3.5), (3.55, 5.0)], behaviour="barge_in")
    words = (
        TimedWord(text="one", char_start=0, char_end=3, start_s=1.0, end_s=3.7),
        TimedWord(text="one", char_start=4, char_end=7, start_s=3.7, end_s=3.95, cut=True),
    )
    cut = said("a0", [(1.0, 3.7), (3.7, 6.0)], (), end_s=3.95, cut_s=3.8).model_copy(
        update={"words": words, "cut_by": rests_on(barge, 0)}
    )
    found = timeline(heard("u0", [(0.0, 0.5)]), cut, barge, said("a1", [(5.5, 7.0)]))
    assert measure(found).assistant == ((1.0, 3.95), (5.5, 7.0))
    assert transitions(found)[1] == ("user", -0.95)
    stops = tallied(found)["exchange"]
    # silent 3.95 - 3.0 after the onset; cut at 3.8, plain to hear at 3.5
    assert stops["silent_after_interruption_starts"]["s"]["p50"] == 0.95
    assert stops["yields_after_plain_to_hear"]["s"]["p50"] == 0.3


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_older_timelines_are_measured_as_before(version: str) -> None:
    data = json.loads(dialogue().to_json()) | {"version": version}
    for event in (*data["world"], *data["agent"]):
        for name in ("word_times", "speaker", "addressed_to", "unsaid_words", "unsaid_pieces"):
            event.pop(name, None)
    data.pop("stems", None)
    old = Timeline.model_validate(data)
    assert old.version == version and measure(old) == measure(dialogue())
    assert tallied(old) == tallied(dialogue())


def test_silence_at_the_ends_is_silence_around_a_backchannel() -> None:
    found = timeline(heard("u0", [(0.3, 0.7)]), said("a0", [(0.2, 4.0)]), duration_s=4.5)
    assert measure(found).user_backchannels_s == (0.4,)


def test_evidence_without_words_and_events_without_words() -> None:
    typed = Evidence(event="w0", revealed_s=0.0)
    found = timeline(said("a0", [(0.5, 1.0)], (typed,)).model_copy(update={"words": ()}))
    assert tallied(found)["turn_taking"]["transitions_per_min"] == 0.0


intervals = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 40)), max_size=15).map(
    lambda pairs: ipus(
        TimedWord(text="w", char_start=0, char_end=1, start_s=a / 20, end_s=(a + d) / 20)
        for a, d in pairs
    )
)


@given(intervals, intervals)
def test_time_is_user_assistant_both_or_silence(
    user: list[tuple[float, float]], assistant: list[tuple[float, float]]
) -> None:
    both = sum(overlaps(user, assistant))
    grid = [i / 20 + 0.025 for i in range(400)]
    active = [[any(a <= t < b for a, b in side) for t in grid] for side in (user, assistant)]
    assert both == pytest.approx(sum(u and a for u, a in zip(*active, strict=True)) / 20)
    any_s = sum(u or a for u, a in zip(*active, strict=True)) / 20
    assert total(user) + total(assistant) - both == pytest.approx(any_s)
