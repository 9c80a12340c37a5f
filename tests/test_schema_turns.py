"""Turn-based layouts: golden samples by hand, the four pairings, cuts, and causality by worlds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from schema_samples import (
    RATE_HZ,
    ArrayMedia,
    codec_set,
    cut_say,
    fitted,
    hear,
    sample,
    schema_of,
    sound,
    spoken,
    typed,
    write,
)
from worlds import config, dialogue, sample_of

from schemas.records import Dialogue, Turn
from schemas.sample import Sample
from schemas.timeline import Hear, Say, TimedWord, Timeline, ToolCall
from token_schema.codecs.mel_slots import MelSlots
from token_schema.language import TokenSchema
from token_schema.layouts.turns import compile_turns, turn_spans
from token_schema.tokens import CLOSE, CONTENT, OPEN, PROMPT, Tokens

SLOW = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
HEAD = """
name: turns
mode: interleaved
clock: {turns: {input: [<in>, </in>], output: [<out>, </out>], cut: <cut>}}
"""
LISTEN = "  - listen: {as: codes, rate_hz: 10, codebooks: 1, open: <a>, close: </a>}\n"
HEAR = "  - hear: {as: text, end: <he>, open: <h>, close: </h>}\n"
TYPED = "  - typed: {as: text, end: <te>, open: <t>, close: </t>}\n"
WRITE = "  - write: {as: text, end: <we>, cut: <wc>, open: <w>, close: </w>, loss: 1}\n"
SAY = "  - say: {as: text, end: <se>, open: <s>, close: </s>, loss: {content: 1, close: 1}}\n"
SPEAK = (
    "  - speak: {as: codes, rate_hz: 10, codebooks: 2, open: <sp>, close: </sp>,"
    " loss: {content: 1, close: 1, books: [1, 0.5]}}\n"
)
AHEAD = "  - listen: {as: codes, codec: audio-ahead, rate_hz: 10, open: <a>, close: </a>}\n"
PROMPT_LINE = "prompt: {open: <p>, close: </p>, take: [system], loss: 0}\n"


def layout(*lanes: str, prompt: bool = False, interleave: dict[str, int] | None = None) -> Any:
    text = HEAD + (PROMPT_LINE if prompt else "") + "lanes:\n" + "".join(lanes)
    schema = schema_of(text)
    if interleave:
        turns = schema.clock.turns.model_dump() | {"interleave": interleave}  # type: ignore[union-attr]
        schema = schema_of(text, turns=turns)
    return schema


def encode(schema: TokenSchema, timeline: Timeline, media: ArrayMedia) -> Tokens:
    return compile_turns(schema, codec_set(schema), timeline, media)


def quiet(pair: tuple[Timeline, ArrayMedia]) -> tuple[Timeline, ArrayMedia]:
    """Digital silence: code 0 of every book."""
    timeline, media = pair
    zeros = np.zeros_like(media.heard)
    return timeline, replace(media, heard=zeros, spoken=zeros)


def text_of(schema: TokenSchema) -> tuple[Any, int]:
    """The text codec and where its ids begin (a schema of speech alone has none)."""
    ranges = [r for r in codec_set(schema).vocabulary.ranges if r.codec == "text"]
    return fitted()["text"], ranges[0].start if ranges else 0


def names(schema: TokenSchema, tokens: Tokens) -> list[str]:
    """Names of all ids; a text id is the text of its piece in quotes."""
    text, start = text_of(schema)
    out = []
    for i in tokens.ids.tolist():
        name = codec_set(schema).vocabulary.name(i)
        out.append(repr(text.piece(i - start).decode()) if name.startswith("text:") else name)
    return out


def readable(schema: TokenSchema, tokens: Tokens) -> str:
    """Runs of one name as `name*3`."""
    runs: list[list[Any]] = []
    for name in names(schema, tokens):
        if runs and runs[-1][0] == name:
            runs[-1][1] += 1
        else:
            runs.append([name, 1])
    return " ".join(name if n == 1 else f"{name}*{n}" for name, n in runs)


def decided(event: Any, at_s: float) -> Any:
    return event.model_copy(update={"decided_s": at_s})


# ---- by hand -----------------------------------------------------------------------------------


def test_golden_two_pairs() -> None:
    """By hand. Capitals are single bytes in the tiny BPE, digital silence is code 0 of a book."""
    schema = layout(LISTEN, SAY, SPEAK, prompt=True)
    pair = sample(
        4.0,
        # words of 0.3 s; decided at 0.95 s, which is rounded up to the frame's end, 1.0 s
        [decided(spoken("s1", "AB", 1.23), 0.95), decided(spoken("s2", "CD", 3.0), 2.9)],
        world=[hear("u1", "X Y", 0.25), hear("u2", "Z", 2.08)],
        system="HI",
    )
    tokens = encode(schema, *quiet(pair))
    golden = (
        "<p> 'H' 'I' </p> "
        # heard from frame 2, in which 0.25 s lies, to frame 9
        "<in> <a> audio:0:0*8 </a> </in> "
        # 1.23 to 1.53 s touch frames 12 to 15
        "<out> <s> 'A' 'B' <se> </s> "
        "<sp> audio:0:0 audio:1:0 audio:0:0 audio:1:0 audio:0:0 audio:1:0 audio:0:0 audio:1:0 </sp> "
        "</out> "
        "<in> <a> audio:0:0*9 </a> </in> "
        "<out> <s> 'C' 'D' <se> </s> "
        "<sp> audio:0:0 audio:1:0 audio:0:0 audio:1:0 audio:0:0 audio:1:0 </sp> </out>"
    )
    assert readable(schema, tokens) == golden
    assert [tokens.block[0], *sorted(set(tokens.block[4:].tolist()))] == [-1, 0, 1, 2, 3]
    assert tokens.report.blocks == 4 and tokens.streams == 1 and not tokens.values
    dtypes = [x.dtype for x in (tokens.ids, tokens.lane, tokens.kind, tokens.block)]
    assert dtypes == [np.int32, np.uint8, np.uint8, np.int32]
    assert (tokens.loss.dtype, tokens.known_s.dtype) == (np.float32, np.float64)
    first = tokens.block == 0
    # a code at its own frame's end, but not before the user's first word has ended (0.55 s)
    assert tokens.known_s[first].tolist() == [0, 0, *[0.55] * 3, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0, 1.0]
    assert tokens.lane[first].tolist() == [PROMPT, *[0] * 10, PROMPT]
    assert tokens.kind[first].tolist() == [OPEN, OPEN, *[CONTENT] * 8, CLOSE, CLOSE]
    second = tokens.block == 1
    assert (tokens.known_s[second] == 1.0).all()
    assert tokens.loss[second].tolist() == [0, 0, 1, 1, 1, 1, 0, *[1, 0.5] * 4, 1, 1]
    assert tokens.lane[second].tolist() == [PROMPT, *[1] * 5, *[2] * 10, PROMPT]
    assert (tokens.known_s[tokens.block == 3] == 2.9).all()


def test_golden_read_3_write_10() -> None:
    schema = layout(
        "  - listen: {as: slots, rate_hz: 5, subframes: 4, n_mels: 40, slot: <x>}\n",
        "  - say: {as: text, end: <se>, loss: 1}\n",
        "  - speak: {as: codes, rate_hz: 10, codebooks: 1, loss: 1}\n",
        interleave={"say": 3, "speak": 10},
    )
    # 1.0 to 3.4 s: 24 frames; four letters and `end`
    pair = sample(
        4.0, [decided(spoken("s", "ABCD", 1.0, word_s=2.4), 1.0)], world=[hear("u", "X", 0.5)]
    )
    tokens = encode(schema, *quiet(pair))
    assert readable(schema, tokens) == (
        "<in> <x>*3 </in> <out> 'A' 'B' 'C' audio:0*10 'D' <se> audio:0*14 </out>"
    )
    assert (tokens.loss[tokens.block == 1] == [0, *[1] * 30]).all()  # the end is learned
    assert tokens.values["listen"].shape == (3, 160)
    # text is longer than speech: what remains of it follows
    pair = sample(4.0, [decided(spoken("s", "ABCDEFG", 1.0, word_s=0.4), 1.0)])
    assert readable(schema, encode(schema, *quiet(pair))) == (
        "<in> </in> <out> 'A' 'B' 'C' audio:0*4 'D' 'E' 'F' 'G' <se> </out>"
    )


def test_golden_of_a_cut_turn() -> None:
    """The speech ends with the last frame that ended before the cut; then the world ends the turn."""
    schema = layout(LISTEN, SAY, SPEAK, WRITE)
    whole = decided(spoken("s1", "A B C", 1.0, word_s=0.5), 1.0)
    pair = sample(
        4.0,
        [
            cut_say(whole, 1.77),
            decided(write("w1", "KLM", 1.0, cut_s=1.77), 1.0),
            decided(spoken("s2", "D", 2.5), 2.5),
        ],
        world=[hear("u1", "X", 0.5), hear("u2", "Y", 1.4)],
    )
    tokens = encode(schema, *quiet(pair))
    codes = " ".join(["audio:0:0 audio:1:0"] * 7)
    assert readable(schema, tokens) == (
        "<in> <a> audio:0:0*5 </a> </in> "
        f"<out> <s> 'A' ' ' 'B' ' ' 'C' <se> </s> <sp> {codes} </sp> <w> </w> <cut> "
        "<in> <a> audio:0:0*11 </a> </in> "
        f"<out> <s> 'D' <se> </s> <sp> {' '.join(codes.split()[:6])} </sp> <w> </w> </out>"
    )
    turn = tokens.block == 1
    assert tokens.known_s[turn].tolist() == [*[1.0] * 24, *[1.77] * 4]
    assert tokens.loss[turn][-4:].tolist() == [0] * 4 and tokens.kind[turn][-1] == CLOSE
    assert (tokens.loss[turn][2:8] == 1).all()
    # K L M behind the speech were never written
    assert (tokens.report.dropped_text_tokens, tokens.report.silent_events) == (3, 1)


def test_a_cut_among_alternating_lanes_is_a_prefix_of_the_whole() -> None:
    schema = layout(
        LISTEN,
        "  - say: {as: text, end: <se>}\n",
        "  - speak: {as: codes, rate_hz: 10, codebooks: 1}\n",
        interleave={"say": 3, "speak": 10},
    )
    whole = decided(spoken("s", "ABCDEFGHI", 1.0, word_s=3.0), 1.0)
    texts = []
    for event in (whole, cut_say(whole, 1.95), cut_say(whole, 2.0)):
        pair = quiet(sample(5.0, [event]))
        texts.append(readable(schema, encode(schema, *pair)))
    assert texts[1] == "<in> <a> </a> </in> <out> 'A' 'B' 'C' audio:0*9 <cut>"
    # all that stands before the first code that did not sound
    assert texts[2] == "<in> <a> </a> </in> <out> 'A' 'B' 'C' audio:0*10 'D' 'E' 'F' <cut>"
    assert texts[0].startswith(texts[2].removesuffix(" <cut>"))
    report = encode(schema, *quiet(sample(5.0, [cut_say(whole, 1.95)]))).report
    assert (report.dropped_text_tokens, report.silent_events) == (6, 0)


def test_without_speech_a_cut_text_ends_where_it_was() -> None:
    say = cut_say(decided(spoken("s", "A B C", 1.0, word_s=0.5), 1.0), 1.77)
    schema = layout(HEAR, SAY)
    tokens = encode(schema, *sample(4.0, [say], world=[hear("u", "X", 0.5)]))
    # B had begun at 1.5 s; without a token `cut` the text ends with `end`, which is not learned
    assert readable(schema, tokens) == (
        "<in> <h> 'X' <he> </h> </in> <out> <s> 'A' ' ' 'B' <se> </s> <cut>"
    )
    assert tokens.loss[tokens.block == 1].tolist() == [0, 0, 1, 1, 1, 0, 0, 0]
    assert tokens.report.dropped_text_tokens == 2
    # a text that is written comes evenly: 6 ids in its second, 4 of them in 0.77 s
    schema = layout(HEAR, WRITE)
    tokens = encode(schema, *sample(4.0, [write("w", "ABCDEF", 1.0, cut_s=1.77)]))
    assert readable(schema, tokens) == (
        "<in> <h> </h> </in> <out> <w> 'A' 'B' 'C' 'D' <wc> </w> <cut>"
    )
    assert tokens.known_s[tokens.block == 1].tolist() == [*[1.0] * 6, *[1.77] * 3]
    # cut before its first id: no mark of an end
    tokens = encode(schema, *sample(4.0, [write("w", "ABCDEF", 1.0, cut_s=1.1)]))
    assert readable(schema, tokens) == "<in> <h> </h> </in> <out> <w> </w> <cut>"
    assert (tokens.report.dropped_text_tokens, tokens.report.silent_events) == (6, 1)
    # whole by the time of the cut: as if there were none
    tokens = encode(schema, *sample(4.0, [write("w", "ABCDEF", 1.0, cut_s=2.5)]))
    assert readable(schema, tokens).endswith("'F' <we> </w> </out>")


def test_what_a_cut_takes_along_is_counted_and_the_reply_follows() -> None:
    """An acknowledgement is cut, the answer behind it with it: neither comes back."""
    schema = layout(LISTEN, SAY, SPEAK)
    ack = cut_say(decided(spoken("s1", "A", 1.0, word_s=1.0), 1.0), 1.55)
    answer = cut_say(decided(spoken("s2", "BC", 2.1), 1.3), 1.55)
    call = ToolCall(id="c", text="F", decided_s=1.4, start_s=1.4, end_s=1.4, planned_end_s=1.4)
    reply = decided(spoken("s3", "D", 2.5), 2.5)
    pair = sample(4.0, [ack, answer, call, reply], world=[hear("u", "X", 1.1)])
    tokens = encode(schema, *quiet(pair))
    text = readable(schema, tokens)
    assert "'B'" not in text and text.count("<cut>") == 1 and text.count("<out>") == 2
    assert tokens.report.silent_events == 1 and tokens.report.dropped_text_tokens == 2
    assert tokens.report.not_placed == {"tool_call": 1}
    # what was not cut stays, known when the cut is
    with_calls = layout(LISTEN, SAY, SPEAK, "  - tool_call: {as: text, end: <ce>}\n")
    tokens = encode(with_calls, *quiet(pair))
    assert "'F' <ce>" in readable(with_calls, tokens)
    assert tokens.report.not_placed == {} and (np.diff(tokens.known_s) >= 0).all()


def test_a_proactive_remark_has_an_empty_input_turn() -> None:
    schema = layout(LISTEN, TYPED, SAY)
    timeline, media = sample(3.0, [decided(spoken("s", "A", 1.0), 0.42)])
    tokens = encode(schema, timeline, media)
    assert readable(schema, tokens) == (
        "<in> <a> </a> <t> </t> </in> <out> <s> 'A' <se> </s> </out>"
    )
    assert tokens.known_s.tolist() == [0, 0, *[0.5] * 10]


def test_what_is_heard_after_the_last_decision_is_a_last_input_turn() -> None:
    schema = layout(LISTEN, TYPED, SAY)
    say = decided(spoken("s", "A", 1.0), 1.0)
    timeline, media = sample(3.04, [say], world=[hear("u", "X", 2.0), typed("t", "Q", 2.2)])
    tokens = encode(schema, timeline, media)
    assert tokens.block.max() == 2 and tokens.report.blocks == 3
    assert len(tokens.ids[(tokens.block == 2) & (tokens.lane == 0)]) == 2 + 11  # to 3.1 s
    assert readable(schema, tokens).endswith("<t> 'Q' <te> </t> </in>")
    assert tokens.known_s[-1] == 3.1
    # nothing at all: one empty input turn, so that no sample is without a token
    assert readable(schema, encode(schema, *sample(3.0))) == "<in> <a> </a> <t> </t> </in>"


def test_two_decisions_with_nothing_heard_between_them_are_two_pairs() -> None:
    schema = layout(HEAR, SAY)
    says = [decided(spoken("s1", "A", 1.0), 1.0), decided(spoken("s2", "B", 2.0), 1.3)]
    tokens = encode(schema, *sample(3.0, says, world=[hear("u", "X", 0.5)]))
    assert readable(schema, tokens) == (
        "<in> <h> 'X' <he> </h> </in> <out> <s> 'A' <se> </s> </out> "
        "<in> <h> </h> </in> <out> <s> 'B' <se> </s> </out>"
    )
    # within one frame of what is listened to they are one
    fine = [decided(spoken("s1", "A", 1.0), 0.92), decided(spoken("s2", "B", 2.0), 0.99)]
    tokens = encode(layout(LISTEN, SAY), *sample(3.0, fine))
    assert tokens.report.blocks == 2


def test_backchannels_of_the_assistant_and_robots_have_no_place() -> None:
    schema = layout(LISTEN, SAY, SPEAK)
    mhm = spoken("b", "MM", 0.9).model_copy(update={"behaviour": "backchannel"})
    answer = decided(spoken("s", "A", 2.0), 2.0)
    pair = sample(3.0, [mhm, answer], moves=(5, 10), world=[hear("u", "X Y Z", 0.5)])
    tokens = encode(schema, *pair)
    assert "'M'" not in readable(schema, tokens) and tokens.report.blocks == 2
    assert tokens.report.not_placed == {"act": 3, "backchannel": 1, "look": 1}
    assert tokens.report.step_count == 30
    assert encode(layout(HEAR, WRITE), *pair).report.not_placed == {"act": 3, "look": 1, "say": 2}


def test_texts_without_an_end_are_joined_by_a_space() -> None:
    schema = layout("  - hear: {as: text}\n", "  - say: {as: text, begin: <b>}\n")
    world = [hear("u1", "X", 0.2), hear("u2", "Y", 0.6)]
    says = [decided(spoken(f"s{i}", "A", 1.0 + i), 1.0) for i in range(2)]
    tokens = encode(schema, *sample(3.0, says, world=world))
    assert readable(schema, tokens) == "<in> 'X' ' ' 'Y' </in> <out> <b> 'A' <b> ' ' 'A' </out>"
    assert tokens.known_s.tolist() == [0, *[1.0] * 11]


def test_end_closes_stands_for_the_close_of_its_lane() -> None:
    closing = SAY.replace("loss", "end_closes: true, loss")
    schema = layout(HEAR, closing)
    tokens = encode(schema, *sample(3.0, [decided(spoken("s", "A", 1.0), 1.0)]))
    assert readable(schema, tokens) == "<in> <h> </h> </in> <out> <s> 'A' <se> </out>"


def test_spans_of_turns() -> None:
    says = [decided(spoken("s1", "A", 1.0), 1.01), decided(spoken("s2", "B", 2.0), 1.95)]
    timeline, _ = sample(3.02, says)
    spans = turn_spans(timeline, 10.0)
    assert [s.until_s for s in spans] == [1.1, 2.0, 3.1]
    assert [[e.id for e in s.events] for s in spans] == [["s1"], ["s2"], []]
    assert [s.after_s for s in spans[1:]] == [1.1, 2.0]
    assert [s.until_s for s in turn_spans(timeline)] == [1.01, 1.95, 3.02]
    # a frame's end may read half a microsecond early: 1/30 s is 0.033333
    third, _ = sample(3.0, [decided(spoken("s1", "A", 1.0), 0.033333)])
    assert turn_spans(third, 30.0)[0].until_s == 0.033333


# ---- audio -------------------------------------------------------------------------------------


def test_codes_are_those_of_the_whole_track() -> None:
    schema = layout(LISTEN, SPEAK)
    world = [hear("u1", "A B", 0.3), hear("u2", "C D", 2.6)]
    says = [decided(spoken("s1", "E F", 1.33), 1.31), decided(spoken("s2", "G", 3.5), 3.4)]
    timeline, media = sample(4.0, says, world=world)
    tokens, codec = encode(schema, timeline, media), codec_set(schema).get("audio")
    start = codec_set(schema).vocabulary.range("audio").start
    heard, said = (codec.encode(x) for x in (media.heard, media.spoken))
    for block, lane, rows in (
        (0, 0, heard[3:14, :1]),
        (1, 1, said[13:20, :2]),
        (2, 0, heard[26:34, :1]),
        (3, 1, said[35:38, :2]),
    ):
        ids = tokens.ids[(tokens.block == block) & (tokens.lane == lane) & (tokens.kind == CONTENT)]
        expected = rows + start + codec.size * np.arange(rows.shape[1])
        assert np.array_equal(ids, expected.ravel())


def test_the_last_frame_tells_nothing_of_what_is_said_next() -> None:
    """s2 begins in the frame in which s1 ends, and is decided later."""
    schema = layout(LISTEN, SPEAK)
    first = decided(spoken("s1", "A", 1.0, word_s=0.44), 0.9)
    one = encode(schema, *sample(3.0, [first]))
    two = encode(schema, *sample(3.0, [first, decided(spoken("s2", "B", 1.45), 1.1)]))
    n = len(one)
    assert np.array_equal(one.ids, two.ids[:n]) and len(two) > n
    raw = sample(3.0, [first, decided(spoken("s2", "B", 1.45), 1.1)])[1].spoken
    codec = codec_set(schema).get("audio")
    whole = codec.encode(sample(3.0, [first])[1].spoken)[14, :2]
    assert not np.array_equal(codec.encode(raw)[14, :2], whole), "the frames would differ"


def test_mel_frames_and_slots_are_numbers() -> None:
    schema = layout(
        "  - listen: {as: slots, rate_hz: 12.5, subframes: 2, n_mels: 20, slot: <x>}\n",
        "  - speak: {as: mel, rate_hz: 12.5, subframes: 4, n_mels: 40, slot: <y>, loss: 1}\n",
    )
    say = decided(spoken("s", "E F", 1.3, word_s=0.4), 1.2)
    timeline, media = sample(4.0, [cut_say(say, 1.85)], world=[hear("u", "A B", 0.3)])
    tokens = encode(schema, timeline, media)
    assert readable(schema, tokens) == "<in> <x>*12 </in> <out> <y>*7 <cut>"
    heard = MelSlots.of(RATE_HZ, 12.5, 2, 20).encode(media.heard)
    said = MelSlots.of(RATE_HZ, 12.5, 4, 40).encode(media.spoken)
    assert np.array_equal(tokens.values["listen"], heard[3:15])
    assert np.array_equal(tokens.values["speak"], said[16:23])
    silent = encode(schema, *sample(2.0))
    assert silent.values["speak"].shape == (0, 160) and silent.values["listen"].shape == (0, 40)


def test_a_schema_without_audio_decodes_none() -> None:
    class Deaf(ArrayMedia):
        def listen(self) -> NDArray[np.int16]:
            raise AssertionError("listen was decoded")

        speak = listen

    timeline, media = sample(
        3.0, [decided(spoken("s", "A", 1.0), 1.0)], world=[hear("u", "X", 0.5)]
    )
    tokens = encode(layout(HEAR, SAY), timeline, Deaf(media.heard, media.spoken))
    assert len(tokens) == 12


# ---- real samples: the four pairings ------------------------------------------------------------

LONG = (
    "Well, there are three ways to get there. You can take the train from the central station, "
    "which leaves every hour. You can drive along the coast. Or you can take the ferry."
)
PAIRINGS = {
    "speech to speech": layout(LISTEN, SPEAK),
    "speech to text": layout(LISTEN, WRITE),
    "text to speech": layout(HEAR, SPEAK),
    "text to text": layout(HEAR, SAY),
}
MORE = {
    "read 3 write 10": layout(
        LISTEN,
        "  - say: {as: text, end: <se>, loss: 1}\n",
        "  - speak: {as: codes, rate_hz: 10, codebooks: 1, loss: 1}\n",
        prompt=True,
        interleave={"say": 3, "speak": 10},
    ),
    "all": layout(LISTEN, HEAR, TYPED, WRITE, SAY, SPEAK),
    "ahead": layout(AHEAD, SAY, SPEAK),
}
ALL = PAIRINGS | MORE


@pytest.mark.parametrize("name", PAIRINGS)
def test_the_four_pairings_hold_what_was_heard_and_said(name: str) -> None:
    schema = PAIRINGS[name]
    turns = ("Where is the island?", "Over there.", "Thank you.", "You are welcome.")
    found = sample_of(dialogue(*turns), config(barge_in={"rate": 0}))
    media = ArrayMedia(found.listen, found.speak)
    tokens = encode(schema, found.timeline, media)
    assert tokens.report.blocks in (4, 5) and tokens.report.not_placed.get("hear", 0) == 0
    codec, start = text_of(schema)
    content = tokens.kind == CONTENT
    for side, spoken_texts in ((0, turns[0::2]), (1, turns[1::2])):
        lane = schema.lanes[side]
        for k, text in enumerate(spoken_texts):
            ids = tokens.ids[content & (tokens.lane == side) & (tokens.block == 2 * k + side)]
            if lane.channel in ("hear", "write", "say"):
                assert codec.decode(ids[:-1] - start) == text
            else:
                events = found.timeline.world if side == 0 else found.timeline.agent
                sounds = [e for e in events if e.kind in ("hear", "say")][k]
                codes = len(ids) / lane.codebooks / 10  # type: ignore[union-attr]
                # input goes on to the decision, output is the speech's own length
                assert 0 <= codes - (sounds.end_s - sounds.start_s) < (1.5 if side == 0 else 0.2)
    loss = tokens.loss[(tokens.block % 2 == 0) | (tokens.block < 0)]
    assert not loss.any() and tokens.loss[content & (tokens.block % 2 == 1)].all()


# ---- causality ---------------------------------------------------------------------------------


def assert_same_where_known(a: Tokens, b: Tokens, t_s: float) -> int:
    """Ids at every position with known_s <= T, up to where a world is over or ended a turn."""
    known = [int(np.searchsorted(t.known_s, t_s, side="right")) for t in (a, b)]
    for tokens in (a, b):
        assert np.all(np.diff(tokens.known_s) >= 0)
    n = min(known)
    assert np.array_equal(a.ids[:n], b.ids[:n])
    assert np.array_equal(a.loss[:n], b.loss[:n]) and np.array_equal(a.lane[:n], b.lane[:n])
    if known[0] != known[1]:
        short = (a, b)[int(known[1] < known[0])]
        over = n == len(short)
        # in an output turn what the world did is known later than the turn's own tokens
        cut = not over and short.block[n] % 2 == 1 and n > 0 and short.known_s[n] > t_s
        ended = cut and short.block[n] == short.block[n - 1]
        assert over or ended, f"{known} of {len(a)} and {len(b)} at {t_s}"
    return n


def parted_s(a: Sample, b: Sample) -> float:
    n = min(len(a.listen), len(b.listen))
    differ = np.flatnonzero(a.listen[:n] != b.listen[:n])
    return (int(differ[0]) if len(differ) else n) / RATE_HZ


def both(a: Sample, b: Sample, schema: TokenSchema) -> tuple[Tokens, Tokens]:
    one, two = (encode(schema, x.timeline, ArrayMedia(x.listen, x.speak)) for x in (a, b))
    return one, two


def first_pair(tokens: Tokens) -> Tokens:
    n = int((tokens.block < 2).sum())
    names = ("ids", "lane", "kind", "block", "loss", "known_s")
    return replace(tokens, **{x: getattr(tokens, x)[:n] for x in names})


BASE = ("Hello, how can I get to the island?", LONG, "Thank you, the train it is.", "Enjoy it.")
BARGE = (
    Turn(role="user", text="How can I get to the island?"),
    Turn(role="assistant", text=LONG),
    Turn(role="user", text="Stop. The ferry please.", interrupts=True),
    Turn(role="assistant", text="The ferry leaves at nine."),
)


@pytest.mark.parametrize("name", ALL)
def test_another_next_user_turn(name: str) -> None:
    other = dialogue(*BASE[:2], "And what does the ferry cost?", "About twenty euros.")
    a, b = (sample_of(d, config(barge_in={"rate": 0})) for d in (dialogue(*BASE), other))
    t_s = parted_s(a, b)
    one, two = both(a, b, ALL[name])
    n = assert_same_where_known(one, two, t_s)
    # the worlds part in the second input turn, behind the whole first answer
    assert one.block[n - 1] == 2 and not np.array_equal(one.ids, two.ids)


@pytest.mark.parametrize("name", ALL)
def test_with_and_without_a_barge_in(name: str) -> None:
    calm = [*BARGE[:2], BARGE[2].model_copy(update={"interrupts": False}), BARGE[3]]
    a, b = (sample_of(dialogue(*t), config(barge_in={"rate": 0})) for t in (BARGE, calm))
    schema = ALL[name]
    one, two = both(a, b, schema)
    assert_same_where_known(one, two, parted_s(a, b))
    [cut] = [e for e in a.timeline.agent if isinstance(e, Say) and e.cut_s is not None]
    # beyond the parting, until the assistant yields, the turn itself is the twin's
    until_s = float(np.nextafter(cut.cut_s, 0))  # type: ignore[arg-type]
    n = assert_same_where_known(first_pair(one), first_pair(two), until_s)
    mark = codec_set(schema).vocabulary.id("<cut>")
    assert mark not in two.ids
    ends = np.flatnonzero(one.ids == mark)
    if any(x.channel in ("say", "speak") for x in schema.lanes):
        assert len(ends) == 1 and one.known_s[ends[0]] == cut.cut_s and one.loss[ends[0]] == 0
        assert one.block[n] == one.block[ends[0]] == 1 and not one.loss[n : ends[0] + 1].any()
        assert n > 60, "most of the answer was out"
    else:
        assert not len(ends), "all was written before the barge-in"


@pytest.mark.parametrize("name", ["speech to speech", "text to text", "all", "ahead"])
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_turn_that_goes_on_or_ends(name: str, rate: float) -> None:
    """With backchannels while the user speaks: whether they count does not rest on what follows."""
    for start in (
        "I would like to book a room.",
        "I would like to book a room, with two beds in it,",
    ):
        ends = dialogue(start, "Very well, for which night?")
        goes_on = dialogue(start + " and a view over the sea.", "Very well, for which night?")
        a, b = (sample_of(d, config(backchannel={"per_min": 300 * rate})) for d in (ends, goes_on))
        assert_same_where_known(*both(a, b, ALL[name]), parted_s(a, b))
    tokens = both(a, b, ALL[name])[1]
    assert bool(tokens.report.not_placed.get("backchannel")) == (rate == 1.0)


def test_every_turn_of_a_dialogue_with_overlaps() -> None:
    texts = ("Hello there, can you help me?", LONG, "I see, and by boat?", LONG, "Thanks.", "Fine.")
    cfg = config(barge_in={"rate": 0.7}, backchannel={"per_min": 100})
    for n in range(4):
        for i in range(2, len(texts), 2):
            other = (*texts[:i], "Something else: what is the weather like?", *texts[i + 1 :])
            records: list[Dialogue] = [dialogue(*x, key=f"k-{n}") for x in (texts, other)]
            a, b = (sample_of(r, cfg) for r in records)
            for name in ("all", "read 3 write 10", "text to speech"):
                assert_same_where_known(*both(a, b, ALL[name]), parted_s(a, b))


def test_a_leak_would_be_found() -> None:
    a, b = (
        sample_of(
            dialogue("Hello there.", x, "How are you?", "Fine."), config(barge_in={"rate": 0})
        )
        for x in ("Hi.", "Hey.")
    )
    with pytest.raises(AssertionError):
        assert_same_where_known(*both(a, b, ALL["all"]), parted_s(a, b))


# ---- generated worlds --------------------------------------------------------------------------

TIMES = st.integers(0, 6000).map(lambda ms: ms / 1000)
WORDS = st.lists(st.sampled_from(["A", "BC", "the", "fox.", "é猫", "x"]), min_size=1, max_size=5)


@st.composite
def worlds(draw: Any) -> tuple[list[Any], list[Any]]:
    """What is heard and typed, and what the agent plans, nobody cut. Says follow each other."""
    world: list[Any] = [
        hear(f"u{i}", " ".join(draw(WORDS)), draw(TIMES), draw(st.sampled_from([0.13, 0.3])))
        for i in range(draw(st.integers(0, 3)))
    ]
    world += [
        typed(f"t{i}", "".join(draw(WORDS)), draw(TIMES)) for i in range(draw(st.integers(0, 2)))
    ]
    agent: list[Any] = [
        write(f"w{i}", " ".join(draw(WORDS)), draw(TIMES)) for i in range(draw(st.integers(0, 2)))
    ]
    at_s = 0.0
    for i in range(draw(st.integers(0, 4))):
        at_s = round(at_s + draw(st.sampled_from([0.0, 0.011, 0.3, 1.7])), 3)
        event = spoken(f"s{i}", " ".join(draw(WORDS)), at_s, draw(st.sampled_from([0.1, 0.37])))
        early_s = draw(st.sampled_from([0.0, 0.05, 0.7]))
        behaviour = draw(st.sampled_from(["turn", "turn", "turn", "backchannel"]))
        changes = {"decided_s": round(max(0.0, at_s - early_s), 3), "behaviour": behaviour}
        agent.append(event.model_copy(update=changes))
        at_s = event.end_s
    return world, agent


def cut_all(agent: list[Any], cut_s: float) -> list[Any]:
    """Everything that is decided and not over at `cut_s` is given up."""
    out = []
    for event in agent:
        if event.decided_s >= cut_s:
            continue
        if event.planned_end_s > cut_s:
            say = isinstance(event, Say)
            event = cut_say(event, cut_s) if say else event.model_copy(update={"cut_s": cut_s})
        out.append(event)
    return out


def made(world: list[Any], agent: list[Any], t_s: float = 1e9, seed: int = 0) -> Any:
    """The sample: noise that is another from T on, speech that is each event's own."""
    timeline, media = sample(8.0, agent, world=world, listen_seed=1)
    heard, n = sound(8.0, 1), round(t_s * RATE_HZ)
    heard[n:] = sound(8.0, 3 + seed)[n:]
    return timeline, replace(media, heard=heard)


