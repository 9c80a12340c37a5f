"""What must hold of every preset, in generated worlds: grammar, round trip, counts, rates.

`preset_worlds` draws the worlds, `preset_oracle` proves ids valid without the grammar. Causality is
in `test_presets_causality`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from preset_codecs import preset_set
from preset_oracle import check
from preset_worlds import Plan, PlanMedia, built, worlds

from schemas.errors import StrettoError
from schemas.timeline import Hear, Timeline
from token_schema.codec_set import CodecSet
from token_schema.counted import Counted
from token_schema.decode import Decoded, decode
from token_schema.encode import CONTENT, OPEN, PROMPT, Tokens, compile_sample, prompt_text
from token_schema.grammar import Grammar
from token_schema.language import list_presets, load_schema
from token_schema.measure import announced
from token_schema.models import ActLane, AudioLane, TextLane
from token_schema.schema import TokenSchema

PRESETS = list_presets()
FEW = settings(
    max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
MANY = settings(FEW, max_examples=20)


class Case(NamedTuple):
    """One world under one preset. `subset` and `fps` only where there is a robot."""

    schema: TokenSchema
    codecs: CodecSet
    timeline: Timeline
    media: PlanMedia
    tokens: Tokens
    subset: str | None
    fps: float | None

    def grammar(self) -> Grammar:
        return Grammar(self.schema, self.codecs, self.subset, fps=self.fps)

    def decode(self, ids: Any, step_count: int | None = None) -> Decoded:
        return decode(self.schema, self.codecs, ids, self.subset, step_count, self.fps)


def case(name: str, plan: Plan) -> Case:
    schema, codecs = load_schema(name), preset_set(name)
    timeline, media = built(plan)
    tokens = compile_sample(schema, codecs, timeline, media)
    robot = timeline.act is not None and any(isinstance(x, ActLane) for x in schema.lanes)
    found = (timeline.subset, timeline.act.fps) if robot and timeline.act else (None, None)
    return Case(schema, codecs, timeline, media, tokens, *found)


# ---- grammar -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
@FEW
@given(plan=worlds())
def test_the_grammar_reads_what_encode_says(name: str, plan: Plan) -> None:
    """Lane, class and block of every id; and what encode says holds without the grammar too."""
    c = case(name, plan)
    for grammar in (c.grammar(), Grammar(c.schema, c.codecs)):
        parsed = grammar.read(c.tokens.ids)
        for field in ("lane", "kind", "block"):
            found, wanted = getattr(parsed, field), getattr(c.tokens, field)
            assert found.dtype == wanted.dtype and np.array_equal(found, wanted), field
    check(c.schema, c.codecs, c.tokens.ids, c.tokens, c.subset, c.fps)


@st.composite
def mutations(draw: Any) -> tuple[str, float, float, int]:
    """(what, where in the sequence, where else, which other id) in parts of their ranges."""
    what = ("replace", "like", "delete", "insert", "double", "swap", "turn", "truncate", "block")
    part = st.floats(0, 1, exclude_max=True)
    return draw(st.sampled_from(what)), draw(part), draw(part), draw(st.integers(0, 10**6))


def mutated(c: Case, what: str, where: float, else_: float, seed: int) -> list[int]:
    """`like`: an id that stands elsewhere in that lane. `turn`: neighbours change places.
    `block`: a whole block is left out."""
    ids, tokens = c.tokens.ids.tolist(), c.tokens
    i, j = int(where * len(ids)), int(else_ * len(ids))
    same = np.flatnonzero(tokens.lane == tokens.lane[i])
    any_id = seed % c.codecs.vocabulary.size
    if what == "replace":
        ids[i] = any_id
    elif what == "like":
        ids[i] = int(tokens.ids[same[seed % len(same)]])
    elif what == "delete":
        del ids[i]
    elif what == "insert":
        ids.insert(i, any_id if seed % 2 else ids[j])
    elif what == "double":
        ids.insert(i, ids[i])
    elif what == "swap":
        ids[i], ids[j] = ids[j], ids[i]
    elif what == "turn":
        ids[i : i + 2] = ids[i : i + 2][::-1]
    elif what == "truncate":
        del ids[i:]
    else:
        keep = tokens.block != tokens.block[i]
        ids = tokens.ids[keep].tolist()
    return ids


def hopeless(c: Case, what: str, where: float) -> bool:
    """Must it be refused? A row, a block or a turn of which a part is missing always."""
    i, tokens = int(where * len(c.tokens)), c.tokens
    if what == "truncate":
        return i == 0 or bool(tokens.block[i] == tokens.block[i - 1])
    if tokens.streams > 1:
        return what in ("delete", "insert", "double")
    return what in ("delete", "double") and bool(tokens.kind[i] >= OPEN and tokens.block[i] >= 0)


@pytest.mark.parametrize("name", PRESETS)
@FEW
@given(plan=worlds(), changes=st.lists(mutations(), min_size=12, max_size=12))
def test_a_mutated_sequence_is_refused_or_another_valid_one(
    name: str, plan: Plan, changes: list[tuple[str, float, float, int]]
) -> None:
    c = case(name, plan)
    grammar, sound = c.grammar(), c.tokens.ids.tolist()
    for what, where, else_, seed in changes:
        ids = mutated(c, what, where, else_, seed)
        if ids == sound:
            continue
        try:
            parsed = grammar.read(ids)
        except StrettoError as error:
            assert "position " in str(error) and "expected " in str(error)
            continue
        assert not hopeless(c, what, where), (what, where)
        check(c.schema, c.codecs, ids, parsed, c.subset, c.fps)
        assert c.decode(ids).block_count == int(parsed.block[-1]) + 1


# ---- round trip and counts ---------------------------------------------------------------------


def sources(c: Case, lane: TextLane) -> list[Any]:
    """The events of a text lane in the order of their decisions."""
    if lane.channel == "hear":
        return sorted(
            (e for e in c.timeline.world if isinstance(e, Hear)), key=lambda e: e.revealed_s
        )
    events = [e for e in c.timeline.agent if e.kind == lane.channel]
    if c.schema.timing == "turns":  # half-duplex: counted as not placed
        events = [e for e in events if getattr(e, "behaviour", "turn") == "turn"]
    return sorted(events, key=lambda e: e.decided_s)


def emitted(c: Case, i: int) -> list[int]:
    """The text ids of lane i, the codec's own."""
    lane = c.schema.lanes[i]
    assert isinstance(lane, TextLane)
    r = c.codecs.vocabulary.range(lane.codec)
    ids = c.tokens.ids[(c.tokens.lane == i) & (c.tokens.kind == CONTENT)]
    return [k - r.start for k in ids.tolist() if r.start <= k < r.stop]


