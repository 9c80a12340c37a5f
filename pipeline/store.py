"""Where a corpus lies: a local folder or an object store, behind one small interface.

    store = open_store("out")            # or s3://bucket/prefix, gs://bucket/prefix
    store.write_bytes("commits/train-dialogue-000000.json", data)

A name is relative to the corpus, and an object appears under it whole or not at all. Every fault
is a StrettoError that says what to do; credentials of a URL never reach a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pipeline.store_names import shown
from schemas.errors import StrettoError

OBJECT_SCHEMES = ("s3", "gs", "gcs")


class Store(Protocol):
    """A flat map from names to bytes. All methods raise StrettoError on failure."""

    url: str  # as given, credentials and all: for opening it again in another process
    shown: str  # without credentials: for messages

    def read_bytes(self, name: str) -> bytes:
        """The whole object."""
        ...

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Exactly `length` bytes from byte `start`."""
        ...

    def write_bytes(self, name: str, data: bytes | memoryview) -> None:
        """Publish `data` under `name`, whole or not at all; an older object is replaced."""
        ...

    def put_file(self, name: str, local_path: str | Path) -> None:
        """Publish the bytes of a finished local file."""
        ...

    def exists(self, name: str) -> bool:
        """Is there an object of this name?"""
        ...

    def list(self, prefix: str = "") -> Sequence[str]:
        """The names that begin with the folder `prefix` ("" or "plan/"), sorted."""
        ...

    def delete(self, name: str) -> None:
        """Remove the object; nothing happens when there is none."""
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Keep other runs out, where the store can do that; afterwards nothing lies beside."""
        ...


def open_store(url: str) -> Store:
    """The store at a path, file://, s3:// or gs:// URL. Nothing is created yet."""
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme in OBJECT_SCHEMES:
        from pipeline.store_object import ObjectStore

        return ObjectStore(url)
    if scheme not in ("", "file"):
        raise StrettoError(f"no store for {scheme}://", shown(url), "use a path, s3:// or gs://")
    from pipeline.store_local import LocalStore

    return LocalStore(url)
