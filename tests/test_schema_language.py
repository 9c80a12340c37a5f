"""The schema language: what it accepts, and that each fault is one line with file and lane."""

from __future__ import annotations

import copy
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from schema_samples import codec_set, fitted

from schemas.errors import StrettoError
from token_schema.codec_set import CodecSet
from token_schema.codecs import save
from token_schema.language import (
    PRESETS,
    exact,
    fitting_blocks,
    list_presets,
    load_schema,
    parse_schema,
)


def ellsa() -> dict[str, Any]:
    return yaml.safe_load((PRESETS / "ellsa.yaml").read_text())


def lane(data: dict[str, Any], channel: str) -> dict[str, Any]:
    return next(entry[channel] for entry in data["lanes"] if channel in entry)


def refused(data: Any) -> str:
    with pytest.raises(StrettoError) as caught:
        parse_schema(data, "x.yaml")
    assert str(caught.value).startswith("x.yaml")
    return str(caught.value)


def test_every_preset_loads_and_is_pinned_by_what_it_says() -> None:
    assert "ellsa" in list_presets()
    for name in list_presets():
        assert load_schema(name).name == name
    data = ellsa()
    before = parse_schema(data, "x.yaml").hash
    assert before == load_schema("ellsa").hash
    lane(data, "write")["budget"] = 9
    assert parse_schema(data, "x.yaml").hash != before


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (
            "budgte",
            8,
            "x.yaml: lanes[2] write: budgte: unknown key `budgte`; did you mean `budget`?",
        ),
        ("budget", 0, "x.yaml: lanes[2] write: budget:"),
        ("as", "codes", "x.yaml: lanes[2] write: as:"),
        ("idle", "silence", "x.yaml: lanes[2] write: idle:"),
        ("cut", "<end>", "x.yaml: lane write: token <end> has two meanings"),
        ("idle", "<boi>", "x.yaml: lane write: token <boi> has two meanings"),
        ("open", "<eoi>", "boundary token <eoi> is used twice"),
        ("loss", {"contents": 1}, "did you mean `content`?"),
        ("loss", -1, "x.yaml: lanes[2] write: loss"),
        ("channel", "write", "unknown key `channel`"),
    ],
)
def test_a_wrong_lane_field_is_named(field: str, value: Any, expected: str) -> None:
    data = ellsa()
    lane(data, "write")[field] = value
    assert expected in refused(data)


def test_a_missing_lane_field_and_an_unknown_channel_are_named() -> None:
    data = ellsa()
    del lane(data, "write")["end"]
    assert "lanes[2] write: end: Field required" in refused(data)
    data = ellsa()
    data["lanes"][1] = {"lok": data["lanes"][1]["look"]}
    assert "lanes[1]: unknown channel `lok`; did you mean `look`?" in refused(data)
    data = ellsa()
    data["lanes"].append("act")
    assert "lanes[5]: a lane is one channel" in refused(data)


def test_what_the_whole_schema_must_hold() -> None:
    data = ellsa()
    data["lanes"].append({"look": {**lane(data, "look"), "open": "<x>", "close": "<y>"}})
    assert "two lanes are named 'look'" in refused(data)
    data = ellsa()
    data["lanes"].reverse()
    assert "lane act: stands before `listen`" in refused(data)
    data = ellsa()
    data["view"] = {"keep_last_blocks": {"look": 2}}
    assert "unknown key `view`" in refused(data)
    assert "not a mapping" in refused(["name"])
    data = ellsa()
    lane(data, "listen")["idle"] = "<quiet>"
    assert "cannot know that a block is silent" in refused(data)


@pytest.mark.parametrize(
    ("block_s", "rate_hz", "fits"),
    [
        (1.0, 12.5, "0.4, 0.8, 1.2"),  # with speak at 10 Hz: common multiples of 80 and 100 ms
        (0.25, 10, "0.1, 0.2, 0.3"),
        (0.48, 10, "0.4, 0.5, 0.6"),
    ],
)
def test_a_fractional_rate_is_refused_with_the_lengths_that_fit(
    block_s: float, rate_hz: float, fits: str
) -> None:
    data = ellsa()
    data["clock"]["block_s"] = block_s
    lane(data, "listen")["rate_hz"] = rate_hz
    text = refused(data)
    assert "rate_hz" in text and f"block lengths that fit: {fits}" in text
    data["clock"]["block_s"] = float(fits.split(",")[1])
    parse_schema(data, "x.yaml")


