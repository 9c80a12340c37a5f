"""The stages: records in, packed samples and rejections out. Both runners run exactly these.

    services = open_services(config)
    packed, rejections = make_shard(records, config, services)

A stage is a pure function over a list of `Work`, one item per record in the same order, with its
resources declared beside it. A record that fails is carried along as a Rejection; the others go on.
A GPU stage will be an actor pool that is called with the shard's whole list.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from generators.speech import Speech, SpeechBackend, SpeechRequest, Spoken, open_backend
from pipeline import vad
from pipeline.check import check
from pipeline.pack import Packed, pack
from pipeline.vad import Vad
from schemas.config import Config
from schemas.errors import MachineError, StrettoError
from schemas.records import Dialogue, Trajectory
from schemas.sample import Rejection, Sample
from schemas.scene import Scene

# A reason that begins so is a fault of stretto's, not of the record: the run ends with exit 1.
UNEXPECTED = "unexpected "
# Faults of the machine, not of the record at hand: the run must stop, nothing is quarantined.
MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


@dataclass
class Services:
    """What stages call: opened once in each process that runs them."""

    speech: SpeechBackend
    _vad: Vad | None = None

    def vad(self) -> Vad:
        """silero-vad, loaded on first use: it brings torch with it."""
        self._vad = self._vad or Vad()
        return self._vad

    def close(self) -> None:
        """End child processes."""
        self.speech.close()


@dataclass(frozen=True)
class Work:
    """A record on its way; each stage adds a field, or the rejection."""

    record: Dialogue | Trajectory
    scene: Scene | None = None
    requests: Mapping[tuple[str, int], SpeechRequest] = field(default_factory=dict)
    speech: Mapping[tuple[str, int], Speech] = field(default_factory=dict)
    sample: Sample | None = None
    report: dict[str, Any] | None = None
    packed: Packed | None = None
    rejection: Rejection | None = None


@dataclass(frozen=True)
class Stage:
    """`run` keeps length and order. `cpus` and `gpus` are what one call uses."""

    name: str
    run: Callable[[list[Work], Config, Services], list[Work]]
    cpus: float = 1
    gpus: float = 0


def open_services(config: Config) -> Services:
    """The speech backend with its cache. StrettoError when it can't run here."""
    cache = Path(config.speech.cache).expanduser() if config.speech.cache else None
    speech = open_backend(config.speech.backend, config.speech.sample_rate_hz, cache)
    speech.check()
    return Services(speech)


def make_shard(
    records: Sequence[Dialogue | Trajectory],
    config: Config,
    services: Services,
    stages: Sequence[Stage] | None = None,
) -> tuple[list[Packed], list[Rejection]]:
    """Run all stages over the records of one shard; both answers keep the input order."""
    works = [Work(record) for record in records]
    for stage in stages or STAGES:
        works = stage.run(works, config, services)
    packed = [w.packed for w in works if w.packed is not None]
    return packed, [w.rejection for w in works if w.rejection is not None]


def each(name: str, step: Callable[[Work, Config], Work]) -> Stage:
    """A stage that treats each record by itself."""

    def run(works: list[Work], config: Config, services: Services) -> list[Work]:
        return [w if w.rejection else guarded(name, w, lambda w: step(w, config)) for w in works]

    return Stage(name, run)


def guarded(name: str, work: Work, step: Callable[[Work], Work]) -> Work:
    """`step(work)`, or the work with the reason why not; its memory is freed."""
    try:
        return step(work)
    except MachineError:
        raise
    except StrettoError as error:
        return rejected(work, name, error)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in MACHINE:
            fix = "free it, then run the same command again: it resumes"
            raise StrettoError(os.strerror(error.errno).lower(), f"stage {name}", fix) from error
        text = f"{UNEXPECTED}{type(error).__name__} in stage {name}: {error}"
        return rejected(work, name, StrettoError(text, fix="report this: it is a fault of stretto"))


