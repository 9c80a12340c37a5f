"""The cameras of a LeRobot folder: which are used, under which short names, and which are not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from generators.sources.folder import Folder
from generators.sources.lerobot import EpisodeFiles, episodes
from generators.sources.refusal import Fault
from schemas import StrettoError, slug


@dataclass(frozen=True)
class Cameras:
    """Feature name to short name of the cameras in use (in info.json's order), and the others."""

    short: dict[str, str]
    unused: tuple[Fault, ...]


def find_cameras(folder: Folder, picked: tuple[str, ...]) -> Cameras:
    """The cameras that have files, or those that the config picks by short or full name.

    Raises StrettoError for a picked camera that is not there or has no files.
    """
    names = _short_names([k for k, f in folder.features.items() if f.get("dtype") == "video"])
    for wanted in picked:
        if wanted not in names and wanted not in names.values():
            known = ", ".join(names.values()) or "none"
            raise StrettoError(f"no camera {wanted!r}", folder.root, f"cameras here: {known}")
    chosen = {k: s for k, s in names.items() if not picked or k in picked or s in picked}
    reasons = _image_columns(folder) | {k: _DEPTH for k in chosen if _is_depth(folder.features[k])}
    chosen = {k: s for k, s in chosen.items() if k not in reasons}
    for key in sorted(set(chosen) - _with_files(folder, tuple(chosen))):
        if picked:
            raise StrettoError(f"the camera {key} has no files", folder.root, "unpick it")
        del chosen[key]
        reasons[key] = ("info.json names this camera but it has no files", "delete it there")
    where = f"{folder.root}/meta/info.json"
    faults = (Fault(where, f"camera {key}", *reasons[key]) for key in sorted(reasons))
    return Cameras(chosen, tuple(faults))


_DEPTH = ("a depth camera: depth maps are not read", None)
_IMAGES = (
    "images inside Parquet are not read",
    "convert them to video with LeRobot's own script",
)


def _image_columns(folder: Folder) -> dict[str, tuple[str, str | None]]:
    return {k: _IMAGES for k, f in folder.features.items() if f.get("dtype") == "image"}


def _is_depth(feature: dict[str, Any]) -> bool:
    parts = [feature.get("info"), feature.get("video_info")]
    names = ("is_depth_map", "video.is_depth_map")
    return any(isinstance(p, dict) and bool(p.get(n)) for p in parts for n in names)


def _short_names(keys: list[str]) -> dict[str, str]:
    """`observation.images.ego_view` is `ego-view`; the whole name where two would be one."""
    last = {key: slug(key.rpartition(".")[2]) for key in keys}
    values = list(last.values())
    return {k: s if values.count(s) == 1 else slug(k) for k, s in last.items()}


def _with_files(folder: Folder, keys: tuple[str, ...]) -> set[str]:
    """The cameras of which at least one episode has a file; stops when all were seen.

    All of them where no episode could be read: then nothing is known of files, and each episode
    says its own fault.
    """
    found: set[str] = set()
    read = False
    for episode in episodes(folder, keys) if keys else ():
        if isinstance(episode, EpisodeFiles):
            read = True
            found |= {k for k, v in episode.videos.items() if os.path.isfile(v.path)}
        if len(found) == len(keys):
            break
    return found if read else set(keys)
