"""The blocks mode by hand: a golden sample, each feature once, round trips, refusals."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from block_variants import PHASED, VARIANTS, worlds
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray
from schema_samples import (
    SMALL,
    SMALL_YAML,
    ArrayMedia,
    blocks_of,
    codec_set,
    picture,
    sample,
    say,
    schema_of,
    spoken,
    typed,
    write,
)

from schemas.errors import StrettoError
from schemas.timeline import Say, Think, Timeline, ToolCall, Write
from token_schema.codecs.mel_slots import MelSlots
from token_schema.decode import Decoded, decode
from token_schema.encode import (
    CLOSE,
    CONTENT,
    IDLE,
    OPEN,
    Tokens,
    compile_sample,
    not_placed,
    prompt_text,
)
from token_schema.language import TokenSchema

SLOW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def encode(timeline: Timeline, media: ArrayMedia, schema: TokenSchema = SMALL) -> Tokens:
    return compile_sample(schema, codec_set(schema), timeline, media)


def back(tokens: Tokens, timeline: Timeline, schema: TokenSchema = SMALL) -> Decoded:
    act = timeline.act
    return decode(
        schema,
        codec_set(schema),
        tokens.ids,
        timeline.subset if act else None,
        act.step_count if act else None,
        act.fps if act else None,
    )


def readable(tokens: Tokens, schema: TokenSchema = SMALL) -> str:
    """Names of all ids; a text id is the text of its piece in quotes."""
    codecs = codec_set(schema)
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
        codec_set(SMALL).vocabulary.name(i): float(w)
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
    assert [block == ["<hold>"] for block in blocks_of(tokens, SMALL, "act")] == [
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
    codec = codec_set(SMALL).get("action.arm")
    return codec.low, codec.high


def error_bound() -> NDArray[np.float64]:
    return codec_set(SMALL).get("action.arm").max_error(10)


def test_steps_that_do_not_fit_the_block_are_refused_with_lengths_that_fit() -> None:
    timeline, media = sample(3.0, moves=(5, 10), fps=12.5)
    with pytest.raises(StrettoError, match=r"k-1: lane act.*12.5 in a block of 1 s; .*0\.4, 0\.8"):
        encode(timeline, media)


def test_a_sample_that_needs_a_codec_nobody_fitted_is_refused() -> None:
    timeline, media = sample(2.0, moves=(5, 10))
    with pytest.raises(StrettoError, match="action.other.*stretto fit"):
        encode(timeline.model_copy(update={"subset": "other"}), media)
    wrist = SMALL_YAML.replace("look: {as: codes,", "look: {as: codes, camera: wrist,")
    with pytest.raises(StrettoError, match="no camera 'wrist'.*front"):
        encode(timeline, media, schema_of(wrist))


def test_audio_of_another_rate_is_refused() -> None:
    timeline, media = sample(2.0)
    listen = timeline.listen.model_copy(update={"sample_rate_hz": 24000})
    with pytest.raises(StrettoError, match="24000 Hz"):
        encode(timeline.model_copy(update={"listen": listen}), media)


def test_the_head_does_not_tell_a_robot_its_task() -> None:
    timeline, _ = sample(2.0, moves=(5, 10))
    context = timeline.context.model_copy(update={"task": "open the drawer", "role": "helper"})
    text = prompt_text(SMALL, timeline.model_copy(update={"context": context}))
    assert text == "Be brief.\nhelper"


@SLOW
@given(worlds())
def test_round_trip(world: tuple[Timeline, ArrayMedia]) -> None:
    timeline, media = world
    tokens = encode(timeline, media)
    out, codecs = back(tokens, timeline), codec_set(SMALL)
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
    codes = codec_set(SMALL).get("audio").encode(whole).reshape(out.block_count, 10, 4)
    pieces = [p for e in timeline.agent if isinstance(e, Say) for p in e.pieces]
    for b, block in enumerate(out.codes("speak")):
        sounds = any(p.start_s < b + 1 and p.end_s > b for p in pieces)
        assert (block is not None) == sounds
        if block is not None:
            assert np.array_equal(block, codes[b])


def test_the_same_sample_gives_the_same_bytes() -> None:
    timeline, media = sample(4.0, [write("w", "hello", 1.0), say("s", 1.0, 2.0)], moves=(5, 20))
    a, b = encode(timeline, media), encode(timeline, media)
    for field in ("ids", "lane", "kind", "block", "loss", "known_s"):
        assert np.array_equal(getattr(a, field), getattr(b, field))


# ---- features, by hand -------------------------------------------------------------------------


class NoSound(ArrayMedia):
    """Media whose sound may not be decoded."""

    def listen(self) -> NDArray[np.int16]:
        raise AssertionError("FLAC decoded")

    speak = listen


def test_a_phase_leaves_out_the_lanes_that_have_nothing_to_say() -> None:
    """Blocks of 0.8 s; the words A and B start at 1.0 and 1.5, the speech ends at 2.0."""
    schema = schema_of(
        PHASED.replace("  - look: {as: codes, frames: 2, open: <boi>, close: <eoi>}", "")
    )
    timeline, media = sample(4.0, [spoken("s", "A B", 1.0, 0.5)])
    media = replace(media, spoken=np.zeros_like(media.spoken))
    tokens, quiet = encode(timeline, media, schema), "<heard> " * 4 + "<listening> "
    speak = "<bos> " + "audio:0:0 audio:1:0 audio:2:0 audio:3:0 " * 8 + "<eos> <boa> <eoa> "
    assert readable(tokens, schema) == (
        f"<unit> {quiet}</unit> "
        f"<unit> {'<heard> ' * 4}<speaking> 'A' ' ' <chunk> {speak}</unit> "
        f"<unit> {'<heard> ' * 4}<speaking> 'B' <turn> {speak}</unit> "
        f"<unit> {quiet}</unit> "
        f"<unit> {quiet}</unit>"
    )
    clock = np.isin(tokens.ids, [codec_set(schema).vocabulary.id(x) for x in ("<unit>", "</unit>")])
    assert (tokens.lane[clock] == 255).all() and not tokens.loss[clock].any()
    assert tokens.kind[clock].tolist() == [OPEN, CLOSE] * 5
    assert tokens.block[clock].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    phase = tokens.lane == 1
    assert tokens.kind[phase].tolist() == [IDLE, CONTENT, CONTENT, IDLE, IDLE]
    books = tokens.loss[(tokens.lane == 3) & (tokens.kind == CONTENT)]
    assert books.tolist() == [1, 0.5, 0.5, 0.25] * 16


def test_a_robot_that_moves_is_active_and_one_that_holds_is_not() -> None:
    schema = VARIANTS["phased"]
    timeline, media = sample(4.0, moves=(12, 4))
    phase = [x[0] for x in blocks_of(encode(timeline, media, schema), schema, "phase")]
    # block 0 codes its first rows, 1.2 to 1.6 s move, 1.6 to 2.4 s idle at another row: coded once
    assert phase == ["<speaking>"] * 3 + ["<listening>"] * 2


def test_fixed_lanes_are_full_in_every_block() -> None:
    schema = VARIANTS["fixed"]
    timeline, media = sample(2.4, [spoken("s", "AB C", 0.5, 0.4), write("w", "XYZ", 1.0)])
    tokens = encode(timeline, media, schema)
    assert blocks_of(tokens, schema, "say") == [
        ["<silence>"] * 3,
        ["<begin>", "A", "B"],
        [" ", "C", "<pad>"],
        ["<end>", "<silence>", "<silence>"],  # held until 1.3 s
        ["<silence>"] * 3,
        ["<silence>"] * 3,
    ]
    assert blocks_of(tokens, schema, "write")[2:5] == [
        ["X", "Y"],
        ["Z", "<end>"],
        ["<silence>"] * 2,
    ]
    say_lane = tokens.lane == 1
    assert tokens.kind[say_lane].tolist() == [1] * 3 + [0] * 3 + [0, 0, 1] + [0, 1, 1] + [1] * 6
    lengths = np.bincount(tokens.block[tokens.block >= 0])
    assert set(lengths) == {20 + 3 + 2 + 20}


def test_a_rate_that_carries_changes_the_frames_of_a_block() -> None:
    schema = VARIANTS["carry"]
    timeline, media = sample(4.0, [spoken("s", "A B", 1.1, 0.4)])
    tokens = encode(timeline, media, schema)
    lengths = [len(x) for x in blocks_of(tokens, schema, "listen")]
    assert lengths == [26, 24, 26, 24], "what is heard is waited for"
    assert [len(x) for x in blocks_of(tokens, schema, "speak")] == [1, 26, 1, 1]
    codes = codec_set(schema).get("audio-12hz5").encode(media.heard)
    flat = [x.split(":")[2] for block in blocks_of(tokens, schema, "listen") for x in block]
    assert [int(x) for x in flat] == codes.ravel().tolist()
    # block 0 tells of 13 frames: what was decided after 1.04 s waits
    late = sample(4.0, [write("w", "X", 1.041)])
    assert blocks_of(encode(*late, schema), schema, "write")[:2] == [["<silence>"], ["X", "<end>"]]


def test_slots_and_mel_rows_are_those_of_the_sound() -> None:
    schema = VARIANTS["views"]
    timeline, media = sample(2.7, [spoken("s", "A B", 1.1, 0.4)])
    tokens = encode(timeline, media, schema)
    slots = MelSlots.of(16000, 5.0, 4, 40)
    heard, said = (
        slots.encode(np.concatenate([pcm, np.zeros(4800, np.int16)]))
        for pcm in (media.heard, media.spoken)
    )
    assert np.array_equal(tokens.values["listen"], heard) and heard.shape == (15, 160)
    assert blocks_of(tokens, schema, "speak") == [["<quiet>"], ["<mel>"] * 5, ["<quiet>"]]
    assert np.array_equal(tokens.values["speak"], said[5:10])
    assert sorted(tokens.values) == ["listen", "speak"] and tokens.values["speak"].std() > 0.1


def test_ids_without_audio_codes_need_no_sound() -> None:
    """The features of slots are made when they are asked for, also through pickle."""
    timeline, media = sample(3.0, [spoken("s", "A B", 1.1, 0.4)])
    tokens = encode(timeline, NoSound(media.heard, media.spoken), VARIANTS["views"])
    with pytest.raises(AssertionError, match="FLAC decoded"):
        _ = tokens.values["listen"]
    # codes of speech are asked for only where a Say sounds
    timeline, media = sample(3.0, [], moves=(5, 10))
    silent = NoSound(media.heard, media.spoken, media.pictures, media.rows)
    codes, slots = "as: codes, rate_hz: 10, codebooks: 1,", "as: slots, rate_hz: 10, slot: <heard>,"
    slots = SMALL_YAML.replace(codes, slots)
    assert len(encode(timeline, silent, schema_of(slots)))
    tokens = encode(timeline, media, VARIANTS["views"])
    copied = pickle.loads(pickle.dumps(tokens))
    assert type(copied.values) is dict
    assert np.array_equal(copied.values["listen"], tokens.values["listen"])


def test_end_of_pad_announces_a_word() -> None:
    schema = VARIANTS["epad"]
    said = spoken("s", "A B", 0.4, 0.4).model_copy(update={"decided_s": 0.2})
    timeline, media = sample(1.6, [said])
    tokens = encode(timeline, media, schema)
    text = [x[0] for x in blocks_of(tokens, schema, "say")]
    # frame 5 begins at 0.4: A starts in it; B and the space before it at 0.8, in frame 10
    assert text[:13] == ["<pad>"] * 4 + ["<epad>", "A"] + ["<pad>"] * 3 + [
        "<epad>",
        " ",
        "B",
        "<end>",
    ]
    assert tokens.report.missing_epad == 0
    surprise = sample(1.6, [spoken("s", "A B", 0.45, 0.4)])  # decided when it starts
    assert encode(*surprise, schema).report.missing_epad == 1


def test_a_schema_without_a_prompt_begins_with_its_first_block() -> None:
    tokens = encode(*sample(1.0), VARIANTS["epad"])
    assert tokens.block[0] == 0 and prompt_text(VARIANTS["epad"], sample(1.0)[0]) == ""


def test_what_a_lane_shows_is_placed() -> None:
    timeline, _ = sample(2.0, [spoken("s", "A", 0.5), write("w", "W", 0.1)])
    world = (typed("t", "T", 0.5), typed("r", "R", 0.5, "tool_result"))
    timeline = timeline.model_copy(update={"world": world})
    assert not_placed(SMALL, timeline) == {"tool_result": 1, "typed": 1}
    assert not_placed(VARIANTS["views"], timeline) == {"write": 1}
    assert not_placed(VARIANTS["epad"], timeline) == {"tool_result": 1, "typed": 1, "write": 1}
