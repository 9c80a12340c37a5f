"""Every mode: what was changed is refused or is a sample of its own, and every walk over `allowed`
is a sample."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schema_argument import argue
from schema_variants import NAMES, codecs_for, variants, world

from schemas.errors import StrettoError
from token_schema.decode import decode
from token_schema.encode import compile_sample
from token_schema.grammar import Grammar
from token_schema.language import parse_schema
from token_schema.models import TextLane
from token_schema.tokens import CLOSE

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
KINDS = ["replace", "special", "delete", "double", "swap", "truncate", "move"]


@lru_cache
def sound(name: str, seed: int) -> tuple[Grammar, list[int], str | None, float | None]:
    schema, codecs = variants()[name], codecs_for(name)
    timeline, media = world(seed)
    tokens = compile_sample(schema, codecs, timeline, media)
    fps = timeline.act.fps if timeline.act else None
    subset = timeline.subset if fps else None
    return Grammar(schema, codecs, subset, fps=fps), tokens.ids.tolist(), subset, fps


def changed(ids: list[int], specials: list[int], size: int, data: st.DataObject) -> list[int]:
    at = data.draw(st.integers(0, len(ids) - 1))
    other = data.draw(st.integers(0, len(ids) - 1))
    kind = data.draw(st.sampled_from(KINDS))
    if kind == "truncate":
        return ids[:at]
    if kind == "swap":
        out = list(ids)
        out[at], out[other] = out[other], out[at]
        return out
    middle = {
        "replace": lambda: [data.draw(st.integers(0, size - 1))],
        "special": lambda: [data.draw(st.sampled_from(specials))],
        "delete": list,
        "double": lambda: [ids[at]] * 2,
        "move": lambda: [ids[other], ids[at]],
    }[kind]()
    return ids[:at] + middle + ids[at + 1 :]


@pytest.mark.parametrize("name", NAMES)
@QUICK
@given(seed=st.integers(0, 3), data=st.data())
def test_a_mutated_sequence_is_refused_or_is_another_sample(
    name: str, seed: int, data: st.DataObject
) -> None:
    schema, codecs = variants()[name], codecs_for(name)
    grammar, ids, subset, fps = sound(name, seed)
    vocabulary = codecs.vocabulary
    specials = [vocabulary.id(t) for t in schema.specials()]
    mutated = changed(ids, specials, vocabulary.size, data)
    try:
        parsed = grammar.read(mutated)
    except StrettoError as error:
        assert "expected " in str(error)
        at = str(error).split(":")[0]
        assert "position " in at and ("prompt" in at or any(u in at for u in UNITS))
        return
    argue(schema, codecs, mutated, parsed)
    decode(schema, codecs, mutated, subset, None, fps)


UNITS = ("block ", "step ", "turn ")


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), robotic=st.booleans())
def test_every_walk_over_allowed_ids_is_a_sample(name: str, seed: int, robotic: bool) -> None:
    """`allowed`, `step`, `may_end`, `check` and `read` agree: constrained decoding stays valid."""
    schema, codecs = variants()[name], codecs_for(name)
    fps = 10.0 if robotic and "arm" in " ".join(codecs.codecs) else None
    grammar = Grammar(schema, codecs, "arm" if fps else None, fps=fps)
    special = np.zeros(codecs.vocabulary.size, bool)
    special[[codecs.vocabulary.id(t) for t in schema.specials()]] = True
    rng, state, out = np.random.default_rng(seed), grammar.start, []
    while not (state.block >= 2 and grammar.may_end(state)):
        mask = grammar.allowed(state)
        choices, others = np.flatnonzero(mask), np.flatnonzero(~mask)
        with pytest.raises(StrettoError, match="expected "):
            grammar.step(state, int(rng.choice(others)))
        # special tokens are few: take one often, or text would never end
        few = np.flatnonzero(mask & special)
        out.append(int(rng.choice(few if len(few) and rng.random() < 0.4 else choices)))
        before, state = state, grammar.step(state, out[-1])
        assert grammar.step(before, out[-1]) == state
        assert len(out) < 40_000
    grammar.check(out)
    argue(schema, codecs, out, grammar.read(out))
    decode(schema, codecs, out, "arm" if fps else None, None, fps)


@pytest.mark.parametrize("name", NAMES)
def test_encode_never_leaves_what_is_allowed(name: str) -> None:
    """Step by step along a real sample: its next id is among those allowed."""
    grammar, ids, _, _ = sound(name, 1)
    state = grammar.start
    for token_id in ids[:3000]:
        assert grammar.allowed(state)[token_id]
        state = grammar.step(state, token_id)
    if len(ids) <= 3000:
        assert grammar.may_end(state)


def refused(name: str, ids: list[int]) -> str:
    with pytest.raises(StrettoError) as caught:
        Grammar(variants()[name], codecs_for(name)).check(ids)
    return str(caught.value)


def test_an_error_of_the_parallel_mode_names_step_lane_and_stream() -> None:
    codecs, schema = codecs_for("words"), variants()["words"]
    _, ids, _, _ = sound("words", 0)
    n = len(schema.streams)
    at = 20 * n + 3  # codebook 1 of `speak`
    ids = [*ids[:at], codecs.vocabulary.id("audio-12hz5:0:1"), *ids[at + 1 :]]
    text = refused("words", ids)
    assert text.startswith(f"position {at}, step 20, lane speak, stream 3: id ")
    assert "of codebook 1" in text or "expected <quiet>" in text


def test_a_silent_frame_is_silent_in_every_codebook() -> None:
    """`words`: codebook 1 shows a frame first; the others, later, say the same of it."""
    codecs, schema = codecs_for("words"), variants()["words"]
    _, ids, _, _ = sound("words", 0)
    quiet = codecs.vocabulary.id("<quiet>")
    n = len(schema.streams)
    steps = [t for t in range(3, len(ids) // n) if ids[t * n + 2] == quiet]  # codebook 0
    assert steps
    at = steps[0] * n + 2
    text = refused("words", [*ids[:at], codecs.vocabulary.id("audio-12hz5:0:1"), *ids[at + 1 :]])
    assert text.startswith(f"position {at}, step {steps[0]}, lane speak") and "<quiet>" in text


def test_text_that_waits_for_nothing_fills_its_block() -> None:
    """`phased`, fifo: a full cell whose event goes on lacks nothing; `cells`, by word, may wait."""
    for name, lane, fills in (("phased", "write", True), ("cells", "say", False)):
        schema, codecs = variants()[name], codecs_for(name)
        found = schema.lane(lane)
        assert isinstance(found, TextLane)
        r, at = codecs.vocabulary.range("text"), schema.lanes.index(found)
        for seed in range(30):
            grammar, ids, _, _ = sound(name, seed)
            mine = grammar.read(ids)
            closes = np.flatnonzero((mine.lane == at) & (mine.kind == CLOSE)).tolist()
            cells = [(i, ids[i - (found.budget or 0) : i]) for i in closes]
            full = [i for i, cell in cells if all(r.start <= t < r.stop for t in cell)]
            if full:
                break
        short = ids[: full[0] - 1] + ids[full[0] :]
        if fills:
            assert f"lane {lane}" in refused(name, short)
        else:
            grammar.check(short)


def test_an_active_phase_has_something_to_say() -> None:
    """`owes`: nothing was written and nothing sounds, so the phase would have been idle."""
    codecs = codecs_for("owes")
    _, ids, _, _ = sound("owes", 0)
    vocabulary = codecs.vocabulary
    go, mute, quiet = (vocabulary.id(t) for t in ("<go>", "<mute>", "<q>"))
    at = ids.index(mute)
    empty = [go, vocabulary.id("<eow>"), quiet]
    text = refused("owes", [*ids[:at], *empty, *ids[at + 1 :]])
    assert f"position {at + 2}, block " in text and "lane speak" in text


def test_two_lanes_that_cannot_be_told_apart() -> None:
    text = {"as": "text", "budget": 3, "idle": "<i>", "end": "<e>"}
    lanes = [
        {"listen": {"as": "slots", "rate_hz": 5, "slot": "<s>"}},
        {"think": text},
        {"write": {**text, "idle": "<j>"}},
    ]
    data = {
        "name": "twins",
        "mode": "interleaved",
        "clock": {"block_s": 1.0, "open": "<u>", "close": "</u>"},
        "lanes": lanes,
    }
    with pytest.raises(StrettoError, match="lane think: its text runs into that of 'write'"):
        parse_schema(data, "twins.yaml")
