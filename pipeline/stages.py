"""The stages: records in, packed samples and rejections out. Both runners run exactly these.

    services = open_services(config)
    packed, rejections = make_shard(records, config, services)

A stage is a pure function over a list of `Work` (`pipeline.work`), one item per record in the same
order, with its resources declared beside it. A record that fails is carried along as a Rejection;
the others go on. A GPU stage is called with the shard's whole list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from generators.align import open_aligner
from generators.scene.voices import check_voices
from generators.speech import Speech, SpeechBackend, Spoken, open_speech
from pipeline import acoustics, align, rewrite
from pipeline.artefacts import alignments, artefacts
from pipeline.check import check
from pipeline.checks.stage import run_checks
from pipeline.pack import Packed, pack
from pipeline.recorded import heard, tracks_of
from pipeline.store import Store
from pipeline.work import (
    UNEXPECTED,
    Services,
    Stage,
    Work,
    each,
    guarded,
    rejected,
    rejection,
)
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.records import InputRecord, Recording, Trajectory
from schemas.sample import Rejection

__all__ = [
    "STAGES",
    "UNEXPECTED",
    "Services",
    "Stage",
    "Work",
    "each",
    "guarded",
    "make_shard",
    "members_of",
    "open_services",
    "rejected",
    "rejection",
]


def open_services(
    config: Config, store: Store | None = None, pool: SpeechBackend | None = None
) -> Services:
    """The speech backend and the aligner with their cache. StrettoError when one can't run here.

    `store` is the corpus's: an engine that is not pure keeps its utterances there, for a resumed
    run or a second worker. `pool` is an engine that runs elsewhere (`pipeline.ray_speech`).
    """
    check_voices(config)
    speech = open_speech(config.speech, artefacts(config, store), pool)
    speech.check()
    aligner = open_aligner(config.align, alignments(config, store))
    aligner.check()
    return Services(speech, aligner, rewrite.open_rewriter(config, store))


def make_shard(
    records: Sequence[InputRecord],
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


def _plan(work: Work, config: Config) -> Work:
    from generators.render import speech_requests
    from generators.scene import plan_scene

    scene = plan_scene(work.record, config)
    requests = {} if isinstance(work.record, Recording) else speech_requests(scene, config)
    return replace(work, scene=scene, requests=requests)


def _speak(works: list[Work], config: Config, services: Services) -> list[Work]:
    """All utterances of the shard in one batch: a GPU backend always sees the same batch.

    A Recording was spoken by people: its audio is read instead.
    """
    wanted = [request for work in works for request in work.requests.values()]
    spoken = iter(services.speech.say(wanted))
    return [_heard(work, spoken, config) for work in works]


def _heard(work: Work, spoken: Iterator[Spoken], config: Config) -> Work:
    """Take this work's answers off the batch's."""
    if isinstance(work.record, Recording) and work.rejection is None:
        return guarded("speak", work, lambda w: heard(w, config))
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
    sample = tracks_of(work, render(work.record, work.scene, work.speech, config))
    return replace(work, sample=sample, speech={}, requests={}, audio=None)


def _annotate(work: Work, config: Config) -> Work:
    from generators.annotate import annotate

    assert work.sample is not None
    timeline = annotate(work.sample.timeline, config.annotator.backend)
    return replace(work, sample=replace(work.sample, timeline=timeline))


def _check(works: list[Work], config: Config, services: Services) -> list[Work]:
    """First what the shards promise, then what was asked to be measured."""
    return run_checks(_SOUND.run(works, config, services), config, services)


def _sound(work: Work, config: Config) -> Work:
    assert work.sample is not None
    check(work.sample)
    return work


_SOUND = each("check", _sound)


def _pack(work: Work, config: Config) -> Work:
    assert work.sample is not None
    packed = replace(pack(work.sample), reports=work.reports)
    # all samples of a subset have one member set (promise 6): column-inferring readers need it
    wanted = members_of(work.record) | acoustics.stem_members(config)
    odd = sorted(packed.members.keys() ^ wanted)
    if odd:
        raise StrettoError(f"members that its subset has not, or has: {', '.join(odd)}")
    return replace(work, packed=packed, sample=None)


def members_of(record: InputRecord) -> set[str]:
    """The members that the sample of a record must have."""
    names = {"json", "listen.flac", "speak.flac"}
    if not isinstance(record, Trajectory):
        return names
    names |= {"act.npy", *(f"look.{video.camera}.mp4" for video in record.videos)}
    return names | ({"state.npy"} if record.state_column else set())


STAGES = (
    rewrite.STAGE,
    each("plan", _plan),
    Stage("speak", _speak),
    align.STAGE,
    each("render", _render),
    each("acoustics", acoustics.step),
    each("annotate", _annotate),
    Stage("check", _check),
    each("pack", _pack),
)
