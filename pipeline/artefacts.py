"""Where what a model made is kept for a run: a local folder, or write-once objects in a bucket.

`artefacts(config, store)` is what `speech.cache` names, else `artefacts/speech/` in the corpus's own
store for an engine that is not pure, else nothing. `text_artefacts` is `text.cache`, else
`artefacts/text/` there: a model that rewrites is never pure.

On s3:// the first writer wins by a conditional put (If-None-Match). gs:// has none through pyarrow:
there an entry is looked for, written and read again, and two workers that make one entry in the same
second may go on with different answers.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from generators.speech.artefacts import Artefacts, FolderArtefacts
from generators.speech.engines import engine
from pipeline.store import Store, open_store
from pipeline.store_local import LocalStore
from schemas.config import Config
from schemas.errors import MachineError, StrettoError

FOLDER, ALIGNED, TEXT_FOLDER = "artefacts/speech", "artefacts/align", "artefacts/text"


def artefacts(config: Config, store: Store | None) -> Artefacts | None:
    """Where utterances are kept. StrettoError when it can't be had."""
    pure = engine(config.speech.backend).pure
    return _artefacts("speech.cache", config.speech.cache, store, FOLDER, pure)


def alignments(config: Config, store: Store | None) -> Artefacts | None:
    """Where a model's word times are kept: beside the utterances, by the same rules."""
    place = config.speech.cache
    return _artefacts("speech.cache", place, store, ALIGNED, config.align.resolved == "duration")


def text_artefacts(config: Config, store: Store | None) -> Artefacts | None:
    """Where the spoken forms of a model that rewrites are kept."""
    pure = config.text.rewriter == "rules"
    return _artefacts("text.cache", config.text.cache, store, TEXT_FOLDER, pure)


def _artefacts(
    key: str, place: str | None, store: Store | None, folder: str, pure: bool
) -> Artefacts | None:
    """The place that the config names, else `folder` of the corpus's own store; none for the pure."""
    if place:
        return _named(key, place)
    return None if store is None or pure else _kept(store, folder)


def _named(key: str, place: str) -> Artefacts:
    """The place of a config's key, which its errors name."""
    try:
        return _kept(open_store(place))
    except StrettoError as error:
        fix = f"give `{key}` a folder" if "--out" in (error.fix or "") else error.fix
        raise type(error)(error.what, f"{key}: {error.where}", fix) from None


def _kept(store: Store, folder: str = "") -> Artefacts:
    if isinstance(store, LocalStore):
        return FolderArtefacts(store.root / folder)
    return ObjectArtefacts(store, f"{folder}/" if folder else "")


class ObjectArtefacts:
    """Objects below `prefix` of a store in a bucket. See `generators.speech.artefacts`."""

    remote = True

    def __init__(self, store: Store, prefix: str) -> None:
        self._store, self._prefix = store, prefix
        self._put = _ConditionalPut(store) if store.url.startswith("s3://") else None

    def get(self, name: str) -> bytes | None:
        if not self._store.exists(self._prefix + name):
            return None
        return self._store.read_bytes(self._prefix + name)

    def put_if_absent(self, name: str, data: bytes) -> bytes:
        full = self._prefix + name
        if self._put:
            self._put.write(full, data)
        elif not self._store.exists(full):
            self._store.write_bytes(full, data)
        return self._store.read_bytes(full)

    def replace(self, name: str, data: bytes) -> None:
        self._store.write_bytes(self._prefix + name, data)


class _ConditionalPut:
    """S3's If-None-Match, which pyarrow accepts and ignores (measured): through boto3."""

    def __init__(self, store: Store) -> None:
        try:
            import boto3
            from botocore.config import Config as ClientConfig
        except ImportError:
            raise StrettoError(
                "keeping utterances in a bucket needs boto3",
                store.shown,
                "pip install 'stretto[s3]'",
            ) from None
        parts = urlsplit(store.url)
        options = dict(parse_qsl(parts.query))
        more: dict[str, Any] = {"region_name": options.get("region")}
        if endpoint := options.get("endpoint_override"):
            more["endpoint_url"] = f"{options.get('scheme', 'https')}://{endpoint}"
        if parts.username and parts.password:
            more["aws_access_key_id"] = unquote(parts.username)
            more["aws_secret_access_key"] = unquote(parts.password)
        self._bucket, self._base = parts.hostname or "", parts.path.strip("/")
        self._shown = store.shown
        quiet = ClientConfig(retries={"max_attempts": 5, "mode": "standard"})
        self._client: Any = boto3.client("s3", config=quiet, **more)

    def write(self, name: str, data: bytes) -> None:
        """Put the object unless there is one."""
        from botocore.exceptions import BotoCoreError, ClientError

        key = f"{self._base}/{name}".lstrip("/")
        for _ in range(5):
            try:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=data, IfNoneMatch="*")
                return
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code", "")
                if code in ("PreconditionFailed", "412"):
                    return  # somebody was first
                if code not in ("ConditionalRequestConflict", "409"):
                    raise self._fault(name, f"{code} of S3") from None
            except BotoCoreError as error:
                raise self._fault(name, type(error).__name__) from None
        raise self._fault(name, "other writers keep getting in between")

    def _fault(self, name: str, what: str) -> MachineError:
        return MachineError(
            f"an utterance can't be kept: {what}",
            f"{self._shown}/{name}",
            "check the credentials and the network, then run the same command again: it resumes",
        )
