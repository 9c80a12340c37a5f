"""Answers, stops and early words, write leads and turn lengths, on Timelines made by hand."""

from __future__ import annotations

import pytest
from corpus_fixture import dialogue
from hand_made import heard, rests_on, said, timeline, written
from hypothesis import given
from hypothesis import strategies as st

from pipeline.exchange import early, responses, spoken_into
from pipeline.tally import Tally
from pipeline.text_timing import leads, turn_lengths, word_steps
from pipeline.turn_taking import measure
from schemas.label import Evidence
from schemas.timeline import Sound, Timeline


def result(*samples: Timeline) -> dict:
    tally = Tally()
    for sample in samples:
        tally.add(sample)
    return tally.result()


def why(found: Timeline) -> list[str]:
    return list(early(found, measure(found)))


# ---- answers -------------------------------------------------------------------------------------


def test_an_answer_is_counted_from_the_users_last_word() -> None:
    ask = heard("u0", [(0.0, 1.0), (1.1, 2.0)])
    again = heard("u1", [(6.0, 8.0)])
    last = heard("u2", [(12.0, 13.0)])
    found = timeline(
        ask,
        said("b0", [(0.9, 1.2)], (rests_on(ask, 0),), behaviour="backchannel"),
        said("a0", [(2.45, 5.0)], (rests_on(ask, 1),)),
        again,
        said("a1", [(7.8, 9.0)], (rests_on(again, 0).model_copy(update={"revealed_s": 7.0}),)),
        last,
    )
    assert [r.latency_s for r in responses(found)] == [0.45, -0.2, None]
    after = result(found)["exchange"]["after_turn"]
    assert after["asked"] == 3 and after["answered_share"] == pytest.approx(2 / 3, abs=1e-4)
    # Full-Duplex-Bench counts an answer in overlap as 0
    assert after["latency"]["mean"] == pytest.approx(0.125)
    assert after["clamped"]["mean"] == pytest.approx(0.225)


def test_a_reply_that_rests_on_earlier_speech_is_no_answer_to_an_interruption() -> None:
    ask = heard("u0", [(0.0, 1.0)])
    barge = heard("u1", [(1.35, 1.6), (1.7, 3.0)], behaviour="barge_in")
    cut = said("a0", [(1.4, 1.9)], (rests_on(ask, 0),), cut_s=1.8, cut_by=rests_on(barge, 0))
    found = timeline(ask, barge, cut, said("a1", [(3.6, 5.0)], (rests_on(barge, 1),)))
    assert [(r.after, r.latency_s) for r in responses(found)] == [("turn", None), ("barge_in", 0.6)]


def test_an_opener_begins_the_answer_and_a_remark_answers_nothing() -> None:
    ask = heard("u0", [(0.0, 1.0)])
    found = timeline(
        ask,
        said("o0", [(1.1, 1.4)], behaviour="opener"),
        said("a0", [(2.0, 3.0)], (rests_on(ask, 0),)),
        heard("u1", [(5.0, 6.0)]),
        said("p0", [(9.0, 10.0)], behaviour="proactive"),
    )
    assert [r.latency_s for r in responses(found)] == [0.1, None]


def test_nobody_else_and_nothing_said_to_others_asks() -> None:
    found = timeline(
        heard("s0", [(0.0, 1.0)], behaviour="side_speech", addressed_to="other"),
        heard("g0", [(2.0, 3.0)], speaker="bystander", behaviour="background"),
        heard("f0", [(4.0, 5.0)], behaviour="failed_barge_in"),
        said("a0", [(5.5, 6.0)]),
    )
    assert responses(found) == []


def test_after_a_tools_result_comes_the_answer_to_the_question() -> None:
    ask = heard("u0", [(0.0, 1.0)])
    on = (Evidence(event="w1", revealed_s=2.0),)
    assert [r.latency_s for r in responses(timeline(ask, said("a0", [(2.5, 3.0)], on)))] == [1.5]


# ---- spoken into ---------------------------------------------------------------------------------


def test_what_sounds_into_the_assistants_speech_and_whether_it_stopped() -> None:
    barge = heard("u1", [(6.0, 6.4)], behaviour="barge_in")
    found = timeline(
        said("a0", [(1.0, 7.0)], cut_s=6.7, cut_by=rests_on(barge, 0)),
        heard("m0", [(2.0, 2.3)], behaviour="backchannel"),
        heard("f0", [(3.0, 3.2)], behaviour="failed_barge_in"),
        heard("g0", [(4.0, 4.5)], speaker="bystander", behaviour="background"),
        Sound(id="n0", name="cough", start_s=5.0, end_s=5.2, revealed_s=5.2),
        barge,
        heard("u2", [(8.0, 9.0)]),
    )
    assert spoken_into(found) == [
        ("backchannel", False),
        ("failed_barge_in", False),
        ("background", False),
        ("sound", False),
        ("barge_in", True),
    ]
    into = result(found, found)["exchange"]["spoken_into"]
    assert into["barge_in"] == {"n": 2, "stopped": 2} and into["sound"] == {"n": 2, "stopped": 0}
    assert list(into) == sorted(into)


# ---- early words ---------------------------------------------------------------------------------


