"""The stage between render and annotate: what is heard, from the clean sources of `listen`.

    sample = heard(sample, record, config)            # `listen` and provenance; times stay
    listen, effects = redraw(timeline, media, config) # of a finished corpus with kept stems

With `acoustics.keep_stems` the clean sources are members `stem.NAME.flac` of every sample, the same
for all: readers that infer columns need one set. A recording is its user's stem, room and all.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from generators import acoustics
from pipeline.media import MemberMedia
from pipeline.work import Work
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.records import Dialogue, InputRecord
from schemas.sample import STEMS, Sample
from schemas.timeline import Effect, Timeline

Stems = dict[str, NDArray[np.int16]]


def step(work: Work, config: Config) -> Work:
    """The stage's step for one record."""
    assert work.sample is not None
    return replace(work, sample=heard(work.sample, work.record, config))


def heard(sample: Sample, record: InputRecord, config: Config) -> Sample:
    """The sample as it is heard. A clean twin gets no effects; `speak` is never touched.

    The clean stems stay with a sample that has effects, for checks of what was said.
    """
    stems = _stems(sample)
    clean = isinstance(record, Dialogue) and not record.perturb
    listen, effects = (sample.listen, ()) if clean else _applied(sample, stems, record, config)
    kept = stem_names(config)
    if not effects and not kept:
        return replace(sample, stems={})
    provenance = sample.timeline.provenance.model_copy(update={"acoustics": effects})
    timeline = sample.timeline.model_copy(update={"provenance": provenance, "stems": kept})
    return replace(sample, timeline=timeline, listen=listen, stems=stems)


def stem_names(config: Config) -> tuple[str, ...]:
    """The stems that every sample keeps."""
    return STEMS if config.acoustics.keep_stems else ()


def stem_members(config: Config) -> set[str]:
    """The members that hold them."""
    return {f"stem.{name}.flac" for name in stem_names(config)}


def redraw(
    timeline: Timeline, media: MemberMedia, config: Config
) -> tuple[NDArray[np.int16], tuple[Effect, ...]]:
    """Effects drawn anew for a finished sample. StrettoError where its stems were not kept."""
    return acoustics.redraw(timeline, _kept(timeline, media), media.speak(), config)


def replay(timeline: Timeline, media: MemberMedia, config: Config) -> NDArray[np.int16]:
    """`listen` of a finished sample again, from its stems and its provenance."""
    return acoustics.replay(timeline, _kept(timeline, media), media.speak(), config.acoustics)


def _kept(timeline: Timeline, media: MemberMedia) -> Stems:
    if not timeline.stems:
        fix = "generate it with `acoustics: {keep_stems: true}`"
        raise StrettoError("the sample has no clean stems", timeline.key, fix)
    return {name: media.stem(name) for name in timeline.stems}


def _applied(
    sample: Sample, stems: Stems, record: InputRecord, config: Config
) -> tuple[NDArray[np.int16], tuple[Effect, ...]]:
    key = record.draw_key if isinstance(record, Dialogue) else record.key
    rate_hz = sample.timeline.listen.sample_rate_hz
    listen, effects = acoustics.apply(
        stems, sample.speak, rate_hz, config.acoustics, config.seed, key
    )
    return (listen, effects) if effects else (sample.listen, ())


def _stems(sample: Sample) -> Stems:
    """Every source by name; one that is not heard is silence."""
    given = sample.stems or {"user": sample.listen}
    if odd := sorted(given.keys() - set(STEMS)):
        raise StrettoError(f"render gave a stem {odd[0]!r}, known are {', '.join(STEMS)}")
    silence = np.zeros(len(sample.listen), np.int16)
    return {name: given.get(name, silence) for name in STEMS}
