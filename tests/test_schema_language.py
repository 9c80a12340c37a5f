"""The schema language: what it accepts, and that each fault is one line with file and lane."""

from __future__ import annotations

import copy
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from preset_codecs import all_codecs
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
    schema_data,
)

SPEECH = "lanes[3] write"  # where `write` stands in ellsa: behind listen and two cameras


def ellsa() -> dict[str, Any]:
    return schema_data("ellsa-speech")


def lane(data: dict[str, Any], channel: str) -> dict[str, Any]:
    return next(entry[channel] for entry in data["lanes"] if channel in entry)


def refused(data: Any) -> str:
    with pytest.raises(StrettoError) as caught:
        parse_schema(data, "x.yaml")
    assert str(caught.value).startswith("x.yaml")
    return str(caught.value)


def test_every_preset_loads_and_is_pinned_by_what_it_says() -> None:
    assert {"ellsa", "lws", "moshi", "moss-speech"} < set(list_presets())
    for name in list_presets():
        assert load_schema(name).name == name
    data = ellsa()
    before = parse_schema(data, "x.yaml").hash
    assert before == load_schema("ellsa-speech").hash
    lane(data, "write")["budget"] = 9
    assert parse_schema(data, "x.yaml").hash != before
    data = ellsa()
    data["view"] = {"crop_s": 9}
    assert parse_schema(data, "x.yaml").hash == before, "a view changes no id"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("budgte", 8, f"{SPEECH}: budgte: unknown key `budgte`; did you mean `budget`?"),
        ("budget", 0, f"{SPEECH}: budget:"),
        ("budget", None, "lane write: text in blocks needs a `budget`"),
        ("as", "codes", f"{SPEECH}: as:"),
        ("idle", "silence", f"{SPEECH}: idle:"),
        ("idle", None, "lane write: a block with nothing to emit needs an `idle` token"),
        ("end", None, "lane write: needs an `end` token"),
        ("begin", "<silence>", "lane write: token <silence> has two meanings"),
        ("idle", "<boi>", "lane write: token <boi> has two meanings"),
        ("open", "<eoi>", "boundary token <eoi> is used twice"),
        ("close", None, f"{SPEECH}: : `open` needs a `close`"),
        ("placement", "word", "`word` needs word times: only `say` and `hear` have them"),
        ("hold", True, "`hold` waits for the end of the speech"),
        ("epad", "<epad>", "lane write: epad: `epad` is of the parallel mode"),
        ("loss", {"contents": 1}, "did you mean `content`?"),
        ("loss", -1, f"{SPEECH}: loss"),
        ("channel", "write", "unknown key `channel`"),
        ("delay", 1, "lane write: delay: only `listen` and `speak` can be delayed"),
    ],
)
def test_a_wrong_lane_field_is_named(field: str, value: Any, expected: str) -> None:
    data = ellsa()
    lane(data, "write")[field] = value
    assert expected.replace(": :", ":") in refused(data).replace(": :", ":")


def test_a_missing_lane_field_and_an_unknown_channel_are_named() -> None:
    data = ellsa()
    del lane(data, "listen")["rate_hz"]
    assert "lanes[0] listen: rate_hz: it is missing" in refused(data)
    data = ellsa()
    data["lanes"][1] = {"lok": data["lanes"][1]["look"]}
    assert "lanes[1]: unknown channel `lok`; did you mean `look`?" in refused(data)
    data = ellsa()
    data["lanes"].append("act")
    assert "lanes[6]: a lane is one channel" in refused(data)


