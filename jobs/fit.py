"""`stretto fit CONFIG DIR [--schema S] [--out FOLDER]`: the codecs that a schema names.

Embedded codecs are fitted, real ones (`codecs: {NAME: {type: mimi, path: ...}}` in the schema)
are pinned to their weights. Reads the train split of the corpus in DIR only, in the order of its
index, and keeps each codec as DIR/codecs/NAME/ (or FOLDER/codecs/NAME/), where `CodecSet.load`
finds it, with the settings in `fit.json`. The same corpus gives the same bytes.

Several schemas share a corpus's codecs by name. A codec that is there already is kept when its
settings are those wanted (more codebooks than wanted are fine), and refused when they are others:
delete its folder to fit it anew, or give the schema's codec another name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jobs.config_file import load_config
from jobs.fit_kinds import jobs_of
from jobs.fit_train import Job, Train
from pipeline.corpus_files import dataset
from pipeline.store import Store, open_store
from pipeline.stream import Corpus, open_corpus
from schemas.config import Config
from schemas.errors import StrettoError
from token_schema.codec_set import FOLDER
from token_schema.codecs.base import MANIFEST
from token_schema.language import load_schema

SETTINGS = "fit.json"
AT_LEAST = ("codebooks", "seconds")  # a codec that has more of them serves as well


def run(config: str | Config, dir: str, out: str | None = None, schema: str | None = None) -> int:
    """Fit or pin every codec of the schema (default: the config's), keep those that are there.

    Exit code 0; StrettoError when it cannot be done.
    """
    checked = load_config(config) if isinstance(config, str) else config
    loaded, corpus = load_schema(schema or checked.schema_name), open_corpus(dir)
    _require_own(corpus, checked)
    if not len(corpus.rows("train")):
        raise StrettoError(
            "no sample in the train split",
            corpus.url,
            "codecs are fitted on train alone: make a larger corpus",
        )
    store = open_store(out) if out else corpus.store
    jobs = list(jobs_of(Train(corpus, loaded), checked))
    there = [_is_there(store, job) for job in jobs]  # all refusals before the first fit
    for job, kept in zip(jobs, there, strict=True):
        line = kept or _make(store, job)
        print(f"{job.name}: {line}", flush=True)
    print(f"codecs of schema {loaded.name} are in {store.shown.rstrip('/')}/{FOLDER}")
    return 0


def _require_own(corpus: Corpus, config: Config) -> None:
    """Another corpus's config would give codecs of other sizes and seeds, without a word."""
    made_by = dataset(corpus.store).get("name", config.name)
    if made_by != config.name:
        raise StrettoError(
            f"this corpus was made by the config {made_by!r}, not {config.name!r}",
            corpus.url,
            "give the config that made it",
        )


# ---- keeping -----------------------------------------------------------------------------------


def _make(store: Store, job: Job) -> str:
    """Fit and write; the manifest last: until it stands there, the codec does not."""
    codec, on = job.make()
    if codec is None:
        return f"not fitted, {on}"
    files = {SETTINGS: _json(job.wanted), **codec.to_files()}
    for file in sorted(files, key=lambda f: f == MANIFEST):
        store.write_bytes(f"{FOLDER}/{job.name}/{file}", files[file])
    return f"{codec.size} {'voices' if codec.kind == 'voice' else 'ids'}, {on}, {_short(codec)}"


def _short(codec: Any) -> str:
    return f"hash {codec.hash[:12]}"


def _is_there(store: Store, job: Job) -> str | None:
    """A line on the codec that stands there already, None when there is none.

    Raises StrettoError when it was made with other settings.
    """
    folder = f"{FOLDER}/{job.name}"
    if not store.exists(f"{folder}/{MANIFEST}"):
        return None
    where = f"{store.shown.rstrip('/')}/{folder}"
    manifest = _read(store, f"{folder}/{MANIFEST}", where)
    known = store.exists(f"{folder}/{SETTINGS}")
    have = _read(store, f"{folder}/{SETTINGS}", where) if known else {"type": manifest["type"]}
    wanted = _canonical(job.wanted) if known else {"type": job.wanted["type"]}
    if other := _differences(have, wanted):
        raise StrettoError(
            f"is there with other settings: {'; '.join(other)}",
            where,
            "delete the folder to fit it anew, or give the schema's codec another name",
        )
    kept = "kept as it is" if known else f"kept, its settings are not known (no {SETTINGS})"
    return f"{kept}, hash {str(manifest.get('hash'))[:12]}"


def _differences(have: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What does not fit, as `rate_hz is 10, wanted 12.5`."""
    out = []
    for key in sorted({*have, *wanted}):
        a, b = have.get(key), wanted.get(key)
        if a != b and not (key in AT_LEAST and a and b and a > b):
            out.append(f"{key} is {a}, wanted {b}")
    return out


def _read(store: Store, name: str, where: str) -> dict[str, Any]:
    try:
        data = json.loads(store.read_bytes(name))
    except ValueError:
        data = None
    if not isinstance(data, dict) or "type" not in data:
        raise StrettoError(f"{name} is not a codec's", where, "delete the folder and fit it anew")
    return data


def _json(settings: Mapping[str, Any]) -> bytes:
    return (json.dumps(settings, sort_keys=True, indent=1) + "\n").encode()


def _canonical(settings: Mapping[str, Any]) -> dict[str, Any]:
    """As it comes back from a file: lists for tuples."""
    return json.loads(_json(settings))
