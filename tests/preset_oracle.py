"""Is a sequence of ids a valid sample of a preset? Worked out here without the grammar.

`check(schema, codecs, ids, read, subset, fps)` takes what is said of every id (lane, kind, block: by
encode, or by `Grammar.read`) as a claim, and proves it from the schema alone: blocks are templates,
texts are events, codes have their number and their codebook. An AssertionError says what is wrong.
It knows what the presets use, not every field of the language.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from token_schema.codec_set import CodecSet
from token_schema.models import ActLane, AudioLane, Lane, LookLane, PhaseLane, TextLane
from token_schema.schema import TokenSchema
from token_schema.tokens import CLOSE, CONTENT, IDLE, OPEN, PROMPT


class Token(NamedTuple):
    id: int
    lane: int
    kind: int


def check(
    schema: TokenSchema,
    codecs: CodecSet,
    ids: Any,
    read: Any,
    subset: str | None = None,
    fps: float | None = None,
) -> None:
    """Raises AssertionError where the claim `read` does not hold of the ids."""
    ids = np.asarray(ids)
    assert len(ids) == len(read.lane) == len(read.kind) == len(read.block)
    tokens = [
        Token(*t) for t in zip(ids.tolist(), read.lane.tolist(), read.kind.tolist(), strict=True)
    ]
    blocks = [list[Token]() for _ in range(int(read.block[-1]) + 2)]
    assert (np.diff(read.block) >= 0).all() and (np.diff(read.block) <= 1).all()
    assert read.block[0] == (-1 if schema.prompt else 0) and len(blocks) > 1
    for token, b in zip(tokens, read.block.tolist(), strict=True):
        blocks[b + 1].append(token)
    kinds: dict[str, Any] = {"blocks": _Blocks, "frames": _Frames, "turns": _Turns}
    kinds[schema.timing](schema, codecs, subset, fps).run(blocks[0], blocks[1:])


class Text:
    """The events of a text lane: begin, ids, end or cut. `going`: one is begun and not ended."""

    def __init__(self, lane: TextLane, codecs: CodecSet) -> None:
        self.lane, r = lane, codecs.vocabulary.range(lane.codec)
        self.ids = range(r.start, r.stop)
        names = ("begin", "end", "cut", "idle", "wait", "epad")
        self.mark = {n: codecs.vocabulary.id(t) for n in names if (t := getattr(lane, n))}
        self.going = False

    def content(self, token: int) -> None:
        """An id of class content."""
        mark = self.mark
        if token in self.ids:
            assert self.going or "begin" not in mark, "text outside its event"
            self.going = True
        elif token == mark.get("begin"):
            assert not self.going, "an event within an event"
            self.going = True
        else:
            assert token in (mark.get("end"), mark.get("cut")), "no token of this lane"
            empty = token == mark.get("end") != mark.get("idle") and "begin" not in mark
            assert self.going or empty, "an end without an event"  # but for a text of no ids
            self.going = False

    def filler(self, token: int) -> None:
        """An id of class idle: `wait` inside an event, `idle` outside; `idle` for both if no wait."""
        mark = self.mark
        inside = self.going and ("end" in mark or "wait" in mark)
        if token == mark.get("epad"):
            return
        allowed = mark.get("wait", mark.get("idle")) if inside else mark.get("idle")
        assert token == allowed, "another filler belongs here"
        assert not (inside and mark.get("end") == mark.get("idle")), "this would be the event's end"

    def closes(self, token: int) -> bool:
        return token in (self.mark.get("end"), self.mark.get("cut"))

    def over(self) -> None:
        assert not (self.going and "end" in self.mark), "the sample ends inside a text"


class _Base:
    def __init__(
        self, schema: TokenSchema, codecs: CodecSet, subset: str | None, fps: float | None
    ) -> None:
        self.schema, self.codecs, self.subset, self.fps = schema, codecs, subset, fps
        self.texts = {
            i: Text(x, codecs) for i, x in enumerate(schema.lanes) if isinstance(x, TextLane)
        }

    def id(self, name: str | None) -> int:
        assert name is not None
        return self.codecs.vocabulary.id(name)

    def head(self, tokens: list[Token]) -> None:
        """open, text, close: the prompt of blocks and turns."""
        prompt = self.schema.prompt
        if prompt is None:
            assert not tokens
            return
        r = self.codecs.vocabulary.range(prompt.codec)
        assert tokens[0] == (self.id(prompt.open), PROMPT, OPEN)
        assert tokens[-1] == (self.id(prompt.close), PROMPT, CLOSE) and len(tokens) > 1
        for token in tokens[1:-1]:
            assert r.start <= token.id < r.stop and token[1:] == (PROMPT, CONTENT)

    def is_code(self, lane: AudioLane | LookLane | ActLane, token: Token, book: int = 0) -> None:
        r = self.codecs.vocabulary.range(lane.codec)
        first = r.start + book * r.entries
        assert first <= token.id < first + r.entries and token.kind == CONTENT, "not such a code"

    def expect(self, rest: Iterator[Token], name: str, lane: int, kind: int) -> None:
        assert next(rest, None) == (self.id(name), lane, kind), f"{name} belongs here"


def _split(tokens: list[Token], at: int, lane: int) -> tuple[list[Token], int]:
    """The content of a lane from `at` on, and where it ends."""
    end = at
    while end < len(tokens) and tokens[end].lane == lane and tokens[end].kind in (CONTENT, IDLE):
        end += 1
    return tokens[at:end], end


class _Blocks(_Base):
    """Every block is the same template."""

    def run(self, head: list[Token], blocks: list[list[Token]]) -> None:
        self.head(head)
        self.there: dict[str, set[bool]] = {}
        for block in blocks:
            self.block(block)
        for text in self.texts.values():
            text.over()
        assert all(len(seen) == 1 for seen in self.there.values()), "now there, now not"
        cameras = {x.camera: x.name for x in self.schema.lanes if isinstance(x, LookLane)}
        if cameras.keys() == {0, 1}:
            assert (
                self.there[cameras[0]] >= self.there[cameras[1]] or True in self.there[cameras[0]]
            )

    def block(self, tokens: list[Token]) -> None:
        at, clock = 0, self.schema.clock
        self.active = True
        started = {i: t.going for i, t in self.texts.items()}
        shown: set[str] = set()

        def take(name: str | None, lane: int, kind: int) -> None:
            nonlocal at
            if name is not None:
                assert at < len(tokens) and tokens[at] == (self.id(name), lane, kind), name
                at += 1

        take(clock.open, PROMPT, OPEN)
        for i, lane in enumerate(self.schema.lanes):
            if self.schema.phase_of(lane.name) is not None and not self.active:
                assert not (i in self.texts and self.texts[i].going), "a text goes on here"
                continue
            take(lane.open, i, OPEN)
            content, at = _split(tokens, at, i)
            self.content(i, lane, content)
            if any(t.kind == CONTENT for t in content):
                shown.add(lane.name)
            text = self.texts.get(i)
            ended = bool(text and content and text.closes(content[-1].id))
            if not (ended and getattr(lane, "end_closes", False)):
                take(lane.close, i, CLOSE)
        take(clock.close, PROMPT, CLOSE)
        assert at == len(tokens), "more than a block"
        for lane in self.schema.lanes:
            if isinstance(lane, PhaseLane) and self.active:
                going = any(
                    t.lane.name in lane.of and (t.going or started[i])
                    for i, t in self.texts.items()
                )
                assert going or shown & set(lane.of), "active, and nothing comes of it"

    def content(self, i: int, lane: Lane, content: list[Token]) -> None:
        if isinstance(lane, PhaseLane):
            [token] = content
            self.active = token.id == self.id(lane.active)
            assert self.active or token.id == self.id(lane.idle)
            assert token.kind == (CONTENT if self.active else IDLE)
        elif isinstance(lane, TextLane):
            self.text(self.texts[i], lane, content)
        elif isinstance(lane, AudioLane):
            self.audio(lane, content)
        elif isinstance(lane, LookLane):
            total = self.codecs.get(lane.codec).tokens * lane.frames
            assert len(content) in (0, total), "not a picture"
            self.there.setdefault(lane.name, set()).add(bool(content))
            for token in content:
                self.is_code(lane, token)
        else:
            self.act(lane, content)

    def text(self, text: Text, lane: TextLane, content: list[Token]) -> None:
        kinds = [t.kind for t in content]
        assert kinds == sorted(kinds), "text behind a filler"
        assert lane.budget is not None and len(content) <= lane.budget
        if lane.fixed:
            assert len(content) == lane.budget
        elif IDLE in kinds:
            assert len(content) == 1, "a filler beside text"
        elif not content:
            assert not lane.idle, "an empty cell says so"
        for k, token in enumerate(content):
            (text.content if token.kind == CONTENT else text.filler)(token.id)
            if lane.end_closes and text.closes(token.id):
                assert k == len(content) - 1, "text behind what closes the block's text"

    def audio(self, lane: AudioLane, content: list[Token]) -> None:
        frames = self.schema.frames_per_block(lane)
        if lane.idle and [t.kind for t in content] == [IDLE]:
            assert content[0].id == self.id(lane.idle)
            return
        books = lane.codebooks if lane.as_ == "codes" else 1
        assert len(content) == frames * books, "not a block of sound"
        for k, token in enumerate(content):
            if lane.slot:
                assert token.id == self.id(lane.slot) and token.kind == CONTENT
            else:
                self.is_code(lane, token, k % books)

    def act(self, lane: ActLane, content: list[Token]) -> None:
        self.there.setdefault(lane.name, set()).add(bool(content))
        for token in content:
            self.is_code(lane, token)
        if content and self.subset and self.fps:
            codec = self.codecs.action(lane, self.subset)
            start = self.codecs.vocabulary.range(lane.codec).start
            numbers = sum(len(codec.piece(t.id - start)) for t in content)
            assert numbers == round(self.fps * self.schema.block_s) * codec.dims


class _Frames(_Base):
    """Every step is a row; what each stream holds follows from the step."""

    def run(self, head: list[Token], blocks: list[list[Token]]) -> None:
        width = len(self.schema.streams)
        assert len(head) % width == 0 and all(len(b) == width for b in blocks), "not whole rows"
        self.rows_of_head([head[i : i + width] for i in range(0, len(head), width)])
        column = 0
        for i, lane in enumerate(self.schema.lanes):
            n = sum(s.lane == i for s in self.schema.streams)
            streams = [row[column : column + n] for row in blocks]
            assert all(t.lane == i for row in streams for t in row)
            self.lane(i, lane, streams)
            column += n

    def lane(self, i: int, lane: Lane, rows: list[list[Token]]) -> None:
        if isinstance(lane, TextLane):
            self.text(self.texts[i], [t for [t] in rows])
        elif isinstance(lane, AudioLane):
            for t, row in enumerate(rows):
                for q, token in enumerate(row):
                    if t < lane.delay + (lane.delays or (0,) * lane.codebooks)[q]:
                        assert token == (self.id(lane.pad), i, IDLE), "no code is out yet"
                    else:
                        self.is_code(lane, token, q)
        elif isinstance(lane, LookLane):
            self.look(i, lane, rows)
        else:
            assert isinstance(lane, ActLane)
            self.act(i, lane, rows)

    def text(self, text: Text, tokens: list[Token]) -> None:
        for token in tokens:
            (text.content if token.kind == CONTENT else text.filler)(token.id)
        assert tokens[-1].id != text.mark.get("epad"), "nothing follows the end-of-pad"

    def look(self, i: int, lane: LookLane, rows: list[list[Token]]) -> None:
        assert lane.delay == 0
        total, pad = self.codecs.get(lane.codec).tokens, (self.id(lane.pad), i, IDLE)
        there = rows[0][0] != pad
        for t, row in enumerate(rows):
            for j, token in enumerate(row):
                if there and t % lane.every * lane.streams + j < total:
                    self.is_code(lane, token)
                else:
                    assert token == pad

    def act(self, i: int, lane: ActLane, rows: list[list[Token]]) -> None:
        pad = (self.id(lane.pad), i, IDLE)
        codes = [[t for t in row if t != pad] for row in rows]
        for row, found in zip(rows, codes, strict=True):
            assert row[: len(found)] == found, "codes stand first"
            for token in found:
                self.is_code(lane, token)
        if self.subset is None or self.fps is None:
            return
        dims = self.codecs.action(lane, self.subset).dims
        count = sum(map(len, codes)) // dims
        due = [math.floor(k / self.fps / self.schema.block_s + 1e-9) + 1 for k in range(count)]
        assert [len(c) for c in codes] == [dims * due.count(t) for t in range(len(rows))]

    def rows_of_head(self, rows: list[list[Token]]) -> None:
        prompt, schema = self.schema.prompt, self.schema
        if prompt is None:
            assert not rows
            return
        fixed = {"gap": round(prompt.gap_s / schema.block_s)}
        fixed["voice"] = round(prompt.voice_s / schema.block_s)
        n_text = len(rows) - sum(fixed[r] for r in prompt.rows if r != "text")
        text_at = sum(fixed[r] for r in prompt.rows[: prompt.rows.index("text")])
        assert n_text >= 2
        r = self.codecs.vocabulary.range(prompt.codec)
        for t, row in enumerate(rows):
            assert all(x.lane == PROMPT for x in row)
            token = row[0]
            assert isinstance(schema.lanes[0], TextLane)
            if t == text_at:
                assert token == (self.id(prompt.open), PROMPT, OPEN)
            elif t == text_at + n_text - 1:
                assert token == (self.id(prompt.close), PROMPT, CLOSE)
            elif text_at < t < text_at + n_text:
                assert r.start <= token.id < r.stop and token.kind == CONTENT
            else:
                assert token == (self.id(schema.lanes[0].idle), PROMPT, CONTENT)
            for s, token in zip(schema.streams[1:], row[1:], strict=True):
                lane = schema.lanes[s.lane]
                assert isinstance(lane, AudioLane)
                self.is_code(lane, token, s.book)


class _Turns(_Base):
    """Input turn, output turn, and so on."""

    def run(self, head: list[Token], blocks: list[list[Token]]) -> None:
        self.head(head)
        for b, block in enumerate(blocks):
            self.turn(b % 2 == 0, block)

    def turn(self, heard: bool, tokens: list[Token]) -> None:
        turns = self.schema.clock.turns
        assert turns is not None
        ends = turns.input if heard else turns.output
        assert tokens[0] == (self.id(ends[0]), PROMPT, OPEN)
        cut = not heard and tokens[-1].id == self.id(turns.cut)
        assert tokens[-1] == (self.id(turns.cut if cut else ends[1]), PROMPT, CLOSE)
        rest, at = tokens[1:-1], 0
        lanes = [
            (i, x) for i, x in enumerate(self.schema.lanes) if self.schema.is_input(x) == heard
        ]
        if not heard and turns.interleave:
            self.alternate(rest, [(i, x) for i, x in lanes if x.name in turns.interleave], cut)
            return
        for i, lane in lanes:
            if lane.open:
                assert rest[at] == (self.id(lane.open), i, OPEN)
                at += 1
            content, at = _split(rest, at, i)
            self.content(i, lane, content, cut)
            if lane.close:
                assert rest[at] == (self.id(lane.close), i, CLOSE)
                at += 1
        assert at == len(rest)

    def content(self, i: int, lane: Lane, content: list[Token], cut: bool) -> None:
        assert all(t.kind == CONTENT for t in content)
        if isinstance(lane, AudioLane):
            books = lane.codebooks if lane.as_ == "codes" else 1
            assert len(content) % books == 0
            for k, token in enumerate(content):
                if lane.slot:
                    assert token.id == self.id(lane.slot)
                else:
                    self.is_code(lane, token, k % books)
            return
        assert isinstance(lane, TextLane)
        text = Text(lane, self.codecs)
        for token in content:
            text.content(token.id)
        if not cut:
            text.over()

    def alternate(self, tokens: list[Token], lanes: list[Any], cut: bool) -> None:
        """So many of the first, so many of the second, until both are used up."""
        turns = self.schema.clock.turns
        assert turns is not None
        left = {i: [t for t in tokens if t.lane == i] for i, _ in lanes}
        for i, lane in lanes:
            self.content(i, lane, left[i], cut)
        merged: list[Token] = []
        while any(left.values()):
            for i, lane in lanes:
                n = turns.interleave[lane.name]
                merged += left[i][:n]
                left[i] = left[i][n:]
        assert merged == tokens, "not in turns"
