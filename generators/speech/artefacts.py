"""Where utterances are kept: names to bytes, each written once.

`FolderArtefacts(folder)` is a local folder (shared ones too). The pipeline brings its own for an
object store (`pipeline.artefacts`). An entry appears whole or not at all; a reader needs no lock.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from schemas.errors import MachineError

OTHER = "give it a folder where you may write"
LATER = "free some space or mend the mount, then run the same command again: it resumes"
OURS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class Artefacts(Protocol):
    """`remote`: each call waits for a network, so several at once pay. All raise StrettoError."""

    remote: bool

    def get(self, name: str) -> bytes | None:
        """The entry, or None."""
        ...

    def put_if_absent(self, name: str, data: bytes) -> bytes:
        """Store `data` unless there is an entry; what is stored now."""
        ...

    def replace(self, name: str, data: bytes) -> None:
        """Store `data` in the place of a broken entry."""
        ...


class FolderArtefacts:
    """A folder. First one wins by a hard link, which fails where a file stands."""

    remote = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _make(folder)

    def get(self, name: str) -> bytes | None:
        path = self.folder / name
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise _fault("can't be read", path, problem) from problem

    def put_if_absent(self, name: str, data: bytes) -> bytes:
        path = self.folder / name
        _make(path.parent)
        beside = self._beside(path, data)
        try:
            try:
                os.link(beside, path)
            except FileExistsError:
                pass
            except OSError as problem:
                if problem.errno not in NO_LINKS:
                    raise
                if not path.exists():  # a file system without links: the last of two racers wins
                    os.replace(beside, path)
            return path.read_bytes()
        except OSError as problem:
            raise _fault("can't be written", path, problem) from problem
        finally:
            beside.unlink(missing_ok=True)

    def replace(self, name: str, data: bytes) -> None:
        path = self.folder / name
        beside = self._beside(path, data)
        try:
            os.replace(beside, path)
        except OSError as problem:
            beside.unlink(missing_ok=True)
            raise _fault("can't be written", path, problem) from problem

    def _beside(self, path: Path, data: bytes) -> Path:
        beside = path.with_name(f".{path.stem}.{os.getpid()}.{uuid4().hex}")
        try:
            beside.write_bytes(data)
        except OSError as problem:
            beside.unlink(missing_ok=True)
            raise _fault("can't be written", path, problem) from problem
        return beside


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        # a missing parent is made: one that can't be is no place for files (/proc)
        other = problem.errno in OURS | {errno.ENOENT}
        raise _fault("has a folder that can't be made", folder, problem, other) from problem


def _fault(what: str, path: Path, problem: OSError, other: bool = False) -> MachineError:
    """A full disk or a lost mount is nobody's record's fault: the run stops and can be resumed.

    `other`: only another folder helps.
    """
    return MachineError(
        f"a cache {what}: {(problem.strerror or str(problem)).lower()}",
        str(path),
        OTHER if other or problem.errno in OURS else LATER,
    )
