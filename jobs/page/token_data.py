"""The tokens of a sample as the page shows them: unit after unit, every id in the order it is read.

A unit is a block or a turn; in the parallel mode it is a second of steps (`step_data`). Rows of the
page are the head, the clock's own tokens (`<unit> ... </unit>`), then the lanes of the schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.page.step_data import step_data
from jobs.schema_explain import summary
from pipeline.media import MemberMedia
from schemas.timeline import Timeline
from token_schema.codec_set import CodecSet
from token_schema.encode import compile_sample
from token_schema.language import AudioLane, TextLane, TokenSchema
from token_schema.layouts.turns_plan import takes_turn
from token_schema.models import Lane
from token_schema.tokens import CONTENT, PROMPT, Tokens

HEAD, CLOCK, FIRST_LANE = 0, 1, 2  # rows of the page
HEAD_TITLE = "the head of the sequence"
MIN_TURN_S = 0.15  # a turn that takes no time must be wide enough to click


def token_data(
    schema: TokenSchema, codecs: CodecSet, timeline: Timeline, media: MemberMedia
) -> dict[str, Any]:
    """All ids of the sample. Raises StrettoError when it cannot be compiled."""
    tokens = compile_sample(schema, codecs, timeline, media)
    found = {
        "schema": schema.name,
        "timing": schema.timing,
        "grid_s": schema.block_s if schema.timing == "blocks" else 1.0,
        "summary": summary(schema, timeline, tokens),
        "rows": [
            {"label": "head", "channel": "prompt", "note": ""},
            {
                "label": {"turns": "turn"}.get(schema.timing, "block"),
                "channel": "clock",
                "note": "",
            },
            *({"label": x.name, "channel": x.channel, "note": note(x)} for x in schema.lanes),
        ],
        **names(schema, codecs, tokens),
    }
    if schema.timing == "frames":
        return found | step_data(schema, tokens)
    units = blocks(schema, tokens) if schema.timing == "blocks" else turns(schema, tokens, timeline)
    return found | {"units": [*head(tokens), *units]}


def note(lane: Lane) -> str:
    """What the lane's ids are, in the few words that fit beside it."""
    if isinstance(lane, AudioLane):
        if lane.as_ == "codes":
            return f"{lane.codec} × {lane.codebooks}"
        return f"{lane.as_} of {lane.n_mels * lane.subframes}"
    if isinstance(lane, TextLane):
        return "text ids"
    return "" if lane.channel == "phase" else f"codes of {getattr(lane, 'codec', '')}"


def names(schema: TokenSchema, codecs: CodecSet, tokens: Tokens) -> dict[str, dict[str, str]]:
    """What the sample's ids are called: special tokens and pieces of text; codes are numbers."""
    vocabulary, texts = (
        codecs.vocabulary,
        [x.codec for x in schema.lanes if isinstance(x, TextLane)],
    )
    if schema.prompt:
        texts.append(schema.prompt.codec)
    ranges = {name: vocabulary.range(name) for name in dict.fromkeys(texts)}
    specials, pieces = {}, {}
    for i in np.unique(tokens.ids).tolist():
        if (name := vocabulary.name(i)) in vocabulary.specials:
            specials[str(i)] = name
        for codec, r in ranges.items():
            if r.start <= i < r.stop:
                text = codecs.get(codec).piece(i - r.start).decode("utf-8", "replace")
                pieces[str(i)] = text.replace(" ", "\u2423").replace("\n", "\u23ce")
    return {"specials": specials, "pieces": pieces}


def marks(tokens: Tokens, at: NDArray[np.int64]) -> str:
    """A digit an id: its class (content, idle, open, close), plus 4 where it bears a loss."""
    return "".join(map(str, (tokens.kind[at] + 4 * (tokens.loss[at] > 0)).tolist()))


