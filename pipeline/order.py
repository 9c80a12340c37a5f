"""The order of samples: a keyed permutation an epoch, addressed by one global position.

`SampleOrder(n, seed).sample(p)` is the sample at global position `p`: epoch `p // n`, then the
`p % n`-th of that epoch's permutation. Nothing else is state, so resuming is an integer, on another
number of ranks too. `for position, sample in SampleOrder(n, seed, rank=r, world_size=w)` walks the
positions of one rank: r, r + w, r + 2w ... for ever.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from schemas.draws import rng
from schemas.errors import StrettoError


def permutation(n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """int64 [n]: the order of one epoch, a pure function of its three arguments."""
    draw = rng(seed, "sample-order", f"epoch-{epoch}", "permutation")
    return draw.permutation(n).astype(np.int64)


class SampleOrder:
    """`n` samples, shuffled anew each epoch. `epoch` is where iteration starts; `start` within it.

    `start` is a global position counted from the start of `epoch`; ranks share one order.
    """

    def __init__(
        self, n: int, seed: int, epoch: int = 0, rank: int = 0, world_size: int = 1, start: int = 0
    ) -> None:
        if n <= 0:
            raise StrettoError("there are no samples to order", fix="check the split and filters")
        if not 0 <= rank < world_size:
            raise StrettoError(f"rank {rank} is not in 0..{world_size - 1}")
        self.n, self.seed, self.rank, self.world_size = n, seed, rank, world_size
        self.first = epoch * n + start
        self._epochs: dict[int, NDArray[np.int64]] = {}

    def sample(self, position: int) -> int:
        """The sample (0..n-1) at a global position, counted from epoch 0."""
        epoch, place = divmod(position, self.n)
        if epoch not in self._epochs:
            # two epochs are in use at once where a buffer looks across their border
            self._epochs = {e: p for e, p in self._epochs.items() if abs(e - epoch) <= 1}
            self._epochs[epoch] = permutation(self.n, self.seed, epoch)
        return int(self._epochs[epoch][place])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(global position, sample) of this rank, for ever."""
        position = self.first + self.rank
        while True:
            yield position, self.sample(position)
            position += self.world_size
