"""`checks:` of a config: what is measured of finished samples."""

from __future__ import annotations

from schemas.base import Record
from schemas.config.bounds import Rate


class ChecksConfig(Record):
    """Checks of finished samples that measure, and write `checks/*.jsonl` beside the shards.

    `vad`: does silero-vad find speech where the Timeline says so? On `vad_share` of the samples (a
    keyed draw). true refuses the run where it can't be run; unset runs it where it is installed and
    reports `not_run` elsewhere.
    """

    vad: bool | None = None
    vad_share: Rate = 0.05
