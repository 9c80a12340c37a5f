"""Views: how training sequences are taken from the full stream, and what each of them hides.

    plan = Plan.of(schema, seed)
    for window in plan.windows(lane, block, context, position, "sample x"):
        laid = plan.lay(lane, block, window, position)
        laid.steps, laid.bears          # which steps stand in the sequence, and which bear loss

A sequence is the prompt and some blocks. `block` is int32 [steps], the block of each step (a token,
or a step of the parallel mode), negative for the prompt; `lane` uint8 [steps]. The full stream keeps
the promises; a sequence only leaves things out. Draws are keyed by the seed and the sample's
position in the global order, so a resumed run draws the same again.

- `history_blocks: {look: 2}`: block e is predicted without the look lane, boundaries included, of
  the blocks before e - 1: from exactly what the model will have at inference. Each block is the
  newest once and bears loss then. `token_schema.branches` does that for all blocks of a sequence at
  the cost of about n + 1 times the sample (n the longest history).
- `crop_s`: a sequence spans no more seconds of blocks; what it hides is the blocks before.
- `random_start`: the blocks before a drawn one are left out, together with their loss, in this
  visit of the sample; other epochs draw other starts.
- `random_phase_s`: see `token_schema.phase`. It hides nothing.
Without any, a sequence is as many whole blocks as fit, and hides the blocks before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.draws import uniform
from schemas.errors import StrettoError
from token_schema.branches import Sizes, Tree, grow, ranges
from token_schema.phase import phase_of, phase_step, shifted

__all__ = ["FULL", "Plan", "Window", "hides", "phase_of", "phase_step", "shifted"]

Blocks = NDArray[np.int32]
Lanes = NDArray[np.uint8]


class Window(NamedTuple):
    """Blocks [first, end) of a sample bear loss; end -1: to its last block. With a history, the
    blocks from `back` on are seen."""

    first: int = 0
    end: int = -1
    back: int = 0


class Laid(NamedTuple):
    """A sequence: int64 [k] steps of the sample, bool [k] where they may bear loss, and how they
    hang together where they do not simply follow each other."""

    steps: NDArray[np.int64]
    bears: NDArray[np.bool_]
    tree: Tree | None = None


@dataclass(frozen=True)
class Plan:
    """The views of a schema. `history`: index of a lane -> blocks; `crop_blocks` None: no crop."""

    seed: int = 0
    history: Mapping[int, int] = field(default_factory=dict)
    crop_blocks: int | None = None
    random_start: bool = False
    random_phase_s: float = 0.0

    @classmethod
    def of(cls, schema: Any, seed: int) -> Plan:
        """The plan of a TokenSchema. Raises StrettoError for a view that its mode cannot have."""
        view, names = schema.view, [lane.name for lane in schema.lanes]
        where = f"schema {schema.name}: view"
        for name in view.history_blocks:
            if name not in names:
                raise StrettoError(
                    f"no lane named {name!r}",
                    f"{where}.history_blocks",
                    "lanes: " + ", ".join(names),
                )
        if view.history_blocks and schema.mode == "parallel":
            raise StrettoError(
                "streams of a step cannot be left out of it",
                f"{where}.history_blocks",
                "use `crop_s`, or the interleaved mode",
            )
        crop = None
        if view.crop_s is not None:
            if schema.clock.turns:
                raise StrettoError("turns have no length in seconds", f"{where}.crop_s")
            # the nearest whole number is meant where it is one: 8 s are 100 frames of 0.08 s
            crop = int(view.crop_s / schema.block_s + 1e-6)
            if crop < 1:
                raise StrettoError(
                    f"no block fits into {view.crop_s:g} s",
                    f"{where}.crop_s",
                    f"take {schema.block_s:g} s or more",
                )
        history = {names.index(name): n for name, n in view.history_blocks.items()}
        return cls(seed, history, crop, view.random_start, view.random_phase_s)

    def fixed(self) -> Plan:
        """The same without draws, for held-out samples."""
        return replace(self, random_start=False, random_phase_s=0.0)

    # ---- draws ---------------------------------------------------------------------------------

    def start(self, blocks: int, position: int) -> int:
        """The first block of a visit, of `blocks`: drawn where `random_start` says so."""
        if not self.random_start:
            return 0
        return int(uniform(self.seed, "view", f"position-{position}", "random_start") * blocks)

    def phase(self, position: int) -> float:
        """The share of the longest phase that a visit has, in [0, 1). See `phase.phase_of`."""
        if not self.random_phase_s:
            return 0.0
        return uniform(self.seed, "view", f"position-{position}", "random_phase_s")

    # ---- sequences -----------------------------------------------------------------------------

    def windows(
        self, lane: Lanes, block: Blocks, context: int, position: int, where: str
    ) -> list[Window]:
        """The sequences of a sample, each of at most `context` steps. Raises StrettoError where a
        block does not fit beside the prompt: a block (or a turn) is never cut inside."""
        prompt = int((block < 0).sum())
        sizes = np.bincount(block[block >= 0]) if prompt < len(block) else np.zeros(1, np.int64)
        start, room = self.start(len(sizes), position), context - prompt
        if self.history:
            for b in range(start, len(sizes)):
                _fits(int(sizes[b]), room, context, b, where)
            own = Sizes(lane, block, self.history)
            return [Window(*r) for r in ranges(own, start, room, self.crop_blocks)]
        if not start and len(block) <= context:
            if self.crop_blocks is None or len(sizes) <= self.crop_blocks:
                return [Window()]
        return self._following(sizes, start, room, context, where)

    def _following(
        self, sizes: NDArray[np.int64], start: int, room: int, context: int, where: str
    ) -> list[Window]:
        """Windows one after the other, each as many blocks as fit."""
        found, first, used = [], start, 0
        for b in range(start, len(sizes)):
            size = int(sizes[b])
            _fits(size, room, context, b, where)
            if used + size > room or b - first == self.crop_blocks:
                found.append(Window(first, b))
                first, used = b, 0
            used += size
        return [*found, Window(first, len(sizes))]

    def lay(self, lane: Lanes, block: Blocks, window: Window, position: int) -> Laid:
        """The sequence of a window. Each token bears loss in one window of a visit, the prompt in
        its first."""
        if window.end < 0:
            return Laid(np.arange(len(block)), np.ones(len(block), bool))
        start = self.start(int(block.max()) + 1, position)
        if self.history:
            tree = grow(lane, block, self.history, *window)
            own = block[tree.steps]
            newest = (tree.branch > 0) & (own == window.first + tree.branch - 1)
            return Laid(tree.steps, newest | ((own < 0) & (window.first == start)), tree)
        steps = np.flatnonzero((block < 0) | ((block >= window.first) & (block < window.end)))
        return Laid(steps, (block[steps] >= 0) | (window.first == start))


FULL = Plan()


def _fits(size: int, room: int, context: int, block: int, where: str) -> None:
    if size > room:
        raise StrettoError(
            f"block {block} has {size} tokens, and {room} fit beside the prompt",
            where,
            f"raise `context` to {context - room + size} or more",
        )


def hides(schema: Any) -> list[str]:
    """One sentence for each view in force: what its sequences lack."""
    view, lines = schema.view, []
    for name, n in view.history_blocks.items():
        lines.append(f"{name}: all but the newest {n} blocks")
    if view.crop_s is not None:
        lines.append(f"what lies more than {view.crop_s:g} s back")
    if view.random_start:
        lines.append("the blocks before a drawn start")
    if view.random_phase_s:
        lines.append(f"nothing, but the clock begins up to {view.random_phase_s:g} s earlier")
    return lines
