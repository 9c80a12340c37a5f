"""`stretto schema explain` for a parallel schema: one line a step, a column a lane.

A text column shows the piece or the special token beside its id; the last column the words that end
in that step's time, `<` heard and `>` said.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rich.table import Table
from rich.text import Text

from schemas.timeline import Hear, Say, Timeline
from token_schema.codec_set import CodecSet
from token_schema.models import TextLane
from token_schema.schema import TokenSchema
from token_schema.tokens import PROMPT, Tokens

Plain = Callable[[str], Text]


def steps_table(
    schema: TokenSchema, codecs: CodecSet, timeline: Timeline, tokens: Tokens, plain: Plain
) -> Table:
    """Every row of the sample, the prompt's with step `prompt`."""
    table = Table(title=Text(f"{timeline.key} under {schema.name}"), title_justify="left")
    for name in ("step", "time", "known"):
        table.add_column(name, justify="right", no_wrap=True)
    for lane in schema.lanes:
        table.add_column(Text(lane.name), overflow="fold")
    table.add_column("words", overflow="fold")
    ids, loss = (a.reshape(-1, tokens.streams) for a in (tokens.ids, tokens.loss))
    known = tokens.known_s.reshape(ids.shape)
    steps = tokens.block.reshape(ids.shape)[:, 0]
    head = tokens.lane.reshape(ids.shape)[:, 0] == PROMPT
    words = _words(schema, timeline, int((~head).sum()))
    for row in range(len(ids)):
        cells = [_cell(schema, codecs, i, ids[row], loss[row]) for i in range(len(schema.lanes))]
        at = int(steps[row])
        lead = ["prompt", "", "0"] if head[row] else [str(at), f"{at * schema.block_s:.2f}"]
        lead += [] if head[row] else [f"{known[row, 0]:.2f}"]
        table.add_row(*lead, *cells, plain("" if head[row] else words[at]))
    return table


def _cell(
    schema: TokenSchema, codecs: CodecSet, lane: int, ids: np.ndarray, loss: np.ndarray
) -> Text:
    """The ids of a lane in one step, those with a loss in bold."""
    out, vocabulary = Text(), codecs.vocabulary
    for s, stream in enumerate(schema.streams):
        if stream.lane != lane:
            continue
        name, word = vocabulary.name(int(ids[s])), ""
        if name in vocabulary.specials:
            word = name
        elif isinstance(x := schema.lanes[lane], TextLane):
            start = vocabulary.range(x.codec).start
            word = codecs.get(x.codec).piece(int(ids[s]) - start).decode("utf-8", "replace")
            word = repr(word)  # with its spaces, and nothing that a terminal would obey
        out.append(f"{ids[s]}{word} ", style="bold" if loss[s] > 0 else "dim")
    return out


def _words(schema: TokenSchema, timeline: Timeline, steps: int) -> list[str]:
    """The words that end in each step."""
    out = [""] * (steps + 1)
    for event in (*timeline.world, *timeline.agent):
        if isinstance(event, (Hear, Say)):
            sign = "<" if isinstance(event, Hear) else ">"
            for w in event.words:
                at = min(int(w.end_s / schema.block_s), steps)
                out[at] += f"{sign}{w.text} "
    return out