def runs(tokens: Tokens, at: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The ids at these positions, a run for each stretch of one lane, in order."""
    edges = np.flatnonzero(np.diff(tokens.lane[at].astype(int))) + 1
    return [_run(tokens, part) for part in np.split(at, edges)] if len(at) else []


def _run(tokens: Tokens, at: NDArray[np.int64]) -> dict[str, Any]:
    lane, block = int(tokens.lane[at[0]]), int(tokens.block[at[0]])
    own = HEAD if block < 0 else CLOCK
    return {
        "row": own if lane == PROMPT else FIRST_LANE + lane,
        "ids": tokens.ids[at].tolist(),
        "marks": marks(tokens, at),
        "known_s": round(float(tokens.known_s[at].max()), 3),
    }


def head(tokens: Tokens) -> list[dict[str, Any]]:
    """The unit of the prompt, which stands before all time; none where the schema has no head."""
    at = np.flatnonzero(tokens.block < 0)
    span = {"index": -1, "line": 0, "start_s": 0.0, "end_s": 1.0, "label": f"head, {len(at)} ids"}
    return [{**span, "title": HEAD_TITLE, "runs": runs(tokens, at)}] if len(at) else []


def blocks(schema: TokenSchema, tokens: Tokens) -> Iterator[dict[str, Any]]:
    """Block after block, those behind the end of the sound too."""
    edges = np.searchsorted(tokens.block, np.arange(tokens.report.blocks + 1))
    for b, (first, stop) in enumerate(zip(edges, edges[1:], strict=False)):
        start_s, end_s = (float(schema.block * k) for k in (b, b + 1))
        yield {
            "index": b,
            "line": 1,
            "start_s": start_s,
            "end_s": end_s,
            "label": f"block {b}, {stop - first} ids",
            "title": f"block {b}, {start_s:g} to {end_s:g} s",
            "runs": runs(tokens, np.arange(first, stop)),
        }


# ---- turns ---------------------------------------------------------------------------------------


def turns(schema: TokenSchema, tokens: Tokens, timeline: Timeline) -> Iterator[dict[str, Any]]:
    """Input turns over what they heard, output turns from their decision to the end of the speech."""
    edges = np.searchsorted(tokens.block, np.arange(tokens.report.blocks + 1))
    parts = [np.arange(a, b) for a, b in zip(edges, edges[1:], strict=False)]
    decided = [float(tokens.known_s[p[0]]) for p in parts[1::2]]
    for b, at in enumerate(parts):
        before_s = decided[b // 2 - 1] if b >= 2 else 0.0
        if b % 2:
            next_s = decided[b // 2 + 1] if b // 2 + 1 < len(decided) else np.inf
            span, what = _output(schema, tokens, timeline, at, before_s, next_s)
        else:
            span, what = _input(schema, tokens, at, before_s)
        yield {
            "index": b,
            "line": 1 + b % 2,
            "start_s": span[0],
            "end_s": max(span[1], span[0] + MIN_TURN_S),
            "label": f"{'out' if b % 2 else 'in'} {b}, {len(at)} ids",
            "title": f"turn {b}, {what}",
            "runs": runs(tokens, at),
        }


Span = tuple[float, float]


def _input(
    schema: TokenSchema, tokens: Tokens, at: NDArray[np.int64], before_s: float
) -> tuple[Span, str]:
    """From the first frame that is heard to the decision."""
    until_s = float(tokens.known_s[at].max())
    own = at[(tokens.lane[at] != PROMPT) & (tokens.kind[at] == CONTENT)]
    rates = [x.rate_hz for x in schema.lanes if isinstance(x, AudioLane) and schema.is_input(x)]
    frame_s = 1 / min(rates) if rates else 0.0
    first_s = float(tokens.known_s[own].min()) - frame_s if len(own) else before_s
    start_s = round(max(0.0, min(first_s, until_s)), 3)
    return (start_s, until_s), f"input: the world from {before_s:g} to {until_s:g} s"


def _output(
    schema: TokenSchema,
    tokens: Tokens,
    timeline: Timeline,
    at: NDArray[np.int64],
    before_s: float,
    next_s: float,
) -> tuple[Span, str]:
    """From the decision to where the last of its events ends, or to the next decision."""
    known_s, last_s = (float(tokens.known_s[at[i]]) for i in (0, -1))
    kinds = {"say" if x.channel == "speak" else x.channel for x in schema.lanes}
    mine = [e for e in timeline.agent if e.kind in kinds and takes_turn(e)]
    ends = [e.end_s for e in mine if (before_s < e.decided_s <= known_s + 1e-6)]
    cut = f", cut at {last_s:g} s" if last_s > known_s else ""
    span = known_s, min(max([known_s, *ends]), next_s)
    return span, f"output: decided by {known_s:g} s{cut}"
