"""The codecs that a schema names, read from the corpus that they were fitted on.

`CodecSet.load(DIR, schema)` reads DIR/codecs/NAME/ for every codec of the schema; of the action
codec one for each embodiment, DIR/codecs/NAME.SUBSET/. A corpus without cameras has no image codec
and one without robots no action codec: their range is then empty, and a sample that needs one is
refused. Lanes `as: slots` and `as: mel` need no codec (see `codecs.mel_slots`). A codec that looks
ahead is taken: the layout delays its codes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from schemas.draws import digest
from schemas.errors import StrettoError
from token_schema.codecs.base import MANIFEST, load
from token_schema.models import ActLane, AudioLane, Lane, LookLane, TextLane
from token_schema.schema import TokenSchema, exact
from token_schema.vocabulary import Codes, Vocabulary

FOLDER = "codecs"
FIT = "run `stretto fit CONFIG DIR --schema S`"
KINDS: dict[type, str] = {
    TextLane: "text",
    AudioLane: "audio",
    LookLane: "image",
    ActLane: "action",
}


def action_name(codec: str, subset: str) -> str:
    """The folder of an embodiment's action codec. No codec's own name holds a dot."""
    return f"{codec}.{subset}"


class Store(Protocol):
    """What is asked of a corpus's store: names below its root, `/` between the parts."""

    def read_bytes(self, name: str) -> bytes: ...

    def list(self, prefix: str = "") -> Iterable[str]: ...


