"""A rendered Sample as the members of its tar entry, with its row of the index.

Members: `json` (the Timeline), `listen.flac`, `speak.flac`, `look.CAMERA.mp4`, `act.npy`,
`state.npy`. FLAC is 16-bit at libsndfile's default level, about 5,200 times real time.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.index import index_row
from schemas.sample import Sample


@dataclass(frozen=True)
class Packed:
    """A sample ready for its tar: members by extension, and the index row without its place.

    `report` is what a measuring check found; it stands beside the shards, never in them.
    """

    key: str
    members: dict[str, bytes]
    row: dict[str, Any]
    report: dict[str, Any] | None = None


def pack(sample: Sample) -> Packed:
    """Encode every track. The bytes depend on the sample and the library versions alone."""
    timeline = sample.timeline
    members = {
        "json": timeline.to_json().encode(),
        "listen.flac": flac(sample.listen, timeline.listen.sample_rate_hz),
        "speak.flac": flac(sample.speak, timeline.speak.sample_rate_hz),
    }
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
