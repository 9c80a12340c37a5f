"""The last stage before a sample is packed: does it keep what the shards promise?

`check(sample)` raises StrettoError for a sample that must not be written: tracks of unequal
length, non-finite actions, an agent event before what it rests on. It measures nothing about
quality; `pipeline.checks` does that. `require` refuses a run that can't check what it should.
"""

from __future__ import annotations

from typing import Any, get_args

import numpy as np

from generators.rewrite import check as check_rewriter
from generators.speech.engines import engine
from pipeline import vad
from pipeline.checks import CHECKS, Check, verdicts
from schemas.config import Config
from schemas.config.speech import SpeechConfig
from schemas.errors import StrettoError
from schemas.sample import Sample
from schemas.timeline import AgentEvent
from token_schema import load_schema
from token_schema.codecs.rvq import AudioSettings
from token_schema.models import AudioLane

TOLERANCE_S = 1e-6  # times are rounded to the microsecond


def require(config: Config) -> None:
    """Refuse the run before it starts when the schema or a configured check can't be had here."""
    _require_rates(config)
    if config.speech.gpus and not engine(config.speech.backend).gpu:
        raise StrettoError(
            f"{config.speech.backend} can't use a GPU",
            f"{config.name}: speech.gpus",
            "leave it out",
        )
    check_rewriter(config.text)
    _require_verdicts(config)
    for wanted in CHECKS:
        if (settings := wanted.settings(config.checks)) is not None:
            _require(wanted, settings, config.name)


def _require_verdicts(config: Config) -> None:
    """Where a model's check may reject, what it decides must have its place."""
    asked = [c.settings(config.checks) for c in CHECKS if not c.exact]
    if config.checks.verdicts and any(s is not None and s.reject for s in asked):
        verdicts.require(config.checks.verdicts)


def _require_rates(config: Config) -> None:
    """Refused here, not by `stretto fit` after the corpus is made."""
    for lane in load_schema(config.schema_name).lanes:
        if isinstance(lane, AudioLane) and not _fits(config.speech.sample_rate_hz, lane.rate_hz):
            rates = get_args(SpeechConfig.model_fields["sample_rate_hz"].annotation)
            good = ", ".join(str(rate) for rate in rates if _fits(rate, lane.rate_hz))
            other = f"or choose another `schema` than {config.schema_name}"
            raise StrettoError(
                f"{config.speech.sample_rate_hz} Hz does not divide into the {lane.rate_hz:g} code"
                f" frames a second of lane {lane.name!r}",
                f"{config.name}: speech.sample_rate_hz",
                f"use one of {good} Hz, {other}" if good else other.removeprefix("or "),
            )


def _fits(sample_rate_hz: int, rate_hz: float) -> bool:
    try:
        AudioSettings(sample_rate_hz, rate_hz).mel  # noqa: B018
    except StrettoError:
        return False
    return True


def _require(wanted: Check, settings: Any, name: str) -> None:
    try:
        wanted.require(settings)
    except StrettoError as error:
        raise StrettoError(error.what, f"{name}: {error.where}", error.fix) from error


def settled(config: Config) -> Config:
    """The config with its unset checks decided, once for all workers of a run."""
    checks = config.checks.model_copy(update={"vad": vad.wanted(config)})
    return config.model_copy(update={"checks": checks})


def check(sample: Sample) -> None:
    """StrettoError with the first fault; None when the sample may be written."""
    _check_tracks(sample)
    known = {event.id for event in sample.timeline.world}
    known |= {f"look.{track.camera}" for track in sample.timeline.look}
    for event in sample.timeline.agent:
        _check_causal(event, known, sample)
    for label in sample.timeline.labels:
        late = [e for e in label.evidence if e.revealed_s > label.decided_s + TOLERANCE_S]
        if late:
            raise _fault(sample, f"label {label.second_index} rests on what is revealed later")


def _check_tracks(sample: Sample) -> None:
    timeline = sample.timeline
    for name, pcm, track in (
        ("listen", sample.listen, timeline.listen),
        ("speak", sample.speak, timeline.speak),
    ):
        if pcm.dtype != np.int16 or pcm.shape != (track.sample_count,):
            raise _fault(sample, f"{name} is {pcm.dtype} {pcm.shape}, not {track.sample_count}")
        if not len(pcm):
            raise _fault(sample, f"{name} is empty")
    if sorted(sample.look) != sorted(t.camera for t in timeline.look):
        raise _fault(sample, f"cameras {sorted(sample.look)} are not those of the timeline")
    for name, rows, shape in (
        ("act", sample.act, timeline.act),
        ("state", sample.state, timeline.state),
    ):
        if (rows is None) != (shape is None):
            raise _fault(sample, f"{name} has no array or no track")
        if rows is None or shape is None:
            continue
        if rows.shape != (shape.step_count, shape.dim):
            raise _fault(sample, f"{name} is {rows.shape}, not {(shape.step_count, shape.dim)}")
        if not np.isfinite(rows).all():
            raise _fault(sample, f"{name} holds numbers that are not finite")


def _check_causal(event: AgentEvent, known: set[str], sample: Sample) -> None:
    """Each cited revealed_s <= decided_s <= start_s (promise 2), and the cited event exists."""
    if event.decided_s > event.start_s + TOLERANCE_S:
        raise _fault(sample, f"event {event.id} starts before it is decided")
    for cited in event.evidence:
        if cited.event not in known:
            raise _fault(sample, f"event {event.id} cites the unknown {cited.event}")
        if cited.revealed_s > event.decided_s + TOLERANCE_S:
            late = f"{cited.event}, revealed at {cited.revealed_s} s"
            raise _fault(
                sample, f"event {event.id} is decided at {event.decided_s} s and rests on {late}"
            )


def _fault(sample: Sample, what: str) -> StrettoError:
    return StrettoError(what, sample.timeline.key)
