"""The Label: what a causal observer can say of one second of a sample, with its evidence."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import Record, Seconds


class Evidence(Record):
    """A pointer to a world event that an agent event rests on.

    `event` is the id of a world event or a track name such as `look.front`; `word` the index of the
    last word used, `frame_index` the frame; `revealed_s` repeats when that could be fully perceived,
    so that causality can be checked without looking it up (validate looks it up all the same).
    """

    event: str
    word: int | None = None
    frame_index: int | None = None
    revealed_s: Seconds


Floor = Literal["silence", "user", "assistant", "both"]
Stance = Literal["listen", "respond", "yield", "backchannel", "act", "idle"]


class Label(Record):
    """One second [second_index, second_index + 1) as known at its end, `decided_s`.

    `floor` is who is heard speaking, `stance` what the agent is doing, `heard` the words revealed in
    this second, `note` one line of reading aloud what is going on.
    """

    second_index: int = Field(ge=0)
    decided_s: Seconds
    floor: Floor
    stance: Stance
    heard: str = ""
    note: str = ""
    evidence: tuple[Evidence, ...] = ()
