"""Encode and decode: a golden sample by hand, budgets and spill, round trips, and causality."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from schema_samples import ArrayMedia, codec_set, picture, sample, say, write

from schemas.errors import StrettoError
from schemas.timeline import Say, Think, Timeline, ToolCall, Write
from token_schema.decode import Decoded, decode
from token_schema.encode import CLOSE, CONTENT, IDLE, OPEN, Tokens, compile_sample, prompt_text
from token_schema.language import PRESETS, TokenSchema, load_schema, parse_schema
from token_schema.placement import Marks, QueuedText, place_text

ELLSA = load_schema("ellsa")
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def variant(**clock: Any) -> TokenSchema:
    data = yaml.safe_load((PRESETS / "ellsa.yaml").read_text())
    data["clock"].update(clock)
    return parse_schema(data, "x.yaml")


def encode(timeline: Timeline, media: ArrayMedia, schema: TokenSchema = ELLSA) -> Tokens:
    return compile_sample(schema, codec_set(schema), timeline, media)


def back(tokens: Tokens, timeline: Timeline, schema: TokenSchema = ELLSA) -> Decoded:
    act = timeline.act
    return decode(
        schema,
        codec_set(schema),
        tokens.ids,
        timeline.subset if act else None,
        act.step_count if act else None,
        act.fps if act else None,
    )


def lane_ids(tokens: Tokens, name: str, block: int) -> list[int]:
    lane = [x.name for x in ELLSA.lanes].index(name)
    at = (tokens.lane == lane) & (tokens.block == block) & (tokens.kind <= IDLE)
    return tokens.ids[at].tolist()


def readable(tokens: Tokens) -> str:
    """Names of all ids; a text id is the text of its piece in quotes."""
    codecs = codec_set()
    codec, start = codecs.get("text"), codecs.vocabulary.range("text").start
    names = []
    for i in tokens.ids.tolist():
        name = codecs.vocabulary.name(i)
        names.append(repr(codec.piece(i - start).decode()) if name.startswith("text:") else name)
    return " ".join(names)


def test_golden_three_blocks() -> None:
    """By hand. Capitals are single bytes in the tiny BPE, digital silence is code 0 of a book."""
    timeline, media = sample(2.5, [write("w", "ABCDEFGHIJ", 0.4), say("s", 1.2, 1.9)], system="HI")
    media = replace(media, heard=np.zeros_like(media.heard), spoken=np.zeros_like(media.spoken))
    hear = "<bosp> " + "audio:0:0 " * 10 + "<eosp> <boi> <eoi> "
    speak = "<bos> " + "audio:0:0 audio:1:0 audio:2:0 audio:3:0 " * 10 + "<eos> <boa> <eoa> "
    quiet = "<bos> <quiet> <eos> <boa> <eoa> "
    golden = (
        "<bop> 'H' 'I' <eop> "
        + hear
        + "<bot> 'A' 'B' 'C' 'D' 'E' 'F' 'G' 'H' <eot> "
        + quiet
        + hear
        + "<bot> 'I' 'J' <end> <eot> "
        + speak
        + hear
        + "<bot> <silence> <eot> "
        + quiet
    )
    tokens = encode(timeline, media)
    assert readable(tokens) == golden.strip()
    assert tokens.ids.dtype == np.int32 and tokens.lane.dtype == np.uint8
    assert tokens.loss.dtype == np.float32 and tokens.block.dtype == np.int32
    loss = {
        codec_set().vocabulary.name(i): float(w)
        for i, w in zip(tokens.ids, tokens.loss, strict=True)
    }
    assert (loss["<bot>"], loss["<eot>"], loss["<silence>"], loss["<quiet>"]) == (0, 1, 1, 1)
    assert (loss["<bosp>"], loss["<boi>"], loss["<boa>"], loss["<eoa>"], loss["<bop>"]) == (
        0,
        0,
        1,
        1,
        0,
    )
    known = tokens.known_s[tokens.lane == 0]
    assert known[:12].tolist() == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1]
    assert (tokens.known_s[(tokens.block == 1) & (tokens.lane > 0)] == 2.0).all()


def test_a_block_is_open_content_close_of_every_lane_in_order() -> None:
    tokens = encode(*sample(3.3, [say("s", 0.5, 2.0)], moves=(10, 12)))
    assert (tokens.lane[tokens.block < 0] == 255).all()
    for b in range(4):
        lanes = tokens.lane[tokens.block == b]
        assert (np.diff(lanes.astype(int)) >= 0).all() and set(lanes) == set(range(5))
        for i in range(5):
            kinds = tokens.kind[(tokens.block == b) & (tokens.lane == i)]
            assert kinds[0] == OPEN and kinds[-1] == CLOSE
            assert set(kinds[1:-1]) in ({CONTENT}, {IDLE})
    assert (np.diff(tokens.known_s) >= 0).all()


def test_a_full_block_ends_without_its_end_which_spills() -> None:
    codecs = codec_set()
    end, silence = codecs.vocabulary.id("<end>"), codecs.vocabulary.id("<silence>")
    timeline, media = sample(4.0, [write("a", "ABCDEFGH", 0.0), write("b", "XY", 1.5)])
    tokens = encode(timeline, media)
    assert len(lane_ids(tokens, "write", 0)) == 8 and end not in lane_ids(tokens, "write", 0)
    # block 1 is known to 2.0 s: the end of the first text and the whole second
    assert lane_ids(tokens, "write", 1)[0] == end and lane_ids(tokens, "write", 1)[-1] == end
    assert lane_ids(tokens, "write", 2) == [silence]
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
    vocabulary = codec_set().vocabulary
    assert lane_ids(tokens, "act", 4) == [vocabulary.id("<hold>")]
    assert lane_ids(tokens, "listen", 4) == [vocabulary.id("audio:0:0")] * 10
    assert lane_ids(tokens, "look", 4) == lane_ids(tokens, "look", 2)
    short = encode(timeline, media, variant(tail="drop"))
    assert short.report.tail_blocks == 0 and short.report.dropped_text_tokens == 17
    events = back(short, timeline, variant(tail="drop")).lane_texts["write"]
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


def test_events_without_a_lane_are_counted() -> None:
    timeline, media = sample(2.0, [])
    times = {"decided_s": 0.5, "start_s": 0.5, "end_s": 1.0, "planned_end_s": 1.0}
    agent = (Think(id="t", text="hm", **times), ToolCall(id="c", text="f()", **times))
    tokens = encode(timeline.model_copy(update={"agent": agent}), media)
    assert tokens.report.not_placed == {"think": 1, "tool_call": 1}


def test_a_hold_repeats_the_row_before_it() -> None:
    """Idling at other values than the last row's is coded once, so that it can be decoded."""
    timeline, media = sample(6.0, moves=(20, 10))
    assert media.rows is not None
    media.rows[30:] = media.rows[29] + 0.25  # idle again, at other values
    tokens = encode(timeline, media)
    hold = codec_set().vocabulary.id("<hold>")
    assert [lane_ids(tokens, "act", b) == [hold] for b in range(6)] == [
        False,
        True,
        False,
        False,
        True,
        True,
    ]
    out = back(tokens, timeline)
    clipped = np.clip(media.rows, *codec_range())
    assert (np.abs(out.actions - clipped) <= error_bound()).all()
    assert out.held is not None and out.held[10:20].all() and not out.held[:10].any()


