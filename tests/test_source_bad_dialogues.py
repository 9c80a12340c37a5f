"""Bad dialogue input: one clear line each, and every good record still comes."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generators.sources import read_source
from schemas import Dialogue, Rejection, StrettoError
from schemas.config import SourceEntry

HELLO = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hi!"}]


def read(path: Path | str, **fields: Any) -> list[Any]:
    entry = SourceEntry(dialogues={"path": str(path), **fields})  # type: ignore[arg-type]
    return list(read_source(entry, "mine"))


def good(number: int) -> str:
    return json.dumps({"id": f"good{number}", "messages": HELLO})


def mess(*messages: tuple[str, Any], **fields: Any) -> str:
    turns = [{"role": role, "content": content} for role, content in messages]
    return json.dumps({"id": "bad", "messages": turns, **fields})


BAD = {
    "broken JSON": ('{"id": "bad", "messages": [', "broken JSON in line 7"),
    "two values": (good(1) + good(2), "broken JSON in line 7"),
    "too deep": ("[" * 200_000, "nested too deep"),
    "not a mapping": ("[1, 2]", "the record is a list, not a mapping"),
    "null": ("null", "the record is null"),
    "no messages": ('{"id": "bad", "text": "x"}', "no field `messages`; fields here: 'id, text'"),
    "messages a text": ('{"id": "bad", "messages": "x"}', "`turns` is a text, not a list"),
    "no turns": (mess(), "no turn of a user or an assistant"),
    "unknown role": (mess(("user", "a"), ("narrator", "b")), "turn 2: unknown role 'narrator'"),
    "role null": (mess(("user", "a"), (None, "b")), "turn 2: unknown role None"),  # type: ignore
    "one side": (mess(("user", "a"), ("user", "b")), "only one side speaks: 2 turns, all user"),
    "empty text": (mess(("user", "  \n"), ("assistant", "b")), "turn 1: the text is empty"),
    "controls only": (mess(("user", "\x00\x07"), ("assistant", "b")), "turn 1: the text is empty"),
    "text null": (mess(("user", "a"), ("assistant", None)), "turn 2: the text is empty"),
    "text a number": (mess(("user", 5), ("assistant", "b")), "turn 1: the text is a number"),
    "an image": (mess(("user", [{"type": "image_url"}]), ("assistant", "b")), "not text (type"),
    "id a list": (mess(("user", "a"), ("assistant", "b"), id=[1]), "the id is a list"),
    "id empty": (mess(("user", "a"), ("assistant", "b"), id=" "), "the id is empty"),
    "language": (mess(("user", "a"), ("assistant", "b"), language="en; rm"), "not a tag such as"),
    "tags": (mess(("user", "a"), ("assistant", "b"), tags="x"), "`tags` is a text, not a list"),
    "duplicate": (good(1), "a record with this id came before"),
    "interrupts nothing": (
        '{"id": "bad", "messages": [{"role": "user", "content": "a", "interrupts": true}, '
        '{"role": "assistant", "content": "b"}]}',
        "follows no assistant turn",
    ),
    "interrupts a text": (
        '{"messages": [{"role": "user", "content": "a", "interrupts": "maybe"}]}',
        "`interrupts` is 'maybe', not true or false",
    ),
}


@pytest.mark.parametrize("line,reason", BAD.values(), ids=BAD.keys())
def test_one_bad_line_costs_one_record(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([*(good(i) for i in range(1, 7)), line, good(8)]) + "\n")
    got = read(path)
    assert [d.record_id for d in got if isinstance(d, Dialogue)] == [
        f"good{i}" for i in (1, 2, 3, 4, 5, 6, 8)
    ]
    (bad,) = [d for d in got if isinstance(d, Rejection)]
    assert reason in bad.reason and (bad.stage, bad.status) == ("source", "quarantined")
    assert bad.where == f"{path}:7" and "\n" not in bad.line() and len(bad.line()) < 400


def test_control_characters_emoji_and_long_turns_are_fine(tmp_path: Path) -> None:
    long = "word " * 20_000  # 100,000 characters: the plan has the limit, not the source
    text = "a\x00b\x1b[31m\tc\r\nd\u2028e \ud83d family 👩‍👩‍👧 é"
    path = tmp_path / "a.jsonl"
    path.write_text(mess(("user", text), ("assistant", long)) + "\n")
    (got,) = read(path)
    assert got.turns[0].text == "ab[31m\tc\nd\ne \ufffd family 👩‍👩‍👧 é"
    assert got.turns[1].text == long
    assert got.tags == ("control-characters-removed=3",)
    assert json.loads(got.to_json())["turns"][0]["text"] == got.turns[0].text


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + good(1).encode() + b"\n\xff\xfe\n" + good(2).encode())
    one, bad, two = read(path)
    assert (one.record_id, two.record_id) == ("good1", "good2")
    assert bad.reason == "broken JSON in line 2: not UTF-8 (byte 0)"


def test_empty_files_and_wrong_formats(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n\n")
    (tmp_path / "b.jsonl").write_text(good(1))
    empty, fine = read(tmp_path / "*.jsonl")
    assert empty.reason == "the file is empty" and empty.where.endswith("a.jsonl")
    assert fine.record_id == "good1"
    path = tmp_path / "c.json"
    for text, reason in (
        ("", "the file is empty"),
        ("[]", "the file is empty"),
        ('[{"a": 1},\n{"a" 2}]', "broken JSON: Expecting ':' delimiter at line 2"),
        (good(1) + "\n" + good(2), "broken JSON: Extra data"),
    ):
        path.write_text(text)
        (got,) = read(path, format="json")
        assert isinstance(got, Rejection) and reason in got.reason
    assert got.fix == "use `format: jsonl`"


def test_bad_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    head, rest = "id,role,text\n", "2,user,a\n2,bot,b\n"
    for text, reason in (
        (head + "1,user\n1,bot,b\n" + rest, "line 2 has 2 columns"),
        (head + '1,user,"a"b\n' + rest, "broken CSV in lines 2 to 2"),
        (head + "1,user,\n1,bot,b\n" + rest, "turn 1: the text is empty"),
    ):
        path.write_text(text)
        got = read(path, format="csv", id="id")
        assert [d.record_id for d in got if isinstance(d, Dialogue)] == ["2"], text
        (bad,) = [d for d in got if isinstance(d, Rejection)]
        assert reason in bad.reason and bad.where == f"{path}:2"
    path.write_bytes((head + "1,user,\xe9\n1,bot,b\n" + rest).encode("latin-1"))
    bad, fine = read(path, format="csv", id="id")
    assert "not UTF-8" in bad.reason and fine.record_id == "2"
    for text, reason in (
        ("", "the file is empty"),
        (head, "the file is empty"),
        ("a,b\n1,2\n", "no column 'id', which `id` names; columns here: a, b"),
        ("id,id\n1,2\n", "two columns have one name"),
    ):
        path.write_text(text)
        (bad,) = read(path, format="csv", id="id")
        assert reason in bad.reason


def test_bad_trees(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    records = [
        {"message_tree_id": "1", "prompt": "x"},
        {"message_tree_id": "2", "prompt": {"role": "prompter", "text": "a", "replies": 3}},
        {"message_tree_id": "3", "prompt": {"role": "prompter", "text": "a"}},
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    got = read(path, format="tree")
    assert [r.record_id for r in got] == ["1", "2", "3"]
    assert [r.reason.split(":")[0] for r in got] == [
        "a message of the tree is a text, not a mapping",
        "`replies` is a number, not a list",
        "only one side speaks",
    ]


def test_mapped_fields_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(good(1) + "\n")
    for name, field in (("id", "uid"), ("group", "who"), ("turns", "log"), ("text", "body")):
        (bad,) = read(path, format="jsonl", **{name: field})
        assert f"no field `{field}`" in bad.reason and bad.fix == f"map `{name}`"
    fine, unseen = read(path, format="jsonl", say="spoken")
    assert isinstance(fine, Dialogue)
    assert unseen.status == "unused" and unseen.reason == (
        "no record has the field `spoken`, which `say` names"
    )


def test_a_path_that_matches_nothing_refuses_the_run(tmp_path: Path) -> None:
    for path in ("none.jsonl", "*.jsonl"):
        with pytest.raises(StrettoError, match="no file here"):
            read(tmp_path / path)
    with pytest.raises(StrettoError, match="this is a folder"):
        read(tmp_path)


def test_jsonl_is_streamed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    turn = {"role": "user", "content": "x" * 2000}
    with path.open("w") as file:
        for i in range(4000):  # 8 MB
            file.write(json.dumps({"id": i, "messages": [turn, HELLO[1]]}) + "\n")
    entry = SourceEntry(dialogues={"path": str(path)})  # type: ignore[arg-type]
    tracemalloc.start()
    count = sum(1 for _ in read_source(entry, "mine"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4000 and peak < 2_000_000


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["id", "messages", "role", "content", "prompt", "replies", "x"]),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_comes_one_record_out(tmp_path_factory: Any, value: Any) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "a.jsonl"
    path.write_text(json.dumps(value) + "\n" + good(1) + "\n")
    for format_name in ("messages", "jsonl", "tree"):
        got = read(path, format=format_name)
        assert len(got) == 2
        assert all(item.to_json().encode() for item in got)