def test_each_reason_to_speak_before_the_users_last_word() -> None:
    ask = heard("u0", [(0.0, 1.0), (1.1, 3.0)])
    at: list[tuple[float, float]] = [(2.5, 4.0)]
    revealed = (rests_on(ask, 0),)
    assert why(timeline(ask, said("a0", at, revealed))) == ["evidence_revealed"]
    assert why(timeline(ask, said("a0", at, revealed, behaviour="backchannel"))) == ["backchannel"]
    assert why(timeline(ask, said("a0", at, behaviour="opener"))) == ["opener"]
    assert why(timeline(ask, said("a0", [(3.0, 4.0)], (rests_on(ask, 1),)))) == []


def test_words_that_nothing_explains_are_flagged() -> None:
    ask = heard("u0", [(0.0, 1.0), (1.1, 3.0)])
    at: list[tuple[float, float]] = [(2.5, 4.0)]
    assert why(timeline(ask, said("a0", at))) == ["unexplained"]
    assert why(timeline(ask, said("a0", at, behaviour="proactive"))) == ["unexplained"]
    for behaviour in ("turn", "opener", "backchannel"):
        guess = said("a0", at, (rests_on(ask, 1),), behaviour=behaviour)
        assert why(timeline(ask, guess)) == ["unexplained"]
    assert result(timeline(ask, said("a0", at)))["exchange"]["early_assistant"]["unexplained"] == 1


def test_a_turn_that_goes_on_and_one_that_was_decided_first() -> None:
    ask = heard("u0", [(0.0, 1.0)])
    reply = said("a0", [(1.5, 3.0), (3.6, 5.0)], (rests_on(ask, 0),))
    murmur = heard("m0", [(2.8, 3.8)], behaviour="backchannel")
    assert why(timeline(ask, reply, murmur)) == ["continued"]
    remark = said("p0", [(5.0, 6.0)], behaviour="proactive", decided_s=4.9)
    assert why(timeline(heard("u0", [(4.95, 5.5)]), remark)) == ["together"]


def test_the_samples_of_the_scenes_explain_every_early_word() -> None:
    assert why(dialogue()) == []


# ---- text beside sound ---------------------------------------------------------------------------


def test_writing_leads_the_voice_by_text_and_by_word() -> None:
    # "one one one one": letters 0, 4, 8, 12 of 15, written from 1 to 2.5 s: 10 letters a second
    say = said("a0", [(1.2, 1.5), (1.6, 1.9), (1.9, 2.2), (2.0, 2.5)])
    (lead,) = leads(timeline(written(say, 1.0, 2.5), say))
    assert lead.text_s == 0.2
    assert lead.words_s == pytest.approx((0.2, 0.2, 0.1, -0.2))
    found = result(timeline(written(say, 1.0, 2.5), say))["text"]
    assert found["said_before_written_share"] == 0.25
    assert found["text_lead"]["s"]["p50"] == 0.2 and found["word_lead"]["n"] == 4


def test_two_texts_of_one_turn_go_with_their_own_speech() -> None:
    first, second = said("a0", [(2.0, 3.0)], turn_index=1), said("a1", [(8.0, 9.0)], turn_index=1)
    texts = written(first, 1.9, 2.5), written(second, 7.7, 8.5)
    texts = tuple(text.model_copy(update={"turn_index": 1}) for text in texts)
    found = timeline(*texts, first, second)
    assert [lead.text_s for lead in leads(found)] == [0.1, 0.3]
    assert result(found)["consistency"] == {
        "n": 2,
        "mean": 1.0,
        "p5": 1.0,
        "p50": 1.0,
        "share_below_0.9": 0.0,
    }


def test_texts_that_disagree_lower_the_consistency() -> None:
    say = said("a0", [(1.0, 1.5), (1.5, 2.0)])
    other = written(say, 0.9, 1.5).model_copy(update={"text": "two other words"})
    found = result(timeline(other, say), timeline(written(say, 0.9, 1.5), say))["consistency"]
    assert found["mean"] == 0.5 and found["share_below_0.9"] == 0.5


def test_turns_are_counted_in_words_and_seconds() -> None:
    found = timeline(
        heard("u0", [(0.0, 1.0), (2.0, 3.0)]),
        heard("m0", [(4.0, 4.2)], behaviour="backchannel"),
        said("o0", [(3.5, 3.8)], behaviour="opener"),
        said("a0", [(4.0, 4.5), (4.6, 5.0), (5.5, 6.0)]),
    )
    assert turn_lengths(found, "user") == [(2, 3.0)]
    assert turn_lengths(found, "assistant") == [(3, 2.0)]
    turns = result(found)["turns"]
    assert turns["assistant"]["words"]["mean"] == 3.0 and turns["user"]["seconds"]["mean"] == 3.0


@given(st.lists(st.integers(0, 240), min_size=1, max_size=40, unique=True))
def test_steps_in_which_a_word_begins(starts: list[int]) -> None:
    """Words at whole steps of 80 ms: each step once, and exactly the step that it begins in."""
    spans = [(round(i * 0.08, 6), round(i * 0.08 + 0.05, 6)) for i in sorted(starts)]
    assert word_steps(timeline(said("a0", spans), duration_s=20.0)) == (len(starts), 250)