def codec_range() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    codec = codec_set().get("action-arm")
    return codec.low, codec.high


def error_bound() -> NDArray[np.float64]:
    return codec_set().get("action-arm").max_error(10)


def test_steps_that_do_not_fit_the_block_are_refused_with_lengths_that_fit() -> None:
    timeline, media = sample(3.0, moves=(5, 10), fps=12.5)
    with pytest.raises(StrettoError, match=r"k-1: lane act.*12.5 in a block of 1 s; .*0\.4, 0\.8"):
        encode(timeline, media)


def test_a_sample_that_needs_a_codec_nobody_fitted_is_refused() -> None:
    timeline, media = sample(2.0, moves=(5, 10))
    with pytest.raises(StrettoError, match="action-other.*stretto fit"):
        encode(timeline.model_copy(update={"subset": "other"}), media)
    data = yaml.safe_load((PRESETS / "ellsa.yaml").read_text())
    data["lanes"][1]["look"]["camera"] = "wrist"
    with pytest.raises(StrettoError, match="no camera 'wrist'.*front"):
        encode(timeline, media, parse_schema(data, "x.yaml"))


def test_audio_of_another_rate_is_refused() -> None:
    timeline, media = sample(2.0)
    listen = timeline.listen.model_copy(update={"sample_rate_hz": 24000})
    with pytest.raises(StrettoError, match="24000 Hz"):
        encode(timeline.model_copy(update={"listen": listen}), media)


def test_the_head_does_not_tell_a_robot_its_task() -> None:
    timeline, _ = sample(2.0, moves=(5, 10))
    context = timeline.context.model_copy(update={"task": "open the drawer", "role": "helper"})
    text = prompt_text(ELLSA, timeline.model_copy(update={"context": context}))
    assert text == "Be brief.\nhelper"


# ---- generated samples -------------------------------------------------------------------------

TEXTS = st.text(st.sampled_from("abc XYZ\n|`{}é猫🍎"), max_size=40)
TIMES = st.integers(0, 5500).map(lambda ms: ms / 1000)