def prefixes(ids: list[int], parts: list[tuple[list[int], bool]]) -> bool:
    """Are the ids the parts one after the other, whole, or (True) a prefix of them?"""
    reached = {0}
    for part, cut in parts:
        lengths = range(len(part) + 1) if cut else [len(part)]
        reached = {at + n for at in reached for n in lengths if ids[at : at + n] == part[:n]}
    return len(ids) in reached


@pytest.mark.parametrize("name", PRESETS)
@MANY
@given(plan=worlds())
def test_texts_come_back_and_none_is_dropped_in_silence(name: str, plan: Plan) -> None:
    c = case(name, plan)
    out = c.decode(c.tokens.ids)
    assert out.block_count == int(c.tokens.block.max()) + 1 == c.tokens.report.blocks
    if c.schema.prompt:
        assert out.prompt == prompt_text(c.schema, c.timeline)
    written = planned = 0
    silent = set[str]()
    for i, lane in enumerate(c.schema.lanes):
        if not isinstance(lane, TextLane):
            continue
        events, codec = sources(c, lane), c.codecs.get(lane.codec)
        parts = [(codec.encode(e.text), getattr(e, "cut_s", None) is not None) for e in events]
        ids = emitted(c, i)
        assert prefixes(ids, parts), "not the texts of the events"
        written += len(ids)
        planned += sum(len(p) for p, _ in parts)
        found = out.lane_texts[lane.name]
        assert "".join(out.texts(lane.name)) == codec.decode(ids) or any(p[1] for p in parts)
        if lane.end:
            silent |= check_events(c, lane, events, found)
        elif not any(cut for _, cut in parts):
            assert "".join(out.texts(lane.name)) == "".join(e.text for e in events)
    assert written + c.tokens.report.dropped_text_tokens == planned
    if c.schema.timing != "turns" and any(
        isinstance(x, TextLane) and x.end for x in c.schema.lanes
    ):
        assert len(silent) == c.tokens.report.silent_events
    check_not_placed(c)


