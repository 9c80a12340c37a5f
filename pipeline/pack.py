"""A rendered Sample as the members of its tar entry, and its row of the index.

Members: `json` (the Timeline), `listen.flac`, `speak.flac`, `look.CAMERA.mp4`, `act.npy`,
`state.npy`, `stem.NAME.flac`. FLAC is 16-bit at libsndfile's default level, about 5,200 times real time.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.index import statistics
from pipeline.turn_taking import heard_of_user
from schemas.sample import Sample
from schemas.timeline import Piece, Say, Timeline


@dataclass(frozen=True)
class Packed:
    """A sample ready for its tar: members by extension, and the index row without its place.

    `reports` are the rows of the checks; they stand beside the shards, never in them.
    """

    key: str
    members: dict[str, bytes]
    row: dict[str, Any]
    reports: tuple[dict[str, Any], ...] = ()


def pack(sample: Sample) -> Packed:
    """Encode every track. The bytes depend on the sample and the library versions alone."""
    timeline = sample.timeline
    members = {
        "json": timeline.to_json().encode(),
        "listen.flac": flac(sample.listen, timeline.listen.sample_rate_hz),
        "speak.flac": flac(sample.speak, timeline.speak.sample_rate_hz),
    }
    for name in timeline.stems:
        members[f"stem.{name}.flac"] = flac(sample.stems[name], timeline.listen.sample_rate_hz)
    members |= {f"look.{camera}.mp4": data for camera, data in sample.look.items()}
    if sample.act is not None:
        members["act.npy"] = npy(sample.act)
    if sample.state is not None:
        members["state.npy"] = npy(sample.state)
    return Packed(timeline.key, members, index_row(timeline))


def flac(pcm: NDArray[np.int16], sample_rate_hz: int) -> bytes:
    """int16 [sample_count] mono as FLAC."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, pcm, sample_rate_hz, subtype="PCM_16", format="FLAC")
    return out.getvalue()


def npy(array: NDArray[np.float32]) -> bytes:
    """float32 in C order: another memory order would give other bytes."""
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(array, dtype="<f4"), allow_pickle=False)
    return out.getvalue()


def index_row(timeline: Timeline) -> dict[str, Any]:
    """What `index.parquet` says of a sample. Speech counts what sounded: cut pieces end at the cut.

    `turns` counts spoken turns (barge-ins and remarks too) of both sides, not backchannels, openers
    or what is said to others; `user_speech_s` is the user's own, not a bystander's.
    """
    heard = heard_of_user(timeline)
    said = [e for e in timeline.agent if isinstance(e, Say)]
    behaviours = [*(e.behaviour for e in heard), *(e.behaviour for e in said)]
    steps = timeline.act.step_count if timeline.act else 0
    return {
        "key": timeline.key,
        "group": timeline.group,
        "language": timeline.language,
        "duration_s": timeline.duration_s,
        "kind": kind_of(timeline),
        "behaviours": list(timeline.behaviours),
        "user_speech_s": _sounding_s((e.pieces, None) for e in heard),
        "assistant_speech_s": _sounding_s((e.pieces, e.cut_s) for e in said),
        "turns": sum(b in ("turn", "barge_in", "proactive") for b in behaviours),
        "step_count": steps,
        **statistics(timeline),
    }


def kind_of(timeline: Timeline) -> str:
    """What its record was: `trajectory`, `recording` or `dialogue`."""
    if timeline.act:
        return "trajectory"
    return "recording" if timeline.subset == "recording" else "dialogue"


def _sounding_s(events: Iterable[tuple[tuple[Piece, ...], float | None]]) -> float:
    total = 0.0
    for pieces, cut_s in events:
        for piece in pieces:
            end_s = piece.end_s if cut_s is None else min(piece.end_s, cut_s)
            total += max(0.0, end_s - piece.start_s)
    return round(total, 6)
