"""A record on its way through the stages: what it carries, what stages call, how one fails.

`Work` is one record; each stage adds a field to it, or the Rejection. `Stage` is a function over a
list of works that keeps length and order. `each` makes one of a function of a single work.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from generators.align import Aligner
from generators.rewrite import Rewriter
from generators.sources import RecordedAudio
from generators.speech import Speech, SpeechRequest
from generators.speech.cache import CachedBackend
from pipeline.pack import Packed
from schemas.config import Config
from schemas.errors import MachineError, StrettoError
from schemas.records import InputRecord
from schemas.sample import Rejection, Sample
from schemas.scene import Scene

# A reason that begins so is a fault of stretto's, not of the record: the run ends with exit 1.
UNEXPECTED = "unexpected "
# Faults of the machine, not of the record at hand: the run must stop, nothing is quarantined.
MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


@dataclass
class Services:
    """What stages call: opened once in each process that runs them."""

    speech: CachedBackend
    aligner: Aligner
    rewriter: Rewriter | None = None
    _models: dict[str, Any] = field(default_factory=dict)

    def model(self, name: str, make: Callable[[], Any]) -> Any:
        """A model that a check listens with, made on first use."""
        if name not in self._models:
            self._models[name] = make()
        return self._models[name]

    def close(self) -> None:
        """End child processes."""
        self.speech.close()
        self.aligner.close()


@dataclass(frozen=True)
class Work:
    """A record on its way; each stage adds a field, or the rejection.

    `audio` is a Recording's, from speak to render.
    """

    record: InputRecord
    scene: Scene | None = None
    requests: Mapping[tuple[str, int], SpeechRequest] = field(default_factory=dict)
    speech: Mapping[tuple[str, int], Speech] = field(default_factory=dict)
    audio: RecordedAudio | None = None
    sample: Sample | None = None
    reports: tuple[dict[str, Any], ...] = ()
    packed: Packed | None = None
    rejection: Rejection | None = None


@dataclass(frozen=True)
class Stage:
    """`run` keeps length and order. `cpus` and `gpus` are what one call uses."""

    name: str
    run: Callable[[list[Work], Config, Services], list[Work]]
    cpus: float = 1
    gpus: float = 0


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


def rejection(record: InputRecord, stage: str, error: StrettoError) -> Rejection:
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
