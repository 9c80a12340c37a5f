"""The parallel mode on the page: rows of all streams, step after step, and a unit for each second.

`ids` is flat, `streams` ids a step; the first `head_steps` rows are the head, which stands before
all time. The script draws a row of the page for each lane, with a line for each of its streams.
"""

from __future__ import annotations

import math
from typing import Any

from token_schema.schema import TokenSchema
from token_schema.tokens import Tokens

FIRST_LANE = 2


def step_data(schema: TokenSchema, tokens: Tokens) -> dict[str, Any]:
    """What `steps.js` draws: all ids with their marks (see `token_data.marks`), and the units."""
    width = tokens.streams
    head = int((tokens.block < 0).sum()) // width
    known_s = tokens.known_s[::width][head:]
    digits = tokens.kind + 4 * (tokens.loss > 0)
    return {
        "step_s": schema.block_s,
        "head_steps": head,
        "ids": tokens.ids.tolist(),
        "marks": "".join(map(str, digits.tolist())),
        "known_s": [round(v, 3) for v in known_s.tolist()],
        "streams": [{"row": FIRST_LANE + s.lane, "book": s.book} for s in schema.streams],
        "units": units(schema, len(tokens) // width, head),
    }


def units(schema: TokenSchema, steps: int, head: int) -> list[dict[str, Any]]:
    """The head, then the steps that begin in each whole second; `first` and `stop` are rows."""
    out = []
    if head:
        out.append(
            {
                "index": -1,
                "line": 0,
                "start_s": 0.0,
                "end_s": 1.0,
                "first": 0,
                "stop": head,
                "label": f"head, {head} steps",
                "title": f"the head of the sequence, {head} steps",
            }
        )
    count = steps - head
    for second in range(math.ceil(count * schema.block)):
        first, stop = (min(count, math.ceil(s / schema.block)) for s in (second, second + 1))
        out.append(
            {
                "index": second,
                "line": 1,
                "start_s": float(second),
                "end_s": second + 1.0,
                "first": head + first,
                "stop": head + stop,
                "label": f"steps {first}–{stop - 1}",
                "title": f"second {second}, steps {first} to {stop - 1}",
            }
        )
    return out