@st.composite
def worlds(draw: Any, robot: bool | None = None, writes: int = 0) -> tuple[Timeline, ArrayMedia]:
    """Any sample, or a robot's or not, with at least so many texts."""
    duration_s = draw(st.integers(5, 62)) / 10
    agent: list[Any] = [
        write(f"w{i}", draw(TEXTS), draw(TIMES)) for i in range(draw(st.integers(writes, 4)))
    ]
    for i in range(draw(st.integers(0, 2))):
        start_s = draw(TIMES)
        if start_s + 0.2 < duration_s:
            end_s = round(min(duration_s, start_s + draw(st.floats(0.1, 2))), 3)
            agent.append(say(f"s{i}", start_s, end_s))
    steps = int(np.ceil(duration_s * 10 - 1e-9))
    robot = draw(st.booleans()) if robot is None else robot
    first = draw(st.integers(0, steps - 1))
    return sample(
        duration_s,
        agent,
        (first, draw(st.integers(1, 40))) if robot else None,
        listen_seed=draw(st.integers(0, 3)),
    )


@SLOW
@given(worlds())
def test_round_trip(world: tuple[Timeline, ArrayMedia]) -> None:
    timeline, media = world
    tokens = encode(timeline, media)
    out, codecs = back(tokens, timeline), codec_set()
    writes = sorted((e for e in timeline.agent if isinstance(e, Write)), key=lambda e: e.decided_s)
    assert out.texts("write") == [e.text for e in writes]  # nothing dropped in silence
    assert tokens.report.dropped_text_tokens == 0
    assert out.prompt == "Be brief."
    whole = np.zeros(out.block_count * 16000, np.int16)
    whole[: len(media.heard)] = media.heard
    heard = np.concatenate(out.codes("listen"))  # type: ignore[arg-type]
    assert np.array_equal(heard, codecs.get("audio").encode(whole)[:, :1])
    check_speak(timeline, media, out)
    if timeline.act:
        assert media.rows is not None
        assert (np.abs(out.actions - np.clip(media.rows, *codec_range())) <= error_bound()).all()
        for b, codes in enumerate(out.codes("look")):
            frame = picture(min(b * 10, media.pictures - 1))
            assert np.array_equal(codes[0], codecs.get("image").encode(frame))  # type: ignore[index]
    else:
        assert out.actions is None and set(out.codes("look")) == {None}


def check_speak(timeline: Timeline, media: ArrayMedia, out: Decoded) -> None:
    """Idle exactly where no piece sounds; the codec's own codes elsewhere."""
    whole = np.zeros(out.block_count * 16000, np.int16)
    whole[: len(media.spoken)] = media.spoken
    codes = codec_set().get("audio").encode(whole).reshape(out.block_count, 10, 4)
    pieces = [p for e in timeline.agent if isinstance(e, Say) for p in e.pieces]
    for b, block in enumerate(out.codes("speak")):
        sounds = any(p.start_s < b + 1 and p.end_s > b for p in pieces)
        assert (block is not None) == sounds
        if block is not None:
            assert np.array_equal(block, codes[b])


@SLOW
@given(worlds(), st.floats(0.05, 1))
def test_a_cut_sample_equals_its_twin_until_the_cut(
    world: tuple[Timeline, ArrayMedia], part: float
) -> None:
    """Promise 3: what the barge-in cuts is placed and coded as if whole until `cut_s`."""
    whole, media = world
    cut_s = round(part * whole.duration_s, 3)
    cut_timeline, cut_media = cut_at(whole, media, cut_s)
    a, b = encode(whole, media), encode(cut_timeline, cut_media)
    same_where_known(a, b, np.nextafter(cut_s, 0))
    assert a.report.tail_blocks >= b.report.tail_blocks
    out = back(b, cut_timeline)
    for event in out.lane_texts["write"]:
        assert event.ended in ("end", "cut")


def cut_at(timeline: Timeline, media: ArrayMedia, cut_s: float) -> tuple[Timeline, ArrayMedia]:
    """The sample with every agent event that is going on at `cut_s` cut, later ones replaced."""
    agent: list[Any] = [write("reply", "AFTER", cut_s)]
    for event in timeline.agent:
        if event.kind == "act":
            agent.append(event)
        elif event.decided_s < cut_s:
            agent.append(cut_event(event, cut_s))
    spoken = media.spoken.copy()
    fade = round(cut_s * 16000)
    spoken[fade : fade + 2400] //= 3
    spoken[fade + 2400 :] = 0
    return timeline.model_copy(update={"agent": tuple(agent)}), replace(media, spoken=spoken)


