"""`index.parquet`: its columns, and what it says of how a sample takes turns.

`statistics(timeline)` is what trainers filter by, measured from the words' times by the definitions
of `pipeline.turn_taking`; `pipeline.pack.index_row` has the rest. See `docs/statistics.md`.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipeline.turn_taking import measure
from schemas.timeline import Say, Timeline

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


def statistics(timeline: Timeline) -> dict[str, Any]:
    """The columns since 1.2. `backchannels` are both sides'; `interruptions` made it stop."""
    taking = measure(timeline)
    said = [e for e in timeline.agent if isinstance(e, Say)]
    return {
        "transitions": len(taking.transitions),
        "overlap_s": round(taking.overlap_s, 6),
        "silent_s": round(taking.silent_s, 6),
        "backchannels": len(taking.user_backchannels_s) + len(taking.assistant_backchannels_s),
        "interruptions": len({e.cut_by.event for e in said if e.cut_by is not None}),
        "pair": timeline.pair,
    }
