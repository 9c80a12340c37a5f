"""Round trip and grammar on a keyed share of the samples, when the corpus has its codecs.

`TokenCheck.open(store, dataset)` gives None where there are no codecs; the line then says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.media import MemberMedia
from pipeline.store import Store
from pipeline.validate_timeline import Seen
from schemas.draws import uniform
from token_schema.codec_set import CodecSet
from token_schema.decode import decode
from token_schema.encode import compile_sample, prompt_text
from token_schema.grammar import Grammar
from token_schema.lanes import steps_per_block
from token_schema.language import ActLane, TextLane, TokenSchema, load_schema

AT_LEAST = 16
SHARE = 0.02


@dataclass(frozen=True)
class TokenCheck:
    """A schema with its codecs, and which samples are drawn."""

    schema: TokenSchema
    codecs: CodecSet
    share: float

    @classmethod
    def open(cls, store: Store, dataset: dict[str, Any]) -> TokenCheck | None:
        """The corpus's own schema. Raises StrettoError when its codecs are broken."""
        if not list(store.list("codecs/")):
            return None
        schema = load_schema(dataset.get("config", {}).get("schema", "ellsa"))
        share = max(SHARE, AT_LEAST / max(1, dataset.get("samples", 1)))
        return cls(schema, CodecSet.load(store, schema), share)

    def draws(self, key: str) -> bool:
        """Is this sample in the keyed share?"""
        return uniform(0, key, "", "validate") < self.share

    def faults(self, seen: Seen) -> Iterator[str]:
        """Compile; the grammar accepts; decoding gives back text and actions."""
        timeline = seen.timeline
        tokens = compile_sample(self.schema, self.codecs, timeline, MemberMedia(seen.members))
        robot = timeline.subset if timeline.act else None
        fps = timeline.act.fps if timeline.act else None
        steps = steps_per_block(self.schema, fps, timeline.key) if fps else 0
        Grammar(self.schema, self.codecs, robot, steps).check(tokens.ids.tolist())
        count = timeline.act.step_count if timeline.act else None
        decoded = decode(self.schema, self.codecs, tokens.ids, timeline.subset, count, fps)
        if decoded.prompt != prompt_text(self.schema, timeline):
            yield "the prompt does not come back"
        for lane in self.schema.lanes:
            if isinstance(lane, TextLane):
                yield from self._texts(lane, decoded, seen)
            elif isinstance(lane, ActLane) and timeline.act and decoded.actions is not None:
                yield from self._actions(lane, decoded, seen, steps)

    def _texts(self, lane: TextLane, decoded: Any, seen: Seen) -> Iterator[str]:
        """A whole text comes back whole, a cut one as far as it came; none is made up."""
        sources = [e.text for e in seen.timeline.agent if e.kind == lane.channel]
        for event in decoded.lane_texts[lane.name]:
            whole = event.ended == "end"
            # a cut may fall inside a character: its bytes so far decode to a replacement character
            begun = event.text.rstrip("\ufffd")
            match = [
                i
                for i, text in enumerate(sources)
                if text == event.text or (not whole and text.startswith(begun))
            ]
            if not match:
                yield f"lane {lane.name} gives back {event.text[:40]!r}, which nobody wrote"
                return
            sources = sources[match[0] + 1 :]

    def _actions(self, lane: ActLane, decoded: Any, seen: Seen, steps: int) -> Iterator[str]:
        rows = MemberMedia(seen.members).act()
        if rows is None:
            return
        codec = self.codecs.action(lane, seen.timeline.subset)
        # the stated error is for actions inside the range that the codec was fitted on
        wanted = np.clip(rows, codec.low, codec.high)
        off = np.abs(decoded.actions - wanted)[~decoded.held].max(axis=0, initial=0.0)
        bound = codec.max_error(steps)
        if (off > bound).any():
            d = int(np.argmax(off - bound))
            yield f"action {d} comes back {off[d]:.4g} off, the codec promises {bound[d]:.4g}"