def cut_event(event: Any, cut_s: float) -> Any:
    if event.planned_end_s <= cut_s and event.kind == "say":
        return event
    changed = event.model_copy(update={"cut_s": cut_s})
    if event.kind == "say":
        end_s = min(event.end_s, cut_s + 0.15)
        pieces = tuple(p.model_copy(update={"end_s": end_s}) for p in event.pieces)
        changed = changed.model_copy(update={"end_s": end_s, "pieces": pieces})
    return changed


def same_where_known(a: Tokens, b: Tokens, until_s: float) -> None:
    """Every token with known_s <= until_s is the same, and at the same position, in both."""
    n = int((a.known_s <= until_s).sum())
    assert n == int((b.known_s <= until_s).sum())
    assert np.array_equal(a.ids[:n], b.ids[:n])
    assert (a.known_s[:n] <= until_s).all() and (b.known_s[:n] <= until_s).all()


@dataclass(frozen=True)
class OtherFuture(ArrayMedia):
    """Frames from index `parts` on are other ones."""

    parts: int = 0

    def frames(self, camera: str, indices: Any) -> NDArray[np.uint8]:
        return np.stack([picture(i + 100 * (i > self.parts)) for i in indices])


@SLOW
@given(st.data(), st.booleans(), st.integers(5, 99))
def test_tokens_tell_nothing_of_the_future(data: st.DataObject, robot: bool, percent: int) -> None:
    """Promise 2: another world after T changes no token that is known by T."""
    timeline, media = data.draw(worlds(robot, writes=2))
    other, other_media = data.draw(worlds(robot, writes=2))
    t = round(min(timeline.duration_s, other.duration_s) * percent / 100, 3)
    a, b = encode(timeline, media), encode(*graft(timeline, media, other, other_media, t))
    same_where_known(a, b, t)


def graft(
    timeline: Timeline, media: ArrayMedia, other: Timeline, other_media: ArrayMedia, t: float
) -> tuple[Timeline, ArrayMedia]:
    """`timeline` until T, then `other`: its sound, frames, rows, events and length."""
    n = int(t * 16000)

    def joined(x: NDArray[Any], y: NDArray[Any], at: int) -> NDArray[Any]:
        return np.concatenate([x[:at], y[at:]])

    agent = [e for e in timeline.agent if e.decided_s <= t and e.kind == "write"]
    agent += [e for e in other.agent if e.decided_s > t and e.kind == "write"]
    # one Say is whole until T and then another's; planned ends are the agent's, words the world's
    agent += [e for e in timeline.agent if e.kind == "say" and e.decided_s <= t]
    agent += [e for e in other.agent if e.kind == "say" and e.decided_s > t]
    agent += [e for e in timeline.agent if e.kind == "act" and e.decided_s <= t]
    heard = joined(media.heard, other_media.heard, n)
    spoken = joined(media.spoken, other_media.spoken, n)
    steps = int(np.floor(t * 10)) + 1
    rows, mine = other_media.rows, media.rows
    if rows is not None and mine is not None:
        rows = joined(mine, rows, steps) if steps < len(rows) else mine[: len(rows)]
        agent = [e if e.kind != "act" else _clip(e, len(rows)) for e in agent]
    look = tuple(x.model_copy(update={"frame_count": other_media.pictures}) for x in other.look)
    world = other.model_copy(update={"agent": tuple(agent), "look": look})
    return world, OtherFuture(heard, spoken, other_media.pictures, rows, parts=int(t * 10 + 1e-6))


def _clip(event: Any, steps: int) -> Any:
    return event.model_copy(
        update={"step_count": max(0, min(event.step_count, steps - event.first_step))}
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.floats(0, 9), st.none() | st.floats(0, 12)), max_size=6
    ),
    st.integers(1, 9),
    st.integers(1, 8),
)
def test_placement_keeps_order_budget_and_every_token(
    events: list[tuple[int, float, float | None]], budget: int, n_blocks: int
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
    placed = place_text(queue, lambda b: b + 1.0, n_blocks, budget, Marks(-1, -2), True)
    flat = [t for block in placed.blocks for t in block]
    assert all(len(block) <= budget for block in placed.blocks)
    assert sum(t >= 0 for t in flat) + placed.dropped == sum(n for n, _, _ in events)
    assert flat.count(-1) + flat.count(-2) + placed.silent_events == len(events)
    for b, block in enumerate(placed.blocks):
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


def test_the_same_sample_gives_the_same_bytes() -> None:
    timeline, media = sample(4.0, [write("w", "hello", 1.0), say("s", 1.0, 2.0)], moves=(5, 20))
    a, b = encode(timeline, media), encode(timeline, media)
    for field in ("ids", "lane", "kind", "block", "loss", "known_s"):
        assert np.array_equal(getattr(a, field), getattr(b, field))
