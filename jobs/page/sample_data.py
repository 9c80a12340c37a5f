"""A sample as the JSON data of the page: events, labels, sound, frames, curves and tokens."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.media import MemberMedia
from pipeline.text_timing import chars_by_cut
from schemas.timeline import (
    Act,
    ArrayTrack,
    Hear,
    LookTrack,
    Say,
    Sound,
    Think,
    Timeline,
    ToolCall,
    TypedInput,
    Write,
)

PEAKS_HZ = 200
THUMB_PX = 320


def sample_data(
    row: Mapping[str, Any],
    timeline: Timeline,
    media: MemberMedia,
    tokens: dict[str, Any] | None,
    no_tokens: str,
) -> dict[str, Any]:
    """What `jobs/page/*.js` draws of one sample. `row` is its row of the index."""
    tracks = {"listen": media.listen(), "speak": media.speak()}
    act, state = media.act(), media.state()
    return {
        "key": timeline.key,
        "split": row["split"],
        "subset": timeline.subset,
        "group": timeline.group,
        "language": timeline.language,
        "duration_s": timeline.duration_s,
        "behaviours": timeline.behaviours,
        "context": timeline.context.model_dump(mode="json", exclude_none=True),
        "provenance": timeline.provenance.model_dump(mode="json", exclude_none=True),
        **{
            name: {
                "flac": base64.b64encode(media.member(f"{name}.flac")).decode(),
                "peaks": peaks(pcm, timeline.listen.sample_rate_hz),
            }
            for name, pcm in tracks.items()
        },
        **events(timeline),
        "labels": [_dump(label) for label in timeline.labels],
        "look": [look(track, media) for track in timeline.look],
        "act": None if act is None or timeline.act is None else curves(timeline.act, act),
        "state": None if state is None or timeline.state is None else curves(timeline.state, state),
        "tokens": tokens,
        "no_tokens": no_tokens,
    }


def events(timeline: Timeline) -> dict[str, Any]:
    """The events by lane. `emitted` is how many characters of a text came before its cut."""
    texts = [
        {**_dump(e), "emitted": chars_by_cut(e, len(e.text))}
        for e in timeline.agent
        if isinstance(e, (Write, Think, ToolCall))
    ]
    typed = [e for e in timeline.world if isinstance(e, TypedInput)]
    texts += [
        {**_dump(e), "world": True, "emitted": len(e.text), "planned_end_s": e.start_s}
        for e in typed
    ]
    return {
        "hear": [_dump(e) for e in timeline.world if isinstance(e, Hear)],
        "sounds": [_dump(e) for e in timeline.world if isinstance(e, Sound)],
        "say": [{**_dump(e), "emitted": _said(e)} for e in timeline.agent if isinstance(e, Say)],
        "texts": sorted(texts, key=lambda e: e["start_s"]),
        "acts": [_dump(e) for e in timeline.agent if isinstance(e, Act)],
    }


def _said(say: Say) -> int:
    """Characters of the plan that sounded; all of them when nothing was cut."""
    return len(say.text) if say.cut_s is None else max((w.char_end for w in say.words), default=0)


def peaks(pcm: NDArray[np.int16], rate_hz: int) -> dict[str, Any]:
    """Lowest and highest value of each 5 ms, as int8 pairs: what the waveform is drawn from."""
    size = rate_hz // PEAKS_HZ
    padded = np.pad(pcm, (0, -len(pcm) % size)).reshape(-1, size)
    # relative to this track's own loudest sample, so that a quiet voice can be seen
    loudest = max(1, int(np.abs(pcm.astype(np.int32)).max(initial=0)))
    pairs = np.stack([padded.min(1), padded.max(1)], 1).astype(np.float64) * 127 / loudest
    packed = np.clip(np.rint(pairs), -128, 127).astype(np.int8).tobytes()
    return {"rate_hz": rate_hz / size, "base64": base64.b64encode(packed).decode()}


def look(track: LookTrack, media: MemberMedia) -> dict[str, Any]:
    """One frame a second of a camera, as small JPEGs."""
    seconds = range(int(np.ceil(track.frame_count / track.fps)))
    indices = [i for s in seconds if (i := round(s * track.fps)) < track.frame_count]
    frames = media.frames(track.camera, indices)
    shown = [
        {
            "at_s": round(track.start_s + i / track.fps, 3),
            "until_s": round(track.start_s + min(i + track.fps, track.frame_count) / track.fps, 3),
            "jpeg": "data:image/jpeg;base64," + base64.b64encode(jpeg(frame)).decode(),
        }
        for i, frame in zip(indices, frames, strict=True)
    ]
    return {"camera": track.camera, "fps": track.fps, "frames": shown}


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """uint8 [height, width, 3] as a JPEG of at most THUMB_PX width."""
    height, width = pixels.shape[:2]
    scale = min(1.0, THUMB_PX / width)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    # JPEG's chroma is halved: even sides
    small_w, small_h = (max(2, 2 * round(side * scale / 2)) for side in (width, height))
    frame = frame.reformat(width=small_w, height=small_h, format="yuvj420p")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mjpeg") as out:
        stream = out.add_stream("mjpeg", rate=1, options={"qmin": "4", "qmax": "4"})
        stream.width, stream.height, stream.pix_fmt = small_w, small_h, "yuvj420p"
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def curves(track: ArrayTrack, rows: NDArray[np.float32]) -> dict[str, Any]:
    """The rows with four significant digits, and each dimension's range."""
    return {
        "fps": track.fps,
        "dim": track.dim,
        "names": list(track.names),
        "rows": [[_short(v) for v in row] for row in rows.tolist()],
        "low": [_short(v) for v in rows.min(0).tolist()],
        "high": [_short(v) for v in rows.max(0).tolist()],
    }


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _dump(record: Any) -> dict[str, Any]:
    return record.model_dump(mode="json", exclude_none=True)
