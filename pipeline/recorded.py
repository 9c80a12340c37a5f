"""What the stages do with a Recording: its audio stands for speech and for the tracks.

work = heard(work, config)            # in place of speak
sample = tracks_of(work, sample)      # after render
"""

from __future__ import annotations

from dataclasses import replace

from generators.recorded import as_recorded, recorded_speech
from generators.sources import open_recording
from pipeline.work import Work
from schemas.config import Config
from schemas.records import Recording
from schemas.sample import Sample


def heard(work: Work, config: Config) -> Work:
    """The work with its audio, and a slice of it for each span. Raises StrettoError for bad audio."""
    assert isinstance(work.record, Recording) and work.scene is not None
    audio = open_recording(work.record, config.speech.sample_rate_hz)
    return replace(work, audio=audio, speech=recorded_speech(work.record, audio))


def tracks_of(work: Work, sample: Sample) -> Sample:
    """The rendered sample; a Recording's has the tracks that were recorded."""
    if work.audio is None or not isinstance(work.record, Recording):
        return sample
    return as_recorded(sample, work.record, work.audio)
