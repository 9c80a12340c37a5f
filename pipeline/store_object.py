"""A corpus in an object store, through pyarrow: s3:// (also any S3-like endpoint) and gs://.

`AWS_ENDPOINT_URL`, `AWS_REGION` and the usual credential chain are honoured. An upload starts only
once all its bytes are at hand: pyarrow publishes a truncated object when an exception passes
through an open stream (measured), so no exception may arise while one is open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from pipeline.store_names import check_name, shown
from schemas.errors import StrettoError

T = TypeVar("T")


class ObjectStore:
    """See `pipeline.store.Store`. The bucket must exist."""

    def __init__(self, url: str) -> None:
        self.url, self.shown = url, shown(url)
        self._secrets = _secrets(url)
        self._fs, base = self._try("", lambda: fs.FileSystem.from_uri(_with_options(url)))
        self._base = base.rstrip("/")
        self._check_bucket()

    def read_bytes(self, name: str) -> bytes:
        path = self._path(name)

        def read() -> bytes:
            # not "detect": a name that ends in .gz would come back unpacked
            with self._fs.open_input_stream(path, compression=None) as source:
                return source.read()

        return self._try(name, read)

    def read_range(self, name: str, start: int, length: int) -> bytes:
        path = self._path(name)

        def read() -> bytes:
            with self._fs.open_input_file(path) as source:
                return source.read_at(length, start)

        data = self._try(name, read)
        if len(data) != length:  # past the end pyarrow reads short without an error
            raise StrettoError(
                f"{len(data)} bytes from {start} on where {length} should be",
                f"{self.shown}/{name}",
                "the object is cut short: delete its commit record and run again",
            )
        return data

    def write_bytes(self, name: str, data: bytes | memoryview) -> None:
        path, whole = self._path(name), pa.py_buffer(data)
        self._try(name, lambda: self._upload(path, whole))

    def put_file(self, name: str, local_path: str | Path) -> None:
        with pa.memory_map(str(local_path)) as source:
            self.write_bytes(name, source.read_buffer())

    def exists(self, name: str) -> bool:
        path = self._path(name)
        return self._try(name, lambda: self._fs.get_file_info(path)).type == fs.FileType.File

    def list(self, prefix: str = "") -> list[str]:
        folder = f"{self._base}/{check_name(prefix.rstrip('/'))}" if prefix else self._base
        selector = fs.FileSelector(folder, allow_not_found=True, recursive=True)
        found = self._try(prefix, lambda: self._fs.get_file_info(selector))
        cut = len(self._base) + 1
        return sorted(i.path[cut:] for i in found if i.type == fs.FileType.File)

    def delete(self, name: str) -> None:
        if self.exists(name):  # pyarrow leaves a marker object behind, which `list` passes over
            path = self._path(name)
            self._try(name, lambda: self._fs.delete_file(path))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Object stores can't lock through pyarrow: two runs write the same bytes twice."""
        yield

    def _upload(self, path: str, whole: pa.Buffer) -> None:
        with self._fs.open_output_stream(path, compression=None) as out:
            out.write(whole)

    def _check_bucket(self) -> None:
        bucket = self._base.split("/", 1)[0]
        if not bucket:
            raise StrettoError("the URL names no bucket", self.shown, "write s3://BUCKET/FOLDER")
        info = self._try("", lambda: self._fs.get_file_info(bucket))
        if info.type == fs.FileType.NotFound:
            raise StrettoError(f"there is no bucket {bucket!r}", self.shown, "create it first")

    def _path(self, name: str) -> str:
        return f"{self._base}/{check_name(name)}"

    def _try(self, name: str, action: Callable[[], T]) -> T:
        try:
            return action()
        except (OSError, pa.ArrowException) as error:
            where = f"{self.shown}/{name}" if name else self.shown
            raise StrettoError(self._safe(str(error)), where, _fix(str(error))) from None

    def _safe(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        # an endpoint may print the signed request: those fields are credentials too
        text = re.sub(r"(?i)(signature|credential|security-token)=[^&\s]+", r"\1=***", text)
        return text[:400]


def _with_options(url: str) -> str:
    if not url.startswith("s3://") or "allow_delayed_open" in url:
        return url
    # one PutObject for a small object where a multipart upload would take three requests
    return url + ("&" if "?" in url else "?") + "allow_delayed_open=true"


def _secrets(url: str) -> list[str]:
    parts = urlsplit(url)
    options = [v for k, v in parse_qsl(parts.query) if re.search("key|token|secret|pass", k, re.I)]
    found = [parts.password, parts.username, *options]
    return sorted({f for s in found if s for f in (s, unquote(s))}, key=len, reverse=True)


def _fix(text: str) -> str:
    low = text.lower()
    if "access_denied" in low or "access denied" in low or "forbidden" in low or "403" in low:
        return "check the credentials (AWS_ACCESS_KEY_ID ..., or application default credentials)"
    if "not_found" in low or "no such" in low or "does not exist" in low or "not found" in low:
        return "check the name; a bucket must exist before the run"
    return "check the endpoint and the network, then run the same command again: it resumes"
