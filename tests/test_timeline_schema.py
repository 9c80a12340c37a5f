"""The Timeline's JSON schema is checked in by version: it cannot change without a new one."""

from __future__ import annotations

from pathlib import Path

from schemas.timeline import TIMELINE_VERSION, Timeline
from schemas.timeline_schema import schema_text


def test_the_schema_of_this_version_is_the_one_checked_in(repo: Path) -> None:
    path = repo / "schemas" / f"timeline-{TIMELINE_VERSION}.schema.json"
    assert path.is_file(), f"write {path.name}: python -m schemas.timeline_schema"
    assert path.read_text(encoding="utf-8") == schema_text(), (
        "the Timeline changed: raise TIMELINE_VERSION and its Literal, then run "
        "`python -m schemas.timeline_schema`; readers of older shards rely on the old file"
    )


def test_the_version_field_is_the_version() -> None:
    field = Timeline.model_fields["version"]
    assert field.default == TIMELINE_VERSION
