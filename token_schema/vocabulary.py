"""The Vocabulary: which id means what. One list for every lane of a schema.

Ids, in this order: the special tokens as the schema declares them, then the text pieces, then one
range for each other codec in the order in which lanes name it. A codec with several codebooks has
one part of its range for each (code c of codebook q is start + q * entries + c). Lanes that name
the same codec share its range.

    vocabulary = Vocabulary.of(schema, codecs)
    vocabulary.name(17), vocabulary.id("<silence>"), vocabulary.id("audio:0:42")
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.errors import StrettoError


@dataclass(frozen=True)
class CodeRange:
    """The ids [start, stop) of one codec."""

    codec: str
    start: int
    entries: int
    codebooks: int = 1

    @property
    def stop(self) -> int:
        return self.start + self.entries * self.codebooks

    def book(self, q: int) -> tuple[int, int]:
        """The ids [start, stop) of codebook q."""
        return self.start + q * self.entries, self.start + (q + 1) * self.entries


@dataclass(frozen=True)
class Vocabulary:
    """`specials` have the ids 0..len-1; `ranges` follow without a gap."""

    specials: tuple[str, ...]
    ranges: tuple[CodeRange, ...]

    @classmethod
    def build(cls, specials: tuple[str, ...], sizes: Mapping[str, tuple[int, int]]) -> Vocabulary:
        """From (entries, codebooks) of each codec, in the order in which they get their ids."""
        start, ranges = len(specials), []
        for codec, (entries, codebooks) in sizes.items():
            ranges.append(CodeRange(codec, start, entries, codebooks))
            start = ranges[-1].stop
        return cls(specials, tuple(ranges))

    @property
    def size(self) -> int:
        """Ids are in 0..size-1."""
        return self.ranges[-1].stop if self.ranges else len(self.specials)

    def range(self, codec: str) -> CodeRange:
        """The ids of a codec. Raises StrettoError."""
        for r in self.ranges:
            if r.codec == codec:
                return r
        raise StrettoError(f"no codec {codec!r} in the vocabulary", "vocabulary")

    def id(self, name: str) -> int:
        """The id of a name that `name` gives. Raises StrettoError."""
        if name in self.specials:
            return self.specials.index(name)
        codec, *parts = name.split(":")
        found = [r for r in self.ranges if r.codec == codec]
        if found and all(p.isdigit() for p in parts) and len(parts) == 1 + (found[0].codebooks > 1):
            r = found[0]
            q, code = (0, int(parts[0])) if len(parts) == 1 else (int(parts[0]), int(parts[1]))
            if q < r.codebooks and code < r.entries:
                return r.start + q * r.entries + code
        raise StrettoError(
            f"no token named {name!r}",
            "vocabulary",
            "names are `<silence>`, `text:7`, `audio:CODEBOOK:CODE`",
        )

    def name(self, token_id: int) -> str:
        """`<silence>`, `text:7`, `image:5`, or `audio:CODEBOOK:CODE`."""
        if 0 <= token_id < len(self.specials):
            return self.specials[token_id]
        for r in self.ranges:
            if r.start <= token_id < r.stop:
                q, code = divmod(token_id - r.start, r.entries)
                return f"{r.codec}:{q}:{code}" if r.codebooks > 1 else f"{r.codec}:{code}"
        raise StrettoError(f"id {token_id} is outside of 0..{self.size - 1}", "vocabulary")

    def to_json(self) -> str:
        """Special tokens and ranges, for a trainer that does not run this code."""
        ranges = [
            {"codec": r.codec, "start": r.start, "entries": r.entries, "codebooks": r.codebooks}
            for r in self.ranges
        ]
        return (
            json.dumps(
                {"size": self.size, "specials": list(self.specials), "ranges": ranges}, indent=1
            )
            + "\n"
        )
