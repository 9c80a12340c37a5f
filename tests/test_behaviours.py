"""Scene behaviours: each can be had, does what it says, and keeps what every sample must keep."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import EVERYTHING, OFF, config, dialogue, sample_of

from generators.scene.pools import phrases
from generators.scene.twins import with_twin
from pipeline.check import check
from pipeline.validate_timeline import Seen, causal, channels, cuts, events, words
from schemas.config import SceneConfig
from schemas.config.scene import behaviours
from schemas.errors import StrettoError
from schemas.records import Dialogue
from schemas.sample import Sample
from schemas.timeline import Hear, Say, Sound, Think, Write

LONG = (
    "Well, there are three ways to get to the island, and each of them has its own charm, you see. "
    "You can take the train from the central station, which leaves every hour for the harbour. "
    "You can drive along the coast, past the old lighthouse, and leave the car near the market. "
    "Or you can take the slow ferry from the city, which is the most pleasant way on a sunny day."
)
ASK = (
    "I want to go to the island on monday with two friends. "
    "We have a car, but the road is bad, they say. What is best?"
)
MORE = "Thank you, and how much is the ferry to the island for three people?"
TALK = (ASK, LONG, MORE, LONG, "Good.", "Fine.")
ONE = {name: {name: {"rate": 1}} for name in OFF}
ONE |= {
    "user_backchannel": {"user_backchannel": {"per_min": 60}},
    "backchannel": {"backchannel": {"per_min": 100}},
    "proactive": {"dead_air": {"rate": 1, "silence_s": [5, 6]}, "proactive": {"rate": 1}},
}
# the world makes these; a clean twin has none of them
PASSED_OVER = ("failed_barge_in", "cough", "user_backchannel", "background_speech")


def only(name: str) -> dict[str, Any]:
    """Scene settings with one behaviour at its most, the others off."""
    return OFF | ONE[name]


def faults(sample: Sample) -> list[str]:
    seen = Seen({}, sample.timeline, {}, fade_s=0.15)
    return [line for rule in (causal, channels, words, cuts, events) for line in rule(seen)]


@pytest.mark.parametrize("name", sorted(ONE))
def test_each_can_be_had_by_its_name(name: str) -> None:
    samples = [sample_of(dialogue(*TALK, key=f"t-{n}"), config(**only(name))) for n in range(4)]
    tags = {tag for s in samples for tag in s.timeline.behaviours}
    assert name in tags
    known = {name, "yield", "late_overlap", "opener", "dead_air", "early_answer", "wait_for_more"}
    assert tags <= known, "no other behaviour is switched on"
    for sample in samples:
        check(sample)
        assert faults(sample) == []


def test_with_all_off_nothing_but_turns_happens() -> None:
    sample = sample_of(dialogue(*TALK), config(**OFF))
    assert sample.timeline.behaviours == ()
    assert [e.behaviour for e in sample.timeline.world if isinstance(e, Hear)] == ["turn"] * 3
    said = [e for e in sample.timeline.agent if isinstance(e, Say)]
    assert [s.text for s in said] == [LONG, LONG, "Fine."] and not any(s.cut_s for s in said)
    assert not any(
        isinstance(e, (Sound, Think)) for e in (*sample.timeline.world, *sample.timeline.agent)
    )


@pytest.mark.parametrize("name", PASSED_OVER)
def test_what_must_not_stop_the_assistant_does_not(name: str) -> None:
    """What it says and writes is its clean twin's, to the sample; only what it hears differs."""
    cfg = config(**only(name), pairs=1)
    met = 0
    for n in range(4):
        noisy, clean = (sample_of(r, cfg) for r in with_twin(dialogue(*TALK, key=f"t-{n}"), cfg))
        assert noisy.timeline.pair == clean.timeline.pair == f"t-{n}"
        assert clean.timeline.behaviours == ()
        assert noisy.timeline.agent == clean.timeline.agent
        size = min(len(noisy.speak), len(clean.speak))
        assert np.array_equal(noisy.speak[:size], clean.speak[:size])
        met += not np.array_equal(noisy.listen[:size], clean.listen[:size])
    assert met >= 2


def test_side_speech_is_for_somebody_else_and_goes_unanswered() -> None:
    sample = sample_of(dialogue(*TALK), config(**only("side_speech")))
    hears = [e for e in sample.timeline.world if isinstance(e, Hear)]
    asides = [e for e in hears if e.behaviour == "side_speech"]
    assert len(asides) == 2 and all(e.addressed_to == "other" for e in asides)
    cited = {e.event for a in sample.timeline.agent for e in a.evidence}
    assert not cited & {e.id for e in asides}
    for aside in asides:  # nobody answers: the next to speak is the user
        after = [e for e in hears if e.start_s > aside.start_s][0]
        assert not any(aside.end_s <= e.start_s < after.start_s for e in sample.timeline.agent)


