"""A corpus in a local folder: written beside under a name of its own, synced, then renamed.

`.tmp/` below the folder holds what is being written. A killed run's workers may live on for
seconds, so a temporary name is unique to the attempt; renaming the same bytes twice is harmless.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import unquote, urlsplit

from pipeline.store_names import check_name, shown
from schemas.errors import StrettoError

T = TypeVar("T")
TEMPORARY = ".tmp"
FIXES = {
    errno.ENOSPC: "free some space there, then run the same command again: it resumes",
    errno.EDQUOT: "raise the quota or free space, then run the same command again: it resumes",
    errno.EFBIG: "raise the file size limit (ulimit -f), then run the same command again",
    errno.EACCES: "give yourself write permission there or use another folder",
    errno.EPERM: "give yourself write permission there or use another folder",
    errno.EROFS: "the file system is read-only: use another folder",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a part of the path is a file: use another folder",
    errno.EISDIR: "a folder stands where a file should be: use another folder",
}


class LocalStore:
    """See `pipeline.store.Store`."""

    def __init__(self, url: str) -> None:
        path = unquote(urlsplit(url).path) if url.startswith("file://") else url
        # absolute at once: a Ray worker may stand in another folder
        self.root = Path(path).expanduser().absolute()
        self.url = self.shown = str(self.root)
        if self.root.exists() and not self.root.is_dir():
            raise StrettoError("this is a file, not a folder", shown(url), "use another --out")

    def read_bytes(self, name: str) -> bytes:
        return self._try(name, lambda: self._path(name).read_bytes())

    def read_range(self, name: str, start: int, length: int) -> bytes:
        data = self._try(name, lambda: self._read_range(self._path(name), start, length))
        if len(data) != length:
            raise StrettoError(
                f"{len(data)} bytes from {start} on where {length} should be",
                f"{self.shown}/{name}",
                "the file is cut short: delete its commit record and run again",
            )
        return data

    def write_bytes(self, name: str, data: bytes | memoryview) -> None:
        self._publish(name, lambda out: _write(out, data))

    def put_file(self, name: str, local_path: str | Path) -> None:
        def copy(out: BinaryIO) -> None:
            with open(local_path, "rb") as source:
                shutil.copyfileobj(source, out, 1 << 20)

        self._publish(name, copy)

    def exists(self, name: str) -> bool:
        return self._path(name).is_file()

    def list(self, prefix: str = "") -> list[str]:
        base = self.root / check_name(prefix.rstrip("/")) if prefix else self.root
        names = (p.relative_to(self.root) for p in base.rglob("*") if p.is_file())
        return sorted(n.as_posix() for n in names if n.parts[0] != TEMPORARY)

    def delete(self, name: str) -> None:
        self._try(name, lambda: self._path(name).unlink(missing_ok=True))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One run at a time: a second one is refused. The kernel frees it when the run dies."""
        path = self.root / TEMPORARY / "lock"
        self._try("", lambda: path.parent.mkdir(parents=True, exist_ok=True))
        with self._try("", lambda: open(path, "w")) as handle:
            self._take(handle.fileno())
            try:
                yield
            finally:
                # also what killed runs left: nobody else writes while we hold the lock
                shutil.rmtree(path.parent, ignore_errors=True)
                with suppress(OSError):
                    self.root.rmdir()  # only an empty folder goes: a run refused before work

    def _take(self, descriptor: int) -> None:
        try:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StrettoError(
                "another run is writing here", self.shown, "wait for it, or use another --out"
            ) from None
        except (ImportError, OSError):
            pass  # no locks on this file system: commits are idempotent all the same

    def _path(self, name: str) -> Path:
        return self.root / check_name(name)

    def _publish(self, name: str, write: Callable[[BinaryIO], None]) -> None:
        target = self._path(name)
        beside = self.root / TEMPORARY / f"{target.name}.{os.getpid()}.{uuid.uuid4().hex}"
        try:
            self._try(name, lambda: _write_and_rename(beside, target, write))
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)

    @staticmethod
    def _read_range(path: Path, start: int, length: int) -> bytes:
        with open(path, "rb") as source:
            source.seek(start)
            return source.read(length)

    def _try(self, name: str, action: Callable[[], T]) -> T:
        try:
            return action()
        except OSError as error:
            where = f"{self.shown}/{name}" if name else self.shown
            text = os.strerror(error.errno) if error.errno else str(error)
            fix = FIXES.get(error.errno or 0, "see the message of the file system")
            raise StrettoError(text.lower(), where, fix) from error


def _write(out: BinaryIO, data: bytes | memoryview) -> None:
    out.write(data)


def _write_and_rename(beside: Path, target: Path, write: Callable[[BinaryIO], None]) -> None:
    beside.parent.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(beside, "wb") as out:
        write(out)
        out.flush()
        os.fsync(out.fileno())
    os.replace(beside, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # so that the name too survives a power cut
    finally:
        os.close(folder)
