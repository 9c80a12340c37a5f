"""Which files a path of the config means. A path may be a glob; results are sorted."""

from __future__ import annotations

import glob
from pathlib import Path

from schemas import StrettoError


def is_pattern(path: str) -> bool:
    """Whether `path` holds glob characters."""
    return glob.has_magic(path)


def matching_files(path: str) -> list[Path]:
    """The files that `path` (a file or a glob, `**` too) means, sorted by name.

    Raises StrettoError when there is none: a mistyped path must not give an empty corpus.
    """
    if Path(path).is_dir():
        raise StrettoError("this is a folder, not a file", path, f"write {path.rstrip('/')}/*.json")
    # a file whose name holds [brackets] is meant literally
    names = [path] if Path(path).exists() else glob.glob(path, recursive=True)
    files = sorted((Path(name) for name in names if Path(name).is_file()), key=str)
    if not files:
        raise StrettoError("no file here", path, "check `path` (it is relative to where you run)")
    return files


def files_below(folder: Path) -> list[Path]:
    """All files below `folder`, sorted; hidden ones (caches, .git) left out."""
    found = (p for p in folder.rglob("*") if p.is_file())
    visible = (p for p in found if not any(x.startswith(".") for x in p.relative_to(folder).parts))
    return sorted(visible, key=str)


def lerobot_files(path: str) -> list[Path]:
    """The metadata, rows and videos of a LeRobot folder."""
    if not (Path(path) / "meta" / "info.json").is_file():
        raise no_info(path)
    return [f for part in ("data", "meta", "videos") for f in files_below(Path(path) / part)]


def no_info(path: str) -> StrettoError:
    """There is no LeRobot folder at `path`."""
    return StrettoError("meta/info.json is missing", path, "give the root of a LeRobot folder")