@dataclass(frozen=True)
class CodecSet:
    """`codecs` by folder name: `text`, `audio`, `image`, `action.SUBSET`."""

    schema: TokenSchema
    codecs: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name, kind in kinds(self.schema).items():
            for codec_name, codec in self._named(name, kind).items():
                self._check_kind(name, codec_name, codec, kind)
            if kind in ("text", "audio", "voice"):
                self.get(name)
        for lane in self.schema.lanes:
            if isinstance(lane, AudioLane) and lane.as_ == "codes":
                self._check_audio(lane)
            if isinstance(lane, ActLane) and self.schema.mode == "parallel":
                self._check_fixed(lane)
        if self.schema.timing == "blocks":
            self._check_lags()

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
                n for n in files if n == name or (kind == "action" and n.startswith(f"{name}."))
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

    def open(self) -> None:
        """Find, check and load the weights of real codecs now, so that a run without them is
        refused before its first sample. Raises StrettoError."""
        for _, codec in sorted(self.codecs.items()):
            codec.open()

    def action(self, lane: ActLane, subset: str) -> Any:
        """The action codec of an embodiment. Raises StrettoError."""
        return self.get(action_name(lane.codec, subset))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The text codec, the head's special tokens, then what each lane adds."""
        return Vocabulary.build(self._parts())

    def _parts(self) -> Iterator[str | Codes]:
        named = kinds(self.schema)
        yield from (self._codes(n, k) for n, k in list(named.items())[:1] if k == "text")
        yield from self.schema.model_copy(update={"lanes": ()}).specials()
        for lane in self.schema.lanes:
            yield from lane.specials()
            name = codec_of(lane)
            if name is not None:
                yield self._codes(name, named[name])

    @property
    def hash(self) -> str:
        """Hex digest of the schema and of every codec: what the ids rest on."""
        return digest(self.schema.hash, {n: c.hash for n, c in sorted(self.codecs.items())})

    def _named(self, name: str, kind: str) -> dict[str, Any]:
        """The codecs that serve the schema's codec `name`."""
        if kind == "action":
            return {n: c for n, c in sorted(self.codecs.items()) if n.startswith(f"{name}.")}
        return {name: self.codecs[name]} if name in self.codecs else {}

    def _codes(self, name: str, kind: str) -> Codes:
        """The ids of a codec: as many codebooks as lanes ask for; of all embodiments the most."""
        entries = max((c.size for c in self._named(name, kind).values()), default=0)
        books = [
            x.codebooks
            for x in self.schema.lanes
            if isinstance(x, AudioLane) and codec_of(x) == name
        ]
        return Codes(name, kind, entries, max(books, default=1))

    def _check_kind(self, name: str, codec_name: str, codec: Any, kind: str) -> None:
        where = f"{FOLDER}/{codec_name}"
        if codec.kind != kind:
            raise StrettoError(f"is a codec for {codec.kind}, not {kind}", where, FIT)
        declared = self.schema.codecs.get(name)
        found = type_of(codec)
        if declared is not None and declared.type != found:
            raise StrettoError(
                f"is of type {found!r}, the schema {self.schema.name!r} says {declared.type!r}",
                where,
                f"delete it and {FIT}, or give the schema's codec another name",
            )

    def lookahead_s(self, lane: AudioLane) -> float:
        """How far a code of the lane looks beyond its own frame."""
        return self.get(lane.codec).lookahead_s if lane.as_ == "codes" else 0.0

    def frames_ahead(self, lane: AudioLane) -> int:
        """Frames that the lane's codec must hear beyond a frame."""
        return math.ceil(self.lookahead_s(lane) * lane.rate_hz - 1e-9)

    def shift_frames(self, lane: AudioLane) -> int:
        """Frames by which a lane in blocks stands later than its sound: its delay, and what its
        codec looks ahead."""
        return lane.delay * self.schema.frames_per_block(lane) + self.frames_ahead(lane)

    def _check_lags(self) -> None:
        """What a block says and does must have been heard by then, look-ahead included."""
        heard = [x for x in self.schema.lanes if isinstance(x, AudioLane) and x.channel == "listen"]
        for lane in self.schema.lanes:
            if lane.channel not in ("speak", "act"):
                continue
            assert isinstance(lane, (AudioLane, ActLane))
            early_s = max((self._early_s(lane, x) for x in heard), default=0.0)
            if early_s > 1e-9:
                raise StrettoError(
                    f"comes {early_s:.3g} s before what it answers is heard",
                    f"{self.schema.name}: lane {lane.name}: delay",
                    f"delay `speak` by {math.ceil(early_s / self.schema.block_s)} blocks more"
                    if lane.channel == "speak"
                    else "`act` cannot be delayed: hear through a codec that does not look ahead",
                )

    def _early_s(self, lane: AudioLane | ActLane, heard: AudioLane) -> float:
        """How much later `heard` tells of the world than `lane` reaches, in the worst block."""
        period = exact(heard.rate_hz) * self.schema.block
        if isinstance(lane, AudioLane):
            period *= exact(lane.rate_hz) * self.schema.block
        ends = range(1, period.denominator + 1)
        known = [self._reach_s(heard, b) for b in ends]
        if isinstance(lane, ActLane):
            reach = [float(self.schema.block * b) for b in ends]
        else:
            reach = [self._reach_s(lane, b) for b in ends]
        return max(r - k for r, k in zip(reach, known, strict=True))

    def _reach_s(self, lane: AudioLane, b: int) -> float:
        """Until when the frames of blocks before b sound."""
        return (self.schema.frame_at(lane, b) - self.shift_frames(lane)) / lane.rate_hz

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

    def _check_fixed(self, lane: ActLane) -> None:
        """A step has a fixed number of streams: only codecs with as many ids a row fit in."""
        for name, codec in self._named(lane.codec, "action").items():
            where = f"{self.schema.name}: lane {lane.name}: codec {name}"
            if codec.fixed is None:
                raise StrettoError(
                    "has no fixed number of ids a row, which the parallel mode needs",
                    where,
                    f"declare `codecs: {{{lane.codec}: {{type: uniform}}}}`",
                )


def codec_of(lane: Lane) -> str | None:
    """The codec that a lane's ids come from; None where it needs none."""
    if isinstance(lane, AudioLane) and lane.as_ != "codes":
        return None
    return getattr(lane, "codec", None)


def kinds(schema: TokenSchema) -> dict[str, str]:
    """Every codec name of the schema and its kind: the text codec (of the prompt, else of the
    first text lane), the other lanes' in their order, the prompt's voices.

    Raises StrettoError when one name stands for two kinds.
    """
    prompt = schema.prompt
    text = [(prompt.codec, "text")] if prompt and "text" in prompt.rows else []
    lanes = [(n, KINDS[type(x)]) for x in schema.lanes if (n := codec_of(x)) is not None]
    text += [item for item in lanes if item[1] == "text"][: 0 if text else 1]
    voice = [(prompt.voice_codec, "voice")] if prompt and "voice" in prompt.rows else []
    out: dict[str, str] = {}
    for name, kind in (*text, *lanes, *voice):
        if out.setdefault(name, kind) != kind:
            raise StrettoError(
                f"codec {name!r} is named for {out[name]} and for {kind}", schema.name
            )
    return out


def type_of(codec: Any) -> str:
    """The type in a codec's manifest: `rvq`, `mimi`."""
    return str(json.loads(codec.to_files()[MANIFEST])["type"])


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
