"""The parallel mode: steps written out by hand, what waits, prompt rows, and causality."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from schema_samples import (
    RATE_HZ,
    AheadCodec,
    ArrayMedia,
    cut_say,
    fitted,
    hear,
    picture,
    sample,
    sound,
    spoken,
    typed,
    write,
)
from test_counterfactual import LONG, parting_sample
from worlds import config, dialogue, sample_of

from schemas.errors import StrettoError
from schemas.label import Evidence
from schemas.records import Turn
from schemas.sample import Sample
from schemas.timeline import Hear, Say, Timeline, TypedInput
from token_schema.codec_set import CodecSet, kinds
from token_schema.codecs.base import StoredCodec, pack
from token_schema.codecs.voice import VoiceClips, VoiceSettings
from token_schema.encode import compile_sample
from token_schema.language import TokenSchema, parse_schema
from token_schema.layouts.parallel import stream_vocabulary
from token_schema.tokens import CLOSE, CONTENT, IDLE, OPEN, PROMPT, Tokens

SLOW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
STEP = RATE_HZ // 10  # samples of a step of 0.1 s


class PlainCodec(StoredCodec):
    """Codebook q of a frame is the frame's sample q: what stands where can be read off."""

    kind, size, codebooks = "audio", 100, 2
    rate_hz, sample_rate_hz, frame_samples, lookahead_s = 10.0, RATE_HZ, STEP, 0.0

    def encode(self, pcm: NDArray[np.int16]) -> NDArray[np.int32]:
        frames = pcm[: len(pcm) // STEP * STEP].reshape(-1, STEP)
        return np.clip(frames[:, :2], 0, 99).astype(np.int32)

    def silence_codes(self, frames: int = 1) -> NDArray[np.int32]:
        return np.zeros((frames, 2), np.int32)

    def to_files(self) -> dict[str, bytes]:
        return pack(self.kind, "plain", 1, {}, {})


CODECS = {
    **fitted(),
    "plain": PlainCodec(),
    "voice": VoiceClips.fit([("v", sound(1.0, 5))], VoiceSettings(RATE_HZ, 0.4)),
}
SETS: dict[str, CodecSet] = {}


def schema_of(text: str, **changes: Any) -> TokenSchema:
    head = "name: p\nmode: parallel\nclock: {frame_s: 0.1}\n"
    return parse_schema({**yaml.safe_load(head + text), **changes}, "x.yaml")


def codecs_of(schema: TokenSchema) -> CodecSet:
    if schema.hash not in SETS:
        named = kinds(schema)
        chosen = {
            n: c
            for n, c in CODECS.items()
            if n in named or named.get(n.rpartition(".")[0]) == "action"
        }
        SETS[schema.hash] = CodecSet(schema, chosen)
    return SETS[schema.hash]


def encode(schema: TokenSchema, timeline: Timeline, media: Any) -> Tokens:
    return compile_sample(schema, codecs_of(schema), timeline, media)


def named(schema: TokenSchema, tokens: Tokens, prompt: bool = False) -> list[list[str]]:
    """The names of each row's ids; a text id is its piece in quotes, `plain:1:7` is 7."""
    codecs = codecs_of(schema)

    def name(i: int) -> str:
        full = codecs.vocabulary.name(i)
        if full.startswith("text:"):
            start = codecs.vocabulary.range("text").start
            return repr(codecs.get("text").piece(i - start).decode())
        return full.rpartition(":")[2]

    ids = tokens.ids[(tokens.lane == PROMPT) == prompt].reshape(-1, tokens.streams)
    return [[name(i) for i in row] for row in ids.tolist()]


def rows(schema: TokenSchema, tokens: Tokens, prompt: bool = False) -> list[str]:
    return [" ".join(row) for row in named(schema, tokens, prompt)]


def column(schema: TokenSchema, tokens: Tokens, stream: int) -> list[str]:
    return [row[stream] for row in named(schema, tokens)]


def counted(duration_s: float, base: int) -> NDArray[np.int16]:
    """Frame f has the codes base + f and base + f + 50 of PlainCodec."""
    pcm = np.zeros(round(duration_s * RATE_HZ), np.int16)
    frames = np.arange(round(duration_s * 10))
    pcm[::STEP], pcm[1::STEP] = base + frames, base + frames + 50
    return pcm


MOSHI = schema_of("""
lanes:
  - say: {as: text, placement: word, idle: <pad>, epad: <epad>, end: <end>, cut: <cut>,
          loss: {content: 1, idle: 0.5}}
  - speak: {as: codes, codec: plain, rate_hz: 10, codebooks: 2, delays: [0, 1], pad: <init>,
            idle: <q>, loss: {content: 1, idle: 0.25, books: [1, 0.125]}}
  - listen: {as: codes, codec: plain, rate_hz: 10, codebooks: 2, delays: [0, 1], pad: <init>}
""")


def a_say(lead_s: float = 0.1) -> Say:
    """`AB` from 0.25 to 0.45 s and `C` from 0.62 to 0.7 s."""
    event = spoken("s", "AB. C", 0.25, 0.2)
    words = [{"start_s": 0.25, "end_s": 0.45}, {"start_s": 0.62, "end_s": 0.7}]
    spans = {
        name: tuple(
            x.model_copy(update=w) for x, w in zip(getattr(event, name), words, strict=True)
        )
        for name in ("words", "pieces")
    }
    ends = {"end_s": 0.7, "planned_end_s": 0.7, "decided_s": round(0.25 - lead_s, 6)}
    return event.model_copy(update={**spans, **ends})


def test_golden_steps() -> None:
    """By hand. The text is decided at 0.15 s: step 1 knows the world to 0.1 s and cannot announce
    it, step 2 writes. `C` is announced by step 5. Its pieces are ` ` and `C`; <end> needs a tail."""
    timeline, _ = sample(0.8, [a_say()])
    media = ArrayMedia(counted(0.8, 20), counted(0.8, 0))
    tokens = encode(MOSHI, timeline, media)
    assert rows(MOSHI, tokens) == [
        "<pad> <q> <init> 20 <init>",
        "<pad> <q> <q> 21 70",
        "'A' 2 <q> 22 71",
        "'B' 3 52 23 72",
        "'.' 4 53 24 73",
        "<epad> <q> 54 25 74",
        "' ' 6 <q> 26 75",
        "'C' <q> 56 27 76",
        "<end> <q> <q> 0 77",
    ]
    report = tokens.report
    assert (report.blocks, report.tail_blocks, report.missing_epad) == (9, 1, 1)
    assert report.waited_frames == report.dropped_text_tokens == 0 and report.not_placed == {}
    assert tokens.streams == 5 and len(tokens) == 45
    idle = [[1, 1, 1, 0, 1], [1, 1, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    idle += [[1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0], [0, 1, 1, 0, 0]]
    assert tokens.kind.reshape(9, 5).tolist() == idle
    assert tokens.lane.reshape(9, 5)[0].tolist() == [0, 1, 1, 2, 2]
    assert tokens.block.reshape(9, 5)[:, 0].tolist() == list(range(9))
    assert tokens.loss.reshape(9, 5)[2].tolist() == [1, 1, 0.25, 0, 0]
    assert tokens.loss.reshape(9, 5)[5].tolist() == [0.5, 0.25, 0.125, 0, 0]
    known = tokens.known_s.reshape(9, 5)
    assert known[:, 0].tolist() == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    assert np.array_equal(known[:, 2], known[:, 0])
    assert known[:, 3].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert np.array_equal(known[:, 4], known[:, 3])  # running maximum: book 1 alone shows less


def test_golden_sentences_then_wait() -> None:
    """RoboEgo's way: a sentence's tokens side by side, `wait` until its speech is over."""
    schema = schema_of("""
lanes:
  - say: {as: text, placement: sentence, idle: <idle>, wait: <wait>, end: <end>, hold: true}
  - speak: {as: codes, codec: plain, rate_hz: 10, codebooks: 1, delay: 2, pad: <init>}
  - listen: {as: codes, codec: plain, rate_hz: 10, codebooks: 1}
""")
    timeline, _ = sample(0.8, [a_say()])
    tokens = encode(schema, timeline, ArrayMedia(counted(0.8, 20), counted(0.8, 0)))
    assert rows(schema, tokens) == [
        "<idle> <init> 20",
        "<idle> <init> 21",
        "'A' 0 22",
        "'B' 1 23",
        "'.' 2 24",
        "<wait> 3 25",
        "' ' 4 26",
        "'C' 5 27",
        "<end> 6 0",
    ]
    assert tokens.report.tail_blocks == 1, "frame 6 sounds and comes out in step 8"


def test_speech_that_comes_before_its_step_can_know_waits() -> None:
    """Decided at 0.25 s, known in step 3: frame 2 stays silent, in the sound and in the ids."""
    timeline, _ = sample(0.8, [a_say(lead_s=0)])
    heard, said = counted(0.8, 20), counted(0.8, 0)
    tokens = encode(MOSHI, timeline, ArrayMedia(heard, said))
    assert column(MOSHI, tokens, 1) == "<q> <q> <q> 3 4 <q> 6 <q> <q>".split()
    assert tokens.report.waited_frames == 1
    late = schema_of("""
lanes:
  - speak: {as: codes, codec: plain, rate_hz: 10}
  - listen: {as: codes, codec: plain, rate_hz: 10, delay: 1, pad: <init>}
""")
    # what is heard comes a frame late: the decision at 0.25 s is known in step 4. 2 and 3 wait,
    # but for what stands before the speech begins (at 0.25 s)
    tokens = encode(late, timeline, ArrayMedia(heard, said))
    assert column(late, tokens, 0) == list("01204567")
    assert tokens.report.waited_frames == 2


def test_a_frame_shared_with_speech_that_must_wait_keeps_what_was_said() -> None:
    """Whoever is silenced may not take the end of the speech before with it."""
    first = a_say().model_copy(update={"id": "one"})
    second = spoken("two", "no", 0.75, 0.2)
    said = counted(1.2, 0)
    for agent in ([first], [first, second]):
        timeline, _ = sample(1.2, agent)
        tokens = encode(MOSHI, timeline, ArrayMedia(np.zeros_like(said), said))
        shown = column(MOSHI, tokens, 1)
        assert shown[6:8] == ["6", "<q>"]
    assert shown[8] == "8" and tokens.report.waited_frames == 1


def test_text_beyond_the_end_is_counted_or_goes_on() -> None:
    timeline, media = sample(0.8, [spoken("s", "ABCDEFGHIJKL", 0.3, 0.3)])
    whole = encode(MOSHI, timeline, media)
    text = "".join(x.strip("'") for x in column(MOSHI, whole, 0))
    assert "ABCDEFGHIJKL<end>" in text and whole.report.dropped_text_tokens == 0
    short = schema_of("", lanes=yaml_lanes(MOSHI), clock={"frame_s": 0.1, "tail": "drop"})
    tokens = encode(short, timeline, media)
    # steps 3 to 7 hold five letters (the speech decided at 0.3 is known then)
    assert tokens.report.dropped_text_tokens == 7 and tokens.report.tail_blocks == 0


def yaml_lanes(schema: TokenSchema) -> list[dict[str, Any]]:
    out = []
    for lane in schema.lanes:
        data = lane.model_dump(by_alias=True, exclude_defaults=True, mode="json")
        out.append({data.pop("channel"): data})
    return out


# ---- look, act, typed --------------------------------------------------------------------------

ROBOT = schema_of("""
lanes:
  - act: {as: codes, codec: bins, streams: 3, pad: <no-row>}
  - listen: {as: codes, codec: plain, rate_hz: 10}
  - look: {as: codes, every: 3, streams: 2, pad: <no-image>}
  - typed: {as: text, idle: <none>, end: <sent>}
codecs: {bins: {type: uniform}}
""")


def test_images_spread_over_steps_and_rows_follow_their_image() -> None:
    timeline, media = sample(0.7, moves=(2, 3), world=[typed("t", "GO", 0.25)])
    tokens = encode(ROBOT, timeline, media)
    codecs = codecs_of(ROBOT)
    assert media.rows is not None
    act = codecs.get("bins.arm").encode_batch([media.rows])[0]
    image = [codecs.get("image").encode(picture(i)) for i in (0, 3, 6)]
    made = tokens.ids.reshape(-1, 7)
    first = codecs.vocabulary.range("bins").start
    assert len(made) == 8 == tokens.report.blocks and tokens.report.tail_blocks == 1
    assert (made[0, :3] == codecs.vocabulary.id("<no-row>")).all(), "row 0 needs image 0 first"
    assert (made[1:8, :3].ravel() - first).tolist() == act
    look = made[:, 4:6] - codecs.vocabulary.range("image").start
    assert look[[0, 1, 3, 4, 6, 7]].reshape(3, 4).tolist() == [i.tolist() for i in image]
    assert (made[[2, 5], 4:6] == codecs.vocabulary.id("<no-image>")).all()
    shown = column(ROBOT, tokens, -1)
    assert shown == ["<none>", "<none>", "'G'", "'O'", "<sent>", *["<none>"] * 3]
    known = tokens.known_s.reshape(-1, 7)
    assert known[0].tolist() == [0, 0, 0, 0.1, 0.1, 0.1, 0.1]


def test_rows_of_twice_the_rate_stand_side_by_side_and_too_many_are_refused() -> None:
    lanes = yaml_lanes(ROBOT)
    lanes[0]["act"]["streams"] = 8
    wide = schema_of("", lanes=lanes, codecs={"bins": {"type": "uniform"}})
    timeline, media = sample(0.5, moves=(1, 4), fps=20.0)
    tokens = encode(wide, timeline, media)
    made = tokens.ids.reshape(-1, 12)[:, :8] - codecs_of(wide).vocabulary.range("bins").start
    act = codecs_of(wide).get("bins.arm").encode_batch([media.rows])[0]  # type: ignore[list-item]
    assert made[1:6, :6].ravel().tolist() == act and tokens.report.blocks == 6
    assert (tokens.kind.reshape(-1, 12)[:, 6:8] == IDLE).all()
    with pytest.raises(StrettoError, match="20 rows a second of 3 codes.*say streams: 6"):
        encode(ROBOT, timeline, media)


def test_a_sample_without_robot_has_pads() -> None:
    tokens = encode(ROBOT, *sample(0.5))
    vocabulary = codecs_of(ROBOT).vocabulary
    made = tokens.ids.reshape(-1, 7)
    assert (made[:, :3] == vocabulary.id("<no-row>")).all()
    assert (made[:, 4:6] == vocabulary.id("<no-image>")).all()


def test_images_with_more_codes_than_their_steps_are_refused() -> None:
    lanes = yaml_lanes(ROBOT)
    lanes[2]["look"].update(streams=1)
    tight = schema_of("", lanes=lanes, codecs={"bins": {"type": "uniform"}})
    with pytest.raises(StrettoError, match="4 codes, 3 steps of 1 streams.*say streams: 2"):
        encode(tight, *sample(0.5, moves=(1, 3)))


# ---- prompt ------------------------------------------------------------------------------------


def prompted(**prompt: Any) -> TokenSchema:
    data = {"open": "<sys>", "close": "<sys>", "rows": ["voice", "gap", "text", "gap"], **prompt}
    return schema_of(
        "", lanes=yaml_lanes(MOSHI), prompt={"gap_s": 0.2, "voice_s": 0.3, "loss": 0.5, **data}
    )


def with_voice(timeline: Timeline, voice: str | None) -> Timeline:
    context = timeline.context.model_copy(update={"system": "HI", "assistant_voice": voice})
    return timeline.model_copy(update={"context": context})


def test_prompt_rows() -> None:
    schema = prompted()
    timeline, media = sample(0.5)
    tokens = encode(schema, with_voice(timeline, "v"), media)
    clip = codecs_of(schema).get("voice").clip("v")
    voice = [
        f"<pad> {a} {b} 0 0" for a, b in np.clip(clip[: 4 * STEP].reshape(-1, STEP), 0, 99)[:3, :2]
    ]
    gap = ["<pad> <q> <q> 0 0"] * 2
    text = [f"{t} <q> <q> 0 0" for t in ("<sys>", "'H'", "'I'", "<sys>")]
    assert rows(schema, tokens, prompt=True) == [*voice, *gap, *text, *gap]
    head = tokens.lane == PROMPT
    assert head.sum() == 11 * 5 and not head[11 * 5 :].any()
    assert (tokens.known_s[head] == 0).all() and (tokens.block[head] == -1).all()
    assert (tokens.loss[head] == 0.5).all()
    kind = tokens.kind[head].reshape(-1, 5)
    assert kind[5, 0] == OPEN and kind[8, 0] == CLOSE and (kind == CONTENT).sum() == 53
    assert rows(schema, tokens)[0] == rows(MOSHI, encode(MOSHI, timeline, media))[0]
    unknown = encode(schema, with_voice(timeline, "nobody"), media)
    assert rows(schema, unknown, prompt=True)[:3] == ["<pad> <q> <q> 0 0"] * 3


def test_prompt_listens_to_a_sine() -> None:
    schema = prompted(listen="sine", rows=["gap"])
    tokens = encode(schema, *sample(0.5))
    shown = [row[3:] for row in named(schema, tokens, prompt=True)]
    # sample 1 of 440 Hz at 16 kHz and amplitude 0.1: 3276.7 * sin(0.1728) = 563, clipped by the codec
    assert shown[0] == ["0", "99"] and len(shown) == 2


def test_a_prompt_of_text_without_a_text_lane_is_refused() -> None:
    schema = schema_of("", lanes=yaml_lanes(MOSHI)[1:], prompt={"open": "<sys>", "close": "<sys>"})
    with pytest.raises(StrettoError, match="prompt has text, and no lane is text"):
        encode(schema, *sample(0.5))


# ---- what always holds -------------------------------------------------------------------------

WORD_12HZ5 = schema_of(
    """
lanes:
  - say: {as: text, placement: word, idle: <pad>, epad: <epad>}
  - speak: {as: codes, codec: audio-12hz5, rate_hz: 12.5, codebooks: 2, delays: [0, 1], pad: <init>}
  - listen: {as: codes, codec: audio-12hz5, rate_hz: 12.5, codebooks: 2, delays: [0, 1], pad: <init>}
""",
    clock={"frame_s": 0.08},
)
SENTENCE_12HZ5 = schema_of(
    """
lanes:
  - say: {as: text, placement: sentence, idle: <idle>, wait: <wait>, begin: <b>, end: <e>, cut: <c>,
          hold: true, offset_s: 0.16}
  - write: {as: text, idle: <silence>, end: <end>}
  - speak: {as: codes, codec: audio-12hz5, rate_hz: 12.5, codebooks: 2, delay: 1, idle: <q>, pad: <init>}
  - hear: {as: text, idle: <deaf>, end: <heard>}
  - listen: {as: codes, codec: audio-12hz5, rate_hz: 12.5, codebooks: 1}
""",
    clock={"frame_s": 0.08},
)
AHEAD = schema_of("""
lanes:
  - say: {as: text, placement: tail, idle: <pad>, end: <end>, epad: <epad>, delay: 1}
  - act: {as: codes, codec: bins, streams: 4, pad: <no-row>}
  - speak: {as: codes, codec: audio-ahead, rate_hz: 10, delay: 2, pad: <init>}
  - listen: {as: codes, codec: audio-ahead, rate_hz: 10, pad: <init>}
  - look: {as: codes, every: 4, streams: 2, pad: <no-image>}
  - typed: {as: text, idle: <none>, end: <sent>}
codecs: {bins: {type: uniform}}
""")
SCHEMAS = [MOSHI, WORD_12HZ5, SENTENCE_12HZ5, AHEAD, ROBOT]
NAMES = ["plain", "word", "sentence", "ahead", "robot"]
TEXTS = st.lists(
    st.sampled_from(["ab", "C.", "dog", "X!", "the", "é.", "🍎"]), min_size=1, max_size=6
)
MS = st.integers(0, 4000).map(lambda ms: ms / 1000)


@dataclass(frozen=True)
class OtherFuture(ArrayMedia):
    """Frames from index `parts` on are other ones."""

    parts: int = 10**9

    def frames(self, camera: str, indices: Any) -> NDArray[np.uint8]:
        return np.stack([picture(i + 100 * (i > self.parts)) for i in indices])


@dataclass(frozen=True)
class World:
    """A world event or an agent event is its text and its start; audio follows from it."""

    duration_s: float
    says: tuple[Say, ...]
    heard: tuple[tuple[str, float], ...]
    typed: tuple[tuple[str, float], ...]
    writes: tuple[tuple[str, float], ...]
    seed: int
    robot: bool


@st.composite
def worlds(draw: Any) -> World:
    duration_s = draw(st.integers(10, 50)) / 10
    says: list[Say] = []
    free_s = 0.0
    for i in range(draw(st.integers(0, 3))):
        start_s = round(free_s + draw(st.integers(0, 900)) / 1000, 3)
        event = spoken(f"s{i}", " ".join(draw(TEXTS)), start_s, draw(st.sampled_from([0.12, 0.2])))
        lead_s = min(start_s, draw(st.sampled_from([0.0, 0.05, 0.1, 0.3])))
        if event.end_s > duration_s:
            break
        decided_s = max([round(start_s - lead_s, 6), *(e.decided_s for e in says)])
        says.append(event.model_copy(update={"decided_s": decided_s}))
        free_s = event.end_s + 0.02
    pairs = st.lists(st.tuples(TEXTS.map(" ".join), MS), max_size=2).map(tuple)
    return World(
        duration_s,
        tuple(says),
        draw(pairs),
        draw(pairs),
        draw(pairs),
        draw(st.integers(0, 3)),
        draw(st.booleans()),
    )


def built(world: World) -> tuple[Timeline, OtherFuture]:
    agent = [*world.says, *(write(f"w{i}", t, s) for i, (t, s) in enumerate(world.writes))]
    events: list[Any] = [hear(f"h{i}", t, s) for i, (t, s) in enumerate(world.heard)]
    events += [typed(f"t{i}", t, s) for i, (t, s) in enumerate(world.typed)]
    moves = (3, 20) if world.robot else None
    timeline, media = sample(world.duration_s, agent, moves, listen_seed=world.seed, world=events)
    return timeline, OtherFuture(media.heard, media.spoken, media.pictures, media.rows)


def texts_of(schema: TokenSchema, tokens: Tokens, name: str) -> list[int]:
    """The text ids of a lane, in order, without its special tokens."""
    r = codecs_of(schema).vocabulary.range("text")
    lane = [x.name for x in schema.lanes].index(name)
    ids = tokens.ids[tokens.lane == lane]
    return [i - r.start for i in ids.tolist() if r.start <= i < r.stop]


@pytest.mark.parametrize("schema", SCHEMAS, ids=NAMES)
@SLOW
@given(worlds())
def test_rows_are_whole_and_nothing_is_lost(schema: TokenSchema, world: World) -> None:
    timeline, media = built(world)
    tokens = encode(schema, timeline, media)
    width = len(schema.streams)
    assert tokens.streams == width and len(tokens) == tokens.report.blocks * width
    assert (np.diff(tokens.known_s) >= 0).all()
    assert np.array_equal(
        tokens.lane.reshape(-1, width),
        np.tile([s.lane for s in schema.streams], (tokens.report.blocks, 1)),
    )
    for s, known in enumerate(stream_vocabulary(schema, codecs_of(schema))):
        assert (np.diff(known) > 0).all() and np.isin(tokens.ids[s::width], known).all()
    codec = codecs_of(schema).get("text")
    assert tokens.report.dropped_text_tokens == 0
    for name, events in (
        ("say", timeline.agent),
        ("write", timeline.agent),
        ("typed", timeline.world),
    ):
        if name in [x.name for x in schema.lanes]:
            texts = [e.text for e in events if e.kind == name]  # type: ignore[union-attr]
            if name != "say":
                texts = [e.text for e in sorted(events, key=decided) if e.kind == name]  # type: ignore[union-attr]
            assert texts_of(schema, tokens, name) == [i for t in texts for i in codec.encode(t)]


def decided(event: Any) -> float:
    return event.revealed_s if isinstance(event, (Hear, TypedInput)) else event.decided_s


@pytest.mark.parametrize("schema", SCHEMAS, ids=NAMES)
@SLOW
@given(worlds())
def test_nothing_stands_before_it_is_known(schema: TokenSchema, world: World) -> None:
    """The first speech: its text and its sound come out where its decision is known."""
    if not world.says or "speak" not in [x.name for x in schema.lanes]:
        return
    timeline, media = built(world)
    tokens, quiet = encode(schema, timeline, media), encode(schema, *built(replace(world, says=())))
    # without any speech the outputs are the same in every step that does not know of one
    n = min(len(tokens), len(quiet))
    names = [x.name for x in schema.lanes]
    out = np.isin(tokens.lane[:n], [names.index(x) for x in ("say", "speak")])
    grid_s = np.maximum(tokens.block[:n] * schema.block_s - late_s(schema), 0)
    before = out & (np.round(grid_s, 6) < world.says[0].decided_s)
    assert np.array_equal(tokens.ids[:n][before], quiet.ids[:n][before])


def late_s(schema: TokenSchema) -> float:
    """How late this schema listens."""
    return 0.2 if schema is AHEAD else 0.0


@pytest.mark.parametrize("schema", SCHEMAS, ids=NAMES)
@SLOW
@given(worlds(), worlds(), st.data(), st.booleans())
def test_another_world_after_t_changes_nothing_known_by_t(
    schema: TokenSchema, one: World, other: World, data: st.DataObject, cut: bool
) -> None:
    """Promise 2, at any T and just before decisions. `cut`: the other world also interrupts
    whatever is being said."""
    other = replace(other, robot=one.robot)
    last_s = min(one.duration_s, other.duration_s)
    times = [e.decided_s for w in (one, other) for e in w.says]
    times += [s for w in (one, other) for _, s in w.writes + w.typed]
    near = [round(x - 0.001, 3) for x in times if 0.001 <= x <= last_s]
    near_one = bool(near) and data.draw(st.booleans())
    t = min(last_s, data.draw(st.sampled_from(near) if near_one else MS))
    a = encode(schema, *built(one))
    b = encode(schema, *graft(one, other, t, cut))
    assert_same_where_known(a, b, t)


def assert_same_where_known(a: Tokens, b: Tokens, until_s: float) -> None:
    """All positions with known_s <= T, but those that one world lacks because it is over."""
    known = [int((x.known_s <= until_s).sum()) for x in (a, b)]
    n = min(known)
    assert n > 0 and (known[0] == known[1] or n == min(len(a), len(b)))
    assert np.array_equal(a.ids[:n], b.ids[:n]) and np.array_equal(a.kind[:n], b.kind[:n])


def graft(one: World, other: World, t: float, cut: bool) -> tuple[Timeline, OtherFuture]:
    """`one` until T, then `other`. What is decided by T stays, with its sound."""
    a, media = built(one)
    b, later = built(other)
    agent: list[Any] = [e for e in a.agent if e.decided_s <= t and e.kind != "act"]
    said = later.spoken.copy()
    said[:] = 0
    if cut:
        why = Evidence(event="h", revealed_s=round(t + 0.001, 6))
        at_s = round(t + 0.2, 6)
        agent = [_cut(e, at_s, why) if e.kind == "say" else e for e in agent]
    for e in agent:
        if e.kind == "say":
            said = _paste(said, media.spoken, e)
    free_s = max((e.end_s for e in agent if e.kind == "say"), default=0.0)
    for e in b.agent:
        if e.decided_s > t and (e.kind == "write" or (e.kind == "say" and e.start_s > free_s)):
            agent.append(e)
            if e.kind == "say":
                said = _paste(said, later.spoken, e)
    n, step = int(t * RATE_HZ), int(np.floor(t * 10 + 1e-6)) + 1
    heard = np.concatenate([media.heard[:n], later.heard[n:]])
    made = later.rows
    if made is not None and media.rows is not None:
        kept = media.rows[: min(step, len(made))]
        made = np.concatenate([kept, made[len(kept) :] + 0.25])
    world = [e for e in a.world if e.revealed_s <= t] + [e for e in b.world if e.revealed_s > t]
    world = [e for e in world if not isinstance(e, Hear)] + _heard(a, b, t)
    timeline = b.model_copy(update={"agent": tuple(agent), "world": tuple(world)})
    return timeline, OtherFuture(heard, said, later.pictures, made, parts=step - 1)


def _cut(event: Say, at_s: float, why: Evidence) -> Say:
    """The Say given up at `at_s`, with the times that the rest would have had."""
    if not event.start_s < at_s < event.end_s:
        return event
    return cut_say(event, at_s).model_copy(update={"cut_by": why})


def _paste(track: NDArray[np.int16], source: NDArray[np.int16], event: Say) -> NDArray[np.int16]:
    a, b = round(event.start_s * RATE_HZ), round(event.end_s * RATE_HZ)
    out = np.zeros(max(len(track), b), np.int16)
    out[: len(track)] = track
    out[a:b] = source[a:b]
    if event.cut_s is not None:
        out[round(event.cut_s * RATE_HZ) : b] //= 2
    return out


def _heard(a: Timeline, b: Timeline, t: float) -> list[Hear]:
    """Who is speaking at T goes on with other words."""
    out = []
    for e in a.world:
        if isinstance(e, Hear):
            known = [w for w in e.words if w.end_s <= t]
            if known:
                more = ["another", "end"] if len(known) < len(e.words) else []
                text = " ".join([*(w.text for w in known), *more])
                new = hear(e.id, text, e.start_s)
                # pauses depend on the words alone, so that those known by T keep their times
                assert [w.end_s for w in new.words[: len(known)]] == [w.end_s for w in known]
                out.append(new)
    return out + [e for e in b.world if isinstance(e, Hear) and e.words[0].end_s > t]


@pytest.mark.parametrize("schema", SCHEMAS[:4], ids=NAMES[:4])
@SLOW
@given(worlds(), st.floats(0.05, 1))
def test_a_cut_sample_equals_its_twin_until_the_cut(
    schema: TokenSchema, world: World, part: float
) -> None:
    """Promise 3: text in every step that does not know of the cut, sound in every whole frame
    before it."""
    cut_s = round(part * world.duration_s, 3)
    timeline, media = built(world)
    why = Evidence(event="h", revealed_s=max(0.0, round(cut_s - 0.2, 6)))
    agent = [_cut(e, cut_s, why) if isinstance(e, Say) else e for e in timeline.agent]
    said = np.zeros_like(media.spoken)
    for e in agent:
        if isinstance(e, Say):
            said = _paste(said, media.spoken, e)
    a = encode(schema, timeline, media)
    b = encode(
        schema, timeline.model_copy(update={"agent": tuple(agent)}), replace(media, spoken=said)
    )
    n, names = min(len(a), len(b)), [x.name for x in schema.lanes]
    known = np.round(np.maximum(a.block[:n] * schema.block_s - late_s(schema), 0), 6)
    text = (a.lane[:n] == names.index("say")) & (known < cut_s)
    ahead_s = 0.15 if schema is AHEAD else 0.0
    shift = 4 if schema is AHEAD else getattr(schema.lane("speak"), "delay", 0)
    frames_end = np.round((a.block[:n] - shift + 1) * schema.block_s + ahead_s, 6)
    speak = (a.lane[:n] == names.index("speak")) & (frames_end <= cut_s)
    same = a.ids[:n] == b.ids[:n]
    assert same[text | speak].all()
    assert a.report.blocks >= b.report.blocks


def test_speech_that_yields_before_the_reason_is_known_is_refused() -> None:
    """Listening two frames late, and yielding 0.1 s after the reason."""
    late = schema_of("""
lanes:
  - speak: {as: codes, codec: plain, rate_hz: 10}
  - listen: {as: codes, codec: plain, rate_hz: 10, delay: 2, pad: <init>}
""")
    event = spoken("s", "one two three", 0.5)
    why = Evidence(event="h", revealed_s=0.9)
    timeline, media = sample(2.0, [_cut(event, 1.0, why)])
    with pytest.raises(
        StrettoError, match="lane speak: s: .*yields at 1 s.*0.9 s.*delay the lane by 1"
    ):
        encode(late, timeline, media)


def test_text_that_leads_tells_nothing_of_a_barge_in() -> None:
    """`C` would begin at 1.1 s and is due 0.5 s earlier, whether or not it is said then. Where the
    Timeline does not tell when (version 1.0), the sample is refused."""
    why = Evidence(event="h", revealed_s=0.9)
    whole = spoken("s", "A B C", 0.5)
    event = _cut(whole, 1.1, why)
    leading = yaml_lanes(MOSHI)
    leading[0]["say"]["offset_s"] = -0.5
    schema = schema_of("", lanes=leading)
    said, cut = (column(MOSHI, encode(schema, *sample(2.0, [e])), 0) for e in (whole, event))
    assert said == cut and cut[5:11] == ["'A'", "' '", "'B'", "' '", "'C'", "<end>"]
    older = event.model_copy(update={"unsaid_words": (), "unsaid_pieces": ()})
    with pytest.raises(StrettoError, match="lane say: s: .*left unsaid from 1.1 s.*by 3 more"):
        encode(schema, *sample(2.0, [older]))


def test_a_code_that_looks_ahead_stands_where_it_is_known() -> None:
    """AheadCodec hears 0.15 s beyond its frame: two steps of 0.1 s later."""
    schema = schema_of("", lanes=yaml_lanes(AHEAD)[2:4])
    timeline, media = sample(1.0)
    tokens = encode(schema, timeline, media)
    ids = tokens.ids.reshape(-1, 2)[:, 1]
    vocabulary = codecs_of(schema).vocabulary
    codes = AheadCodec().encode(np.concatenate([media.heard, np.zeros(RATE_HZ, np.int16)]))
    assert (ids[:2] == vocabulary.id("<init>")).all()
    start = vocabulary.range("audio-ahead").start
    assert (ids[2:] - start).tolist() == codes[: len(ids) - 2, 0].tolist()
    known = tokens.known_s.reshape(-1, 2)
    assert np.allclose(known[4], [0.35, 0.45]), "the code of frame 2, in step 4, hears to 0.45 s"


def test_the_same_sample_gives_the_same_bytes() -> None:
    world = World(3.0, (spoken("s", "ab dog. X!", 0.5),), (("the dog", 0.2),), (), (), 1, True)
    for schema in SCHEMAS:
        a, b = (encode(schema, *built(world)) for _ in range(2))
        for field in ("ids", "lane", "kind", "block", "loss", "known_s"):
            assert np.array_equal(getattr(a, field), getattr(b, field))
        assert a.ids.dtype == np.int32 and a.lane.dtype == a.kind.dtype == np.uint8
        assert a.block.dtype == np.int32 and a.loss.dtype == np.float32


# ---- worlds of the real generators -------------------------------------------------------------


def tokens_of(schema: TokenSchema, made: Sample) -> Tokens:
    return encode(schema, made.timeline, ArrayMedia(made.listen, made.speak))


@pytest.mark.parametrize("schema", [WORD_12HZ5, SENTENCE_12HZ5], ids=["word", "sentence"])
def test_worlds_of_the_real_generators(schema: TokenSchema) -> None:
    """Another next turn, with and without a barge-in, a turn that goes on."""
    base = ("Hello, how can I get to the island?", LONG, "Thank you, the train it is.", "Enjoy it.")
    other = (*base[:2], "And what does the ferry cost?", "About twenty euros.")
    barge = [Turn(role="user", text=base[0]), Turn(role="assistant", text=LONG)]
    stop = Turn(role="user", text="Stop. The ferry please.", interrupts=True)
    ends = "I would like to book a quiet room, with two large beds in it,"
    pairs: list[tuple[tuple[str | Turn, ...], tuple[str | Turn, ...], float]] = [
        (base, other, 0.0),
        ((*barge, stop), (*barge, stop.model_copy(update={"interrupts": False})), 0.0),
        ((ends, "Fine."), (ends + " and a view over the harbour.", "Fine."), 1.0),
    ]
    for one, two, backchannels in pairs:
        cfg = config(barge_in={"rate": 0}, backchannel={"per_min": 300 * backchannels})
        samples = [sample_of(dialogue(*turns), cfg) for turns in (one, two)]
        t_s = parting_sample(*samples) / RATE_HZ
        a, b = (tokens_of(schema, s) for s in samples)
        n = min(int((x.known_s <= t_s).sum()) for x in (a, b))
        assert n > 100 and np.array_equal(a.ids[:n], b.ids[:n])
        assert a.report.waited_frames == b.report.waited_frames == 0
        assert a.report.not_placed.keys() <= {"write", "think"}


def test_no_backchannel_waits() -> None:
    """It is decided 0.1 s before it sounds: a frame of 80 ms that starts after it knows of it."""
    said = 0
    for n in range(6):
        record = dialogue(
            "I would like to book a quiet room, with two large beds in it, and a view.",
            "Very well.",
            key=f"b-{n}",
        )
        made = sample_of(record, config(backchannel={"per_min": 300}))
        said += sum(getattr(e, "behaviour", "") == "backchannel" for e in made.timeline.agent)
        assert tokens_of(WORD_12HZ5, made).report.waited_frames == 0
    assert said >= 4
