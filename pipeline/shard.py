"""A shard: the tar of its samples, byte for byte the same at every run.

`webdataset.TarWriter(mtime=0)` writes fixed owners and modes and sorts the members of a sample by
extension; plain `webdataset` reads what it wrote. A sample's members are contiguous, so a byte
range of the tar is a tar of that sample alone.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.pack import Packed
from pipeline.plan import ShardPlan


@dataclass(frozen=True)
class Tar:
    """The bytes of a shard and the index rows of its samples, places included."""

    data: memoryview
    rows: list[dict[str, Any]]


def write_tar(shard: ShardPlan, packed: Sequence[Packed]) -> Tar:
    """The tar of the samples in their order, in memory."""
    from webdataset import TarWriter  # imports torch where it is there: a second

    out, rows = io.BytesIO(), []
    with TarWriter(out, encoder=False, mtime=0) as writer:
        for sample in packed:
            start = writer.tarstream.offset
            writer.write({"__key__": sample.key, **sample.members})
            place = {"start_byte": start, "end_byte": writer.tarstream.offset}
            rows.append(_row(shard, sample, place))
    return Tar(out.getbuffer(), rows)


def _row(shard: ShardPlan, sample: Packed, place: dict[str, int]) -> dict[str, Any]:
    where = {"split": shard.split, "subset": shard.subset, "shard": shard.tar}
    return sample.row | where | place
