"""The config of a corpus, by section; `corpus.py` puts them together."""

from schemas.config.acoustics import AcousticsConfig
from schemas.config.align import AlignConfig
from schemas.config.checks import ChecksConfig
from schemas.config.corpus import (
    AnnotatorConfig,
    CodecsConfig,
    Config,
    ShardsConfig,
    VideoConfig,
)
from schemas.config.faults import config_error, known_keys
from schemas.config.scene import SceneConfig
from schemas.config.sources import (
    Clock,
    DialogueSource,
    RecordingSource,
    SourceEntry,
    TrajectorySource,
)
from schemas.config.speech import SpeechConfig
from schemas.config.text import TextConfig

__all__ = [
    "AcousticsConfig",
    "AlignConfig",
    "AnnotatorConfig",
    "ChecksConfig",
    "Clock",
    "CodecsConfig",
    "Config",
    "DialogueSource",
    "RecordingSource",
    "SceneConfig",
    "ShardsConfig",
    "SourceEntry",
    "SpeechConfig",
    "TextConfig",
    "TrajectorySource",
    "VideoConfig",
    "config_error",
    "known_keys",
]
