"""Encode: a Timeline and its media as token ids under a schema.

    tokens = compile_sample(schema, codecs, timeline, media)
    tokens.ids, tokens.lane, tokens.loss, tokens.known_s, tokens.block, tokens.kind

Each mode has its own engine: `blocks` (interleaved), `parallel` and `turns`.
"""

from __future__ import annotations

from schemas.sample import Media
from schemas.timeline import Timeline
from token_schema.codec_set import CodecSet
from token_schema.layouts.blocks import compile_blocks
from token_schema.layouts.parallel import compile_frames
from token_schema.layouts.shown import not_placed, prompt_text  # noqa: F401
from token_schema.layouts.turns import compile_turns
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


def compile_sample(
    schema: TokenSchema, codecs: CodecSet, timeline: Timeline, media: Media
) -> Tokens:
    """The tokens of one sample. Raises StrettoError where schema, codecs and sample do not fit."""
    if schema.timing == "frames":
        return compile_frames(schema, codecs, timeline, media)
    if schema.timing == "turns":
        return compile_turns(schema, codecs, timeline, media)
    return compile_blocks(schema, codecs, timeline, media)
