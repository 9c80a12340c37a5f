"""Distributions: quantiles as numpy's, distances to people's, sums that no order changes."""

from __future__ import annotations

import json
import random
import statistics
from pathlib import Path

import numpy as np
import pytest
from corpus_fixture import dialogue, robot
from hypothesis import given
from hypothesis import strategies as st

from pipeline.distribution import QUANTILES, Distribution, distance_ms
from pipeline.human import distances, human
from pipeline.sums import Sums
from pipeline.tally import Tally

HUMAN_FTO_S = (-0.524, -0.355, -0.103, 0.131, 0.348, 0.65, 0.92)


def of(values_s: list[float]) -> Distribution:
    found = Distribution()
    found.add(values_s)
    return found


@given(st.lists(st.integers(-5000, 60_000), min_size=1, max_size=300))
def test_quantiles_are_numpys(values_ms: list[int]) -> None:
    found = of([v / 1000 for v in values_ms]).quantiles()
    assert found is not None
    expected = np.percentile(np.array(values_ms) / 1000, QUANTILES, method="linear")
    assert list(found) == [f"p{p}" for p in QUANTILES]
    assert list(found.values()) == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.floats(-5, 60, allow_nan=False), min_size=1, max_size=100))
def test_quantiles_of_any_times_are_within_half_a_millisecond(values_s: list[float]) -> None:
    expected = np.percentile(values_s, QUANTILES)
    assert list((of(values_s).quantiles() or {}).values()) == pytest.approx(expected, abs=0.000501)


def test_quantiles_by_hand() -> None:
    # places (n - 1) * p / 100 of 0, 1, 2, 3, 4: p10 is at 0.4, p75 at 3
    found = of([3.0, 0.0, 4.0, 1.0, 2.0]).quantiles()
    assert found == {"p5": 0.2, "p10": 0.4, "p25": 1, "p50": 2, "p75": 3, "p90": 3.6, "p95": 3.8}
    assert set((of([0.7]).quantiles() or {}).values()) == {0.7}
    assert (of([0.0, 0.001]).quantiles() or {})["p50"] == 0.0005


@given(st.lists(st.integers(-2000, 4000), min_size=1, max_size=60), st.integers(0, 99))
def test_neither_order_nor_batches_matter(values_ms: list[int], seed: int) -> None:
    values_s = [v / 1000 for v in values_ms]
    turned = random.Random(seed).sample(values_s, len(values_s))
    in_parts = Distribution()
    for value in turned:
        in_parts.add([value])
    assert in_parts.result() == of(values_s).result()
    assert in_parts.histogram() == of(values_s).histogram()


def test_memory_is_that_of_the_distinct_milliseconds() -> None:
    found = Distribution()
    for _ in range(50):
        found.add(v / 10_000 for v in range(10_000))
    assert found.n == 500_000 and len(found.counts) == 1001


def test_an_empty_distribution_has_no_numbers() -> None:
    nothing = Distribution()
    assert nothing.result() == {"n": 0, "mean": None, "s": None}
    assert nothing.histogram() == {} and nothing.share(0.0, 1.0) is None


def test_shares_and_means() -> None:
    found = of([v / 1000 for v in range(1001)])
    assert (found.quantiles() or {})["p50"] == statistics.median(range(1001)) / 1000
    assert found.share(0.0, 0.2) == pytest.approx(200 / 1001, abs=1e-4)
    assert found.mean == 0.5


def test_bins_of_200_ms_take_their_lower_edge() -> None:
    found = of([-0.2, -0.001, 0.0, 0.199, 0.2, 1.45]).histogram()
    assert found == {"-0.2": 2, "0.0": 2, "0.2": 1, "1.4": 1}


# ---- distances -----------------------------------------------------------------------------------


def test_people_are_no_way_from_people() -> None:
    people = dict(zip((f"p{p}" for p in QUANTILES), HUMAN_FTO_S, strict=True))
    assert distance_ms(people, human()["fto_s"]) == 0.0
    later = {name: value + 0.06 for name, value in people.items()}
    assert distance_ms(later, human()["fto_s"]) == 60.0
    # absolute differences: one quantile too early does not make up for one too late
    bent = people | {"p5": people["p5"] - 0.07, "p95": people["p95"] + 0.07}
    assert distance_ms(bent, human()["fto_s"]) == 20.0
    assert distance_ms(None, people) is None


def test_the_numbers_of_people_are_those_we_were_given(shared_dir: Path) -> None:
    facts = json.loads((shared_dir / "facts" / "turn_taking.json").read_text())["human"]
    ours = human()
    assert ours["fto_s"] == facts["fto_s"] and ours["conversations"] == facts["n_conversations"]
    assert ours["pause_s"] == facts["within_speaker_pause_s"]
    assert ours["backchannel_s"] == facts["backchannel_dur_s"]
    assert ours["silent_frac"] == facts["all_silent_frac"]
    same = ("overlap_frac", "transitions_per_min", "fto_overlap_share", "backchannels_per_min")
    for name in (*same, "fto_gap_lt_200ms_share"):
        assert ours[name] == facts[name]


def test_distances_of_a_corpus() -> None:
    tally = Tally()
    tally.add(dialogue())
    found = tally.result()
    far, taking = found["distance"], found["turn_taking"]
    # one transition to the user, at -0.55 s: every quantile is that
    expected = np.mean([abs(-0.55 - h) for h in HUMAN_FTO_S]) * 1000
    assert far["fto_user_ms"] == pytest.approx(expected, abs=0.05)
    assert far["fto_overlap_share_user_points"] == pytest.approx(100 - 34.11)
    # its murmur has the reply less than a second behind it: none by the human definition
    assert taking["said_backchannels_per_min"] == 6.0
    assert taking["both"]["backchannels_per_min"] == 0.0
    assert far["backchannels_both_per_min"] == -1.89
    assert far["pause_user_ms"] is None and far == distances(taking)


# ---- sums ----------------------------------------------------------------------------------------


def test_a_corpus_without_samples_has_no_numbers_and_no_error() -> None:
    found = Tally().result()
    assert set(found["distance"].values()) == {None}
    assert found["turn_taking"]["user"]["fto"] == {
        "n": 0,
        "mean": None,
        "s": None,
        "histogram_200ms": {},
    }
    assert found["consistency"]["mean"] is None
    json.dumps(found, allow_nan=False)


def test_robots_alone_have_no_turn_taking() -> None:
    tally = Tally()
    tally.add(robot())
    found = tally.result()
    assert found["turn_taking"]["overlap_frac"] is None
    assert found["exchange"]["after_turn"]["asked"] == 0
    assert found["actions"]["steps"] == 80


def test_the_order_of_samples_changes_no_digit() -> None:
    samples = [dialogue("dlg-one"), robot(), dialogue("dlg-two")]
    forth, back = Tally(), Tally()
    for timeline in samples:
        forth.add(timeline)
    for timeline in reversed(samples):
        back.add(timeline)
    assert json.dumps(forth.result()) == json.dumps(back.result())
    whole, parts = Tally(), [Tally() for _ in samples]
    for part, timeline in zip(parts, samples, strict=True):
        part.add(timeline)
        whole.merge(part)
    assert json.dumps(whole.result()) == json.dumps(forth.result())


def test_seconds_are_summed_exactly() -> None:
    sums = Sums()
    for _ in range(10):
        sums.add_s(speech=0.1)
    assert sums.seconds("speech") == 1.0 and sums.seconds("nothing") == 0.0
