"""Promises 2 and 3 for every preset, in generated worlds.

Another future after T (other words, pictures, actions, decisions, a barge-in, another end) changes
no token that is known by T; what a barge-in cuts is emitted as if whole until the cut is known.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from known_tokens import assert_same_where_known
from preset_codecs import preset_set
from preset_worlds import Plan, built, cut_at, graft, without_cuts, worlds
from schema_samples import hear, spoken, write

from token_schema.encode import Tokens, compile_sample
from token_schema.language import list_presets, load_schema
from token_schema.models import AudioLane
from token_schema.schema import TokenSchema

PRESETS = list_presets()
FEW = settings(
    max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


def encode(name: str, plan: Plan) -> Tokens:
    return compile_sample(load_schema(name), preset_set(name), *built(plan))


@pytest.mark.parametrize("name", PRESETS)
@FEW
@given(
    data=st.data(),
    one=worlds(),
    percent=st.integers(3, 99),  # at its end a world tells that it is over
    gap_s=st.sampled_from([0.0, 0.2, 1.1]),
    interrupts=st.booleans(),
    near=st.booleans(),
)
def test_tokens_tell_nothing_of_the_future(
    name: str,
    data: st.DataObject,
    one: Plan,
    percent: int,
    gap_s: float,
    interrupts: bool,
    near: bool,
) -> None:
    other = data.draw(worlds(one.robot))
    last_s = min(one.duration_s, other.duration_s)
    t = round(last_s * percent / 100, 3)
    times = [e.decided_s for e in (*one.agent, *other.agent)]
    times = [round(x - d, 3) for x in times for d in (0, 0.001, 0.03) if 0.03 < x < last_s]
    if near and times:
        t = data.draw(st.sampled_from(times))
    a, b = encode(name, one), encode(name, graft(one, other, t, gap_s, interrupts))
    n = assert_same_where_known(load_schema(name), a, b, t)
    assert n == (a.known_s <= t).sum() or n == (b.known_s <= t).sum()


@pytest.mark.parametrize("name", PRESETS)
@FEW
@given(one=worlds(), part=st.floats(0.05, 1))
def test_a_cut_sample_equals_its_twin_until_the_cut(name: str, one: Plan, part: float) -> None:
    """The twin is heard alike, so every token that does not know of the cut is the same.

    But speech in steps: the code of the frame in which the cut lies stands in a step that begins
    before it. The step knows why (it was revealed a reaction earlier), so that code may differ.
    """
    twin, schema = without_cuts(one), load_schema(name)
    cut_s = round(part * twin.duration_s, 3)
    a, b = encode(name, twin), encode(name, cut_at(twin, cut_s))
    before_s = float(np.nextafter(cut_s, 0))
    if schema.timing == "frames":
        same_before_cut(schema, a, b, cut_s)
    else:
        assert_same_where_known(schema, a, b, before_s)


def same_before_cut(schema: TokenSchema, a: Tokens, b: Tokens, cut_s: float) -> None:
    """In steps, stream by stream: the last step before the cut's frame is out may be unlike."""
    n = min(len(a), len(b))
    own = a.known_s[:n] < cut_s
    for i, lane in enumerate(schema.lanes):
        if isinstance(lane, AudioLane) and lane.channel == "speak":
            shift = lane.delay + min(lane.delays or (0,))
            # codebook 0 leads; the others are later than their frame by more
            frame_end_s = np.round((a.block[:n] - shift + 1) * schema.block_s, 6)
            own &= (a.lane[:n] != i) | (a.block[:n] < 0) | (frame_end_s <= cut_s)
    for field in ("ids", "kind", "loss"):
        x, y = (getattr(t, field)[:n][own] for t in (a, b))
        assert np.array_equal(x, y), (field, np.flatnonzero(own)[x != y][:3])
    short = min(len(a), len(b))
    assert (a.known_s[short:] >= cut_s).all() and (b.known_s[short:] >= cut_s).all()


@pytest.mark.parametrize("name", PRESETS)
@FEW
@given(one=worlds())
def test_known_never_falls_and_nothing_comes_before_it_is_decided(name: str, one: Plan) -> None:
    """Without what the agent decides after T, all tokens known before T are the same: so no token
    with known_s < decided_s rests on a decision."""
    schema, whole = load_schema(name), encode(name, one)
    assert (np.diff(whole.known_s) >= 0).all() and not whole.known_s[whole.block < 0].any()
    assert whole.known_s.min() >= 0
    if not one.agent:
        return
    first_s = min(e.decided_s for e in one.agent)
    silent = Plan(**{**vars(one), "agent": (), "cuts": ()})
    until_s = float(np.nextafter(first_s, 0))
    if until_s > 0:
        quiet = encode(name, silent)
        n = assert_same_where_known(schema, whole, quiet, min(until_s, one.duration_s))
        assert n == (whole.known_s <= until_s).sum() or n == len(quiet) or schema.timing == "turns"


@pytest.mark.parametrize("name", PRESETS)
def test_a_leak_would_be_found(name: str) -> None:
    """The comparison can fail: other words (and so another sound) for what was decided before T."""
    schema = load_schema(name)
    first = hear("h", "a brown fox", 0.1)

    def plan(words: str) -> Plan:
        said = spoken("s", words, 1.6).model_copy(update={"decided_s": 1.4})
        agent = (said, write("w", words, 1.4), write("v", words, 1.4))
        return Plan(4.0, (first,), agent, (), 1, False)

    t_s = 3.9 if schema.timing == "turns" else 3.0
    a, b = encode(name, plan("fox jumps over.")), encode(name, plan("the drawer over a brown fox."))
    with pytest.raises(AssertionError):
        assert_same_where_known(schema, a, b, t_s)