def grafted(one: list[Any], other: list[Any], t_s: float, gap_s: float) -> list[Any]:
    """What is perceived until T, then another future: words that end later are others, or none."""
    out: list[Any] = []
    for event in one:
        if event.start_s > t_s:
            continue
        if isinstance(event, Hear):
            event = _other_end(event, t_s, gap_s)
            if event is None:
                continue
        out.append(event)
    late = [e for e in other if e.start_s > t_s]
    return out + [e.model_copy(update={"id": f"x{e.id}"}) for e in late]


def _other_end(event: Hear, t_s: float, gap_s: float) -> Hear | None:
    """Words that ended by T stay. With a gap one more follows, after it."""
    words = [w for w in event.words if w.end_s <= t_s]
    if len(words) == len(event.words):
        return event
    if gap_s or not words:
        start_s = max([event.start_s, *(w.end_s for w in words)])
        end_s = round(max(t_s, start_s) + gap_s + 0.01, 6)
        at = words[-1].char_end + 1 if words else 0
        words.append(
            TimedWord(text="Q", char_start=at, char_end=at + 1, start_s=start_s, end_s=end_s)
        )
    text = event.text[: words[-1].char_start] + words[-1].text
    changes = {"words": tuple(words), "text": text, "end_s": words[-1].end_s}
    # that nothing follows is not known at T: the worlds would not have been equal
    revealed_s = max(words[-1].end_s, round(t_s + 0.01, 6))
    return event.model_copy(update=changes | {"revealed_s": revealed_s})


