"""From shards to batches, in the background: order, compile, pack, with an exact state.

A global sequence of *elements* says what is trained on: first `pending` pieces (what an earlier run
with another number of ranks held back), then whole samples at the global positions `next`,
`next + 1`, ... of the SampleOrder. Rank r of w takes elements r, r + w, r + 2w, ... So the state of
a run is, for each rank, how many elements it took and which pieces its buffer holds, as references:
(position, first block, end block); what a view draws is drawn again from the position. Every batch
carries the state after it, so it does not matter how far the background has run ahead. Resuming on
as many ranks is exact; on another number no piece is lost or seen twice (`regroup`).
"""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.order import SampleOrder
from token_schema.views import FULL, Plan
from trainer.compile import Compiler
from trainer.config import TrainConfig
from trainer.pack import Compiled, Held, Piece, cut, fill_row, split
from trainer.rows import FLAT, Layout, Rows, collate

State = dict[str, Any]
Key = tuple[int, float]  # the row in the index, and the share of the longest phase


def fresh_state(world_size: int) -> State:
    """Before the first step."""
    return {
        "world_size": world_size,
        "pending": [],
        "next": 0,
        "ranks": [{"taken": 0, "buffer": []} for _ in range(world_size)],
    }


def regroup(state: State, world_size: int) -> State:
    """The same remaining pieces for another number of ranks; unchanged for the same number."""
    if state["world_size"] == world_size:
        return state
    old, pending = state["world_size"], state["pending"]
    taken = [rank["taken"] for rank in state["ranks"]]
    frontier = max([len(pending), *(r + n * old for r, n in enumerate(taken))])
    left = [element(state, e) for e in range(frontier) if e // old >= taken[e % old]]
    left += [Piece(*p) for rank in state["ranks"] for p in rank["buffer"]]
    return {
        **fresh_state(world_size),
        "pending": [list(p) for p in sorted(left)],
        "next": state["next"] + frontier - len(pending),
    }


def element(state: State, number: int) -> Piece:
    """Element `number` of the global sequence."""
    pending = state["pending"]
    if number < len(pending):
        return Piece(*pending[number])
    return Piece(state["next"] + number - len(pending))


class Feed:
    """This rank's compiled samples, compiled ahead by the worker processes and kept while small.

    A sample is known by its row and its phase, which the plan draws for its position.
    """

    def __init__(
        self,
        rows: list[int],
        order: SampleOrder,
        compiler: Compiler,
        cache_mb: int,
        ahead: int,
        plan: Plan = FULL,
    ) -> None:
        self.rows, self.order, self.compiler, self.plan = rows, order, compiler, plan
        self.budget, self.ahead = cache_mb * 2**20, ahead
        self.cache: OrderedDict[Key, Compiled] = OrderedDict()
        self.cached_bytes = 0
        self.futures: dict[Key, Any] = {}

    def row(self, position: int) -> int:
        return self.rows[self.order.sample(position)]

    def key(self, position: int) -> Key:
        """The row and the phase of the sample at a global position."""
        return self.row(position), self.plan.phase(position)

    def hint(self, positions: list[int]) -> None:
        """Start compiling what comes next."""
        for key in dict.fromkeys(self.key(p) for p in positions):
            if key not in self.cache and key not in self.futures:
                self.futures[key] = self.compiler.submit(*key)

    def sample(self, position: int) -> Compiled:
        """The tokens of the sample at a global position."""
        key = self.key(position)
        if key in self.cache:
            self.cache.move_to_end(key)
            return self.cache[key]
        future = self.futures.pop(key, None)
        compiled = future.result() if future else self.compiler.now(*key)
        self._keep(key, compiled)
        return compiled

    def _keep(self, key: Key, compiled: Compiled) -> None:
        self.cache[key] = compiled
        self.cached_bytes += compiled.nbytes
        while self.cached_bytes > self.budget:
            self.cached_bytes -= self.cache.popitem(last=False)[1].nbytes


class Packer:
    """Batches of this rank, for ever, each with this rank's state after it."""

    def __init__(
        self, config: TrainConfig, feed: Feed, state: State, rank: int, layout: Layout = FLAT
    ) -> None:
        self.config, self.feed, self.state, self.rank = config, feed, state, rank
        self.plan, self.layout = feed.plan, layout
        own = state["ranks"][rank]
        self.taken: int = own["taken"]
        self.buffer = [self._held(Piece(*p)) for p in own["buffer"]]

    def _held(self, piece: Piece) -> Held:
        return cut(self.feed.sample(piece.position), piece, self.plan)

    def _element(self, number: int) -> Piece:
        return element(self.state, self.rank + number * self.state["world_size"])

    def _take(self) -> None:
        """The next element into the buffer, split where it is longer than a row."""
        self.feed.hint([self._element(self.taken + k).position for k in range(self.feed.ahead)])
        piece = self._element(self.taken)
        sample = self.feed.sample(piece.position)
        self.taken += 1
        if piece.end_block >= 0:
            self.buffer.append(cut(sample, piece, self.plan))
        else:
            where = self.feed.compiler.name(self.feed.row(piece.position))
            self.buffer += split(sample, piece.position, self.config.context, where, self.plan)

    def __iter__(self) -> Iterator[tuple[Rows, State]]:
        while True:
            rows = []
            for _ in range(self.config.batch_rows):
                while len(self.buffer) < self.config.lookahead:
                    self._take()
                rows.append(fill_row(self.buffer, self.config.context))
            held = [list(h.piece) for h in self.buffer]
            yield (
                collate(rows, self.config.context, self.layout),
                {"taken": self.taken, "buffer": held},
            )


@dataclass(frozen=True)
class _Failure:
    error: BaseException


class Loader:
    """Runs a Packer in a thread, `prefetch` batches ahead. `next(loader)` gives (Rows, state)."""

    def __init__(self, packer: Packer, prefetch: int) -> None:
        self.queue: queue.Queue[Any] = queue.Queue(maxsize=prefetch)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(packer,), daemon=True)
        self.thread.start()

    def _run(self, packer: Packer) -> None:
        try:
            for item in packer:
                if not self._put(item):
                    return
        except BaseException as error:  # it is raised again where the batch is asked for
            self._put(_Failure(error))

    def _put(self, item: Any) -> bool:
        while not self.stopped.is_set():
            try:
                self.queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def __next__(self) -> tuple[Rows, State]:
        item = self.queue.get()
        if isinstance(item, _Failure):
            raise item.error
        return item

    def close(self) -> None:
        """Stop the thread; batches that were prepared are dropped, and the state knows nothing of
        them."""
        self.stopped.set()
        self.thread.join()
