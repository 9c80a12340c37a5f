"""A finished sample in memory, what a reader gives of one from a shard, and a rejected record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from schemas.base import Record
from schemas.timeline import Timeline

# The sources of `listen` before acoustics, in every sample: the user, other people, other sounds.
STEMS = ("user", "bystander", "sounds")


@dataclass(frozen=True)
class Sample:
    """A Timeline with its media, as rendered.

    `listen`/`speak`: int16 [sample_count] mono. `look`: per camera the bytes of an MP4 with all its
    frames. `act` and `state`: float32 [step_count, dim], C order. `stems`: the sources of `listen`
    before acoustics (`user`, `bystander`, `sounds`), each int16 [sample_count]; their sum is
    `listen` where no effect was applied.
    """

    timeline: Timeline
    listen: NDArray[np.int16]
    speak: NDArray[np.int16]
    look: dict[str, bytes] = field(default_factory=dict)
    act: NDArray[np.float32] | None = None
    state: NDArray[np.float32] | None = None
    stems: dict[str, NDArray[np.int16]] = field(default_factory=dict)


class Media(Protocol):
    """The media of a sample, decoded only when asked for: a text-only schema never opens a FLAC."""

    def listen(self) -> NDArray[np.int16]:
        """int16 [sample_count]."""

    def speak(self) -> NDArray[np.int16]:
        """int16 [sample_count]."""

    def frames(self, camera: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        """uint8 [len(indices), height, width, 3]; `indices` rise."""

    def act(self) -> NDArray[np.float32] | None:
        """float32 [step_count, dim]."""

    def state(self) -> NDArray[np.float32] | None:
        """float32 [step_count, dim]."""


class Rejection(Record):
    """A record that is not in the corpus, with the stage that refused it and why.

    `unused` is for inputs that were never meant to be samples (a camera without files). `reports`
    are the rows of the checks that ran; they go to `checks/`, not into the quarantine's line.
    """

    status: Literal["quarantined", "unused"] = "quarantined"
    source: str
    record_id: str
    key: str | None = None
    where: str
    stage: str
    reason: str
    fix: str | None = None
    reports: tuple[dict[str, Any], ...] = Field(default=(), exclude=True)

    def line(self) -> str:
        """One line: where, record, reason, what to do."""
        text = f"{self.where}: record {self.record_id}: {self.reason}"
        return f"{text}; {self.fix}" if self.fix else text
