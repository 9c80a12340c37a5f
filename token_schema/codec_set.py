"""The codecs that a schema names, read from the corpus that they were fitted on.

`CodecSet.load(DIR, schema)` reads DIR/codecs/NAME/ for every codec of the schema; of the action
codec one for each embodiment, DIR/codecs/NAME-SUBSET/. A corpus without cameras has no image codec
and one without robots no action codec: their range is then empty, and a sample that needs one is
refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from schemas.draws import digest
from schemas.errors import StrettoError
from token_schema.codecs.base import MANIFEST, load
from token_schema.language import ActLane, AudioLane, LookLane, TextLane, TokenSchema, exact
from token_schema.vocabulary import Vocabulary

FOLDER = "codecs"
FIT = "run `stretto fit CONFIG DIR`"


class Store(Protocol):
    """What is asked of a corpus's store: names below its root, `/` between the parts."""

    def read_bytes(self, name: str) -> bytes: ...

    def list(self, prefix: str = "") -> Iterable[str]: ...


@dataclass(frozen=True)
class CodecSet:
    """`codecs` by folder name: `text`, `audio`, `image`, `action-SUBSET`."""

    schema: TokenSchema
    codecs: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name, kind in kinds(self.schema).items():
            for codec_name, codec in self._named(name, kind).items():
                if codec.kind != kind:
                    raise StrettoError(
                        f"is a codec for {codec.kind}, not {kind}", f"{FOLDER}/{codec_name}", FIT
                    )
            if kind in ("text", "audio"):
                self.get(name)
        for lane in self.schema.lanes:
            if isinstance(lane, AudioLane):
                self._check_audio(lane)

    @classmethod
    def load(cls, source: Store | str | Path, schema: TokenSchema) -> CodecSet:
        """From a corpus's folder or store. Raises StrettoError for what is missing or broken."""
        files = (
            _folder_files(Path(source)) if isinstance(source, (str, Path)) else _store_files(source)
        )
        where = str(source) if isinstance(source, (str, Path)) else FOLDER
        codecs = {}
        for name, kind in kinds(schema).items():
            wanted = [
                n for n in files if n == name or (kind == "action" and n.startswith(f"{name}-"))
            ]
            for n in sorted(wanted):
                codecs[n] = load(files[n](), where=f"{where}/{FOLDER}/{n}")
        return cls(schema, codecs)

    def get(self, name: str) -> Any:
        """The codec of that name. Raises StrettoError."""
        if name not in self.codecs:
            raise StrettoError(
                f"schema {self.schema.name!r} needs the codec {name!r}", f"{FOLDER}/{name}", FIT
            )
        return self.codecs[name]

    def action(self, lane: ActLane, subset: str) -> Any:
        """The action codec of an embodiment. Raises StrettoError."""
        return self.get(f"{lane.codec}-{subset}")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Text first, then the other codecs as lanes name them."""
        order = sorted(kinds(self.schema).items(), key=lambda item: item[1] != "text")
        return Vocabulary.build(self.schema.specials(), {n: self._size(n, k) for n, k in order})

    @property
    def hash(self) -> str:
        """Hex digest of the schema and of every codec: what the ids rest on."""
        return digest(self.schema.hash, {n: c.hash for n, c in sorted(self.codecs.items())})

    def _named(self, name: str, kind: str) -> dict[str, Any]:
        """The codecs that serve the schema's codec `name`."""
        if kind == "action":
            return {n: c for n, c in sorted(self.codecs.items()) if n.startswith(f"{name}-")}
        return {name: self.codecs[name]} if name in self.codecs else {}

    def _size(self, name: str, kind: str) -> tuple[int, int]:
        """(entries, codebooks) of a range: for actions, the largest of all embodiments."""
        found = self._named(name, kind).values()
        entries = max((c.size for c in found), default=0)
        books = [
            x.codebooks for x in self.schema.lanes if isinstance(x, AudioLane) and x.codec == name
        ]
        return entries, max(books, default=1)

    def _check_audio(self, lane: AudioLane) -> None:
        codec, where = self.get(lane.codec), f"{self.schema.name}: lane {lane.name}"
        if exact(codec.rate_hz) != exact(lane.rate_hz):
            raise StrettoError(
                f"the schema says {lane.rate_hz:g} Hz, its codec {lane.codec!r} has"
                f" {codec.rate_hz:g}",
                f"{where}: rate_hz",
                FIT,
            )
        if codec.codebooks < lane.codebooks:
            raise StrettoError(
                f"{lane.codebooks} codebooks wanted, its codec {lane.codec!r} has"
                f" {codec.codebooks}",
                f"{where}: codebooks",
                FIT,
            )
        if codec.lookahead_s > 0:
            raise StrettoError(
                f"codec {lane.codec!r} looks ahead by {codec.lookahead_s:g} s",
                where,
                "the interleaved mode takes causal codecs only",
            )


def kinds(schema: TokenSchema) -> dict[str, str]:
    """Every codec name of the schema and its kind, in the order of the lanes, the prompt's first.

    Raises StrettoError when one name stands for two kinds.
    """
    named = [(schema.prompt.codec, "text")]
    for lane in schema.lanes:
        kind = {TextLane: "text", AudioLane: "audio", LookLane: "image", ActLane: "action"}
        named.append((lane.codec, kind[type(lane)]))
    out: dict[str, str] = {}
    for name, kind_ in named:
        if out.setdefault(name, kind_) != kind_:
            raise StrettoError(
                f"codec {name!r} is named for {out[name]} and for {kind_}", schema.name
            )
    return out


def _folder_files(folder: Path) -> dict[str, Any]:
    """Codec name -> a call that gives what `codecs.load` reads."""
    root = folder / FOLDER
    found = sorted(root.iterdir()) if root.is_dir() else []
    return {p.name: (lambda p=p: p) for p in found if (p / MANIFEST).is_file()}


def _store_files(store: Store) -> dict[str, Any]:
    paths: dict[str, list[str]] = {}
    for path in sorted(store.list(f"{FOLDER}/")):
        parts = path.split("/")
        if len(parts) == 3 and parts[0] == FOLDER:
            paths.setdefault(parts[1], []).append(path)

    def read(names: list[str]) -> dict[str, bytes]:
        return {name.rsplit("/", 1)[1]: store.read_bytes(name) for name in names}

    return {n: (lambda p=p: read(p)) for n, p in paths.items() if f"{FOLDER}/{n}/{MANIFEST}" in p}
