"""Checkpoints: `OUT/checkpoints/step-000100/` with model.pt, optimizer.pt and meta.json.

Written beside and renamed, so a folder of that name is whole or not there. Read with
`weights_only=True`: a checkpoint from elsewhere runs no code.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from schemas.errors import StrettoError

FOLDER = re.compile(r"step-(\d{6,})")


def found(out: str | Path) -> list[tuple[int, Path]]:
    """(step, folder) of every whole checkpoint, oldest first."""
    root = Path(out) / "checkpoints"
    names = sorted(root.iterdir()) if root.is_dir() else []
    steps = [(int(m[1]), p) for p in names if (m := FOLDER.fullmatch(p.name))]
    return sorted(s for s in steps if (s[1] / "meta.json").is_file())


def save(
    out: str | Path,
    step: int,
    model: dict[str, Any],
    optimizer: dict[str, Any],
    meta: dict[str, Any],
    keep: int,
) -> Path:
    """Write one checkpoint and drop all but the last `keep`. Returns its folder."""
    root = Path(out) / "checkpoints"
    root.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(root)
    final = root / f"step-{step:06d}"
    beside = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=root))
    try:
        torch.save(model, beside / "model.pt")
        torch.save(optimizer, beside / "optimizer.pt")
        (beside / "meta.json").write_text(json.dumps({"step": step, **meta}, indent=1) + "\n")
        for path in (*beside.iterdir(), beside):
            _sync(path)
        if final.exists():
            shutil.rmtree(final)
        os.replace(beside, final)
        _sync(root)
    except (OSError, RuntimeError) as error:  # torch's zip writer says a full disk by the latter
        shutil.rmtree(beside, ignore_errors=True)
        why = error.strerror if isinstance(error, OSError) else "is the disk full?"
        raise StrettoError(
            f"checkpoint cannot be written ({why})",
            str(final),
            "free some space, then run the same command: it resumes",
        ) from error
    for _, folder in found(out)[:-keep]:
        shutil.rmtree(folder)
    return final


def _sync(path: Path) -> None:
    """Flush a file or a folder's entries to the disk before the rename that publishes it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _clear_leftovers(root: Path) -> None:
    """Remove what a killed run left half-written. One run owns its `out`."""
    for path in root.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)


def load_meta(folder: Path) -> dict[str, Any]:
    """meta.json of a checkpoint."""
    try:
        return json.loads((folder / "meta.json").read_text())
    except (OSError, ValueError) as error:
        raise StrettoError(
            f"meta.json is unreadable ({error})",
            str(folder),
            "delete that folder: the run resumes from the one before",
        ) from None


def load_tensors(folder: Path, name: str, device: torch.device | str) -> dict[str, Any]:
    """model.pt or optimizer.pt."""
    try:
        return torch.load(folder / name, map_location=device, weights_only=True)
    except Exception as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StrettoError(
            f"{name} is unreadable ({line})",
            str(folder),
            "delete that folder: the run resumes from the one before",
        ) from None


def trim_log(path: Path, step: int) -> None:
    """Drop the log's lines after `step`: a resumed run writes them again."""
    if not path.is_file():
        return
    keep = []
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the last line of a killed run may be torn
        if entry.get("step", 0) <= step:
            keep.append(line)
    beside = path.with_suffix(".tmp")
    beside.write_text("".join(line + "\n" for line in keep))
    os.replace(beside, path)