@SLOW
@given(worlds(), worlds(), TIMES, st.sampled_from([0.0, 0.2, 1.1]), st.sampled_from(list(ALL)))
def test_tokens_tell_nothing_of_the_future(
    one: Any, other: Any, t_s: float, gap_s: float, name: str
) -> None:
    """Promise 2: another world after T changes no token that is known by T."""
    agent = [e for e in one[1] if e.decided_s <= t_s]
    busy_s = max((e.planned_end_s for e in agent if isinstance(e, Say)), default=0.0)
    later = [e for e in other[1] if e.decided_s > t_s]
    free = [e for e in later if not isinstance(e, Say) or e.start_s >= busy_s]
    agent += [e.model_copy(update={"id": f"x{e.id}"}) for e in free]
    a = made(*one)
    b = made(grafted(one[0], other[0], t_s, gap_s), agent, t_s)
    assert_same_where_known(encode(ALL[name], *a), encode(ALL[name], *b), t_s)


@SLOW
@given(worlds(), TIMES.filter(bool), st.sampled_from(list(ALL)))
def test_a_cut_sample_equals_its_twin_until_the_cut(one: Any, cut_s: float, name: str) -> None:
    """Promise 3: tokens known before the cut are the twin's; the reply comes behind it."""
    world, agent = one
    reply = decided(spoken("reply", "R R", max(cut_s, 7.0)), max(cut_s, 6.5))
    whole, cut = (
        encode(ALL[name], *made(world, agent)),
        encode(ALL[name], *made(world, [*cut_all(agent, cut_s), reply], cut_s)),
    )
    assert_same_where_known(whole, cut, float(np.nextafter(cut_s, 0)))


