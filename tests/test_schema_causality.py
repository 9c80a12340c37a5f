"""Promises 2 and 3 for every feature of the blocks mode, in generated worlds."""

from __future__ import annotations

import numpy as np
import pytest
from block_variants import LATE, VARIANTS, VIEWS, cut_at, graft, names, worlds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schema_samples import (
    ArrayMedia,
    blocks_of,
    codec_set,
    hear,
    sample,
    schema_of,
    spoken,
    typed,
    write,
)

from schemas.errors import StrettoError
from schemas.timeline import Hear, Timeline, TypedInput
from token_schema.encode import CLOSE, CONTENT, Tokens, compile_sample
from token_schema.language import TokenSchema
from token_schema.models import AudioLane

SLOW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def encode(timeline: Timeline, media: ArrayMedia, schema: TokenSchema) -> Tokens:
    return compile_sample(schema, codec_set(schema), timeline, media)


def same_where_known(schema: TokenSchema, a: Tokens, b: Tokens, until_s: float) -> None:
    """Every token with known_s <= until_s is the same, and at the same position, in both.

    A delayed input is not told to its end: then one of the two may end sooner.
    """
    known = [int((x.known_s <= until_s).sum()) for x in (a, b)]
    n = min(known)
    assert known[0] == known[1] or (schema.name == "late" and n in (len(a), len(b)))
    for field in ("ids", "lane", "kind", "block", "loss", "known_s"):
        assert np.array_equal(getattr(a, field)[:n], getattr(b, field)[:n]), field
    for i, lane in enumerate(schema.lanes):
        if lane.name in a.values:
            rows = int(((a.lane[:n] == i) & (a.kind[:n] == CONTENT)).sum())
            assert np.array_equal(a.values[lane.name][:rows], b.values[lane.name][:rows])


@SLOW
@given(names, st.data(), st.booleans(), st.integers(5, 99))
def test_tokens_tell_nothing_of_the_future(
    name: str, data: st.DataObject, robot: bool, percent: int
) -> None:
    """Promise 2: another world after T changes no token that is known by T.

    T lies inside both: the last cell of a sample knows that none follows.
    """
    timeline, media = data.draw(worlds(robot, writes=2))
    other, other_media = data.draw(worlds(robot, writes=2))
    schema = VARIANTS[name]
    t = round(min(timeline.duration_s, other.duration_s) * percent / 100, 3)
    a = encode(timeline, media, schema)
    b = encode(*graft(timeline, media, other, other_media, t), schema)
    same_where_known(schema, a, b, t)


@SLOW
@given(names, worlds(), st.floats(0.05, 1))
def test_a_cut_sample_equals_its_twin_until_the_cut(
    name: str, world: tuple[Timeline, ArrayMedia], part: float
) -> None:
    """Promise 3: what the barge-in cuts is placed and coded as if whole until `cut_s`."""
    whole, media = world
    cut_s, schema = round(part * whole.duration_s, 3), VARIANTS[name]
    a, b = encode(whole, media, schema), encode(*cut_at(whole, media, cut_s), schema)
    same_where_known(schema, a, b, np.nextafter(cut_s, 0))


@SLOW
@given(names, worlds())
def test_known_never_falls_and_counts_the_inputs(
    name: str, world: tuple[Timeline, ArrayMedia]
) -> None:
    """An input code counts its own sound, look-ahead included; what follows it no less."""
    schema, (timeline, media) = VARIANTS[name], world
    tokens = encode(timeline, media, schema)
    assert (np.diff(tokens.known_s) >= 0).all() and not tokens.known_s[tokens.block < 0].any()
    carry_s = 0.04 if name == "carry" else 0.0  # half a frame: what is heard is waited for
    assert tokens.known_s.max() <= schema.block_s * tokens.report.blocks + carry_s + 1e-6
    at = next(i for i, x in enumerate(schema.lanes) if x.channel == "listen")
    lane = schema.lanes[at]
    assert isinstance(lane, AudioLane)
    heard = tokens.known_s[(tokens.lane == at) & (tokens.kind == CONTENT)]
    frame = np.arange(len(heard)) // (lane.codebooks if lane.as_ == "codes" else 1)
    ahead = codec_set(schema).get(lane.codec).lookahead_s if lane.as_ == "codes" else 0
    looks = tokens.known_s[(tokens.lane == 0) & (schema.lanes[0].channel == "look")]
    own = np.round((frame + 1) / lane.rate_hz + ahead, 6)
    assert (heard >= own).all() if len(looks) else np.allclose(heard, own)


@SLOW
@given(names, worlds())
def test_nothing_is_dropped_in_silence_and_all_is_where_it_says(
    name: str, world: tuple[Timeline, ArrayMedia]
) -> None:
    schema, (timeline, media) = VARIANTS[name], world
    tokens = encode(timeline, media, schema)
    assert tokens.report.tail_blocks >= 0 and len(tokens) == len(tokens.ids) == len(tokens.loss)
    assert set(tokens.block) == set(range(-1 if schema.prompt else 0, tokens.report.blocks))
    assert (np.diff(tokens.block) >= 0).all()
    if schema.clock.tail == "extend":
        assert tokens.report.dropped_text_tokens == 0
    for i, lane in enumerate(schema.lanes):
        if lane.name in tokens.values:
            content = (tokens.lane == i) & (tokens.kind == CONTENT)
            assert tokens.values[lane.name].shape == (content.sum(), 160)


