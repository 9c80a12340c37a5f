"""The language: how a Timeline becomes token ids and back. Presets in YAML, codecs, grammar."""
