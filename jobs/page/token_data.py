"""The tokens of a sample as the page shows them: block by block, lane by lane, id and meaning."""

from __future__ import annotations

from typing import Any

from pipeline.media import MemberMedia
from schemas.timeline import Timeline
from token_schema.codec_set import CodecSet
from token_schema.encode import PROMPT, Tokens, compile_sample
from token_schema.language import TextLane, TokenSchema


def token_data(
    schema: TokenSchema, codecs: CodecSet, timeline: Timeline, media: MemberMedia
) -> dict[str, Any]:
    """All ids of the sample, as [id, meaning] in each lane of each block."""
    tokens = compile_sample(schema, codecs, timeline, media)
    block_s = schema.clock.block_s
    names = Names(schema, codecs)
    lanes = [{"label": "prompt", "channel": "prompt"}]
    lanes += [{"label": lane.name, "channel": lane.channel} for lane in schema.lanes]
    blocks = []
    for block in range(-1, tokens.report.blocks):
        cells = _cells(tokens, block, names, len(schema.lanes))
        start_s = max(0, block) * block_s
        where = f"{start_s:g} to {start_s + block_s:g} s"
        title = "the head of the sequence" if block < 0 else f"block {block}, {where}"
        blocks.append(
            {
                "index": block,
                "start_s": start_s,
                "end_s": start_s + block_s,
                "title": title,
                "lanes": cells,
            }
        )
    return {"schema": schema.name, "block_s": block_s, "lanes": lanes, "blocks": blocks}


class Names:
    """What an id is called: a special token, a piece of text, or nothing but its number."""

    def __init__(self, schema: TokenSchema, codecs: CodecSet) -> None:
        self.vocabulary = codecs.vocabulary
        self.codecs = codecs
        self.text = {x.codec for x in schema.lanes if isinstance(x, TextLane)}
        self.text.add(schema.prompt.codec)
        self.known: dict[int, str] = {}

    def __call__(self, token_id: int) -> str:
        if token_id not in self.known:
            self.known[token_id] = self._name(token_id)
        return self.known[token_id]

    def _name(self, token_id: int) -> str:
        name = self.vocabulary.name(token_id)
        codec, _, code = name.partition(":")
        if codec in self.text and code:
            piece = self.codecs.get(codec).decode([int(code)])
            return piece.replace(" ", "\u2423").replace("\n", "\u23ce")
        return name if name in self.vocabulary.specials else ""


def _cells(tokens: Tokens, block: int, names: Names, lane_count: int) -> list[list[list[Any]]]:
    """One list of [id, name] a lane, the prompt's first."""
    cells: list[list[list[Any]]] = [[] for _ in range(lane_count + 1)]
    here = (tokens.block == block).nonzero()[0]
    for token_id, lane in zip(tokens.ids[here].tolist(), tokens.lane[here].tolist(), strict=True):
        cells[0 if lane == PROMPT else lane + 1].append([token_id, names(token_id)])
    return cells