def test_what_the_whole_schema_must_hold() -> None:
    data = ellsa()
    data["lanes"].append({"look": {**lane(data, "look"), "open": "<x>", "close": "<y>"}})
    assert "two lanes are named 'look'" in refused(data)
    data = ellsa()
    data["lanes"].reverse()
    assert "lane speak: stands before `listen`" in refused(data)
    data = ellsa()
    data["view"] = {"keep_last_blocks": {"look": 2}}
    assert "unknown key `keep_last_blocks`" in refused(data)
    data["view"] = {"history_blocks": {"lok": 2}}
    assert "view.history_blocks: no lane named 'lok'" in refused(data)
    assert "not a mapping" in refused(["name"])
    data = ellsa()
    lane(data, "listen")["idle"] = "<quiet>"
    assert "cannot know that a block is silent" in refused(data)
    data = ellsa()
    lane(data, "listen")["slot"] = None
    assert "`as: slots` needs `slot`" in refused(data)
    data = ellsa()
    data["clock"]["frame_s"] = 0.08
    assert "give one of `block_s`, `frame_s` and `turns`" in refused(data)


def test_text_that_could_be_read_in_two_ways_is_refused() -> None:
    two = {"think": {"as": "text", "budget": 2, "idle": "<none>", "end": "<eoth>"}}
    merged = [x for x in schema_data("minicpm-o")["lanes"] if "speak" not in x]
    del merged[-1]["say"]["close"], merged[-1]["say"]["end_closes"]
    merged[2]["phase"]["of"] = ["say"]
    whole = {**schema_data("minicpm-o"), "lanes": [*merged, two]}
    assert "lane say: its text runs into that of 'think'" in refused(whole)
    lane(whole, "say").update(idle="<turn_end>", end="<turn_end>", close="<eot>")
    assert "would be read as the end of a text that only waits" in refused(whole)
    lane(whole, "say")["wait"] = "<wait>"
    parse_schema(whole, "x.yaml")


def test_phases_govern_the_outputs_behind_them() -> None:
    data = schema_data("lws")
    lane(data, "phase")["of"] = ["write", "speek"]
    assert "lane phase: of: no lane 'speek' behind it" in refused(data)
    lane(data, "phase")["of"] = ["listen"]
    assert "no lane 'listen' behind it" in refused(data)
    data = schema_data("lws")
    data["lanes"].insert(0, data["lanes"].pop(2))
    assert "lane phase: stands before `listen`" in refused(data)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"say": {"idle": None}}, "lane say: a stream needs an `idle` token"),
        ({"say": {"budget": 2}}, "lane say: budget: a stream has one token a step"),
        ({"speak": {"rate_hz": 25}}, "25 Hz is not one frame in a step of 0.08 s"),
        ({"speak": {"delays": [0, 1]}}, "2 delays for 8 codebooks"),
        ({"speak": {"pad": None}}, "lane speak: a delayed lane needs `pad`"),
        ({"act": {"pad": None}}, "lane act: a stream needs a `pad` token"),
        ({"listen": {"open": "<a>", "close": "<b>"}}, "a stream has no `open` and `close`"),
        ({"speak": {"loss": {"books": [1, 2]}}}, "2 loss.books for 8 codebooks"),
    ],
)
def test_what_steps_cannot_do(change: dict[str, Any], expected: str) -> None:
    data = {"extends": "roboego", "name": "x", "change": change}
    assert expected in refused(data)


