"""What compiled samples hold: tokens a second of each lane, the corpus mean beside `measure`'s spans.

counted = Counted(schema)
counted.add(tokens, timeline.duration_s)
counted.rates()["write"], counted.bearing_share, counted.boundary_share
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from token_schema.schema import TokenSchema
from token_schema.tokens import OPEN, Tokens


@dataclass
class Counted:
    """Sums over samples. `seconds` is the time that the compiled blocks cover (the padded last one
    and tail blocks included), or the samples' own length in turns, where blocks have none.

    `content`, `boundary`, `bearing`: tokens by lane (255: the boundaries of blocks and turns), the
    prompt left out; `prompt`: its tokens.
    """

    schema: TokenSchema
    samples: int = 0
    seconds: float = 0.0
    prompt: int = 0
    blocks: int = 0
    content: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    boundary: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    bearing: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))

    def add(self, tokens: Tokens, duration_s: float) -> None:
        """Count one sample."""
        edge, live = tokens.kind >= OPEN, tokens.block >= 0
        if self.schema.timing == "turns":
            self.seconds += duration_s
        else:
            self.seconds += tokens.report.blocks * self.schema.block_s
        self.samples += 1
        self.blocks += tokens.report.blocks
        self.prompt += int((~live).sum())
        self.content += np.bincount(tokens.lane[~edge & live], minlength=256)
        self.boundary += np.bincount(tokens.lane[edge & live], minlength=256)
        self.bearing += np.bincount(tokens.lane[(tokens.loss > 0) & live], minlength=256)

    def rates(self) -> dict[str, tuple[float, float, float]]:
        """Lane -> content, boundary and loss-bearing tokens a second."""
        seconds = self.seconds or 1.0
        return {
            lane.name: (
                float(self.content[i] / seconds),
                float(self.boundary[i] / seconds),
                float(self.bearing[i] / seconds),
            )
            for i, lane in enumerate(self.schema.lanes)
        }

    @property
    def tokens(self) -> int:
        """All tokens but the prompts'."""
        return int(self.content.sum() + self.boundary.sum())

    @property
    def per_second(self) -> float:
        return self.tokens / (self.seconds or 1.0)

    @property
    def bearing_share(self) -> float:
        """Loss-bearing tokens of all but the prompts'."""
        return float(self.bearing.sum() / max(1, self.tokens))

    @property
    def boundary_share(self) -> float:
        """Boundary tokens of all but the prompts': what the layout costs."""
        return float(self.boundary.sum() / max(1, self.tokens))
