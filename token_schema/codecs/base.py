"""What every codec is, and how one is kept: a folder of `codec.json` and plain arrays.

An embedded codec is whole in its folder; a real one (`REAL_TYPES`) keeps the manifest alone, which
pins weights that live elsewhere (pinned.py).

`codec.json` lists each other file with its digest, and carries a digest of itself, which is the
codec's hash: a schema that names the hash pins every number that decides a code. Arrays are NPY
read without pickle, so that a codec from elsewhere stays data.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from schemas.errors import StrettoError

T = TypeVar("T")
MANIFEST = "codec.json"
FIX = "run `stretto fit CONFIG DIR --out ...`"
# type -> where its class lives; imported on use, so that a schema without text needs no tokenizers
TYPES = {
    "bpe": ("token_schema.codecs.bpe", "TextBPE"),
    "rvq": ("token_schema.codecs.rvq", "AudioRVQ"),
    "patch_vq": ("token_schema.codecs.patch_vq", "ImagePatchVQ"),
    "fast": ("token_schema.codecs.fast", "ActionFAST"),
    "uniform": ("token_schema.codecs.uniform", "ActionUniform"),
    "voice": ("token_schema.codecs.voice", "VoiceClips"),
    "mimi": ("token_schema.codecs.hf_audio", "Mimi"),
    "encodec": ("token_schema.codecs.hf_audio", "Encodec"),
    "dac": ("token_schema.codecs.hf_audio", "Dac"),
    "cosyvoice2": ("token_schema.codecs.cosyvoice_tokens", "CosyVoice2"),
    "emu3": ("token_schema.codecs.hf_image", "Emu3"),
    "hf_text": ("token_schema.codecs.hf_text", "HFText"),
    "hf_fast": ("token_schema.codecs.hf_fast", "HFFast"),
}
# those whose weights live elsewhere: `token_schema.codecs.pinned` makes them
REAL_TYPES = ("mimi", "encodec", "dac", "cosyvoice2", "emu3", "hf_text", "hf_fast")
_NAME = re.compile(r"[a-z0-9_]+\.(npy|json)")


@runtime_checkable
class Codec(Protocol):
    """A codec. `encode` and `decode` depend on the kind; see each class."""

    kind: str  # "text", "audio", "image" or "action" (or "voice": clips for prompts)

    @property
    def size(self) -> int:
        """How many ids it emits: each is in 0..size-1 (in each codebook, where it has several)."""
        ...

    @property
    def hash(self) -> str:
        """Hex BLAKE2b of everything in the codec's files."""
        ...

    def open(self) -> None:
        """Make ready to encode. Raises StrettoError when a real codec's weights are not there."""
        ...

    def to_files(self) -> dict[str, bytes]:
        """The folder's files, name to bytes: the same codec always gives the same bytes."""
        ...

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], where: str = "codec") -> Codec:
        """The codec of these files, checked; `where` stands in the errors."""
        ...


class StoredCodec:
    """What all codecs share: a hash that comes from the files, computed once."""

    _hash: str | None = None

    def open(self) -> None:
        """Get ready to encode now: real codecs check and load their weights, embedded ones are.

        A run calls it before its first sample, so that absent weights refuse it at once.
        """

    def to_files(self) -> dict[str, bytes]:
        raise NotImplementedError

    @property
    def hash(self) -> str:
        if self._hash is None:
            self._hash = str(json.loads(self.to_files()[MANIFEST])["hash"])
        return self._hash


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def npy_bytes(array: np.ndarray) -> bytes:
    """NPY bytes, little-endian and C order (np.save of a Fortran array gives other bytes)."""
    out = io.BytesIO()
    fixed = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    np.save(out, fixed, allow_pickle=False)
    return out.getvalue()


def pack(
    kind: str, type_: str, version: int, settings: Mapping[str, Any], parts: Mapping[str, bytes]
) -> dict[str, bytes]:
    """The files of a codec: its parts and the manifest that pins them."""
    manifest: dict[str, Any] = {
        "kind": kind,
        "type": type_,
        "version": version,
        "settings": dict(settings),
        "files": {name: _digest(data) for name, data in sorted(parts.items())},
    }
    manifest["hash"] = _digest(_canonical(manifest))
    text = json.dumps(manifest, sort_keys=True, indent=1, allow_nan=False) + "\n"
    return {MANIFEST: text.encode(), **dict(sorted(parts.items()))}


def unpack(files: Mapping[str, bytes], type_: str, version: int, where: str) -> dict[str, Any]:
    """The manifest's settings, after every digest was checked. Raises StrettoError."""
    manifest = _manifest(files, where)
    if manifest["type"] != type_ or manifest["version"] != version:
        found = f"{manifest['type']} version {manifest['version']}"
        raise StrettoError(f"codec is {found}, not {type_} version {version}", where, FIX)
    for name, digest in manifest["files"].items():
        if name not in files:
            raise StrettoError(f"codec file missing: {name}", where, FIX)
        if _digest(files[name]) != digest:
            raise StrettoError(f"codec file corrupted: {name}", where, FIX)
    return manifest["settings"]