def test_background_speech_is_soft_and_has_another_voice() -> None:
    sample = sample_of(dialogue(*TALK), config(**only("background_speech")))
    others = [e for e in sample.timeline.world if isinstance(e, Hear) and e.speaker == "bystander"]
    users = [e for e in sample.timeline.world if isinstance(e, Hear) and e.speaker == "user"]
    assert others and {e.voice for e in others}.isdisjoint(e.voice for e in users)
    loud = [float(np.abs(sample.stems[n].astype(float)).max()) for n in ("bystander", "user")]
    assert 0 < loud[0] < 0.3 * loud[1]
    assert np.array_equal(sample.listen, sum(s.astype(np.int32) for s in sample.stems.values()))


@pytest.mark.parametrize("name", ["filler", "false_start", "self_correction"])
def test_a_disfluency_is_heard_and_changes_no_meaning(name: str) -> None:
    """Every word of the record is still heard, in its order; more are heard besides."""
    for n in range(4):
        sample = sample_of(dialogue(*TALK, key=f"t-{n}"), config(**only(name)))
        for event, text in zip(_turns(sample), TALK[::2], strict=True):
            left = iter(event.text.lower().replace(",", "").replace(".", "").split())
            plain = text.lower().replace(",", "").replace(".", "").split()
            assert all(word in left for word in plain), (event.text, text)


def _turns(sample: Sample) -> Iterator[Hear]:
    for event in sample.timeline.world:
        if isinstance(event, Hear) and event.behaviour in ("turn", "barge_in"):
            yield event


def test_a_hesitation_is_long_where_the_sentence_is_unfinished() -> None:
    cfg = config(**only("hesitation"))
    sample = sample_of(
        dialogue("I would like to go to the island with my two best friends.", LONG), cfg
    )
    [event] = _turns(sample)
    pauses = [b.start_s - a.end_s for a, b in zip(event.pieces, event.pieces[1:], strict=False)]
    assert len(pauses) == 1 and 0.69 <= pauses[0] <= 1.51
    before = event.text[: event.pieces[0].char_end].split()[-1]
    assert before in phrases("unfinished", "en")
    assert not any(event.start_s < e.start_s < event.end_s for e in sample.timeline.agent)


def test_partial_thoughts_are_written_while_the_user_speaks() -> None:
    ask = "I have a question. It is about the island. My friends want to go there. We have a car."
    sample = sample_of(dialogue(ask, LONG), config(**only("partial_thoughts")))
    notes = [e for e in sample.timeline.agent if isinstance(e, Think)]
    [user] = _turns(sample)
    assert len(notes) == 2 and all(e.while_listening for e in notes)
    assert user.start_s < notes[0].start_s < user.end_s
    for note in notes:
        [cited] = note.evidence
        assert cited.word is not None
        told = user.text[: user.words[cited.word].char_end]
        assert note.text.removesuffix(" More may follow.").split()[-1] in told.split()


def test_an_opener_needs_no_evidence_of_what_follows() -> None:
    sample = sample_of(dialogue(*TALK), config(**only("early_answer")))
    openers = [e for e in sample.timeline.agent if isinstance(e, Say) and e.behaviour == "opener"]
    assert len(openers) >= 4 and {e.text for e in openers} <= set(phrases("opener", "en"))
    assert {"early_answer", "opener"} <= set(sample.timeline.behaviours)
    user = next(_turns(sample))
    assert any(user.start_s < e.start_s < user.end_s for e in openers), "it came before the end"


def test_a_remark_comes_after_long_silence_only() -> None:
    sample = sample_of(dialogue(*TALK), config(**only("proactive")))
    remarks = [
        e for e in sample.timeline.agent if isinstance(e, Say) and e.behaviour == "proactive"
    ]
    assert len(remarks) == 2
    for remark in remarks:
        ends = [
            e.end_s
            for e in sample.timeline.agent
            if isinstance(e, Say) and e.start_s < remark.start_s
        ]
        assert remark.start_s - max(ends) >= 2.4


