"""Text in blocks: budget, spill, cuts, and the times of words and sentences."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schema_samples import (
    SMALL,
    ArrayMedia,
    blocks_of,
    codec_set,
    cut_say,
    sample,
    schema_of,
    spoken,
    write,
)

from schemas.timeline import Timeline
from token_schema.decode import Decoded, decode
from token_schema.encode import Tokens, compile_sample
from token_schema.language import TokenSchema
from token_schema.layouts import text_lanes
from token_schema.layouts.placement import Cells, Marks, QueuedText, place_text
from token_schema.models import TextLane


def encode(timeline: Timeline, media: ArrayMedia, schema: TokenSchema = SMALL) -> Tokens:
    return compile_sample(schema, codec_set(schema), timeline, media)


def back(tokens: Tokens, timeline: Timeline, schema: TokenSchema = SMALL) -> Decoded:
    act = timeline.act
    fps, steps = (act.fps, act.step_count) if act else (None, None)
    return decode(
        schema, codec_set(schema), tokens.ids, timeline.subset if act else None, steps, fps
    )


def test_a_full_block_ends_without_its_end_which_spills() -> None:
    timeline, media = sample(4.0, [write("a", "ABCDEFGH", 0.0), write("b", "XY", 1.5)])
    tokens = encode(timeline, media)
    blocks = blocks_of(tokens, SMALL, "write")
    assert len(blocks[0]) == 8 and "<end>" not in blocks[0]
    # block 1 is known to 2.0 s: the end of the first text and the whole second
    assert blocks[1] == ["<end>", "X", "Y", "<end>"] and blocks[2] == ["<silence>"]
    assert back(tokens, timeline).texts("write") == ["ABCDEFGH", "XY"]


def test_text_waits_until_it_is_decided() -> None:
    timeline, media = sample(4.0, [write("a", "A", 2.0), write("b", "B", 2.000001)])
    events = back(encode(timeline, media), timeline).lane_texts["write"]
    assert [(e.text, e.first_block) for e in events] == [("A", 1), ("B", 2)]


def test_the_tail_goes_on_until_all_is_written_or_drops_and_counts() -> None:
    timeline, media = sample(2.0, [write("a", "ABCDEFGHIJKLMNOPQRSTUVWXY", 1.5)], moves=(5, 10))
    tokens = encode(timeline, media)
    # 25 letters and <end>: 8 in block 1, 18 in three tail blocks
    assert tokens.report.tail_blocks == 3 and tokens.report.dropped_text_tokens == 0
    out = back(tokens, timeline)
    assert out.texts("write") == ["ABCDEFGHIJKLMNOPQRSTUVWXY"]
    assert len(out.actions) == 20  # type: ignore[arg-type]
    assert blocks_of(tokens, SMALL, "act")[4] == ["<hold>"]
    assert blocks_of(tokens, SMALL, "listen")[4] == ["audio:0:0"] * 10
    look = blocks_of(tokens, SMALL, "look")
    assert len(look[2]) == 4 and look[4] == look[2]
    short = encode(timeline, media, schema_of(tail="drop"))
    assert short.report.tail_blocks == 0 and short.report.dropped_text_tokens == 17
    events = back(short, timeline, schema_of(tail="drop")).lane_texts["write"]
    assert [(e.text, e.ended) for e in events] == [("ABCDEFGH", "open")]


def test_a_cut_text_ends_in_cut_and_its_rest_is_counted() -> None:
    timeline, media = sample(
        5.0,
        [
            write("a", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 0.5, cut_s=2.4),
            write("b", "NEXT", 2.4),
            write("c", "NEVER", 2.2, cut_s=2.4),
        ],
    )
    tokens = encode(timeline, media)
    events = back(tokens, timeline).lane_texts["write"]
    assert [(e.text, e.ended, e.first_block) for e in events] == [
        ("ABCDEFGHIJKLMNOP", "cut", 0),
        ("NEXT", "end", 2),
    ]
    assert tokens.report.dropped_text_tokens == 10 + len("NEVER")
    assert tokens.report.silent_events == 1


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.floats(0, 9), st.none() | st.floats(0, 12)), max_size=6
    ),
    st.integers(1, 9),
    st.integers(1, 8),
    st.booleans(),
)
def test_placement_keeps_order_budget_and_every_token(
    events: list[tuple[int, float, float | None]], budget: int, n_blocks: int, one_event: bool
) -> None:
    queue = [
        QueuedText(
            str(i),
            tuple(range(100 * i, 100 * i + n)),
            decided_s,
            None if cut_s is None else decided_s + cut_s,
        )
        for i, (n, decided_s, cut_s) in enumerate(events)
    ]
    known = lambda b: b + 1.0  # noqa: E731
    placed = place_text(
        queue, Cells(n_blocks, known, known, budget, True, one_event), Marks(-1, -2)
    )
    flat = [t for block in placed.blocks for t in block]
    assert all(len(block) <= budget for block in placed.blocks)
    assert sum(t >= 0 for t in flat) + placed.dropped == sum(n for n, _, _ in events)
    assert flat.count(-1) + flat.count(-2) + placed.silent_events == len(events)
    for b, block in enumerate(placed.blocks):
        assert not one_event or sum(t < 0 for t in block) <= 1
        for t in block:
            if t >= 0:
                event = queue[t // 100]
                assert event.decided_s <= b + 1.0
                assert event.cut_s is None or b + 1.0 < event.cut_s
    for i in range(len(events)):
        mine = [t for t in flat if t >= 0 and t // 100 == i]
        assert mine == list(range(100 * i, 100 * i + len(mine)))
    if all(cut_s is None for _, _, cut_s in events):
        assert placed.dropped == 0


# ---- the times of words and sentences ----------------------------------------------------------

# three words of two letters and a sentence of one; letters are ids of their own, spaces too
SAID = spoken("s", "AB CD. EF", 1.0, 0.4)  # AB 1.0, CD. 1.4, EF 2.2 (a pause of one word)


def ready(placement: str, said: object = SAID, **fields: object) -> list[tuple[str, float]]:
    """(text, ready_s) of each id of the Say under a placement."""
    lane = TextLane.model_validate(
        {
            "name": "say",
            "channel": "say",
            "as": "text",
            "placement": placement,
            "budget": 9,
            **fields,
        }
    )
    codecs = codec_set(SMALL)
    timeline, _ = sample(4.0, [said])  # type: ignore[list-item]
    (event,) = text_lanes.queue(lane, codecs, timeline)
    start, codec = codecs.vocabulary.range("text").start, codecs.get("text")
    letters = [codec.piece(i - start).decode() for i in event.ids]
    return [(x, round(t, 6)) for x, t in zip(letters, event.ready_s, strict=True)]


def test_a_word_is_ready_when_it_starts() -> None:
    first = [("A", 1.0), ("B", 1.0), (" ", 1.4), ("C", 1.4), ("D", 1.4), (".", 1.4)]
    assert ready("word") == [*first, (" ", 2.2), ("E", 2.2), ("F", 2.2)]
    assert [t for _, t in ready("word", offset_s=-0.5)] == [0.5] * 2 + [0.9] * 4 + [1.7] * 3


def test_a_sentence_is_ready_as_a_whole() -> None:
    assert [t for _, t in ready("sentence")] == [1.0] * 6 + [2.2] * 3


def test_the_ids_of_a_word_are_spread_over_it() -> None:
    times = [1.0, 1.2, 1.4, 1.5, 1.6, 1.7, 2.2, 2.333333, 2.466667]
    assert [t for _, t in ready("tail")] == times


@pytest.mark.parametrize("placement", ["word", "sentence", "tail"])
@pytest.mark.parametrize("cut_s", [1.5, 1.8, 2.4])
def test_a_cut_changes_no_time_of_the_plan(placement: str, cut_s: float) -> None:
    assert ready(placement, cut_say(SAID, cut_s)) == ready(placement)


def test_what_a_cut_of_an_old_timeline_left_out_is_never_ready() -> None:
    """Timeline 1.0 did not keep what was left unsaid."""
    old = {"unsaid_words": (), "unsaid_pieces": ()}
    for placement in ("word", "sentence"):
        cut = ready(placement, cut_say(SAID, 1.5).model_copy(update=old))
        assert cut[:6] == ready(placement)[:6]
        assert [t for _, t in cut[6:]] == [math.inf] * 3


TIMED = """
name: timed
mode: interleaved
clock: {block_s: 0.5}
lanes:
  - listen: {as: slots, rate_hz: 10, slot: <heard>}
  - say: {as: text, budget: 4, fixed: true, placement: word, hold: true, idle: <none>, wait: <wait>,
          begin: <begin>, end: <end>, cut: <cut>}
"""


def test_words_stand_in_their_blocks_and_the_end_waits_for_the_speech() -> None:
    """By hand: blocks end at 0.5, 1.0, 1.5 ...; a word stands where it starts before the end."""
    schema = schema_of(TIMED)
    none, wait = ["<none>"] * 4, ["<wait>"] * 4
    tokens = encode(*sample(3.5, [SAID]), schema)
    assert blocks_of(tokens, schema, "say") == [
        none,
        none,
        ["<begin>", "A", "B", " "],  # CD. starts at 1.4
        ["C", "D", ".", "<wait>"],
        [" ", "E", "F", "<wait>"],
        ["<end>", "<none>", "<none>", "<none>"],  # the speech ends at 2.6
        none,
    ]
    cut = encode(*sample(3.5, [cut_say(SAID, 2.1)]), schema)
    assert blocks_of(cut, schema, "say")[2:6] == [
        ["<begin>", "A", "B", " "],
        ["C", "D", ".", "<wait>"],
        ["<cut>", "<none>", "<none>", "<none>"],
        none,
    ]
    assert cut.report.dropped_text_tokens == 3 and wait not in blocks_of(cut, schema, "say")
