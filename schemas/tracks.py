"""What a Timeline has besides its events: its tracks, what is known before, and where it comes from."""

from __future__ import annotations

from typing import Literal

from schemas.base import Record, Seconds


class AudioTrack(Record):
    """`listen` or `speak`: mono 16-bit FLAC of exactly `sample_count` samples."""

    sample_rate_hz: int
    sample_count: int


class LookTrack(Record):
    """A camera: frame i is shown from start_s + i / fps on, and is revealed at that time."""

    camera: str
    fps: float
    frame_count: int
    width_px: int
    height_px: int
    start_s: Seconds = 0.0


class ArrayTrack(Record):
    """`act.npy` or `state.npy`: float32 [step_count, dim], row i at i / fps."""

    fps: float
    step_count: int
    dim: int
    names: tuple[str, ...] = ()


class Context(Record):
    """What is known before t = 0."""

    system: str = ""
    role: str | None = None
    task: str | None = None
    tools: str | None = None
    languages: tuple[str, ...] = ()
    output_modality: Literal["speech_and_text"] = "speech_and_text"
    embodiment: str | None = None
    assistant_voice: str | None = None


class Effect(Record):
    """An acoustic effect on `listen`: what was done to which source, with what settings."""

    name: str
    source: str
    settings: dict[str, float | int | str | bool] = {}


class Provenance(Record):
    """Where the sample comes from and what shaped it: enough to make it again."""

    source: str
    record_id: str
    where: str
    record_digest: str
    licence: str | None = None
    seed: int
    backends: dict[str, str] = {}
    acoustics: tuple[Effect, ...] = ()
    notes: tuple[str, ...] = ()
