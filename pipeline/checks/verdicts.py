"""What a model decided once, kept: the first verdict of a content holds for everybody.

A model's floats differ between processors, so a check that rests on one may quarantine only by a
verdict that is an artefact: `kept` looks each sample up by a hash of its content and the check's
settings, runs the check on those nobody has decided, publishes what it found unless another worker
was first, and gives what now stands in the folder. Byte identity holds given the folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import uuid4

from pipeline.checks.base import Check, Finding, Models, Reason
from schemas.draws import digest
from schemas.errors import MachineError, StrettoError
from schemas.sample import Sample

# where and how much at a time a model runs is no part of what it was asked
NOT_ASKED = {"device", "batch", "share", "reject"}
FIX = "make checks.verdicts a folder that can be written and that knows hard links"


def require(place: str) -> None:
    """StrettoError where verdicts can't be kept there. Leaves nothing behind, not even the folder:
    what is tried is it or the nearest of its parents that is there."""
    wanted = Path(place).expanduser().absolute()
    folder = next(p for p in (wanted, *wanted.parents) if os.path.lexists(p))
    probe = folder / f".{os.getpid()}.{uuid4().hex}"
    linked = probe.with_name(f"{probe.name}.link")
    try:
        probe.write_bytes(b"")
        os.link(probe, linked)
    except OSError as error:
        text = (error.strerror or str(error)).lower()
        raise StrettoError(f"no verdict can be kept there: {text}", str(wanted), FIX) from None
    finally:
        _remove(linked, probe)


def kept(
    check: Check, samples: Sequence[Sample], settings: Any, models: Models, folder: Path
) -> list[Finding]:
    """A Finding for each sample, from the folder; the missing ones are found and put there."""
    paths = [_path(folder, check, settings, sample) for sample in samples]
    missing = [n for n, path in enumerate(paths) if not os.path.exists(path)]
    if missing:
        found = check.run([samples[n] for n in missing], settings, models)
        for n, finding in zip(missing, found, strict=True):
            _put(paths[n], finding)
    return [_read(path) for path in paths]


def _path(folder: Path, check: Check, settings: Any, sample: Sample) -> Path:
    asked = settings.model_dump(mode="json", exclude=NOT_ASKED)
    content = blake2b(sample.timeline.to_json().encode(), digest_size=16)
    for pcm in (sample.listen, sample.speak):
        content.update(pcm.astype("<i2").tobytes())
    key = digest(check.name, asked, content.hexdigest())
    return folder / key[:2] / f"{key}.json"


def _put(path: Path, finding: Finding) -> None:
    """Publish under the name unless it is there: a link is made whole or not at all."""
    data = {
        "figures": dict(finding.figures),
        "reasons": [r.model_dump(exclude_none=True) for r in finding.reasons],
        "details": dict(finding.details),
    }
    beside = path.with_name(f".{path.stem}.{os.getpid()}.{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(data, ensure_ascii=False) + "\n", encoding="utf-8")
        try:
            os.link(beside, path)
        except FileExistsError:
            pass  # another worker was first: its verdict holds
    except OSError as error:
        text = (error.strerror or str(error)).lower()
        raise MachineError(f"a verdict can't be kept: {text}", str(path), FIX) from error
    finally:
        _remove(beside)


def _remove(*paths: Path) -> None:
    """What can't be removed was not made, and must not hide why."""
    for path in paths:
        with suppress(OSError):
            path.unlink()


def _read(path: Path) -> Finding:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        reasons = tuple(Reason.model_validate(r) for r in data["reasons"])
        return Finding(data["figures"], reasons, data["details"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = "delete the file to have it decided again"
        raise MachineError(f"this verdict can't be read: {error}", str(path), fix) from None
