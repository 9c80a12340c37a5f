"""Records through Hugging Face `datasets`: a name on the hub or a local folder or files.

`path` is `org/name` (or `org/name@revision`, which pins it), a folder written by `save_to_disk`, a
folder or glob of JSON, CSV, Parquet or Arrow files. Local files are streamed, nothing is copied.
Scripts in a dataset are not run (`datasets` 4 and later refuses them).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from generators.sources import paths
from generators.sources.readers import Raw
from generators.sources.refusal import short
from schemas import StrettoError
from schemas.config import DialogueSource

_BUILDERS = {".json": "json", ".jsonl": "json", ".csv": "csv", ".parquet": "parquet"}
_SAVED = ("state.json", "dataset_dict.json")  # what save_to_disk leaves


def read_hub(source: DialogueSource) -> Iterator[Raw]:
    """The rows of the split, in its order. Raises StrettoError when it cannot be loaded."""
    try:
        for index, row in enumerate(_one_split(_load(source), source)):
            yield Raw(f"{source.path}#{index}", row)
    except StrettoError:
        raise
    except Exception as error:  # datasets raises dozens of types; the user needs the one line
        raise StrettoError(
            f"cannot be loaded: {_first_line(error)}", source.path, "check `path` and `split`"
        ) from error


def local_files(path: str) -> list[Path]:
    """The local files behind `path`; [] for a name on the hub."""
    if Path(path).is_dir():
        return paths.files_below(Path(path))
    is_local = Path(path).exists() or paths.is_pattern(path) or Path(path).suffix in _BUILDERS
    return paths.matching_files(path) if is_local else []


def _load(source: DialogueSource) -> Any:
    datasets = _datasets()
    files, path = local_files(source.path), source.path
    if not files:
        name, _, revision = path.partition("@")
        return datasets.load_dataset(name, split=source.split, revision=revision or None)
    if any((Path(path) / name).is_file() for name in _SAVED):
        return datasets.load_from_disk(path)
    if Path(path).is_dir():
        return datasets.load_dataset(path, split=source.split, streaming=True)
    builder = _BUILDERS.get(files[0].suffix)
    if builder is None:
        raise StrettoError(f"unknown file type {files[0].suffix!r}", path, "use JSON, CSV, Parquet")
    names = [str(f) for f in files]
    return datasets.load_dataset(builder, data_files=names, split="train", streaming=True)


def _one_split(table: Any, source: DialogueSource) -> Any:
    """The split that is asked for, or the only one."""
    if not isinstance(table, dict):
        return table
    names = list(table)
    if source.split is None and len(names) == 1:
        return table[names[0]]
    if source.split not in table:
        raise StrettoError(f"splits here: {', '.join(names)}", source.path, "set `split`")
    return table[source.split]


def _datasets() -> Any:
    try:
        import datasets
    except ImportError:
        raise StrettoError(
            "the package `datasets` is not installed", fix="pip install 'stretto[huggingface]'"
        ) from None
    return datasets


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {short(lines[0], 200)}"
