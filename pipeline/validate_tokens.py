"""Round trip and grammar on a keyed share of the samples, when the corpus has its codecs.

A text may be missing only where a cut took it whole; then encoding must have counted it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.media import MemberMedia
from pipeline.store import Store
from pipeline.validate_timeline import Seen
from schemas.draws import uniform
from schemas.timeline import Say, Think, Timeline, Write
from token_schema.codec_set import CodecSet
from token_schema.decode import Decoded, DecodedText, decode
from token_schema.encode import compile_sample, prompt_text
from token_schema.grammar import Grammar
from token_schema.lanes import steps_per_block
from token_schema.language import ActLane, TextLane, TokenSchema

AT_LEAST = 16
SHARE = 0.02
TextEvent = Think | Write | Say


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
        timeline = seen.timeline
        media = MemberMedia(seen.members, seen.where)
        tokens = compile_sample(self.schema, self.codecs, timeline, media)
        act = timeline.act
        robot, fps, count = (timeline.subset, act.fps, act.step_count) if act else (None,) * 3
        steps = steps_per_block(self.schema, fps, timeline.key) if fps else 0
        Grammar(self.schema, self.codecs, robot, steps).check(tokens.ids.tolist())
        decoded = decode(self.schema, self.codecs, tokens.ids, timeline.subset, count, fps)
        if decoded.prompt != prompt_text(self.schema, timeline):
            yield "the prompt does not come back"
        yield from self._texts(decoded, timeline, tokens.report.silent_events)
        for lane in self.schema.lanes:
            if isinstance(lane, ActLane) and act:
                yield from self._actions(lane, decoded, media.act(), timeline.subset, steps)

    def _texts(self, decoded: Decoded, timeline: Timeline, silent_events: int) -> Iterator[str]:
        """Each text comes back once and in order; silent ones are counted, none is made up."""
        extend = self.schema.clock.tail == "extend"
        silent = 0
        for lane in self.schema.lanes:
            if isinstance(lane, TextLane):
                texts = [e for e in timeline.agent if isinstance(e, Think | Write | Say)]
                sources = [e for e in texts if e.kind == lane.channel]
                found = decoded.lane_texts[lane.name]
                silent += len(sources) - len(found)
                if fault := unmatched(sources, found, may_drop=not extend):
                    yield f"lane {lane.name} {fault}"
                    return
        if extend and silent != silent_events:
            yield f"{silent} texts do not come back, encoding says it left out {silent_events}"

    def _actions(
        self,
        lane: ActLane,
        decoded: Decoded,
        rows: NDArray[np.float32] | None,
        subset: str,
        steps: int,
    ) -> Iterator[str]:
        """Every row comes back within the codec's error, a held one too: it repeats such a row."""
        if rows is None or decoded.actions is None:
            yield f"lane {lane.name} gives no actions back"
            return
        codec = self.codecs.action(lane, subset)
        # the stated error is for actions inside the range that the codec was fitted on
        wanted = np.clip(rows, codec.low, codec.high)
        off = np.abs(decoded.actions - wanted).max(axis=0, initial=0.0)
        bound = codec.max_error(steps)
        if (off > bound).any():
            d = int(np.argmax(off - bound))
            yield f"action {d} comes back {off[d]:.4g} off, the codec promises {bound[d]:.4g}"


def unmatched(sources: Sequence[TextEvent], found: Sequence[DecodedText], may_drop: bool) -> str:
    """Why `found` can't be `sources` in order, or "". Only a cut event may be missing whole.

    `reached` holds how many of `found` the events so far can account for: a cut text may fit
    several events, so a greedy match would accuse the innocent.
    """
    reached = {0}
    for event in sorted(sources, key=lambda e: e.decided_s):
        after = {j + 1 for j in reached if j < len(found) and _is(found[j], event, may_drop)}
        after |= reached if may_drop or event.cut_s is not None else set()
        if not after:
            there = [repr(found[j].text[:40]) for j in sorted(reached) if j < len(found)]
            return f"does not give back {event.id}, but {there[-1] if there else 'nothing more'}"
        reached = after
    if len(found) in reached:
        return ""
    return f"gives back {found[max(reached)].text[:40]!r}, which nobody wrote"


def _is(found: DecodedText, event: TextEvent, may_drop: bool) -> bool:
    """A whole text comes back whole, a cut one as far as it came."""
    if found.ended == "end":
        return found.text == event.text
    # a cut may fall inside a character: its bytes so far decode to a replacement character
    begun = event.text.startswith(found.text.rstrip("\ufffd"))
    return begun and (may_drop if found.ended == "open" else event.cut_s is not None)
