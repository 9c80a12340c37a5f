"""Reads a finished corpus sample by sample, by byte range: no copy, no other format, no torch.

    corpus = open_corpus("out/demo")              # a path, s3://... or gs://...
    for row in corpus.rows("train"):
        timeline, media = corpus.read(row)

A sample is one contiguous range of its tar, known from `index.parquet`: one ranged read gets it,
in any order, which is what lets training shuffle the whole corpus and resume at any position.
The bytes are data from elsewhere: only plain files of the sample's own key are taken.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.corpus_files import index_table
from pipeline.media import MemberMedia
from pipeline.store import Store, open_store
from schemas.errors import StrettoError
from schemas.timeline import Timeline

MEMBER = re.compile(r"[a-z0-9_]+(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True)
class Corpus:
    """An opened corpus: `index` has one row a sample; `url` is for messages, no credentials."""

    url: str
    store: Store
    index: pa.Table

    def rows(
        self,
        split: str | None = None,
        subset: str | None = None,
        languages: Sequence[str] = (),
        kind: str | None = None,
    ) -> NDArray[np.int64]:
        """int64 [n]: the row numbers that match, rising. Raises StrettoError for an unknown split.

        `languages` matches whole tags and their first part: `en` takes `en` and `en-gb`.
        """
        keep = np.ones(self.index.num_rows, dtype=bool)
        for column, wanted in (("split", split), ("subset", subset), ("kind", kind)):
            if wanted is not None:
                keep &= self._equals(column, wanted)
        if languages:
            tags = [t for t in self.index.column("language").unique().to_pylist() if t]
            taken = [t for t in tags if t in languages or t.split("-")[0] in languages]
            match = pc.is_in(self.index.column("language"), value_set=pa.array(taken, pa.string()))
            keep &= np.asarray(match.to_numpy(zero_copy_only=False), dtype=bool)
        return np.flatnonzero(keep)

    def _equals(self, column: str, wanted: str) -> NDArray[np.bool_]:
        match = pc.fill_null(pc.equal(self.index.column(column), wanted), False)
        return np.asarray(match.to_numpy(zero_copy_only=False), dtype=bool)

    def row(self, row: int) -> dict[str, Any]:
        """One row of the index as a mapping."""
        return self.index.slice(row, 1).to_pylist()[0]

    def read(self, row: int) -> tuple[Timeline, MemberMedia]:
        """The sample of an index row: its Timeline and its media, decoded when asked for."""
        at = self.row(row)
        start, end = at["start_byte"], at["end_byte"]
        where = f"{self.url}/{at['shard']}: sample {at['key']}"
        data = self.store.read_range(at["shard"], start, end - start)
        members = read_members(data, at["key"], where)
        return read_timeline(members, where), MemberMedia(members, where)

    def find(self, key: str) -> int:
        """The row number of a key. Raises StrettoError that names keys like it."""
        keys = self.index.column("key")
        row = pc.index(keys, key).as_py()
        if row >= 0:
            return row
        near = keys.filter(pc.match_substring(keys, key)).slice(0, 3) or keys.slice(0, 3)
        like = f"keys are like {', '.join(near.to_pylist())}" if len(keys) else None
        raise StrettoError(f"no sample {key!r}", self.url, like)


def open_corpus(url: str) -> Corpus:
    """Open a finished corpus (a folder, s3:// or gs://). Raises StrettoError when it is none."""
    store = open_store(url)
    return Corpus(store.shown.rstrip("/"), store, index_table(store))


def read_members(data: bytes, key: str, where: str) -> dict[str, bytes]:
    """The members of one sample from its bytes in a tar: `listen.flac` -> bytes.

    Refuses links, folders, devices and every name that is not KEY.member (so no `/`, no `..`).
    """
    members: dict[str, bytes] = {}
    end = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for info in tar:
                name = _member_name(info, key, where)
                file = tar.extractfile(info)
                if name in members or file is None:
                    raise StrettoError(f"member {name!r} stands there twice", where)
                members[name] = file.read()
                end = info.offset_data + -(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    except tarfile.TarError as error:
        raise StrettoError(
            f"not a tar at these bytes ({error})", where, "run `stretto validate`"
        ) from None
    # tarfile takes a broken header behind the first for the end: members would be lost unseen
    if data[end:].strip(b"\0"):
        raise StrettoError(f"not a tar after byte {end}", where, "run `stretto validate`")
    return members


def _member_name(info: tarfile.TarInfo, key: str, where: str) -> str:
    """`listen.flac` of `KEY.listen.flac`. Anything but a plain file of this key is refused."""
    if not info.isreg():
        raise StrettoError(f"member {info.name!r} is not a plain file", where, "do not trust it")
    name = info.name.removeprefix(f"{key}.")
    if name == info.name or not MEMBER.fullmatch(name):
        raise StrettoError(
            f"member {info.name!r} is not of this sample",
            where,
            "run `stretto validate`: index and shard do not belong together",
        )
    return name


def read_timeline(members: dict[str, bytes], where: str) -> Timeline:
    """The Timeline of a sample's members. Raises StrettoError naming the first wrong field."""
    if "json" not in members:
        raise StrettoError("the sample has no Timeline (`.json` member)", where)
    try:
        return Timeline.model_validate_json(members["json"])
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"])
        raise StrettoError(
            f"Timeline: {field}: {fault['msg']}",
            where,
            "made by another version? generate it again",
        ) from None
