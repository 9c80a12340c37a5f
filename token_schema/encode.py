"""Encode: a Timeline and its media as token ids under a schema.

    tokens = compile_sample(schema, codecs, timeline, media)
    tokens.ids, tokens.lane, tokens.loss, tokens.known_s, tokens.block, tokens.kind

Each mode has its own engine: `blocks` (interleaved), `parallel` and `turns`.
"""

from __future__ import annotations

from collections import Counter

from schemas.sample import Media
from schemas.timeline import Timeline
from token_schema.codec_set import CodecSet
from token_schema.schema import TokenSchema
from token_schema.tokens import (  # noqa: F401
    CLOSE,
    CONTENT,
    IDLE,
    OPEN,
    PROMPT,
    Report,
    Tokens,
)

# what a lane shows of the events of other kinds than its channel
ALSO_SHOWN = {"listen": ("hear",), "speak": ("say",), "typed": ("tool_result",)}


def compile_sample(
    schema: TokenSchema, codecs: CodecSet, timeline: Timeline, media: Media
) -> Tokens:
    """The tokens of one sample. Raises StrettoError where schema, codecs and sample do not fit."""
    if schema.timing == "frames":
        from token_schema.layouts.parallel import compile_frames

        return compile_frames(schema, codecs, timeline, media)
    if schema.timing == "turns":
        from token_schema.layouts.turns import compile_turns

        return compile_turns(schema, codecs, timeline, media)
    from token_schema.layouts.blocks import compile_blocks

    return compile_blocks(schema, codecs, timeline, media)


def not_placed(schema: TokenSchema, timeline: Timeline) -> dict[str, int]:
    """Events that no lane shows, by kind. `hear` is in the sound of `listen`, `say` in that of
    `speak`; results of tools stand in `typed`."""
    shown = {x.channel for x in schema.lanes}
    also = {kind for channel in shown for kind in ALSO_SHOWN.get(channel, ())}
    events = (*timeline.world, *timeline.agent)
    return dict(sorted(Counter(e.kind for e in events if e.kind not in shown | also).items()))


def prompt_text(schema: TokenSchema, timeline: Timeline) -> str:
    """The head's text: the context fields that the schema takes and the sample has, one a line."""
    if schema.prompt is None:
        return ""
    values = (getattr(timeline.context, field) for field in schema.prompt.take)
    return "\n".join(v if isinstance(v, str) else ", ".join(v) for v in values if v)
