"""`index.parquet`: its columns, and the row that says of a sample what trainers filter by.

`index_row(timeline)` gives all but the place (split, subset, shard, bytes), which the shard's writer
knows. `docs/statistics.md` defines the statistics; they are measured from the words' times.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from pipeline.turn_taking import heard_of_user, measure
from schemas.timeline import Piece, Say, Timeline

INDEX = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("subset", pa.string(), nullable=False),
        pa.field("group", pa.string()),
        pa.field("language", pa.string()),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("start_byte", pa.int64(), nullable=False),
        pa.field("end_byte", pa.int64(), nullable=False),
        pa.field("duration_s", pa.float64()),
        pa.field("kind", pa.string()),
        pa.field("behaviours", pa.list_(pa.string())),
        pa.field("user_speech_s", pa.float64()),
        pa.field("assistant_speech_s", pa.float64()),
        pa.field("turns", pa.int32()),
        pa.field("step_count", pa.int64()),
        # statistics, since Timeline 1.2
        pa.field("transitions", pa.int32()),
        pa.field("overlap_s", pa.float64()),
        pa.field("silent_s", pa.float64()),
        pa.field("backchannels", pa.int32()),
        pa.field("interruptions", pa.int32()),
        pa.field("pair", pa.string()),
    ]
)
# corpora of Timelines 1.0 and 1.1 lack these, and are read all the same
INDEX_SINCE_1_2 = ("transitions", "overlap_s", "silent_s", "backchannels", "interruptions", "pair")


def index_row(timeline: Timeline) -> dict[str, Any]:
    """What `index.parquet` says of a sample. Speech counts what sounded: cut pieces end at the cut.

    `turns` counts spoken turns (barge-ins too) of both sides; `user_speech_s` is the user's own, not
    a bystander's. `docs/statistics.md` defines the rest, measured from the words' times.
    """
    heard = heard_of_user(timeline)
    said = [e for e in timeline.agent if isinstance(e, Say)]
    asked = sum(e.behaviour in ("turn", "barge_in") for e in heard)
    steps = timeline.act.step_count if timeline.act else 0
    return {
        "key": timeline.key,
        "group": timeline.group,
        "language": timeline.language,
        "duration_s": timeline.duration_s,
        "kind": "trajectory" if timeline.act else "dialogue",
        "behaviours": list(timeline.behaviours),
        "user_speech_s": _sounding_s((e.pieces, None) for e in heard),
        "assistant_speech_s": _sounding_s((e.pieces, e.cut_s) for e in said),
        "turns": asked + sum(e.takes_turn for e in said),
        "step_count": steps,
        **_statistics(timeline, said),
    }


def _statistics(timeline: Timeline, said: list[Say]) -> dict[str, Any]:
    """What a trainer filters by (since 1.2). `backchannels` by the human definition, both sides'."""
    taking = measure(timeline)
    return {
        "transitions": len(taking.transitions),
        "overlap_s": round(taking.overlap_s, 6),
        "silent_s": round(taking.silent_s, 6),
        "backchannels": len(taking.user_backchannels_s) + len(taking.assistant_backchannels_s),
        "interruptions": len({e.cut_by.event for e in said if e.cut_by is not None}),
        "pair": timeline.pair,
    }


def _sounding_s(events: Iterable[tuple[tuple[Piece, ...], float | None]]) -> float:
    total = 0.0
    for pieces, cut_s in events:
        for piece in pieces:
            end_s = piece.end_s if cut_s is None else min(piece.end_s, cut_s)
            total += max(0.0, end_s - piece.start_s)
    return round(total, 6)
