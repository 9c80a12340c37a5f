"""croissant.json: the corpus as Croissant 1.0 metadata, with the checksum of every tar.

Each tar is a FileObject; the members of one kind in a subset's tars are a FileSet; each subset and
split is a RecordSet whose key is taken from the member's name. https://docs.mlcommons.org/croissant/
"""

from __future__ import annotations

import json
from typing import Any

from pipeline.corpus_files import commits
from pipeline.store import Store

KEY_REGEX = r"^(?:.*/)?([a-z0-9-]+)\.json$"


def croissant(store: Store, stats: dict[str, Any], about: dict[str, Any]) -> str:
    """The file's text. `stats` and `about` are `corpus_stats` and `dataset.json`."""
    tars = [c for c in commits(store) if c.shard]
    places: dict[tuple[str, str], list[str]] = {}
    for commit in tars:
        row = commit.rows[0]
        places.setdefault((row["split"], row["subset"]), []).append(commit.shard or "")
    licences = sorted({s["licence"] or "not stated" for s in stats["sources"]})
    document = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": stats["name"],
        "description": (
            f"Full-duplex training data: {stats['samples']} samples, {stats['hours']:.2f} hours of "
            "time-aligned listen, look, write, speak and act channels with causal labels."
        ),
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": licences if len(licences) > 1 else licences[0],
        "inLanguage": sorted({part["language"] for part in stats["parts"]}),
        "version": "1.0.0",
        "keywords": ["full-duplex", "spoken dialogue", "WebDataset"],
        "identifier": str(about.get("fingerprint", {}).get("digest", "")),
        "distribution": [_tar(c) for c in tars] + [_members(p, n) for p, n in places.items()],
        "recordSet": [_records(place) for place in places],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _tar(commit: Any) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": commit.shard,
        "name": commit.shard,
        "contentUrl": commit.shard,
        "contentSize": f"{commit.size} B",
        "encodingFormat": "application/x-tar",
        "sha256": commit.sha256,
    }


def _members(place: tuple[str, str], tars: list[str]) -> dict[str, Any]:
    """The Timelines in the tars of one split and subset."""
    return {
        "@type": "cr:FileSet",
        "@id": f"{_id(place)}-timelines",
        "name": f"{_id(place)}-timelines",
        "description": "the JSON member of each sample; FLAC, MP4 and NPY members lie beside it",
        "containedIn": [{"@id": tar} for tar in tars],
        "encodingFormat": "application/json",
        "includes": "*.json",
    }


def _records(place: tuple[str, str]) -> dict[str, Any]:
    name, files = _id(place), f"{_id(place)}-timelines"
    key = {
        "fileSet": {"@id": files},
        "extract": {"fileProperty": "fullpath"},
        "transform": {"regex": KEY_REGEX},
    }
    content = {"fileSet": {"@id": files}, "extract": {"fileProperty": "content"}}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"samples of subset {place[1]} in split {place[0]}",
        "key": {"@id": f"{name}/key"},
        "field": [
            _field(name, "key", "unique in the corpus", "sc:Text", key),
            _field(name, "timeline", "events, tracks, labels (JSON)", "sc:Text", content),
        ],
    }


def _field(record: str, name: str, what: str, kind: str, source: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{record}/{name}",
        "name": name,
        "description": what,
        "dataType": kind,
        "source": source,
    }


def _id(place: tuple[str, str]) -> str:
    return f"{place[0]}-{place[1]}"


CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
