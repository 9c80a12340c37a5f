"""Compiles samples to tokens, in worker processes or in place. No torch here.

A worker opens the corpus and the codecs once, then maps index rows to tokens. What it returns
depends on the row and the phase alone, so the number of workers changes no batch.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor

from pipeline.stream import Corpus, open_corpus
from trainer.config import TrainConfig
from trainer.language import Language, open_language
from trainer.pack import Compiled

_worker: tuple[Corpus, Language] | None = None


def compile_row(corpus: Corpus, language: Language, row: int, phase: float = 0.0) -> Compiled:
    """Read one sample and compile it, at a share of the longest phase (`token_schema.phase`)."""
    timeline, media = corpus.read(row)
    return language.compile(timeline, media, phase)


def _open_worker(config: TrainConfig) -> None:
    global _worker
    # Ctrl-C goes to the whole process group: the trainer decides what to do about it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    corpus = open_corpus(config.corpus)
    _worker = corpus, open_language(config, corpus)


def _follow_parent() -> None:
    """A killed trainer leaves its workers waiting for ever: end with it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


def _compile_in_worker(row: int, phase: float) -> Compiled:
    assert _worker is not None
    return compile_row(*_worker, row, phase)


class Compiler:
    """`submit(row, phase)` in a worker process, `now(row, phase)` here. Close it at the end."""

    def __init__(self, config: TrainConfig, corpus: Corpus, language: Language) -> None:
        self.corpus, self.language = corpus, language
        self.pool: ProcessPoolExecutor | None = None
        if config.workers:
            # spawned, not forked: a fork of a process with torch's threads may hang
            context = multiprocessing.get_context("spawn")
            self.pool = ProcessPoolExecutor(config.workers, context, _open_worker, (config,))

    def submit(self, row: int, phase: float = 0.0) -> Future[Compiled]:
        assert self.pool is not None
        return self.pool.submit(_compile_in_worker, row, phase)

    def now(self, row: int, phase: float = 0.0) -> Compiled:
        return compile_row(self.corpus, self.language, row, phase)

    def name(self, row: int) -> str:
        """The sample's key, for an error message."""
        return f"{self.corpus.url}: sample {self.corpus.row(row)['key']}"

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