def _manifest(files: Mapping[str, bytes], where: str) -> dict[str, Any]:
    """`codec.json` parsed, with its own hash checked and its file names plain."""
    if MANIFEST not in files:
        raise StrettoError("codec missing: no codec.json", where, FIX)
    try:
        manifest = json.loads(files[MANIFEST])
        claimed = manifest.pop("hash")
        whole = _digest(_canonical(manifest)) == claimed
        plain = all(_NAME.fullmatch(name) for name in manifest["files"].keys())
        _ = manifest["type"], manifest["kind"], manifest["version"], manifest["settings"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StrettoError(f"codec.json is not a codec's ({error})", where, FIX) from error
    if not whole:
        raise StrettoError("codec.json corrupted: its hash does not match", where, FIX)
    if not plain:
        raise StrettoError("codec.json names a file outside of the codec", where, FIX)
    manifest["hash"] = claimed
    return manifest


def read_array(
    files: Mapping[str, bytes], name: str, dtype: str, shape: tuple[int | None, ...], where: str
) -> np.ndarray:
    """One NPY member of the dtype and shape it must have (None: any length above 0)."""
    try:
        array = np.load(io.BytesIO(files[name]), allow_pickle=False)
    except (ValueError, EOFError, OSError, KeyError, MemoryError) as error:
        raise StrettoError(f"codec file unreadable: {name}", where, FIX) from error
    if not isinstance(array, np.ndarray):
        raise StrettoError(f"codec file is not one array: {name}", where, FIX)
    fits = array.ndim == len(shape) and all(
        n > 0 if want is None else n == want for n, want in zip(array.shape, shape, strict=True)
    )
    if array.dtype != np.dtype(dtype) or not fits:
        found = f"{array.dtype} {list(array.shape)}"
        raise StrettoError(
            f"codec file {name} holds {found}, not {dtype} {list(shape)}", where, FIX
        )
    return array


def build(type_: Callable[..., T], settings: Mapping[str, Any], where: str) -> T:
    """A settings object from a manifest's own settings; a StrettoError when they do not fit."""
    try:
        return type_(**settings)
    except (TypeError, ValueError, AttributeError) as error:
        raise StrettoError(f"codec settings do not fit ({error})", where, FIX) from error


def save(codec: Codec, folder: str | Path) -> str:
    """Write the codec's folder (beside, then renamed) and return its hash.

    An older codec there is replaced; a folder that is something else is refused.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise StrettoError("a file stands where the codec's folder should be", str(folder))
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise StrettoError(
            "folder holds other files and no codec", str(folder), "give --out a new folder"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _write_and_swap(codec.to_files(), beside, folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise StrettoError(f"codec cannot be written ({error.strerror})", str(folder)) from error
    return codec.hash


def _write_and_swap(files: Mapping[str, bytes], beside: Path, folder: Path) -> None:
    new, old = beside / "new", beside / "old"
    new.mkdir()
    for name, data in files.items():
        with open(new / name, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(new, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise


def read_folder(folder: str | Path) -> dict[str, bytes]:
    """The files of a codec's folder that its manifest names; nothing else is opened."""
    folder = Path(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise StrettoError(f"codec missing: no {MANIFEST}", str(folder), FIX)
    files = {MANIFEST: path.read_bytes()}
    for name in _manifest(files, str(folder))["files"]:
        if not (folder / name).is_file():
            raise StrettoError(f"codec file missing: {name}", str(folder), FIX)
        files[name] = (folder / name).read_bytes()
    return files


def load(
    source: str | Path | Mapping[str, bytes],
    expect_hash: str | None = None,
    where: str | None = None,
) -> Codec:
    """The codec of a folder, or of files already read from a store (name to bytes).

    `expect_hash` is the hash a schema or a corpus pinned. Raises StrettoError when anything is
    missing, corrupted, of an unknown type, or not the pinned codec.
    """
    if isinstance(source, Mapping):
        files, where = source, where or "codec files"
    else:
        files, where = read_folder(source), where or str(source)
    manifest = _manifest(files, where)
    if expect_hash and manifest["hash"] != expect_hash:
        raise StrettoError(
            f"codec is {manifest['hash']}, not the pinned {expect_hash}",
            where,
            "use the codec that the schema was made with",
        )
    if manifest["type"] not in TYPES:
        raise StrettoError(
            f"unknown codec type {manifest['type']!r}", where, "known: " + ", ".join(sorted(TYPES))
        )
    module, name = TYPES[manifest["type"]]
    return getattr(importlib.import_module(module), name).from_files(files, where)
