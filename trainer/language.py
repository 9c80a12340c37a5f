"""The token language of a run: a schema with the codecs fitted on its corpus. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from pipeline.stream import Corpus
from schemas.errors import StrettoError
from schemas.sample import Media
from schemas.timeline import Timeline
from token_schema.codec_set import CodecSet
from token_schema.encode import compile_sample
from token_schema.language import AudioLane, TokenSchema, load_schema
from token_schema.views import Plan, phase_of, shifted
from trainer.config import TrainConfig
from trainer.pack import Compiled
from trainer.rows import Layout


class Decision(NamedTuple):
    """Where the model decides to speak up: the first token of `lane` in each block or step. It is
    one of `silent` (vocabulary ids), or it is a beginning. `stream` is 0 in the flat modes."""

    lane: int
    stream: int
    silent: tuple[int, ...]


@dataclass(frozen=True)
class Language:
    """Compiles samples; says how many ids there are and what some of them mean."""

    schema: TokenSchema
    codecs: CodecSet
    plan: Plan = Plan()

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

    def listen_lanes(self) -> tuple[int, ...]:
        """The lanes of what is heard."""
        return tuple(i for i, x in enumerate(self.schema.lanes) if x.channel == "listen")

    @cached_property
    def decision(self) -> Decision | None:
        """Of the phase lane, else of `write`, else of `say`; None where silence is no token there."""
        for channel in ("phase", "write", "say"):
            index = self.lane_of(channel)
            if index is None:
                continue
            lane = self.schema.lanes[index]
            # `epad` announces a word and is no silence
            names = (getattr(lane, "idle", None), getattr(lane, "wait", None))
            silent = tuple(dict.fromkeys(self.codecs.vocabulary.id(n) for n in names if n))
            if silent and max(lane.loss.weights()) > 0:
                return Decision(index, self._first_stream(index), silent)
        return None

    def _first_stream(self, lane: int) -> int:
        if self.schema.mode != "parallel":
            return 0
        return next(i for i, s in enumerate(self.schema.streams) if s.lane == lane)

    @cached_property
    def tables(self) -> tuple[np.ndarray, ...]:
        """Parallel: the sorted ids of each stream. Flat: empty."""
        if self.schema.mode != "parallel":
            return ()
        from token_schema.layouts.parallel import stream_vocabulary

        return tuple(stream_vocabulary(self.schema, self.codecs))

    @cached_property
    def layout(self) -> Layout:
        """How its tokens become arrays."""
        values, frames = {}, []
        for i, lane in enumerate(self.schema.lanes):
            if isinstance(lane, AudioLane) and lane.as_ in ("slots", "mel"):
                values[i] = lane.n_mels * lane.subframes
                if lane.as_ == "mel":
                    frames.append(i)
        if not self.tables:
            branches = bool(self.plan.history)
            return Layout(values=values, frames=tuple(frames), branches=branches)
        return Layout(
            len(self.tables),
            bearing_streams(self.schema),
            lookup_table(self.tables, self.vocab_size),
            values,
            tuple(frames),
        )

    def compile(self, timeline: Timeline, media: Media, phase: float = 0.0) -> Compiled:
        """The tokens of a sample, at a share of the longest phase of the schema's view."""
        if phase:
            at = phase_of(timeline, self.plan.random_phase_s, phase)
            timeline, media = shifted(timeline, media, at)
        tokens = compile_sample(self.schema, self.codecs, timeline, media)
        return Compiled(
            np.asarray(tokens.ids, np.int32),
            np.asarray(tokens.lane, np.uint8),
            np.asarray(tokens.block, np.int32),
            np.asarray(tokens.loss, np.float32),
            np.asarray(tokens.kind, np.uint8),
            tokens.streams,
            {self.lanes.index(name): rows for name, rows in tokens.values.items()},
        )


def bearing_streams(schema: TokenSchema) -> tuple[int, ...]:
    """The streams of a parallel schema that may bear loss: those of lanes with a weight, and of all
    output lanes where the prompt has one. Raises StrettoError where there is none."""
    prompt = max(schema.prompt.loss.weights()) > 0 if schema.prompt else False
    found = tuple(
        i
        for i, stream in enumerate(schema.streams)
        for lane in [schema.lanes[stream.lane]]
        if max(lane.loss.weights()) > 0 or (prompt and not schema.is_input(lane))
    )
    if not found:
        raise StrettoError("no lane bears loss", f"schema {schema.name}", "give a lane a `loss`")
    return found


def lookup_table(tables: tuple[np.ndarray, ...], vocab_size: int) -> np.ndarray:
    """int32 [streams, vocabulary]: see Layout. The rows of a stream follow those before it."""
    lookup = np.full((len(tables), vocab_size), -1, np.int32)
    first = 0
    for stream, ids in enumerate(tables):
        lookup[stream, ids] = first + np.arange(len(ids))
        first += len(ids)
    return lookup


def open_language(config: TrainConfig, corpus: Corpus) -> Language:
    """The schema and its codecs, from the corpus or from `codecs: DIR` (DIR/codecs/NAME).

    Raises StrettoError where one is missing, saying to run `stretto fit`.
    """
    schema = load_schema(config.schema_name)
    plan = Plan.of(schema, config.seed) if config.view == "schema" else Plan(config.seed)
    return Language(schema, CodecSet.load(config.codecs or corpus.store, schema), plan)
