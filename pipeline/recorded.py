"""What the stages do with a Recording: its audio stands for speech and for the tracks.

work = heard(work, config)            # in place of speak
sample = tracks_of(work, sample)      # after render
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from generators.place import SpeechKey
from generators.recorded import as_recorded, recorded_speech
from generators.sources import open_recording
from generators.speech import Speech, SpokenWord
from generators.speech.tokens import tokens
from pipeline.work import Work
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.records import Recording
from schemas.sample import Sample
from schemas.scene import Scene, Utterance


def heard(work: Work, config: Config) -> Work:
    """The work with its audio, and a slice of it for each span. Raises StrettoError for bad audio."""
    assert isinstance(work.record, Recording) and work.scene is not None
    audio = open_recording(work.record, config.speech.sample_rate_hz)
    speech = recorded_speech(work.record, audio)
    return replace(work, audio=audio, speech=_estimated(speech, work.scene))


def tracks_of(work: Work, sample: Sample) -> Sample:
    """The rendered sample; a Recording's has the tracks that were recorded."""
    if work.audio is None or not isinstance(work.record, Recording):
        return sample
    return as_recorded(sample, work.record, work.audio, work.speech)


# Stands in for the align stage until that is merged: words as long as their letters.
def _estimated(speech: Mapping[SpeechKey, Speech], scene: Scene) -> dict[SpeechKey, Speech]:
    texts = {
        (e.id, i): e.text[s.char_start : s.char_end]
        for e in scene.events
        if isinstance(e, Utterance)
        for i, s in enumerate(e.spans)
    }
    return {k: s if s.words else _shared(s, texts[k]) for k, s in speech.items()}


def _shared(speech: Speech, text: str) -> Speech:
    found = [t for t in tokens(text) if t.must_sound]
    total, at, words = sum(t.weight for t in found), 0, []
    if not found:
        raise StrettoError(f"nothing in {text[:40]!r} can be said")
    for token in found:
        start, at = at, at + token.weight
        times = (len(speech.pcm) * start // total, len(speech.pcm) * at // total)
        words.append(SpokenWord(text[token.start : token.end], token.start, token.end, *times))
    return Speech(speech.pcm, speech.sample_rate_hz, tuple(words), "estimated")
