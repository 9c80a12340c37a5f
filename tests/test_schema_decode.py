"""Every mode: the grammar reads what `compile_sample` makes, and decoding gives it back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schema_variants import NAMES, codecs_for, variants, world

from schemas.errors import StrettoError
from schemas.timeline import Say, Timeline, Write
from token_schema.decode import Decoded, decode
from token_schema.encode import Tokens, compile_sample, prompt_text
from token_schema.grammar import Grammar
from token_schema.models import ActLane, AudioLane, TextLane
from token_schema.schema import TokenSchema

FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def fps_of(timeline: Timeline) -> float | None:
    return timeline.act.fps if timeline.act else None


def whole(name: str, seed: int) -> tuple[Tokens, Decoded, Timeline, np.ndarray | None]:
    schema, codecs = variants()[name], codecs_for(name)
    timeline, media = world(seed)
    tokens = compile_sample(schema, codecs, timeline, media)
    count = timeline.act.step_count if timeline.act else None
    out = decode(schema, codecs, tokens.ids, timeline.subset, count, fps_of(timeline))
    return tokens, out, timeline, media.act()


@pytest.mark.parametrize("name", NAMES)
@FEW
@given(seed=st.integers(0, 10**6))
def test_read_tells_what_encode_tells(name: str, seed: int) -> None:
    schema, codecs = variants()[name], codecs_for(name)
    timeline, media = world(seed)
    tokens = compile_sample(schema, codecs, timeline, media)
    fps = fps_of(timeline)
    for grammar in (
        Grammar(schema, codecs, timeline.subset if fps else None, fps=fps),
        Grammar(schema, codecs),  # without the embodiment: fewer checks
    ):
        parsed = grammar.read(tokens.ids)
        for field in ("lane", "kind", "block"):
            found, wanted = getattr(parsed, field), getattr(tokens, field)
            assert found.dtype == wanted.dtype and (found == wanted).all(), field


@pytest.mark.parametrize("name", NAMES)
@FEW
@given(seed=st.integers(0, 10**6))
def test_round_trip(name: str, seed: int) -> None:
    schema, codecs = variants()[name], codecs_for(name)
    tokens, out, timeline, rows = whole(name, seed)
    assert out.block_count == int(tokens.block.max()) + 1
    if schema.prompt and "text" in schema.prompt.rows:
        assert out.prompt == prompt_text(schema, timeline)
    for i, lane in enumerate(schema.lanes):
        if isinstance(lane, TextLane):
            check_texts(schema, lane, out, timeline, tokens)
        elif isinstance(lane, ActLane) and rows is not None:
            codec = codecs.action(lane, timeline.subset)
            off = np.abs(out.actions - np.clip(rows, codec.low, codec.high)).max(axis=0)
            assert (off <= codec.max_error()).all()
        elif isinstance(lane, AudioLane) and lane.as_ != "codes":
            assert sum(out.slots(lane.name)) == len(tokens.values[lane.name])
            assert sum(out.slots(lane.name)) == ((tokens.lane == i) & (tokens.kind == 0)).sum()


def check_texts(
    schema: TokenSchema, lane: TextLane, out: Decoded, timeline: Timeline, tokens: Tokens
) -> None:
    """Each text whole, or cut as far as it came; of a lane without `end` all of them in a row."""
    events: list[Any] = [*timeline.world, *timeline.agent]
    sources = [e for e in events if e.kind == lane.channel or _result(lane, e)]
    found = out.texts(lane.name)
    if lane.end or lane.begin:
        left = [e.text for e in sources]
        for text in found:
            text = text.rstrip("\ufffd")
            match = next((x for x in left if x == text), None) or next(
                (x for x in left if x.startswith(text)), None
            )
            assert match is not None, (text, left)
            left.remove(match)
        missing = tokens.report.silent_events + len(timeline.world)
        assert len(left) <= missing or schema.clock.tail == "drop"
    elif schema.timing == "turns":
        said = "".join(found).replace(" ", "")
        uncut = [e for e in sources if getattr(e, "cut_s", None) is None]
        assert all(e.text.replace(" ", "") in said for e in uncut)
    elif not any(getattr(e, "cut_s", None) for e in sources) and schema.clock.tail == "extend":
        assert "".join(found) == "".join(e.text for e in sources)


def _result(lane: TextLane, event: object) -> bool:
    return lane.channel == "typed" and getattr(event, "kind", "") == "tool_result"


@pytest.mark.parametrize("name", [n for n in NAMES if variants()[n].timing == "frames"])
def test_parallel_codes_come_back_without_their_delays(name: str) -> None:
    """Frame f of codebook q stands in step f + shift: worked out here from the rows alone."""
    schema, codecs = variants()[name], codecs_for(name)
    tokens, out, _, _ = whole(name, 3)
    rows = tokens.ids.reshape(-1, tokens.streams)[tokens.block[:: tokens.streams] >= 0]
    kinds = tokens.kind.reshape(-1, tokens.streams)[tokens.block[:: tokens.streams] >= 0]
    column = 0
    for s in schema.streams:
        lane = schema.lanes[s.lane]
        if isinstance(lane, AudioLane):
            ahead = -(-codecs.get(lane.codec).lookahead_s * lane.rate_hz // 1)
            shift = lane.delay + (lane.delays or (0,) * lane.codebooks)[s.book] + int(ahead)
            first = codecs.vocabulary.range(lane.codec).book(s.book)[0]
            wanted = np.where(kinds[shift:, column] == 0, rows[shift:, column] - first, -1)
            assert (out.frames(lane.name)[: len(wanted), s.book] == wanted).all()
            assert (wanted >= 0).any()
        column += 1


def test_block_delays_are_taken_back() -> None:
    """`cells`: listen one block late, speak two; frame f of the codec is frame f of `frames`."""
    schema, codecs = variants()["cells"], codecs_for("cells")
    timeline, media = world(5)
    tokens = compile_sample(schema, codecs, timeline, media)
    out = decode(schema, codecs, tokens.ids, timeline.subset)
    n = len(media.listen()) // codecs.get("audio").frame_samples - 5
    heard = codecs.get("audio").encode(media.listen())[:n, :2]
    assert (out.frames("listen")[:n] == heard).all()
    spoken = codecs.get("audio").encode(media.speak())[:n]
    found = out.frames("speak")[:n]  # it may end when all is said
    there = (found >= 0).all(axis=1)
    assert there.any() and (found[there] == spoken[: len(found)][there]).all()


def test_a_cut_turn_says_so() -> None:
    turns = variants()["pairs"].clock.turns
    assert turns is not None
    for seed in range(200):
        timeline, _ = world(seed)
        if any(isinstance(e, (Say, Write)) and e.cut_s for e in timeline.agent):
            tokens, out, _, _ = whole("pairs", seed)
            cut = codecs_for("pairs").vocabulary.id(turns.cut)
            if cut in tokens.ids and any(e.ended == "cut" for e in out.lane_texts["write"]):
                return
    pytest.fail("no cut text among 200 worlds")


def test_too_many_steps_wanted() -> None:
    schema, codecs = variants()["words"], codecs_for("words")
    seed = next(s for s in range(50) if world(s)[0].act)
    timeline, media = world(seed)
    tokens = compile_sample(schema, codecs, timeline, media)
    with pytest.raises(StrettoError, match="action rows, 9999 wanted"):
        decode(schema, codecs, tokens.ids, timeline.subset, 9999, 10.0)
