"""One shard of a token corpus: read the source's tar whole, compile each sample, commit.

    worker = Worker.open(job)
    commit = worker.make(shard)

Memory holds the source's tar and the tokens of one shard. What a shard becomes depends on the job
and the shard alone, so any number of workers gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.commit import Commit, make_commit
from pipeline.media import MemberMedia
from pipeline.pack import Packed
from pipeline.plan import ShardPlan
from pipeline.retokenize_pack import members_of, pack_tokens
from pipeline.store import Store, open_store
from pipeline.stream import read_members, read_timeline
from pipeline.work import MACHINE, UNEXPECTED
from schemas.errors import MachineError, StrettoError
from schemas.sample import Rejection
from token_schema.codec_set import FOLDER, CodecSet
from token_schema.encode import compile_sample
from token_schema.language import TokenSchema

STAGE = "compile"


@dataclass(frozen=True)
class Job:
    """What every worker of a run needs to know."""

    source: str
    source_name: str
    out: str
    codecs: str | None
    schema: TokenSchema
    language_hash: str
    fingerprint: str


@dataclass(frozen=True)
class Worker:
    """The opened stores and codecs of one process."""

    job: Job
    source: Store
    out: Store
    codecs: CodecSet

    @classmethod
    def open(cls, job: Job) -> Worker:
        """StrettoError when the codecs are not those with which the run began."""
        source = open_store(job.source)
        codecs = CodecSet.load(open_store(job.codecs) if job.codecs else source, job.schema)
        if codecs.hash != job.language_hash:
            raise StrettoError(
                "the codecs changed while the run went on", FOLDER, "run the same command again"
            )
        return cls(job, source, open_store(job.out), codecs)

    def make(self, shard: ShardPlan, sha256: str) -> Commit:
        """Compile and commit one shard; `sha256` is that of the source's tar."""
        samples = plan_lines(self.out, shard)
        data = self.source.read_bytes(shard.tar)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StrettoError(
                "these are not the bytes of its commit record",
                f"{self.source.shown}/{shard.tar}",
                "run `stretto validate` on the corpus",
            )
        packed: list[Packed] = []
        rejections: list[Rejection] = []
        for sample in samples:
            made = self._sample(sample, data[sample["start_byte"] : sample["end_byte"]])
            (packed if isinstance(made, Packed) else rejections).append(made)  # type: ignore
        commit = make_commit(self.out, self.job.fingerprint, shard, packed, rejections)
        return commit.model_copy(update={"rows": (), "keys": ()})

    def _sample(self, sample: dict[str, Any], data: bytes) -> Packed | Rejection:
        """The sample's tokens, or why there are none. Raises what is no fault of the sample."""
        try:
            return self._compiled(sample, data)
        except (MachineError, MemoryError):
            raise
        except StrettoError as error:
            if is_setup(error):
                raise
            return self._rejection(sample, error)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in MACHINE:
                fix = "free it, then run the same command again: it resumes"
                raise StrettoError(os.strerror(error.errno).lower(), STAGE, fix) from error
            text = f"{UNEXPECTED}{type(error).__name__} in stage {STAGE}: {error}"
            fix = "report this: it is a fault of stretto"
            return self._rejection(sample, StrettoError(text, fix=fix))

    def _compiled(self, sample: dict[str, Any], data: bytes) -> Packed:
        schema, where = self.job.schema, f"{sample['shard']}: sample {sample['key']}"
        members = read_members(data, sample["key"], where)
        timeline = read_timeline(members, where)
        tokens = compile_sample(schema, self.codecs, timeline, MemberMedia(members, where))
        packed = pack_tokens(schema, timeline, tokens)
        if odd := sorted(packed.members.keys() ^ members_of(schema)):
            raise StrettoError(f"members that the schema has not, or has: {', '.join(odd)}")
        return packed

    def _rejection(self, sample: dict[str, Any], error: StrettoError) -> Rejection:
        reason = f"{error.where}: {error.what}" if error.where else error.what
        return Rejection(
            source=self.job.source_name,
            record_id=sample["key"],
            key=sample["key"],
            where=sample["shard"],
            stage=STAGE,
            reason=" ".join(reason.split()),
            fix=error.fix,
        )


def is_setup(error: StrettoError) -> bool:
    """A codec that is missing or broken is no fault of the sample that needs it."""
    return (error.where or "").startswith(f"{FOLDER}/")


def plan_lines(store: Store, shard: ShardPlan) -> Sequence[dict[str, Any]]:
    """The samples of a shard, from its plan file, checked against the plan's checksum."""
    name = f"plan/{shard.name}.jsonl"
    data = store.read_bytes(name)
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise StrettoError(
            "not the file that was planned", f"{store.shown}/{name}", "use another --out"
        )
    return [json.loads(line) for line in data.splitlines()]