def test_outputs_stand_before_inputs_in_a_step() -> None:
    data = schema_data("moshi")
    data["lanes"].reverse()
    assert "lane speak: stands behind the input 'listen'" in refused(data)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"listen": {"delay": 1}}, "lane listen: a turn has no delays"),
        ({"say": {"budget": 4}}, "lane say: text in a turn has no budget"),
    ],
)
def test_what_turns_cannot_do(change: dict[str, Any], expected: str) -> None:
    data = {"extends": "llama-omni", "name": "x", "change": change}
    assert expected in refused(data)
    data = schema_data("llama-omni")
    data["clock"]["turns"]["interleave"] = {"sey": 3}
    assert "no output lane named 'sey'" in refused(data)


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
    lane(data, "speak")["rate_hz"] = 10
    text = refused(data)
    assert "rate_hz" in text and f"block lengths that fit: {fits}" in text
    data["clock"]["block_s"] = float(fits.split(",")[1])
    parse_schema(data, "x.yaml")
    data["clock"]["block_s"] = block_s
    for channel in ("listen", "speak"):
        lane(data, channel)["fractional"] = "carry"
    parse_schema(data, "x.yaml")


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_errors_name_the_line(tmp_path: Path) -> None:
    text = (PRESETS / "ellsa.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if "budget: 8" in line)
    for wrong, said in (("budget: 0", "budget"), ("bugdet: 8", "did you mean `budget`")):
        changed = [*lines[:at], lines[at].replace("budget: 8", wrong), *lines[at + 1 :]]
        with pytest.raises(StrettoError, match=said) as caught:
            load_schema(written(tmp_path, "\n".join(changed)))
        assert str(caught.value).startswith(f"mine.yaml:{at + 1}: {SPEECH}")
    doubled = [*lines[: at + 1], lines[at], *lines[at + 1 :]]
    with pytest.raises(StrettoError, match=f"mine.yaml:{at + 2}: key `budget` stands there twice"):
        load_schema(written(tmp_path, "\n".join(doubled)))
    child = "extends: ellsa\nname: x\nchange:\n  write:\n    budget: -1\n"
    with pytest.raises(StrettoError, match=f"mine.yaml:5: {SPEECH}".replace("[", r"\[")):
        load_schema(written(tmp_path, child))


def test_a_file_says_what_differs(tmp_path: Path) -> None:
    child = written(
        tmp_path,
        "extends: ellsa\nname: mine\nclock: {block_s: 2.0}\n"
        "change:\n  write: {budget: 16}\n  gripper: null\n"
        "add:\n  - think: {as: text, budget: 4, idle: <none>, end: <done>, close: <eoth>}\n",
    )
    mine, base = load_schema(child), load_schema("ellsa")
    assert [x.name for x in mine.lanes] == ["listen", "look", "write", "act", "think"]
    assert mine.lane("write").budget == 16 and mine.clock.block_s == 2.0  # type: ignore[union-attr]
    assert mine.view.history_blocks == {"look": 2, "act": 2}
    assert mine.clock.tail == base.clock.tail and mine.prompt == base.prompt
    grandchild = tmp_path / "two.yaml"
    grandchild.write_text("extends: mine.yaml\nname: two\n", encoding="utf-8")
    assert load_schema(grandchild).lanes == mine.lanes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("extends: elsa\nname: x\n", "did you mean `ellsa`"),
        ("extends: mine.yaml\nname: x\n", "mine.yaml:1: `extends` goes round in a circle"),
        ("extends: [ellsa]\nname: x\n", "mine.yaml:1: `extends` is a preset's name"),
        ("extends: ellsa\nname: x\nchange: {wirte: {budget: 1}}\n", "did you mean `write`?"),
        ("extends: ellsa\nname: x\nchange: {write: 3}\n", "a lane's fields are a mapping"),
        ("extends: ellsa\nname: x\nadd: {a: 1}\n", "mine.yaml:3: `add` is a list"),
        ("name: x\nadd: []\n", "mine.yaml:2: `add` goes with `extends`"),
    ],
)
def test_what_cannot_be_extended(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(StrettoError) as caught:
        load_schema(written(tmp_path, text))
    assert expected in str(caught.value)


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


def test_vocabulary_names_every_id() -> None:
    vocabulary = CodecSet(load_schema("lws"), all_codecs()).vocabulary
    assert [r.codec for r in vocabulary.ranges] == ["text", "audio"]
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
    data = schema_data("lws")
    lane(data, "speak")["codebooks"] = 8
    with pytest.raises(StrettoError, match="lane speak: codebooks.*8 codebooks wanted.* 4"):
        codec_set(parse_schema(data, "x.yaml"))
    data = schema_data("lws")
    lane(data, "listen")["rate_hz"] = 20
    with pytest.raises(StrettoError, match="schema says 20 Hz.* 10"):
        codec_set(parse_schema(data, "x.yaml"))
    data = schema_data("lws")
    data["lanes"].insert(0, {"look": {**lane(schema_data("ellsa"), "look")}})
    lane(data, "look")["codec"] = "audio"
    with pytest.raises(StrettoError, match="'audio' is named for image and for audio"):
        codec_set(parse_schema(data, "x.yaml"))
    swapped = dict(copy.copy(fitted()), image=fitted()["text"])
    with pytest.raises(StrettoError, match="codec for text, not image"):
        CodecSet(load_schema("ellsa"), swapped)


def test_the_schema_in_the_docs_is_a_schema(repo: Path) -> None:
    text = (repo / "docs" / "schemas.md").read_text()
    blocks = [part.split("```")[0] for part in text.split("```yaml\n")[1:]]
    whole = [b for b in blocks if "name:" in b]
    assert len(whole) >= 2
    for block in whole:
        schema = parse_schema(yaml.safe_load(block), "docs/schemas.md")
        codecs = CodecSet(schema, all_codecs())
        assert codecs.vocabulary.size > len(schema.specials())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&x [*x]\n", "aliases counted"),
        ("[" * 5000, "mine.yaml: not YAML: RecursionError"),
        ("when: 2020-99-99\n", "mine.yaml: not YAML: ValueError"),
        ("extends: ellsa\nname: x\nlanes: [5]\n", "mine.yaml:3: lanes[0]: a lane is one channel"),
        ("extends: ellsa\nname: x\nlanes: null\n", "mine.yaml:3: `lanes` is a list of lanes"),
        ('extends: "x\\0.yaml"\nname: x\n', "mine.yaml:1: `extends` is a preset's name"),
        ("extends: ./mine.yaml\nname: x\n", "mine.yaml:1: `extends` goes round in a circle"),
        (
            "extends: ellsa\nname: x\nadd:\n  - say: {as: text,\n     budgt: 3}\n",
            "mine.yaml:5: lanes[5] say: budgt",
        ),
        (
            'extends: ellsa\nname: x\nchange: {write: {idle: "<\\e[31m>"}}\n',
            "mine.yaml:3: lanes[3]",
        ),
        ("extends: ellsa\nname: x\ncodecs: {imag: {type: emu3}}\n", "did you mean `image`?"),
        ("extends: ellsa\nname: x\ncodecs: {image: {type: rvq}}\n", "types: patch_vq, emu3"),
        ("extends: ellsa\nname: x\nchange: {listen: {rate_hz: 1.0e+7}}\n", "mine.yaml:3: lanes[0]"),
    ],
)
def test_hostile_files_get_one_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(StrettoError) as caught:
        load_schema(written(tmp_path, text))
    said = str(caught.value)
    assert expected in said and "\n" not in said and "\x1b" not in repr(said).replace("\\x1b", "")


def test_a_bomb_of_aliases_is_refused_at_once(tmp_path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for i in range(9):
        aliases = ", ".join([f"*{chr(97 + i)}"] * 10)
        lines.append(f"{chr(98 + i)}: &{chr(98 + i)} [{aliases}]")
    with pytest.raises(StrettoError, match="aliases counted"):
        load_schema(written(tmp_path, "\n".join(lines)))


def test_inputs_stand_before_what_answers_them() -> None:
    data = schema_data("ellsa")
    data["lanes"].append(data["lanes"].pop(1))  # the first camera behind the actions
    assert "lane look: stands behind 'write'" in refused(data)
    late = {"extends": "roboego", "name": "x", "change": {"look": {"delay": 1}}}
    assert "lane look: delay: only `listen` and the outputs" in refused(late)


def test_an_action_codec_is_not_another_one_that_begins_like_it() -> None:
    schema, codecs = load_schema("ellsa"), all_codecs()
    more = {**codecs, "action-2s.arm": codecs["uniform.arm"]}
    assert CodecSet(schema, more).vocabulary == CodecSet(schema, codecs).vocabulary