def test_every_turn_is_said_or_cut_by_a_named_behaviour() -> None:
    for n in range(12):
        record = dialogue(*TALK, key=f"t-{n}")
        sample = sample_of(record, config(**EVERYTHING))
        says = {
            e.turn_index: e
            for e in sample.timeline.agent
            if isinstance(e, Say) and e.behaviour == "turn"
        }
        heard = {e.turn_index: e for e in _turns(sample)}
        assert sorted(says) == [1, 3, 5] and sorted(heard) == [0, 2, 4]
        for index in says:
            said = says[index]
            assert said.text == TALK[index]
            if said.cut_s is None:
                assert said.words[-1].text == TALK[index].split()[-1]
            else:
                assert "yield" in sample.timeline.behaviours and said.cut_by is not None
        own = {
            w for e in sample.timeline.agent if isinstance(e, (Say, Write)) for w in e.text.split()
        }
        ours = {w for t in TALK[1::2] for w in t.split()}
        pool = {
            w
            for kind in ("backchannel", "opener", "proactive")
            for p in phrases(kind, "en")
            for w in p.split()
        }
        assert own <= ours | pool, (
            "no user word is in what the assistant writes or says (its notes quote)"
        )


TALKS = {
    "zh": (
        "我想去那个岛，和两个朋友一起去。你觉得怎么样？",
        "有三种办法，第一种是坐火车，第二种是开车，第三种是坐船，都很方便。",
    ),
    "ru": (
        "Я хочу поехать на остров с двумя друзьями. Что лучше?",
        "Есть три пути: поезд, машина и паром, и каждый из них по-своему хорош.",
    ),
}
MIXED = (
    "Montag 2 Freunde kommen mit zu der Insel, wie man sagt. Was ist besser, bitte?",
    "Tres maneras, tren, coche y barco, y cada una de ellas tiene su propio encanto para usted.",
)


@pytest.mark.parametrize("language", ["de", "es", "fr", "it", "pt", "zh", "ru"])
def test_other_languages_have_their_own_phrases_or_none(language: str) -> None:
    talk = TALKS.get(language, MIXED)
    for n in range(3):
        record = dialogue(*talk, talk[0], talk[1], key=f"t-{n}", language=language)
        sample = sample_of(record, config(**EVERYTHING))
        check(sample)
        assert faults(sample) == []
    assert phrases("opener", language) or language == "ru"


WORDS = st.sampled_from(
    "the a to yes no mm-hmm okay stop wait ferry island three monday please right but and 5 42".split()
)
TEXT = st.lists(WORDS, min_size=1, max_size=25).map(" ".join)
MARK = st.sampled_from([".", "?", "...", ",", "", "!"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(TEXT, MARK), min_size=2, max_size=6), st.integers(0, 9))
def test_any_dialogue_keeps_the_rules(turns: list[tuple[str, str]], n: int) -> None:
    record = dialogue(*(text + mark for text, mark in turns), key=f"h-{n}")
    sample = sample_of(record, config(**EVERYTHING))
    check(sample)
    assert faults(sample) == []


def test_a_pair_shares_all_but_what_was_added() -> None:
    cfg = config(pairs=0.5)
    records = [r for n in range(40) for r in with_twin(dialogue(*TALK, key=f"p-{n}"), cfg)]
    twins = [r for r in records if r.pair]
    assert 50 < len(records) < 70 and len(twins) == 2 * (len(records) - 40)
    assert len({r.key for r in records}) == len(records)
    clean = [r for r in twins if not r.perturb]
    assert all(isinstance(r, Dialogue) and r.draw_key == r.pair for r in clean)


def test_every_behaviour_stands_in_the_docs_as_it_is(repo: Path) -> None:
    """docs/behaviours.md is made from the config's records: python examples/behaviours.py."""
    page = (repo / "docs/behaviours.md").read_text(encoding="utf-8")
    for name, kind in behaviours().items():
        told = " ".join((inspect.getdoc(kind) or "").split())
        defaults = yaml.safe_dump(kind().model_dump(mode="json"), default_flow_style=True)
        assert told in page and f"`{name}: {defaults.strip()}`" in page
        assert (repo / f"docs/behaviours/{name}.png").is_file()


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        ({"cough": {"gain_db": [300, 400]}}, "less than or equal to 0"),
        ({"background_speech": {"gain_db": [-10, -20]}}, "above the high bound"),
        ({"proactive": {"after_s": [0.3, 0.3]}}, "take their time"),
        ({"fillers": {"rate": 1}}, "filler"),
        ({"cough": {"rate": 2}}, "scene.cough.rate"),
    ],
)
def test_settings_that_cannot_be_are_refused(scene: dict[str, Any], said: str) -> None:
    with pytest.raises(StrettoError) as refused:
        config(**scene)
    assert said in str(refused.value)


def test_false_switches_a_behaviour_off() -> None:
    scene = SceneConfig.model_validate({"cough": False, "backchannel": False, "pairs": 0.5})
    assert scene.cough.rate == 0 and scene.backchannel.per_min == 0
    assert scene == SceneConfig.model_validate(
        {"cough": {"rate": 0}, "backchannel": {"per_min": 0}, "pairs": 0.5}
    )
