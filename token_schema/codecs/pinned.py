"""Real codecs: a folder with a manifest alone, which pins weights that live elsewhere.

The manifest holds type, path, revision and options as the schema gave them, a digest of each weight
file, and the facts a layout needs (size, rate, codebooks, lookahead), so that a vocabulary or a
grammar is built without the weights. They are found, checked against the digests and loaded at the
first encode or decode, or by `open()`; other weights are refused.

    codec = pin("audio", "mimi", "kyutai/mimi", revision=None, options={}, source_rate_hz=16000)
    base.save(codec, "DIR/codecs/audio")       # what `stretto fit` does; base.load reads it again

A path is a folder or a file, or that path below one of the folders of STRETTO_MODELS, or a name on
the Hugging Face hub (its cache first; HF_HUB_OFFLINE=1 keeps it there). Weights are safetensors,
JSON and ONNX: nothing pickled is read, no code of a model's repository is run.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from schemas.errors import StrettoError
from token_schema.codecs import base

VERSION = 1
MODELS = "STRETTO_MODELS"  # folders, as in PATH, below which models are looked for
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_REFIT = "give the weights that it was made with, or run `stretto fit CONFIG DIR` anew"
C = TypeVar("C", bound="PinnedCodec")


@dataclass(frozen=True)
class Pin:
    """What a schema's `codecs:` entry says, and the digest of each file that decides a code."""

    path: str
    revision: str | None
    options: Mapping[str, Any]
    weights: Mapping[str, str]


class PinnedCodec(base.StoredCodec):
    """What the real codecs share. A class names its files and facts, and how to read and load."""

    kind: ClassVar[str]
    type_: ClassVar[str]
    weight_files: ClassVar[tuple[str, ...]]  # patterns; each must be there, a "?" before it: may
    options_known: ClassVar[tuple[str, ...]] = ()
    facts_type: ClassVar[type]

    def __init__(self, pin: Pin, facts: Any, where: str = "codec") -> None:
        self.pin, self.facts, self.where = pin, facts, where
        self._model: Any = None

    @classmethod
    def describe(
        cls, folder: Path, options: Mapping[str, Any], source_rate_hz: int | None, where: str
    ) -> Any:
        """The facts of the model in the folder, under these options."""
        raise NotImplementedError

    @classmethod
    def digests(cls, folder: Path, where: str) -> dict[str, str]:
        """File name -> digest of the files that decide a code."""
        return digests(folder, cls.weight_files, where)

    def load_model(self, folder: Path) -> Any:
        """The model itself, from checked files."""
        raise NotImplementedError

    def open(self) -> None:
        """Find, check and load the weights now. Raises StrettoError when absent or other ones."""
        if self._model is None:
            folder = locate(self.pin.path, self.pin.revision, self.weight_files, self.where)
            self._check(folder)
            self._model = self.load_model(folder)

    @property
    def model(self) -> Any:
        """The loaded model. Raises StrettoError as `open`."""
        self.open()
        return self._model

    def _check(self, folder: Path) -> None:
        found = self.digests(folder, self.where)
        for name, digest in self.pin.weights.items():
            if name not in found:
                raise StrettoError(f"weights missing: {folder / name}", self.where, _REFIT)
            if found[name] != digest:
                raise StrettoError(
                    f"weights changed: {folder / name} is {found[name][:12]}, the codec pins"
                    f" {digest[:12]}",
                    self.where,
                    _REFIT,
                )
        for name in sorted(set(found) - set(self.pin.weights)):
            raise StrettoError(f"weights that are not pinned: {folder / name}", self.where, _REFIT)

    def to_files(self) -> dict[str, bytes]:
        settings = {**asdict(self.pin), "facts": asdict(self.facts)}
        return base.pack(self.kind, self.type_, VERSION, settings, {})

    @classmethod
    def from_files(cls: type[C], files: Mapping[str, bytes], where: str = "codec") -> C:
        """The codec of this manifest; the weights are not touched yet."""
        settings = dict(base.unpack(files, cls.type_, VERSION, where))
        facts = base.build(cls.facts_type, settings.pop("facts", {}), where)
        return cls(base.build(Pin, settings, where), facts, where)

    def __getstate__(self) -> dict[str, Any]:
        """Pickled without the model: each process loads its own."""
        return {**self.__dict__, "_model": None}


