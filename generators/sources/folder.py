"""A LeRobot folder: `meta/info.json`, the task table and the path templates. Metadata only.

Source of the layouts: huggingface/lerobot, `datasets/utils.py` and `dataset_metadata.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from generators.sources import paths
from generators.sources.readers import Raw, parse_json, read_jsonl
from generators.sources.refusal import Refused, kind, short
from schemas import StrettoError

VERSIONS = ("v2.0", "v2.1", "v3.0")
_FIELD = re.compile(r"\{([a-z_]+)(?::0?(\d{1,2})d)?\}")  # all that LeRobot's path templates use


@dataclass(frozen=True)
class Folder:
    """`meta/info.json` and the tasks. Paths are templates below `root`."""

    root: str
    version: str
    fps: float
    robot_type: str | None
    features: dict[str, dict[str, Any]]
    data_path: str
    video_path: str | None
    chunks_size: int
    tasks: dict[int, str]

    def names(self, feature: str) -> tuple[str, ...]:
        """The names of a vector's parts; () where they are not a flat list."""
        names = self.features.get(feature, {}).get("names")
        if isinstance(names, dict):
            values = list(names.values())
            nested = values[0] if len(values) == 1 and isinstance(values[0], list) else None
            names = nested if nested is not None else list(names)
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            return ()
        return tuple(names)


def open_folder(root: str) -> Folder:
    """Read `meta/info.json` and the tasks. Raises StrettoError for a folder that is not LeRobot."""
    path = Path(root) / "meta" / "info.json"
    if not path.is_file():
        raise paths.no_info(root)
    try:
        info = parse_json(path.read_bytes())
    except (ValueError, OSError) as error:
        raise StrettoError(f"broken JSON: {error}", str(path), "mend the file") from None
    if not isinstance(info, dict):
        raise StrettoError(f"holds {kind(info)}, not a mapping", str(path), "mend the file")
    version = info.get("codebase_version")
    if version not in VERSIONS:
        raise StrettoError(
            f"unknown codebase_version {short(version)}",
            str(path),
            f"known: {', '.join(VERSIONS)}; convert older sets with LeRobot's own scripts",
        )
    return _folder(root, version, info, str(path))


def fill(template: str, **values: int | str) -> str:
    """A path template of info.json with its fields filled in; always below the folder.

    Only plain fields such as {episode_index:06d} are known: `str.format` would also follow
    attributes. Raises Refused for other fields and for a path that would leave the folder.
    """

    def value(match: re.Match[str]) -> str:
        found = values.get(match[1])
        if found is None:
            raise Refused(f"path template {short(template)}: unknown field {match[1]!r}")
        return str(found).zfill(int(match[2])) if match[2] else str(found)

    path = _FIELD.sub(value, template)
    parts = PurePosixPath(path.replace("\\", "/"))
    outside = parts.is_absolute() or ".." in parts.parts or not path
    if outside or re.search(r"[\x00-\x1f{}]|^[A-Za-z]:", path):
        raise Refused(f"the path {short(path)} is not a plain path inside the folder")
    return path


def _folder(root: str, version: str, info: dict[str, Any], where: str) -> Folder:
    fps, features = info.get("fps"), info.get("features")
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps < 1e6:
        raise StrettoError(f"`fps` is {short(fps)}", where, "write the frames per second")
    if not isinstance(features, dict) or not all(isinstance(f, dict) for f in features.values()):
        raise StrettoError("`features` is not a mapping of mappings", where, "mend the file")
    data_path, video_path = info.get("data_path"), info.get("video_path")
    if not isinstance(data_path, str):
        raise StrettoError(f"`data_path` is {short(data_path)}", where, "write the template")
    chunks_size = info.get("chunks_size", 1000)
    if not isinstance(chunks_size, int) or chunks_size < 1:
        raise StrettoError(f"`chunks_size` is {short(chunks_size)}", where, "1000 is usual")
    robot_type = info.get("robot_type")
    return Folder(
        root,
        version,
        float(fps),
        robot_type if isinstance(robot_type, str) and robot_type.strip() else None,
        features,
        data_path,
        video_path if isinstance(video_path, str) else None,
        chunks_size,
        _tasks_v3(root) if version == "v3.0" else _tasks_v2(root),
    )


def _tasks_v2(root: str) -> dict[int, str]:
    path = Path(root) / "meta" / "tasks.jsonl"
    rows = [r.value for r in read_jsonl(path) if isinstance(r, Raw)] if path.is_file() else []
    return _task_table(rows, "task")


def _tasks_v3(root: str) -> dict[int, str]:
    """`tasks.parquet` has the task as its pandas index: a column of any name."""
    path = Path(root) / "meta" / "tasks.parquet"
    if not path.is_file():
        return {}
    rows = parquet_rows(path, None)
    texts = [n for n, v in (rows[0] if rows else {}).items() if isinstance(v, str)]
    return _task_table(rows, texts[0] if texts else "task")


def _task_table(rows: list[Any], column: str) -> dict[int, str]:
    good = (r for r in rows if isinstance(r, dict) and isinstance(r.get("task_index"), int))
    return {r["task_index"]: r[column] for r in good if isinstance(r.get(column), str)}


def parquet_rows(path: Path, prefixes: tuple[str, ...] | None) -> list[dict[str, Any]]:
    """The rows of a small metadata file, only the columns that begin so (statistics are large)."""
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        wanted = [n for n in names if prefixes is None or n.startswith(prefixes)]
        return file.read(columns=wanted).to_pylist()
    except (OSError, pa.ArrowException) as error:
        line = (str(error).splitlines() or [""])[0]
        raise StrettoError(f"not a readable Parquet file: {line}", str(path)) from None
