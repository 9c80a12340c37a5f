"""Round trip and grammar on a keyed share of the samples, when the corpus has its codecs.

A text may be missing only where a cut took it whole (`validate_texts`); then encoding must have
counted it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.media import MemberMedia
from pipeline.store import Store
from pipeline.validate_texts import lane_fault, sources_of, unmatched
from pipeline.validate_timeline import Seen
from schemas.draws import uniform
from schemas.sample import Media
from schemas.timeline import Timeline
from token_schema.codec_set import CodecSet
from token_schema.decode import Decoded, decode
from token_schema.encode import compile_sample, prompt_text
from token_schema.grammar import Grammar
from token_schema.language import ActLane, TextLane, TokenSchema
from token_schema.layouts.lanes import steps_per_block
from token_schema.tokens import Tokens

__all__ = ["TokenCheck", "grammar_of", "unmatched"]

AT_LEAST = 16
SHARE = 0.02


@dataclass(frozen=True)
class TokenCheck:
    """A schema with its codecs, and which samples are drawn."""

    schema: TokenSchema
    codecs: CodecSet
    share: float

    @classmethod
    def open(cls, store: Store, schema: TokenSchema, samples: int) -> TokenCheck:
        """With the corpus's own codecs. Raises StrettoError when they are broken."""
        share = max(SHARE, AT_LEAST / max(1, samples))
        return cls(schema, CodecSet.load(store, schema), share)

    def draws(self, key: str) -> bool:
        """Is this sample in the keyed share?"""
        return uniform(0, key, "", "validate") < self.share

    def faults(self, seen: Seen) -> Iterator[str]:
        """Compile; the grammar accepts; decoding gives back text and actions, all of them."""
        media = MemberMedia(seen.members, seen.where)
        tokens = compile_sample(self.schema, self.codecs, seen.timeline, media)
        yield from self.round_trip(tokens, seen.timeline, media)

    def round_trip(self, tokens: Tokens, timeline: Timeline, media: Media) -> Iterator[str]:
        """What decoding these tokens of the sample does not give back; it checks the grammar."""
        act = timeline.act
        fps, count = (act.fps, act.step_count) if act else (None, None)
        decoded = decode(self.schema, self.codecs, tokens.ids, timeline.subset, count, fps)
        prompt = self.schema.prompt
        if (
            prompt
            and "text" in prompt.rows
            and decoded.prompt != prompt_text(self.schema, timeline)
        ):
            yield "the prompt does not come back"
        yield from self._texts(decoded, timeline, tokens.report.silent_events)
        for lane in self.schema.lanes:
            if isinstance(lane, ActLane) and act:
                yield from self._actions(lane, decoded, media.act(), timeline)

    def _texts(self, decoded: Decoded, timeline: Timeline, silent_events: int) -> Iterator[str]:
        """Each text comes back once and in order; silent ones are counted, none is made up."""
        silent, counted = 0, self.schema.timing == "blocks" and self.schema.clock.tail == "extend"
        for lane in self.schema.lanes:
            if not isinstance(lane, TextLane):
                continue
            found = decoded.lane_texts[lane.name]
            silent += len(sources_of(self.schema, lane, timeline)) - len(found)
            counted = counted and bool(lane.begin or lane.end)
            if fault := lane_fault(self.schema, lane, timeline, found):
                yield f"lane {lane.name} {fault}"
                return
        if counted and silent != silent_events:
            yield f"{silent} texts do not come back, encoding says it left out {silent_events}"

    def _actions(
        self,
        lane: ActLane,
        decoded: Decoded,
        rows: NDArray[np.float32] | None,
        timeline: Timeline,
    ) -> Iterator[str]:
        """Every row comes back within the codec's error, a held one too: it repeats such a row."""
        if rows is None or decoded.actions is None:
            yield f"lane {lane.name} gives no actions back"
            return
        codec, steps = self.codecs.action(lane, timeline.subset), None
        if self.schema.timing == "blocks" and timeline.act:
            steps = steps_per_block(self.schema, timeline.act.fps, timeline.key)
        # the stated error is for actions inside the range that the codec was fitted on
        wanted = np.clip(rows, codec.low, codec.high) if hasattr(codec, "low") else rows
        off = np.abs(decoded.actions - wanted).max(axis=0, initial=0.0)
        bound = codec.max_error(steps)
        if (off > bound).any():
            d = int(np.argmax(off - bound))
            yield f"action {d} comes back {off[d]:.4g} off, the codec promises {bound[d]:.4g}"


def grammar_of(schema: TokenSchema, codecs: CodecSet, subset: str, fps: float | None) -> Grammar:
    """The grammar of a subset's samples; `fps` is that of their actions, None without any."""
    return Grammar(schema, codecs, subset if fps else None, fps=fps)