# ---- by hand -----------------------------------------------------------------------------------


def test_what_is_heard_is_written_when_its_words_have_ended() -> None:
    """By hand, words of 0.5 s from 0.2 s on: they end at 0.7, 1.2 and 1.7."""
    schema = schema_of(VIEWS)
    late = hear("b", "Z", 0.9, 0.2)  # into the turn of another: after it
    timeline, media = sample(3.0, world=[hear("a", "A B C", 0.2, 0.5), late, typed("t", "Q", 0.9)])
    tokens = encode(timeline, media, schema)
    assert blocks_of(tokens, schema, "hear") == [
        ["<begin>", "A"],
        [" ", "B", " ", "C"],  # a pause or the end? nothing tells before the sample is over
        ["<none>"],
        ["<end>", "<begin>", "Z", "<end>"],
    ]
    # what was typed at 0.9 is read at the start of block 1: `typed` stands before `listen`
    assert blocks_of(tokens, schema, "typed") == [
        ["<none>"],
        ["Q", "<end>"],
        ["<none>"],
        ["<none>"],
    ]
    assert tokens.report.not_placed == {}


def test_no_word_is_written_before_it_has_ended() -> None:
    timeline, media = sample(4.0, world=[hear("a", "A B C D", 0.3, 0.7), typed("t", "Q", 2.5)])
    tokens = encode(timeline, media, VARIANTS["views"])
    by_letter = {w.text: w.end_s for e in timeline.world if isinstance(e, Hear) for w in e.words}
    by_letter |= {e.text: e.revealed_s for e in timeline.world if isinstance(e, TypedInput)}
    codecs, found = codec_set(VARIANTS["views"]), 0
    r = codecs.vocabulary.range("text")
    for i in np.flatnonzero((tokens.ids >= r.start) & (tokens.ids < r.stop) & (tokens.block >= 0)):
        letter = codecs.get("text").piece(int(tokens.ids[i]) - r.start).decode().strip()
        if letter:
            assert tokens.known_s[i] >= by_letter[letter]
            found += 1
    assert found == len(by_letter)


def test_a_delayed_input_tells_later() -> None:
    """`late`: blocks of 0.5 s, listen 2 blocks late through a codec that looks ahead by 0.15 s.

    So its codes stand 12 frames late and block b knows the world to (b + 1) / 2 - 1.2 s.
    """
    schema = VARIANTS["late"]
    timeline, media = sample(4.0, [write("w", "W", 0.5), write("v", "V", 0.300001)])
    tokens = encode(timeline, media, schema)
    listen = blocks_of(tokens, schema, "listen")
    assert (
        listen[0] == listen[1] == ["<pad>"] * 5 and listen[2][:3] == ["<pad>"] * 2 + listen[2][2:3]
    )
    written = blocks_of(tokens, schema, "write")
    # 0.3 s are known at the end of block 2, 0.8 s at the end of block 3
    assert written[2] == ["<silence>"] and written[3] == ["V", "<end>", "W", "<end>"]
    codec = codec_set(schema).get("audio-ahead")
    shown = [name.rpartition(":")[2] for block in listen for name in block][12:]
    padded = np.concatenate([media.heard, np.zeros(16000, np.int16)])
    assert [int(x) for x in shown] == codec.encode(padded)[: len(shown), 0].tolist()


def test_an_output_ahead_of_a_delayed_input_is_refused() -> None:
    with pytest.raises(StrettoError, match="lane speak: delay: comes 1 blocks late, `listen` 2"):
        schema_of(LATE.replace("codebooks: 4, delay: 3", "codebooks: 4, delay: 1"))
    ahead = schema_of(LATE.replace("codebooks: 4, delay: 3", "codebooks: 4, delay: 2"))
    with pytest.raises(StrettoError, match="comes 0.2 s before what it answers.*by 1 blocks more"):
        codec_set(ahead)


def test_a_delayed_output_is_said_to_its_end() -> None:
    schema = schema_of(LATE, tail="drop")
    timeline, media = sample(2.0, [spoken("s", "A B C D", 1.0, 0.25)])
    tokens = encode(timeline, media, schema)
    assert tokens.report.tail_blocks == 3 and tokens.report.blocks == 7
    speak = blocks_of(tokens, schema, "speak")
    assert speak[:3] == [["<pad>"] * 20] * 3
    r = codec_set(schema).vocabulary.range("audio")
    codes = codec_set(schema).get("audio").encode(media.spoken)
    wanted = [f"audio:{q}:{c}" for row in codes for q, c in enumerate(row)]
    assert [x for block in speak[3:] for x in block] == wanted and r.codebooks == 4
    closes = tokens.lane[tokens.kind == CLOSE]
    assert (closes == 3).sum() == 7
