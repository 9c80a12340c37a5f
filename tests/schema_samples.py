"""Small Timelines with real, tiny, fitted codecs, for the tests of token_schema.

`sample(...)` builds a Timeline and its media from plain lists; `codec_set(schema)` fits the four
codecs once on noise, tones and a fixed text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from schemas.timeline import (
    Act,
    AgentEvent,
    ArrayTrack,
    AudioTrack,
    Context,
    LookTrack,
    Piece,
    Provenance,
    Say,
    Timeline,
    Write,
)
from token_schema.codec_set import CodecSet
from token_schema.codecs.fit import (
    ActionSettings,
    AudioSettings,
    ImageSettings,
    TextSettings,
    fit_action,
    fit_audio,
    fit_image,
    fit_text,
)
from token_schema.language import TokenSchema, load_schema

RATE_HZ = 16000
TEXT = "the quick brown fox jumps over the lazy dog and opens the drawer on the left side "


def sound(seconds: float, seed: int) -> NDArray[np.int16]:
    """Noise whose loudness moves, so that neighbouring code frames differ."""
    n = round(seconds * RATE_HZ)
    rng = np.random.default_rng(seed)
    swell = 1500 + 1400 * np.sin(np.arange(n) / RATE_HZ * (3 + seed % 5))
    return (rng.standard_normal(n) * swell).astype(np.int16)


def picture(i: int, size: int = 32) -> NDArray[np.uint8]:
    y, x = np.mgrid[:size, :size]
    return np.stack([(x * 7 + i * 31) % 256, (y * 5 + i * 3) % 256, (x + y + i) % 256], -1).astype(
        np.uint8
    )


def path(steps: int, dim: int = 3) -> NDArray[np.float32]:
    t = np.arange(steps)[:, None] / 10.0
    return np.sin(t * (1 + np.arange(dim)) + np.arange(dim)).astype(np.float32)


@lru_cache
def fitted() -> dict[str, object]:
    audio = AudioSettings(codebooks=4, entries=16, sample_frames=400, iterations=3)
    image = ImageSettings(size_px=16, patch_px=8, entries=16, sample_patches=400, iterations=3)
    return {
        "text": fit_text([TEXT * 3], TextSettings(vocab_size=320)),
        "audio": fit_audio([sound(12.0, s) for s in range(3)], audio),
        "image": fit_image([picture(i) for i in range(20)], image),
        "action-arm": fit_action([path(200)], ActionSettings(horizon=10, vocab_size=300)),
    }


@lru_cache
def codec_set(schema: TokenSchema | None = None) -> CodecSet:
    return CodecSet(schema or load_schema("ellsa"), fitted())


@dataclass(frozen=True)
class ArrayMedia:
    """Media held in memory."""

    heard: NDArray[np.int16]
    spoken: NDArray[np.int16]
    pictures: int = 0
    rows: NDArray[np.float32] | None = None

    def listen(self) -> NDArray[np.int16]:
        return self.heard

    def speak(self) -> NDArray[np.int16]:
        return self.spoken

    def frames(self, camera: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        assert list(indices) == sorted(set(indices)) and max(indices) < self.pictures
        return np.stack([picture(i) for i in indices])

    def act(self) -> NDArray[np.float32] | None:
        return self.rows

    def state(self) -> NDArray[np.float32] | None:
        return None


def write(event_id: str, text: str, decided_s: float, cut_s: float | None = None) -> Write:
    return Write(
        id=event_id,
        text=text,
        decided_s=decided_s,
        start_s=decided_s,
        end_s=decided_s + 1,
        planned_end_s=decided_s + 1,
        cut_s=cut_s,
    )


def say(event_id: str, start_s: float, end_s: float, cut_s: float | None = None) -> Say:
    planned_s, pieces_end_s = end_s, end_s
    if cut_s is not None:
        pieces_end_s = min(end_s, cut_s + 0.15)
    return Say(
        id=event_id,
        text="words",
        language="en",
        voice="v",
        decided_s=start_s,
        start_s=start_s,
        end_s=pieces_end_s,
        planned_end_s=planned_s,
        cut_s=cut_s,
        pieces=(Piece(char_start=0, char_end=5, start_s=start_s, end_s=pieces_end_s),),
    )


def sample(
    duration_s: float,
    agent: Sequence[AgentEvent] = (),
    moves: tuple[int, int] | None = None,
    fps: float = 10.0,
    system: str = "Be brief.",
    listen_seed: int = 1,
) -> tuple[Timeline, ArrayMedia]:
    """A sample; `moves` (first step, steps) makes it a robot's, idle before and after."""
    count = round(duration_s * RATE_HZ)
    spoken = np.zeros(count, np.int16)
    for event in agent:
        if isinstance(event, Say):
            a, b = round(event.start_s * RATE_HZ), round(event.end_s * RATE_HZ)
            whole = sound(event.planned_end_s - event.start_s, 2)
            spoken[a:b] = whole[: len(spoken[a:b])]
            if event.cut_s is not None:
                spoken[round(event.cut_s * RATE_HZ) : b] //= 2
    look: tuple[LookTrack, ...] = ()
    rows, act, events = None, None, list(agent)
    steps = int(np.ceil(duration_s * fps - 1e-9))
    if moves:
        rows, first, moving = _rows(steps, *moves)
        look = (LookTrack(camera="front", fps=fps, frame_count=steps, width_px=32, height_px=32),)
        act = ArrayTrack(fps=fps, step_count=steps, dim=3)
        events += _acts(steps, first, moving, fps)
    timeline = Timeline(
        key="k-1",
        subset="arm" if moves else "dialogue",
        group="g",
        language="en",
        duration_s=duration_s,
        context=Context(system=system),
        listen=AudioTrack(sample_rate_hz=RATE_HZ, sample_count=count),
        speak=AudioTrack(sample_rate_hz=RATE_HZ, sample_count=count),
        look=look,
        act=act,
        agent=tuple(events),
        provenance=Provenance(
            source="hand", record_id="1", where="tests:1", record_digest="0" * 32, seed=1
        ),
    )
    return timeline, ArrayMedia(sound(duration_s, listen_seed), spoken, steps if moves else 0, rows)


def _rows(steps: int, first: int, moving: int) -> tuple[NDArray[np.float32], int, int]:
    """Zeros, the path, zeros."""
    moving = min(moving, steps - first)
    rows = np.zeros((steps, 3), np.float32)
    rows[first : first + moving] = path(moving)
    return rows, first, moving


def _acts(steps: int, first: int, moving: int, fps: float) -> list[Act]:
    spans = [
        ("idle", 0, first),
        ("trajectory", first, moving),
        ("idle", first + moving, steps - first - moving),
    ]
    return [
        Act(
            id=f"act{i}",
            mode=mode,
            first_step=at,
            step_count=n,  # type: ignore[arg-type]
            decided_s=at / fps,
            start_s=at / fps,
            end_s=(at + n) / fps,
            planned_end_s=(at + n) / fps,
        )
        for i, (mode, at, n) in enumerate(spans)
        if n > 0
    ]