def test_rates_are_the_fractions_that_were_meant() -> None:
    assert exact(0.08) == Fraction(2, 25)
    assert exact(29.97003) == Fraction(30000, 1001)
    assert fitting_blocks([Fraction(25, 2), Fraction(10)], Fraction(1))[0] == Fraction(2, 5)
    assert all(
        (f * Fraction(25, 2)).denominator == 1
        for f in fitting_blocks([Fraction(25, 2)], Fraction(7))
    )


def test_unreadable_files_and_unknown_presets(tmp_path: Path) -> None:
    with pytest.raises(StrettoError, match="did you mean `ellsa`"):
        load_schema("elsa")
    with pytest.raises(StrettoError, match="cannot be read"):
        load_schema(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("lanes: [\n")
    with pytest.raises(StrettoError, match="not YAML") as caught:
        load_schema(bad)
    assert "\n" not in str(caught.value)
    copied = tmp_path / "mine.yaml"
    copied.write_text((PRESETS / "ellsa.yaml").read_text())
    assert load_schema(copied).hash == load_schema("ellsa").hash


def test_vocabulary_has_specials_then_text_then_codes_and_names_every_id() -> None:
    vocabulary = codec_set().vocabulary
    assert vocabulary.specials[:4] == ("<bop>", "<eop>", "<bosp>", "<eosp>")
    assert [r.codec for r in vocabulary.ranges] == ["text", "audio", "image", "action"]
    assert vocabulary.range("text").start == len(vocabulary.specials)
    assert vocabulary.range("audio").codebooks == 4
    for token_id in range(vocabulary.size):
        assert vocabulary.id(vocabulary.name(token_id)) == token_id
    assert len({vocabulary.name(i) for i in range(vocabulary.size)}) == vocabulary.size
    for bad in ("<nope>", "audio:4:0", "audio:0", "audio:0:16", "text:9999", "text:-1", "x:1"):
        with pytest.raises(StrettoError):
            vocabulary.id(bad)
    with pytest.raises(StrettoError):
        vocabulary.name(vocabulary.size)
    assert json.loads(vocabulary.to_json())["size"] == vocabulary.size


def test_codecs_load_from_a_folder_and_missing_ones_are_named(tmp_path: Path) -> None:
    schema = load_schema("ellsa")
    with pytest.raises(StrettoError, match="needs the codec 'text'.*stretto fit"):
        CodecSet.load(tmp_path, schema)
    for name, codec in fitted().items():
        save(codec, tmp_path / "codecs" / name)  # type: ignore[arg-type]
    loaded = CodecSet.load(tmp_path, schema)
    assert loaded.hash == codec_set().hash
    assert loaded.vocabulary == codec_set().vocabulary


class FolderStore:
    """The two calls of a corpus's store."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read_bytes(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def list(self, prefix: str = "") -> list[str]:
        paths = (p.relative_to(self.root).as_posix() for p in self.root.rglob("*") if p.is_file())
        return sorted(p for p in paths if p.startswith(prefix))


def test_codecs_load_from_a_store(tmp_path: Path) -> None:
    for name, codec in fitted().items():
        save(codec, tmp_path / "codecs" / name)  # type: ignore[arg-type]
    assert CodecSet.load(FolderStore(tmp_path), load_schema("ellsa")).hash == codec_set().hash


def test_codecs_that_do_not_fit_the_schema_are_refused() -> None:
    data = ellsa()
    lane(data, "speak")["codebooks"] = 8
    with pytest.raises(StrettoError, match="lane speak: codebooks.*8 codebooks wanted.* 4"):
        codec_set(parse_schema(data, "x.yaml"))
    data = ellsa()
    lane(data, "listen")["rate_hz"] = 20
    with pytest.raises(StrettoError, match="schema says 20 Hz.* 10"):
        codec_set(parse_schema(data, "x.yaml"))
    data = ellsa()
    lane(data, "look")["codec"] = "audio"
    with pytest.raises(StrettoError, match="'audio' is named for audio and for image"):
        codec_set(parse_schema(data, "x.yaml"))
    swapped = dict(copy.copy(fitted()), image=fitted()["text"])
    with pytest.raises(StrettoError, match="codec for text, not image"):
        CodecSet(load_schema("ellsa"), swapped)


def test_the_schema_in_the_docs_is_a_schema(repo: Path) -> None:
    text = (repo / "docs" / "schemas.md").read_text()
    blocks = [part.split("```")[0] for part in text.split("```yaml\n")[1:]]
    assert blocks
    for block in blocks:
        schema = parse_schema(yaml.safe_load(block), "docs/schemas.md")
        assert codec_set(schema).vocabulary.size > len(schema.specials())