@SLOW
@given(worlds(), st.sampled_from(list(ALL)), st.none() | TIMES)
def test_order_round_trip_and_counts(one: Any, name: str, cut_s: float | None) -> None:
    world, agent = one
    agent = agent if cut_s is None else cut_all(agent, cut_s)
    schema = ALL[name]
    tokens = encode(schema, *made(world, agent))
    text, start = text_of(schema)
    emitted = planned = 0
    for i, lane in enumerate(schema.lanes):
        if lane.channel not in ("write", "say"):
            continue
        at = (tokens.lane == i) & (tokens.kind == CONTENT) & (tokens.ids < start + text.size)
        emitted += int(at.sum())
        events = [e for e in agent if e.kind == lane.channel]
        events = [e for e in events if getattr(e, "behaviour", "turn") == "turn"]
        texts = [e.text for e in sorted(events, key=lambda e: e.decided_s)]
        planned += sum(map(len, text.encode_batch(texts))) if texts else 0
        if cut_s is None:
            assert text.decode(tokens.ids[at] - start) == "".join(texts)
    assert emitted + tokens.report.dropped_text_tokens == planned, "nothing is dropped in silence"
    assert (np.diff(tokens.block) >= 0).all() and (np.diff(tokens.known_s) >= 0).all()
    for event in agent:
        if getattr(event, "behaviour", "turn") == "turn" and event.cut_s is None:
            holding = range(1, int(tokens.block.max()) + 1, 2)
            known = [tokens.known_s[tokens.block == b].min() for b in holding]
            shown = {"write": ("write",), "say": ("say", "speak")}[event.kind]
            if any(x.channel in shown for x in schema.lanes):
                assert any(k >= event.decided_s for k in known)
    again = encode(schema, *made(world, agent))
    for field in ("ids", "lane", "kind", "block", "loss", "known_s"):
        assert np.array_equal(getattr(tokens, field), getattr(again, field))