def check_events(c: Case, lane: TextLane, events: list[Any], found: list[Any]) -> set[str]:
    """Each text is that of its event, in order: whole, or where the event was cut a prefix of it
    (which may end amid a character). Gives the ids of those that left no token."""
    left, silent = list(events), set[str]()
    for text in found:
        while left and not _is_of(text.text, left[0]):
            assert left[0].cut_s is not None, (text.text, left[0].text)
            silent.add(left.pop(0).id)
        event = left.pop(0)
        if getattr(event, "cut_s", None) is None:
            assert text.ended == "end", text
        elif text.text != event.text:
            assert text.ended == ("cut" if lane.cut else "end") or c.schema.timing == "turns"
    assert all(e.cut_s is not None for e in left)
    return silent | {e.id for e in left}


def _is_of(text: str, event: Any) -> bool:
    if getattr(event, "cut_s", None) is None:
        return text == event.text
    return bool(event.text.startswith(text.rstrip("\ufffd")))


def check_not_placed(c: Case) -> None:
    """Events of which no lane shows anything are in the report, one for one."""
    shown: set[str] = {x.channel for x in c.schema.lanes}
    shown |= {"say"} if "speak" in shown else set()
    shown |= {"hear"} if "listen" in shown else set()
    shown |= {"tool_result"} if "typed" in shown else set()
    events = [*c.timeline.world, *c.timeline.agent]
    wanted: dict[str, int] = {}
    for e in events:
        kind: str = e.kind
        mm = c.schema.timing == "turns" and getattr(e, "behaviour", "") == "backchannel"
        if kind == "say" and mm:
            kind = "backchannel"
        if kind not in shown:
            wanted[kind] = wanted.get(kind, 0) + 1
    if c.schema.timing == "turns" and c.timeline.look:  # turns show no cameras, and say so
        wanted["look"] = len(c.timeline.look)
    assert c.tokens.report.not_placed == wanted


@pytest.mark.parametrize("name", PRESETS)
@FEW
@given(plan=worlds())
def test_codes_actions_and_numbers_come_back(name: str, plan: Plan) -> None:
    c = case(name, plan)
    track = c.timeline.act
    out = c.decode(c.tokens.ids, track.step_count if track and c.subset else None)
    for i, lane in enumerate(c.schema.lanes):
        if isinstance(lane, ActLane) and c.subset:
            codec, rows = c.codecs.action(lane, c.subset), c.media.act()
            assert out.actions is not None and rows is not None and len(out.actions) == len(rows)
            off = np.abs(out.actions - np.clip(rows, codec.low, codec.high)).max(axis=0)
            assert (off <= codec.max_error() + 1e-6).all()
        elif isinstance(lane, ActLane):
            assert out.actions is None
        elif isinstance(lane, AudioLane) and lane.as_ != "codes":
            here = int(((c.tokens.lane == i) & (c.tokens.kind == CONTENT)).sum())
            assert sum(out.slots(lane.name)) == here == len(c.tokens.values[lane.name])
        elif isinstance(lane, AudioLane) and c.schema.timing != "turns":
            check_sound(c, lane, out)
        elif isinstance(lane, AudioLane) and lane.channel == "listen":
            check_heard_turns(c, lane, out)


