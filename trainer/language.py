"""The token language of a run: a schema with the codecs fitted on its corpus. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.stream import Corpus
from schemas.sample import Media
from schemas.timeline import Timeline
from token_schema.codec_set import CodecSet
from token_schema.encode import compile_sample
from token_schema.language import TokenSchema, load_schema
from trainer.config import TrainConfig
from trainer.pack import Compiled


@dataclass(frozen=True)
class Language:
    """Compiles samples; says how many ids there are and what some of them mean."""

    schema: TokenSchema
    codecs: CodecSet

    @property
    def vocab_size(self) -> int:
        return self.codecs.vocabulary.size

    @property
    def lanes(self) -> tuple[str, ...]:
        """Lane names by their index."""
        return tuple(lane.name for lane in self.schema.lanes)

    @property
    def hash(self) -> str:
        """What the ids rest on."""
        return self.codecs.hash

    def lane_of(self, channel: str) -> int | None:
        """The index of the first lane of a channel, or None."""
        channels = [lane.channel for lane in self.schema.lanes]
        return channels.index(channel) if channel in channels else None

    @cached_property
    def decision(self) -> tuple[int, int] | None:
        """(id that opens a block's `write`, id of staying silent), or None without such a lane."""
        index = self.lane_of("write")
        if index is None:
            return None
        lane = self.schema.lanes[index]
        idle = getattr(lane, "idle", None)
        ids = self.codecs.vocabulary
        return (ids.id(lane.open), ids.id(idle)) if idle else None

    def compile(self, timeline: Timeline, media: Media) -> Compiled:
        """The tokens of a sample."""
        tokens = compile_sample(self.schema, self.codecs, timeline, media)
        return Compiled(
            np.asarray(tokens.ids, np.int32),
            np.asarray(tokens.lane, np.uint8),
            np.asarray(tokens.block, np.int32),
            np.asarray(tokens.loss, np.float32),
            np.asarray(tokens.kind, np.uint8),
        )


def open_language(config: TrainConfig, corpus: Corpus) -> Language:
    """The schema and its codecs, from the corpus or from `codecs: DIR` (DIR/codecs/NAME).

    Raises StrettoError where one is missing, saying to run `stretto fit`.
    """
    schema = load_schema(config.schema_name)
    return Language(schema, CodecSet.load(config.codecs or corpus.store, schema))
