"""What things are: Dialogue, Trajectory, Scene, Timeline, Label and the config. No I/O here."""

from schemas.base import Record, seconds, slug
from schemas.config import Config
from schemas.draws import digest, draw_seed, from_quantiles, rng, uniform
from schemas.errors import StrettoError
from schemas.label import Evidence, Label
from schemas.records import (
    ChannelRange,
    Dialogue,
    InputRecord,
    RecordedWord,
    Recording,
    Segment,
    Trajectory,
    Turn,
    VideoRange,
)
from schemas.sample import Media, Rejection, Sample
from schemas.scene import Anchor, Motion, Scene, Span, TextEvent, Utterance
from schemas.timeline import Timeline

__all__ = [
    "Anchor",
    "ChannelRange",
    "Config",
    "Dialogue",
    "Evidence",
    "InputRecord",
    "Label",
    "Media",
    "Motion",
    "Record",
    "RecordedWord",
    "Recording",
    "Rejection",
    "Sample",
    "Scene",
    "Segment",
    "Span",
    "StrettoError",
    "TextEvent",
    "Timeline",
    "Trajectory",
    "Turn",
    "Utterance",
    "VideoRange",
    "digest",
    "draw_seed",
    "from_quantiles",
    "rng",
    "seconds",
    "slug",
    "uniform",
]