def coded(c: Case, lane: AudioLane, frames: int) -> np.ndarray:
    """The codes of a track, silence behind its end."""
    codec = c.codecs.get(lane.codec)
    pcm = c.media.listen() if lane.channel == "listen" else c.media.speak()
    padded = np.zeros(max(len(pcm), frames * codec.frame_samples), np.int16)
    padded[: len(pcm)] = pcm
    return codec.encode(padded)[:frames, : lane.codebooks]


def check_sound(c: Case, lane: AudioLane, out: Decoded) -> None:
    """Every code that is there is the codec's; what is heard is there whole, and what is said."""
    found = out.frames(lane.name)
    wanted = coded(c, lane, len(found))
    there = found >= 0
    if lane.channel == "listen":
        n = int(np.ceil(c.timeline.duration_s * lane.rate_hz - 1e-6))
        assert there[: n - max(lane.delays or (0,))].all()
    elif c.tokens.report.waited_frames:
        return  # these were silenced before the codec
    else:
        sounding = [
            f
            for e in c.timeline.agent
            if e.kind == "say"
            for p in e.pieces or (e,)  # between two sentences nothing sounds
            for f in range(
                int(p.start_s * lane.rate_hz + 1e-6), int(min(p.end_s, e.end_s) * lane.rate_hz)
            )
        ]
        assert there[sounding].all()
    assert np.array_equal(found[there], wanted[there])


def check_heard_turns(c: Case, lane: AudioLane, out: Decoded) -> None:
    """The codes of each input turn stand side by side in the track, each turn behind the last."""
    track, at = coded(c, lane, int(c.timeline.duration_s * lane.rate_hz) + 20), 0
    for codes in out.codes(lane.name):
        if codes is None:
            continue
        starts = range(at, len(track) - len(codes) + 1)
        fits = [k for k in starts if np.array_equal(track[k : k + len(codes)], codes)]
        assert fits, "not what was heard"
        at = fits[0] + len(codes)


# ---- rates -------------------------------------------------------------------------------------


def unweighted_pads(c: Case, i: int) -> int:
    """Pads of a delayed lane that bear no loss where its codes do."""
    lane = c.schema.lanes[i]
    if not isinstance(lane, AudioLane) or lane.loss.idle or not lane.loss.content:
        return 0
    shifts = [lane.delay + d for d in lane.delays] or [lane.delay] * lane.codebooks
    return sum(shifts) if c.schema.timing == "frames" else 0


@pytest.mark.parametrize("name", [n for n in PRESETS if load_schema(n).timing != "turns"])
@FEW
@given(plans=st.lists(worlds(), min_size=1, max_size=2))
def test_tokens_a_second_are_what_is_announced(name: str, plans: list[Plan]) -> None:
    """Fixed lanes exactly; variable ones, and the loss-bearing share, inside the span."""
    cases = [case(name, plan) for plan in plans]
    schema, codecs = cases[0].schema, cases[0].codecs
    counted, edges = Counted(schema), 0
    for c in cases:
        counted.add(c.tokens, c.timeline.duration_s)
        own = (c.tokens.lane == PROMPT) & (c.tokens.block >= 0)
        edges += int(own.sum())
    seconds = counted.blocks * schema.block
    assert counted.blocks == sum(c.tokens.report.blocks for c in cases)
    rates = announced(schema, codecs)
    assert [r.name for r in rates[: len(schema.lanes)]] == [x.name for x in schema.lanes]
    for i, rate in enumerate(rates):
        if rate.name == "(block)":
            assert edges == rate.boundary.least * seconds and rate.boundary.fixed
            continue
        # what a delay leaves empty at the begin is announced as if it were there
        bare = sum(unweighted_pads(c, i) for c in cases)
        found = counted.content[i], counted.boundary[i], counted.bearing[i] + bare
        for n, span in zip(found, (rate.content, rate.boundary, rate.bearing), strict=True):
            assert span.least * seconds <= int(n), (rate.name, span)
            assert span.most is not None and int(n) <= span.most * seconds, (rate.name, span)
            if span.fixed:
                assert int(n) == span.least * seconds
