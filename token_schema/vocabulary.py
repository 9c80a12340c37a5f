"""The Vocabulary: which id means what. One list for every lane of a schema, in one stable order.

1. The text codec's own ids come first, from 0: a pretrained model's text ids and embeddings stay
   as they are, and `hf_export` writes a `transformers` tokenizer with the same ids.
2. Then the special tokens of the head (prompt, clock, turns).
3. Then lane by lane: its special tokens that are new, then its codec's range if that is new.

So a lane that is added at the end, with whatever it needs, moves no earlier id. What moves the ids
behind it: another size of a codec, another `codebooks` of its lanes, a special token in an earlier
lane or in the head. A codec with several codebooks has one part of its range for each (code c of
codebook q is start + q * entries + c). Lanes that name the same codec share its range, and lanes
that name the same special token share its id.

    vocabulary = codecs.vocabulary                  # a CodecSet's
    vocabulary.name(17), vocabulary.id("<silence>"), vocabulary.id("audio:0:42")
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property

from schemas.errors import StrettoError

VERSION = 2  # of vocabulary.json; 1 had the special tokens first


@dataclass(frozen=True)
class CodeRange:
    """The ids [start, stop) of one codec."""

    codec: str
    start: int
    entries: int
    codebooks: int = 1
    kind: str = ""

    @property
    def stop(self) -> int:
        return self.start + self.entries * self.codebooks

    def book(self, q: int) -> tuple[int, int]:
        """The ids [start, stop) of codebook q."""
        return self.start + q * self.entries, self.start + (q + 1) * self.entries


@dataclass(frozen=True)
class Codes:
    """What a codec asks of the vocabulary: `entries` ids for each of its `codebooks`."""

    codec: str
    kind: str
    entries: int
    codebooks: int = 1


@dataclass(frozen=True)
class Vocabulary:
    """`specials[i]` has the id `special_ids[i]`; together with `ranges` they leave no gap."""

    specials: tuple[str, ...]
    special_ids: tuple[int, ...]
    ranges: tuple[CodeRange, ...]

    @classmethod
    def build(cls, parts: Iterable[str | Codes]) -> Vocabulary:
        """From special tokens and codecs in the order of their ids; what comes again is shared."""
        specials: dict[str, int] = {}
        ranges: dict[str, CodeRange] = {}
        size = 0
        for part in parts:
            if isinstance(part, str):
                if part not in specials:
                    specials[part] = size
                    size += 1
            elif part.codec not in ranges:
                found = CodeRange(part.codec, size, part.entries, part.codebooks, part.kind)
                ranges[part.codec] = found
                size = found.stop
        return cls(tuple(specials), tuple(specials.values()), tuple(ranges.values()))

    @cached_property
    def size(self) -> int:
        """Ids are in 0..size-1."""
        return max([0, *(i + 1 for i in self.special_ids), *(r.stop for r in self.ranges)])

    @cached_property
    def _id_of(self) -> dict[str, int]:
        return dict(zip(self.specials, self.special_ids, strict=True))

    @cached_property
    def _special_at(self) -> dict[int, str]:
        return dict(zip(self.special_ids, self.specials, strict=True))

    def range(self, codec: str) -> CodeRange:
        """The ids of a codec. Raises StrettoError."""
        for r in self.ranges:
            if r.codec == codec:
                return r
        raise StrettoError(f"no codec {codec!r} in the vocabulary", "vocabulary")

    def id(self, name: str) -> int:
        """The id of a name that `name` gives. Raises StrettoError."""
        if name in self._id_of:
            return self._id_of[name]
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
        if token_id in self._special_at:
            return self._special_at[token_id]
        for r in self.ranges:
            if r.start <= token_id < r.stop:
                q, code = divmod(token_id - r.start, r.entries)
                return f"{r.codec}:{q}:{code}" if r.codebooks > 1 else f"{r.codec}:{code}"
        raise StrettoError(f"id {token_id} is outside of 0..{self.size - 1}", "vocabulary")

    def to_json(self) -> str:
        """`vocabulary.json`: special tokens and ranges, for who does not run this code."""
        ranges = [asdict(r) for r in self.ranges]
        data = {"version": VERSION, "size": self.size, "specials": self._id_of, "ranges": ranges}
        return json.dumps(data, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "vocabulary.json") -> Vocabulary:
        """What `to_json` wrote. Raises StrettoError for anything else."""
        try:
            data = json.loads(text)
            specials, ranges = data["specials"], tuple(CodeRange(**r) for r in data["ranges"])
            out = cls(tuple(specials), tuple(specials.values()), ranges)
            fits = data["version"] == VERSION and data["size"] == out.size and out._no_gap()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StrettoError(f"not a vocabulary ({error})", where) from None
        if not fits:
            raise StrettoError("not a vocabulary: version, size and ids do not agree", where)
        return out

    def _no_gap(self) -> bool:
        """Every id below `size` has one meaning."""
        spans = [(i, i + 1) for i in self.special_ids] + [(r.start, r.stop) for r in self.ranges]
        spans = sorted(s for s in spans if s[0] < s[1])
        ends = [0, *(stop for _, stop in spans)]
        return all(start == end for (start, _), end in zip(spans, ends, strict=False))
