"""Embedded codecs: small, fitted on the user's own corpus, exact on every processor.

One folder holds one codec (`codec.json` and its arrays). Fit with `token_schema.codecs.fit`, keep
with `save`, read with `load`:

    codec = load("codecs/audio")          # AudioRVQ, TextBPE, ImagePatchVQ or ActionFAST
    codec.kind, codec.size, codec.hash
"""

from token_schema.codecs.base import Codec, load, save

__all__ = ["Codec", "load", "save"]