def pin(
    kind: str,
    type: str,
    path: str | None,
    revision: str | None = None,
    options: Mapping[str, Any] | None = None,
    source_rate_hz: int | None = None,
) -> Any:
    """The real codec of a schema's `codecs:` entry, its weights found, digested and loaded once.

    `source_rate_hz` is the corpus's sample rate (audio). Raises StrettoError when the type is
    unknown or of another kind, the weights are absent, or the options do not fit.
    """
    where, options = f"codec {type} {path or ''}".strip(), dict(options or {})
    if type not in base.REAL_TYPES:
        raise StrettoError(
            f"{type!r} is no real codec", where, "known: " + ", ".join(sorted(base.REAL_TYPES))
        )
    module, name = base.TYPES[type]
    cls = getattr(importlib.import_module(module), name)
    if cls.kind != kind:
        raise StrettoError(f"{type} is a codec for {cls.kind}, not {kind}", where)
    if not path:
        raise StrettoError("no path", where, "say `path:`, a folder or a name on the hub")
    if unknown := sorted(set(options) - set(cls.options_known)):
        known = ", ".join(cls.options_known) or "none"
        raise StrettoError(f"unknown option {unknown[0]!r}", where, f"options: {known}")
    folder = locate(path, revision, cls.weight_files, where)
    facts = cls.describe(folder, options, source_rate_hz, where)
    commit = _commit(folder) or revision
    made = Pin(path, commit, options, cls.digests(folder, where))
    codec = cls(made, facts, where)
    codec.open()
    return codec


# ---- where the files are -----------------------------------------------------------------------


def locate(path: str, revision: str | None, patterns: tuple[str, ...], where: str) -> Path:
    """The folder of the weights. Raises StrettoError that says where they were looked for."""
    below = [Path(x) / path for x in os.environ.get(MODELS, "").split(os.pathsep) if x]
    for candidate in (Path(path).expanduser(), *below):
        if candidate.is_dir():
            return candidate
        if candidate.is_file():
            return candidate.parent
    if _HUB_NAME.fullmatch(path):
        return _from_hub(path, revision, [p.lstrip("?") for p in patterns], where)
    raise StrettoError(
        f"no model at {path}", where, f"put it there, or below a folder that {MODELS} names"
    )


def _from_hub(name: str, revision: str | None, patterns: list[str], where: str) -> Path:
    """A snapshot in the hub's cache, fetched when it is not there yet."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise StrettoError(
            f"no folder {name}, and huggingface_hub is not installed",
            where,
            "pip install 'stretto[codecs]'",
        ) from error
    for local in (True, False):
        try:
            found = snapshot_download(
                name, revision=revision, allow_patterns=patterns, local_files_only=local
            )
        except Exception as error:  # the hub raises its own, requests' and OS errors
            failed = error
            continue
        if any(Path(found).iterdir()):
            return Path(found)
        failed = FileNotFoundError("the snapshot holds none of its files")
    raise StrettoError(
        f"weights of {name} absent: neither in the hub's cache nor to be had"
        f" ({type(failed).__name__})",
        where,
        f"run `hf download {name}`, or put the folder below one that {MODELS} names",
    )


def _commit(folder: Path) -> str | None:
    """The commit of a hub snapshot: its folder's name."""
    is_snapshot = folder.parent.name == "snapshots" and re.fullmatch("[0-9a-f]{40}", folder.name)
    return folder.name if is_snapshot else None


def digests(folder: Path, patterns: tuple[str, ...], where: str) -> dict[str, str]:
    """File name -> hex BLAKE2b of the files that the patterns name, sorted.

    Raises StrettoError when a pattern without `?` finds none.
    """
    names = sorted(p.name for p in folder.iterdir() if p.is_file())
    chosen: set[str] = set()
    for pattern in patterns:
        found = [n for n in names if fnmatch(n, pattern.lstrip("?"))]
        if not found and not pattern.startswith("?"):
            pickled = any(n.endswith((".bin", ".pt", ".pth", ".ckpt")) for n in names)
            raise StrettoError(
                f"weights missing: no {pattern} in {folder}",
                where,
                "pickled weights are not read: convert them to safetensors"
                if pickled
                else "give the folder of the whole model",
            )
        chosen.update(found)
    return {n: _digest(folder / n) for n in sorted(chosen)}


def _digest(path: Path) -> str:
    stat = path.stat()
    return _digest_of(str(path.resolve()), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest_of(path: str, size: int, mtime_ns: int) -> str:
    """Streamed; once a process for a file that stays as it is."""
    out = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            out.update(block)
    return out.hexdigest()
