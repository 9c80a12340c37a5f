"""A video file as an index of shown frames, and frames out of it, exact to the picture.

Times count from the file's first shown frame. The index comes from the packets (no decoding), since
the frame count in a container's header is often an estimate. Decoding checks each picture's time
against it, so a hole or a broken stretch is an error and never a shifted video.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from schemas import StrettoError


@dataclass(frozen=True)
class ClipIndex:
    """The shown frames of a file. `pts` int64 [n], rising, in `time_base_s` units."""

    pts: NDArray[np.int64]
    time_base_s: float

    @property
    def times_s(self) -> NDArray[np.float64]:
        """float64 [n]: seconds from the first frame."""
        return (self.pts - self.pts[0]) * self.time_base_s

    def nearest(self, time_s: float) -> int:
        """The frame whose time is nearest to `time_s`."""
        return int(np.abs(self.times_s - time_s).argmin())


def index_clip(path: str) -> ClipIndex:
    """The frames of `path`. Raises StrettoError for a file that is no video or holds no frame."""
    try:
        stat = os.stat(path)
    except OSError as error:
        raise StrettoError(f"cannot be read: {error.strerror}", path) from None
    return _index(path, stat.st_size, stat.st_mtime_ns)


def decode(path: str, start_s: float, frame_count: int) -> Iterator[NDArray[np.uint8]]:
    """`frame_count` frames from the one nearest to `start_s` on, uint8 RGB [height, width, 3].

    Raises StrettoError when a frame is missing or broken.
    """
    index = index_clip(path)
    first = index.nearest(start_s)
    wanted = index.pts[first : first + frame_count].tolist()
    if len(wanted) < frame_count:
        raise StrettoError(f"{len(wanted)} frames left, {frame_count} wanted", path)
    given = 0
    for frame in _frames_from(path, wanted[0]):
        if given == frame_count:
            return
        if frame.pts != wanted[given] or frame.is_corrupt:
            break
        yield frame.to_ndarray(format="rgb24")
        given += 1
    if given < frame_count:
        raise StrettoError(f"frame {first + given} cannot be decoded", path, "the file is damaged")


def _frames_from(path: str, pts: int) -> Iterator[Any]:
    """The decoded frames from `pts` on."""
    for seek in (True, False):
        started = False
        for frame in _decoded(path, pts if seek else None):
            if not started and seek and frame.pts is not None and frame.pts > pts:
                break  # the seek went past it (an odd index): read from the beginning
            started = True
            if frame.pts is not None and frame.pts >= pts:
                yield frame
        if started:
            return


def _decoded(path: str, pts: int | None) -> Iterator[Any]:
    """Frames in shown order, from the key frame before `pts`, on one thread."""
    try:
        with _open(path) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            if pts is not None:
                container.seek(pts, stream=stream)
            yield from container.decode(stream)
    except (av.FFmpegError, OSError) as error:
        raise StrettoError(f"cannot be decoded: {_words(error)}", path) from None


@lru_cache(maxsize=8)
def _index(path: str, size: int, mtime_ns: int) -> ClipIndex:
    """Cached by size and time of change: the episodes of a v3.0 folder share a few large files."""
    try:
        with _open(path) as container:
            stream = container.streams.video[0]
            # discarded packets (outside an edit list) are decoded but never shown
            shown = (p for p in container.demux(stream) if not p.is_discard)
            pts = sorted(p.pts for p in shown if p.pts is not None)
            if not pts or stream.time_base is None:
                raise StrettoError("the video has no frame", path)
            return ClipIndex(np.array(pts, np.int64), float(stream.time_base))
    except (av.FFmpegError, OSError, IndexError) as error:
        raise StrettoError(f"not a readable MP4 video: {_words(error)}", path) from None


def _open(path: str) -> Any:
    # The format is fixed and the protocol is `file:`, since a playlist or a URL in disguise would
    # make FFmpeg open other files.
    return av.open(f"file:{path}", format="mp4")


def _words(error: Exception) -> str:
    if isinstance(error, IndexError):
        return "no video stream"
    return getattr(error, "strerror", None) or str(error)