def rejected(work: Work, stage: str, error: StrettoError) -> Work:
    """The work as a Rejection."""
    return Work(work.record, rejection=rejection(work.record, stage, error))


def rejection(record: Dialogue | Trajectory, stage: str, error: StrettoError) -> Rejection:
    """Why this record is not in the corpus."""
    return Rejection(
        source=record.source,
        record_id=record.record_id,
        key=record.key,
        where=record.where,
        stage=stage,
        reason=" ".join((f"{error.where}: {error.what}" if error.where else error.what).split()),
        fix=error.fix,
    )


def _plan(work: Work, config: Config) -> Work:
    from generators.render import speech_requests
    from generators.scene import plan_scene

    scene = plan_scene(work.record, config)
    return replace(work, scene=scene, requests=speech_requests(scene, config))


def _speak(works: list[Work], config: Config, services: Services) -> list[Work]:
    """All utterances of the shard in one batch: a GPU backend always sees the same batch."""
    wanted = [request for work in works for request in work.requests.values()]
    spoken = iter(services.speech.say(wanted))
    return [_heard(work, spoken) for work in works]


def _heard(work: Work, spoken: Iterator[Spoken]) -> Work:
    """Take this work's answers off the batch's."""
    speech: dict[tuple[str, int], Speech] = {}
    faults: list[StrettoError] = []
    for key in work.requests:
        answer = next(spoken)
        if isinstance(answer, StrettoError):
            faults.append(answer)
        else:
            speech[key] = answer
    return rejected(work, "speak", faults[0]) if faults else replace(work, speech=speech)


def _render(work: Work, config: Config) -> Work:
    from generators.render import render

    assert work.scene is not None
    sample = render(work.record, work.scene, work.speech, config)
    return replace(work, sample=sample, speech={}, requests={})


def _annotate(work: Work, config: Config) -> Work:
    from generators.annotate import annotate

    assert work.sample is not None
    timeline = annotate(work.sample.timeline, config.annotator.backend)
    return replace(work, sample=replace(work.sample, timeline=timeline))


def _check(works: list[Work], config: Config, services: Services) -> list[Work]:
    kept = _CHECK.run(works, config, services)
    if not config.checks.vad:  # unset is decided by the driver: pipeline.check.settled
        return kept
    return [_measured(w, services) if vad.drawn(config, w.record.key) else w for w in kept]


def _check_one(work: Work, config: Config) -> Work:
    assert work.sample is not None
    check(work.sample)
    return work


_CHECK = each("check", _check_one)


def _measured(work: Work, services: Services) -> Work:
    """The work with the VAD's report. A failing VAD stops the run: it may reject nothing."""
    if work.sample is None:
        return work
    try:
        return replace(work, report=services.vad().report(work.sample))
    except Exception as error:
        what = f"the VAD check failed: {type(error).__name__}: {error}"
        raise StrettoError(
            what, work.record.key, "mend it or set `checks: {vad: false}`"
        ) from error


def _pack(work: Work, config: Config) -> Work:
    assert work.sample is not None
    packed = replace(pack(work.sample), report=work.report)
    # all samples of a subset have one member set (promise 6): column-inferring readers need it
    odd = sorted(packed.members.keys() ^ members_of(work.record))
    if odd:
        raise StrettoError(f"members that its subset has not, or has: {', '.join(odd)}")
    return replace(work, packed=packed, sample=None)


def members_of(record: Dialogue | Trajectory) -> set[str]:
    """The members that the sample of a record must have."""
    names = {"json", "listen.flac", "speak.flac"}
    if isinstance(record, Dialogue):
        return names
    names |= {"act.npy", *(f"look.{video.camera}.mp4" for video in record.videos)}
    return names | ({"state.npy"} if record.state_column else set())


STAGES = (
    each("plan", _plan),
    Stage("speak", _speak),
    each("render", _render),
    each("annotate", _annotate),
    Stage("check", _check),
    each("pack", _pack),
)
