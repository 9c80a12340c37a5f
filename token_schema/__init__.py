"""The language: how a Timeline becomes token ids and back. Presets in YAML, codecs, grammar.

schema = load_schema("ellsa")                       # or a YAML file
codecs = CodecSet.load("out/demo", schema)          # fitted by `stretto fit`
tokens = compile_sample(schema, codecs, timeline, media)
decode(schema, codecs, tokens.ids)
"""

from token_schema.codec_set import CodecSet
from token_schema.decode import Decoded, decode
from token_schema.encode import Tokens, compile_sample
from token_schema.grammar import Grammar
from token_schema.language import TokenSchema, list_presets, load_schema
from token_schema.vocabulary import Vocabulary

__all__ = [
    "CodecSet",
    "Decoded",
    "Grammar",
    "TokenSchema",
    "Tokens",
    "Vocabulary",
    "compile_sample",
    "decode",
    "list_presets",
    "load_schema",
]
