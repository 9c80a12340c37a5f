"""A corpus compiled to tokens under one schema, shard for shard: `stretto retokenize`.

    run = open_run("out/demo", "ellsa", "out/demo-ellsa")      # refuses what cannot run
    with run.store.lock():
        plan = open_plan(run)
        for commit in compile_missing(run, plan, workers=2): ...
        summary = finish_tokens(run.store, run.source, run.schema, run.codecs, plan)

The out folder mirrors the source: the same split folders, shard names, keys and order, written by
the same code as `generate` writes. Running it again makes only shards without a commit record.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.commit import Commit
from pipeline.fingerprint import Fingerprint, require_same
from pipeline.plan import Plan, ShardPlan, read_plan
from pipeline.retokenize_plan import Source, fingerprint_tokens, make_token_plan, open_source
from pipeline.retokenize_shard import Job, Worker, is_setup
from pipeline.run import missing
from pipeline.store import Store, open_store
from pipeline.store_local import LocalStore
from schemas.errors import StrettoError
from token_schema.codec_set import CodecSet
from token_schema.encode import compile_sample
from token_schema.language import TokenSchema, load_schema

# libraries that start threads of their own: a worker a core is enough, and sums keep their order
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
Task = tuple[ShardPlan, str]


@dataclass(frozen=True)
class Run:
    """What is compiled, by what and to where. `codecs_url` None: the codecs of the corpus."""

    source: Source
    schema: TokenSchema
    codecs: CodecSet
    codecs_url: str | None
    store: Store
    fingerprint: Fingerprint

    def job(self) -> Job:
        """What its workers need."""
        return Job(
            source=self.source.corpus.store.url,
            source_name=self.source.name,
            out=self.store.url,
            codecs=self.codecs_url,
            schema=self.schema,
            language_hash=self.codecs.hash,
            fingerprint=self.fingerprint.digest,
        )


def open_run(
    url: str, schema: str, out: str, codecs: str | None = None, split: str | None = None
) -> Run:
    """Open everything and refuse, before any work, what cannot be compiled."""
    loaded, store = load_schema(schema), open_store(out)
    source = open_source(url, split)
    require_apart(source.corpus.store, store)
    set_ = load_codecs(source, loaded, schema, codecs)
    _try_one_of_each(source, loaded, set_, schema)
    return Run(
        source=source,
        schema=loaded,
        codecs=set_,
        codecs_url=open_store(codecs).url if codecs else None,
        store=store,
        fingerprint=fingerprint_tokens(source, loaded, set_),
    )


def require_apart(source: Store, out: Store) -> None:
    """StrettoError when one folder lies in the other: tars of two kinds would mix."""
    a, b = (_parts(store) for store in (source, out))
    shared = min(len(a), len(b))
    if a[:shared] == b[:shared]:
        what = "is the corpus itself" if a == b else "lies inside the corpus"
        if len(b) < len(a):
            what = "holds the corpus"
        raise StrettoError(f"--out {what} ({source.shown})", out.shown, "use another --out")


def _parts(store: Store) -> tuple[str, ...]:
    if isinstance(store, LocalStore):
        return Path(store.root).resolve().parts
    return tuple(store.shown.rstrip("/").split("/"))


def load_codecs(source: Source, schema: TokenSchema, name: str, codecs: str | None) -> CodecSet:
    """The schema's codecs, from the corpus or from `codecs`. StrettoError says how to fit them."""
    try:
        return CodecSet.load(open_store(codecs) if codecs else source.corpus.store, schema)
    except StrettoError as error:
        raise _with_fit(error, source, name) from None


def _with_fit(error: StrettoError, source: Source, schema: str) -> StrettoError:
    if "stretto fit" not in (error.fix or ""):
        return error
    fix = f"run `stretto fit CONFIG {source.corpus.url} --schema {schema}`"
    return StrettoError(error.what, error.where, fix)


def _try_one_of_each(source: Source, schema: TokenSchema, codecs: CodecSet, name: str) -> None:
    """Compile the first sample of each subset: a codec that is not there shows before the work.

    What else is wrong with a sample is for its quarantine.
    """
    firsts: dict[str, str] = {}
    for shard in source.shards:
        firsts.setdefault(shard.plan()[0].subset, shard.samples[0]["key"])
    for key in firsts.values():
        timeline, media = source.corpus.read(source.corpus.find(key))
        try:
            compile_sample(schema, codecs, timeline, media)
        except StrettoError as error:
            if is_setup(error):
                raise _with_fit(error, source, name) from None
        except Exception:  # a fault of stretto's own: the sample's quarantine will say it
            continue


def open_plan(run: Run) -> Plan:
    """The plan that the folder holds, if this same run made it, or a new one."""
    plan = read_plan(run.store)
    if plan is None:
        return make_token_plan(run.source, run.fingerprint, run.store)
    require_same(plan.fingerprint, run.fingerprint, run.store.shown)
    return plan


def compile_missing(run: Run, plan: Plan, workers: int) -> Iterator[Commit]:
    """Make each shard without a commit; yields commits (without rows) in no fixed order.

    `workers` processes, one shard at a time in each; 0: in this process.
    """
    sums = {shard.tar.name: shard.tar.sha256 for shard in run.source.shards}
    tasks = [(shard, sums[shard.tar]) for shard in missing(run.store, plan)]
    if not tasks:
        return
    if workers == 0:
        worker = Worker.open(run.job())
        yield from (worker.make(*task) for task in tasks)
        return
    yield from _in_processes(run.job(), tasks, min(workers, len(tasks)))


def default_workers() -> int:
    """One for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ---- processes ---------------------------------------------------------------------------------

_worker: Worker | None = None


def _in_processes(job: Job, tasks: Sequence[Task], workers: int) -> Iterator[Commit]:
    # spawned, not forked: a fork of a process with threads may hang
    context = multiprocessing.get_context("spawn")
    with _single_threaded():
        pool = ProcessPoolExecutor(workers, context, _begin)
        try:
            yield from _each(pool, job, tasks, workers)
        except BrokenProcessPool:
            raise StrettoError(
                "a worker process died, perhaps for want of memory",
                "retokenize",
                "use fewer --workers, then run the same command again: it resumes",
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _each(
    pool: ProcessPoolExecutor, job: Job, tasks: Sequence[Task], workers: int
) -> Iterator[Commit]:
    """At most two tasks a worker are handed out, so that breaking off is quick."""
    waiting, flying = iter(tasks), set[Future[Commit]]()
    while True:
        while len(flying) < 2 * workers and (task := next(waiting, None)):
            flying.add(pool.submit(_make, job, task))
        if not flying:
            return
        done, flying = wait(flying, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()


def _begin() -> None:
    # Ctrl-C goes to the whole process group: the driver decides what to do about it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """A killed driver leaves its workers waiting for ever: end with it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


def _make(job: Job, task: Task) -> Commit:
    global _worker
    if _worker is None or _worker.job != job:
        _worker = Worker.open(job)
    return _worker.make(*task)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Processes that start in here run their libraries on one thread each."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
