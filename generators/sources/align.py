"""Which frames of a video belong to which rows of an episode. Pure arithmetic on their times.

Rows and frames should both start at 0 and go at one rate. Real sets break this: GR1's rows start
at 0.05 s while its video starts at 0 (a logger that writes after the step), and yet row i was made
with frame i. So equal counts go by index; only unequal counts go by time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from generators.sources.refusal import Refused

SAME_TIME_S = 0.001  # a constant offset below this needs no note


def align(
    frames_s: NDArray[np.float64], rows_s: NDArray[np.float64] | None, row_count: int, fps: float
) -> tuple[int, str | None]:
    """(the frame of row 0, a note or None); row i then has that frame plus i.

    `frames_s` float64 [frames] from 0, `rows_s` float64 [row_count] the rows' timestamps. Raises
    Refused when some row has no frame of its own within half a frame period.
    """
    if len(frames_s) < row_count:
        raise Refused(f"the video has {len(frames_s)} frames, the episode has {row_count} rows")
    if rows_s is None:
        if len(frames_s) > row_count:
            raise Refused(
                f"the video has {len(frames_s)} frames for {row_count} rows without timestamps"
            )
        return 0, None
    if not np.isfinite(rows_s).all():
        raise Refused("a timestamp is NaN or infinite")
    half_s = 0.5 / fps
    offset_s = rows_s[0] - frames_s[0]
    if len(frames_s) == row_count and np.abs(rows_s - frames_s - offset_s).max() <= half_s:
        return 0, _offset_note(offset_s)
    return _by_time(frames_s, rows_s, half_s)


def _by_time(
    frames_s: NDArray[np.float64], rows_s: NDArray[np.float64], half_s: float
) -> tuple[int, str | None]:
    # float32 timestamps are off by up to 1e-6 relative: half a period must not fail by that
    limit_s = half_s + 1e-6 * (1 + float(np.abs(rows_s).max()))
    first = int(np.abs(frames_s - rows_s[0]).argmin())
    own = frames_s[first : first + len(rows_s)]
    away = np.abs(own - rows_s[: len(own)])
    bad = np.flatnonzero(away > limit_s)
    row = int(bad[0]) if len(bad) else len(own)
    if row < len(rows_s):
        raise Refused(
            f"row {row} (timestamp {rows_s[row]:.3f} s) has no frame of its own within "
            f"{half_s * 1000:.0f} ms: {len(frames_s)} frames, {len(rows_s)} rows"
        )
    unused = len(frames_s) - len(rows_s)
    if not unused:
        return first, None
    note = f"{unused} of {len(frames_s)} frames have no row and are not used"
    return first, f"{note}: aligned by timestamp, row 0 is frame {first}"


def _offset_note(offset_s: float) -> str | None:
    if abs(offset_s) <= SAME_TIME_S:
        return None
    return f"timestamps start at {offset_s:.3f} s while the video starts at 0: aligned by index"
