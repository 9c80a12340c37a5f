"""Promises about a sample's members: each opens, has the size its Timeline says, and sounds right.

Same form as `validate_timeline`: a function takes a `Seen` and yields one line a fault. Nothing is
unpickled; a member that cannot be decoded raises, and the caller turns that into a line.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import soundfile
from numpy.typing import NDArray

from pipeline.index import INDEX_SINCE_1_2
from pipeline.media import MemberMedia
from pipeline.pack import index_row, kind_of
from pipeline.validate_timeline import Seen
from schemas.timeline import ArrayTrack, AudioTrack, Hear, LookTrack, Piece, Say, Timeline

# a piece's ends are rounded to the microsecond: one sample of doubt at each end
MARGIN_SAMPLES = 1


def members(seen: Seen) -> Iterator[str]:
    """The members are those of the tracks, and each has the length, rate and size it should."""
    wanted = expected_members(seen.timeline)
    if set(seen.members) != wanted:
        odd = sorted(set(seen.members) ^ wanted)
        yield f"member {odd[0]} is {'missing' if odd[0] in wanted else 'not in the Timeline'}"
        return
    yield from _audio("listen", seen.members["listen.flac"], seen.timeline.listen)
    yield from _audio("speak", seen.members["speak.flac"], seen.timeline.speak)
    for name in seen.timeline.stems:
        yield from _audio(f"stem.{name}", seen.members[f"stem.{name}.flac"], seen.timeline.listen)
    for track in seen.timeline.look:
        yield from _video(track, seen.members[f"look.{track.camera}.mp4"])
    for name, array in (("act", seen.timeline.act), ("state", seen.timeline.state)):
        if array is not None:
            yield from _array(name, seen.members[f"{name}.npy"], array)


def expected_members(timeline: Timeline) -> set[str]:
    """The members a Timeline's tracks ask for."""
    names = {"json", "listen.flac", "speak.flac"}
    names |= {f"look.{track.camera}.mp4" for track in timeline.look}
    names |= {f"stem.{name}.flac" for name in timeline.stems}
    names |= {"act.npy"} if timeline.act else set()
    return names | ({"state.npy"} if timeline.state else set())


def _audio(name: str, data: bytes, track: AudioTrack) -> Iterator[str]:
    with soundfile.SoundFile(io.BytesIO(data)) as sound:
        found = (sound.format, sound.subtype, sound.channels, sound.samplerate)
        if found != ("FLAC", "PCM_16", 1, track.sample_rate_hz):
            yield f"{name}.flac is {found}, not mono 16-bit FLAC at {track.sample_rate_hz} Hz"
        # the header's length is a claim: count what can be decoded
        count = len(sound.read(dtype="int16"))
    if count != track.sample_count:
        yield f"{name}.flac has {count} samples, the Timeline says {track.sample_count}"


def _video(track: LookTrack, data: bytes) -> Iterator[str]:
    from generators.video import count_frames, decode_mp4

    count = count_frames(data)
    if count != track.frame_count:
        yield f"look.{track.camera}.mp4 has {count} frames, the Timeline says {track.frame_count}"
        return
    size = decode_mp4(data, [0, count - 1] if count > 1 else [0]).shape[1:3]
    if size != (track.height_px, track.width_px):
        yield f"look.{track.camera}.mp4 is {size[1]}x{size[0]}, the Timeline says otherwise"


def _array(name: str, data: bytes, track: ArrayTrack) -> Iterator[str]:
    rows = np.load(io.BytesIO(data), allow_pickle=False)
    if rows.dtype != np.float32 or rows.shape != (track.step_count, track.dim):
        yield f"{name}.npy is {rows.dtype} {rows.shape}, not {(track.step_count, track.dim)}"
    elif not np.isfinite(rows).all():
        yield f"{name}.npy holds numbers that are not finite"


def tracks(seen: Seen) -> Iterator[str]:
    """Every track covers the whole sample, and no more than one step of it."""
    timeline = seen.timeline
    for name, audio in (("listen", timeline.listen), ("speak", timeline.speak)):
        if abs(audio.sample_count / audio.sample_rate_hz - timeline.duration_s) > 1e-6:
            yield f"{name} has {audio.sample_count} samples in {timeline.duration_s} s"
    steps = [(f"look.{t.camera}", t.start_s, t.frame_count, t.fps) for t in timeline.look]
    for name, array in (("act", timeline.act), ("state", timeline.state)):
        steps += [(name, 0.0, array.step_count, array.fps)] if array else []
    for name, start_s, count, fps in steps:
        over_s = start_s + count / fps - timeline.duration_s
        # 1e-3 steps: fps such as 29.97 are rounded
        if over_s < -1e-3 / fps or over_s > (1 + 1e-3) / fps:
            yield f"{name} has {count} steps at {fps} Hz in {timeline.duration_s} s"


def silence(seen: Seen) -> Iterator[str]:
    """`speak` sounds inside the pieces of `say` and nowhere else; each whole piece sounds.

    A recorded channel is as it was recorded: it breathes and hums between the words.
    """
    media = MemberMedia(seen.members, seen.where)
    timeline = seen.timeline
    says = [e for e in timeline.agent if isinstance(e, Say)]
    hears = [e for e in timeline.world if isinstance(e, Hear)]
    pcm = media.speak()
    rate_hz = timeline.speak.sample_rate_hz
    outside = _outside(len(pcm), [p for e in says for p in e.pieces], rate_hz)
    outside &= kind_of(timeline) != "recording" or not says
    loud = np.flatnonzero(outside & (pcm != 0))
    if len(loud):
        yield f"speak sounds at {loud[0] / rate_hz:.4f} s, where nothing is said"
    yield from _mute("speak", pcm, [e for e in says if e.cut_s is None], rate_hz)
    yield from _mute("listen", media.listen(), hears, rate_hz)


def _outside(count: int, pieces: list[Piece], rate_hz: int) -> NDArray[np.bool_]:
    mask = np.ones(count, bool)
    for piece in pieces:
        start = round(piece.start_s * rate_hz) - MARGIN_SAMPLES
        mask[max(0, start) : round(piece.end_s * rate_hz) + MARGIN_SAMPLES] = False
    return mask


def _mute(name: str, pcm: NDArray[np.int16], events: list, rate_hz: int) -> Iterator[str]:
    for event in events:
        for piece in event.pieces:
            heard = pcm[round(piece.start_s * rate_hz) : round(piece.end_s * rate_hz)]
            if not heard.any():
                yield f"{name} is silent from {piece.start_s} s, where {event.id} is said"


def stems(seen: Seen) -> Iterator[str]:
    """Without effects the kept stems sum to `listen`; with effects see `pipeline.acoustics.replay`."""
    if not seen.timeline.stems or seen.timeline.provenance.acoustics:
        return
    media = MemberMedia(seen.members, seen.where)
    total = sum(media.stem(name).astype(np.int32) for name in seen.timeline.stems)
    if not np.array_equal(np.clip(total, -32768, 32767), media.listen()):
        yield "the stems do not sum to listen, and no effect is told of"


def row(seen: Seen) -> Iterator[str]:
    """The index row says of the sample what its Timeline says."""
    true = index_row(seen.timeline) | {"subset": seen.timeline.subset}
    if seen.timeline.version in ("1.0", "1.1"):
        true = {name: value for name, value in true.items() if name not in INDEX_SINCE_1_2}
    for name, value in true.items():
        if seen.row.get(name) != value:
            yield f"the index says {name}={seen.row.get(name)!r}, the Timeline {value!r}"
