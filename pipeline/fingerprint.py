"""What the bytes of a corpus rest on: the resolved config, the inputs and the library versions.

The same fingerprint means the same bytes, so a run continues a folder only when it matches. Paths
count as they are written in the config, never as absolute places. Left out, because no shard
depends on them: `schema` and `codecs` (shards are schema-free), where speech and verdicts are kept, and
where and on how many streams its engine runs.
"""

from __future__ import annotations

import hashlib
import os
import platform
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from generators import acoustics
from generators.scene.pools import pools_digest
from generators.scene.voices import voices_digest
from schemas.base import Record
from schemas.config import Config
from schemas.draws import digest
from schemas.errors import StrettoError

# Counts up when stretto itself changes the bytes it makes from the same records.
PIPELINE_FORMAT = 2
# These decide bytes: numpy (draws, npy), soxr and scipy (resampling), soundfile (FLAC), av (MP4),
# espeakng-loader (voices), pydantic (JSON), webdataset (tar), pyarrow (plan order, parquet),
# markdown-it-py, unicode-rbnf and babel (the speakable form).
SHAPING = (
    "av",
    "babel",
    "espeakng-loader",
    "markdown-it-py",
    "numpy",
    "pyarrow",
    "pydantic",
    "scipy",
    "soundfile",
    "soxr",
    "unicode-rbnf",
    "webdataset",
)
# keys of `speech:` that say where an engine runs, not what it says
PLACES = ("cache", "python", "env", "streams", "gpus", "cpus", "deadline_s")
# keys of `text:` that say where the rewriter's server is and how patiently it is asked
TEXT_PLACES = ("url", "api_key_env", "cache", "timeout_s", "streams")
WHOLE_BYTES = 64 << 20
EDGE_BYTES = 8 << 20


class InputFile(Record):
    """An input's content. Above 64 MiB `sha256` covers the first and last 8 MiB (`partial`)."""

    source: str
    name: str
    size: int
    sha256: str
    partial: bool = False


class Fingerprint(Record):
    """`digest` is over the three parts; two corpora with one digest hold the same bytes."""

    digest: str
    config: dict[str, Any]
    versions: dict[str, str]
    inputs: tuple[InputFile, ...]


def fingerprint(
    config: Config, limit: int | None, speech_version: str, **backends: str
) -> Fingerprint:
    """Reads every input once; `backends` are versions of what else shapes bytes, by name.

    StrettoError when an input is missing or unreadable.
    """
    settings = flat(resolved(config)) | {"--limit": limit}
    versions = shaping_versions() | {"speech": speech_version} | backends
    versions |= acoustics.versions(config.acoustics)
    if voices := voices_digest(config):  # the file's path may stay while the voices change
        versions["voices"] = voices
    inputs = tuple(i for n, e in enumerate(config.sources) for i in _inputs(config, n, e))
    noises = acoustics.input_files(config.acoustics)
    inputs += tuple(_input("acoustics.noise", name, Path(path)) for name, path in noises)
    whole = digest(settings, versions, [i.model_dump(mode="json") for i in inputs], size=32)
    return Fingerprint(digest=whole, config=settings, versions=versions, inputs=inputs)


def resolved(config: Config) -> dict[str, Any]:
    """The config with all defaults, as JSON values, without what shapes no byte."""
    data = config.model_dump(mode="json", by_alias=True)
    data.pop("schema")
    data.pop("codecs")
    for name in PLACES:
        data["speech"].pop(name)
    for name in TEXT_PLACES:
        data["text"].pop(name)
    data["checks"].pop("verdicts")
    return data


def flat(data: Any, path: str = "") -> dict[str, Any]:
    """Nested mappings and lists as one mapping of dotted keys."""
    if not isinstance(data, dict | list) or not data:
        return {path: data}
    items = data.items() if isinstance(data, dict) else enumerate(data)
    return {k: v for n, d in items for k, v in flat(d, f"{path}.{n}" if path else f"{n}").items()}


def shaping_versions() -> dict[str, str]:
    """Every version that shapes bytes, and the processor architecture."""
    import soundfile

    found = {name: _version(name) for name in SHAPING}
    # sentence ends and word characters follow Python's tables
    found |= {"unicode": unicodedata.unidata_version}
    found |= {"stretto-format": str(PIPELINE_FORMAT), "machine": platform.machine()}
    found |= {"phrases": pools_digest()}
    return found | {"libsndfile": soundfile.__libsndfile_version__}


def differences(there: Fingerprint, here: Fingerprint, most: int = 3) -> str:
    """What differs, by name: config keys, then versions, then inputs; "" when nothing does."""
    lines = _changed(there.config, here.config, "config key ")
    lines += _changed(there.versions, here.versions, "version of ")
    lines += _changed(_by_name(there), _by_name(here), "input ", "another content")
    more = f" and {len(lines) - most} more" if len(lines) > most else ""
    return "; ".join(lines[:most]) + more


def require_same(there: Fingerprint, here: Fingerprint, where: str) -> None:
    """StrettoError when the folder was made by another config, other inputs or versions."""
    if there.digest == here.digest:
        return
    raise StrettoError(
        f"this folder was made by another run: {differences(there, here)}",
        where,
        "use another --out, or put that back as it was",
    )


def _changed(there: dict[str, Any], here: dict[str, Any], what: str, how: str = "") -> list[str]:
    keys = sorted(k for k in there.keys() | here.keys() if there.get(k) != here.get(k))
    return [f"{what}{k} {how or f'was {_said(there, k)}, is {_said(here, k)}'}" for k in keys]


def _said(values: dict[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "absent"


def _by_name(of: Fingerprint) -> dict[str, Any]:
    return {f"{i.source}: {i.name}": (i.size, i.sha256) for i in of.inputs}


def _inputs(config: Config, index: int, entry: Any) -> list[InputFile]:
    from generators.sources import input_files, source_name

    files = sorted(Path(p) for p in input_files(entry))
    base = os.path.commonpath([p.parent for p in files]) if files else "."
    name = source_name(entry, index)
    with ThreadPoolExecutor(8) as pool:  # hashing frees the GIL
        return list(pool.map(lambda p: _input(name, os.path.relpath(p, base), p), files))


def _input(source: str, name: str, path: Path) -> InputFile:
    try:
        size = path.stat().st_size
        with open(path, "rb") as handle:
            hashed = hashlib.sha256()
            if size <= WHOLE_BYTES:
                hashed.update(handle.read())
            else:
                hashed.update(handle.read(EDGE_BYTES))
                handle.seek(size - EDGE_BYTES)
                hashed.update(handle.read())
    except OSError as error:
        text = (error.strerror or str(error)).lower()
        raise StrettoError(f"cannot read this input: {text}", str(path)) from None
    return InputFile(
        source=source,
        name=Path(name).as_posix(),
        size=size,
        sha256=hashed.hexdigest(),
        partial=size > WHOLE_BYTES,
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
