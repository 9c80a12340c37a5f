"""Dialogue sources on real files: every format by mapping, keys and groups, and real corpora."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from generators.sources import input_files, read_source, source_name
from schemas import Dialogue, Rejection, StrettoError
from schemas.config import SourceEntry

HELLO = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hi!"}]


def entry(path: Path | str, **fields: Any) -> SourceEntry:
    return SourceEntry(dialogues={"path": str(path), **fields})  # type: ignore[arg-type]


def read(path: Path | str, **fields: Any) -> list[Any]:
    return list(read_source(entry(path, **fields), "mine"))


def lines(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def texts(dialogue: Dialogue) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in dialogue.turns]


def test_messages_with_every_field(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Sort 3, 1.", "speaker": "Ann"},
        {"role": "assistant", "content": "`[1, 3]`", "say": "One, three.", "think": "easy"},
        {"role": "user", "content": "No, down!", "interrupts": True},
        {"role": "tool", "content": "{}"},
        {"role": "assistant", "content": "[3, 1]"},
        {"role": "assistant", "content": "Done."},
    ]
    record = {
        "id": 7,
        "messages": messages,
        "language": "pt-BR",
        "tags": ["code"],
        "license": "CC0-1.0",
        "group": "g",
    }
    (got,) = read(lines(tmp_path / "a.jsonl", record))
    assert isinstance(got, Dialogue)
    assert (got.record_id, got.group, got.language, got.licence) == ("7", "g", "pt-BR", "CC0-1.0")
    assert got.tags == ("code",) and got.where == f"{tmp_path}/a.jsonl:1"
    assert [t.role for t in got.turns][3:] == ["user", "tool", "assistant", "assistant"]
    assert (got.turns[2].say, got.turns[2].think) == ("One, three.", "easy")
    assert got.turns[1].speaker == "Ann" and got.turns[3].interrupts


def test_key_rests_on_source_and_id_only(tmp_path: Path) -> None:
    other = [HELLO[0], {"role": "assistant", "content": "Something else."}]
    path = lines(tmp_path / "a.jsonl", {"id": "x", "messages": HELLO})
    (before,) = read(path)
    (after,) = read(lines(path, {"id": "x", "messages": other}))
    assert before.key == after.key and before.turns != after.turns
    (renamed,) = read_source(entry(path), "yours")
    assert renamed.key != after.key and renamed.key.startswith("yours-")  # type: ignore[union-attr]


def test_without_an_id_the_content_is_the_id(tmp_path: Path) -> None:
    other = [HELLO[0], {"role": "assistant", "content": "Something else."}]
    path = lines(tmp_path / "a.jsonl", *({"messages": m} for m in (HELLO, other, HELLO)))
    one, two, again = read(path)
    assert one.record_id != two.record_id
    assert isinstance(again, Rejection) and "came before" in again.reason


def test_json_by_dotted_mapping(tmp_path: Path) -> None:
    record = {
        "meta": {"uid": "d1", "lang": "de", "who": "worker-9"},
        "prompt": "Sei freundlich.",
        "log": [
            {"by": {"name": "KUNDE"}, "body": {"t": "Guten Tag"}},
            {"by": {"name": "System"}, "body": {"t": "Guten Tag!"}},
            {"by": {"name": "logger"}, "body": {"t": "(beep)"}},
        ],
    }
    path = tmp_path / "one.json"
    path.write_text(json.dumps(record))
    (got,) = read(
        path,
        format="json",
        id="meta.uid",
        turns="log",
        role="by.name",
        text="body.t",
        group="meta.who",
        language_field="meta.lang",
        system="prompt",
        licence="MIT",
        roles={"kunde": "user", "SYSTEM": "assistant", "logger": "skip"},
    )
    assert texts(got) == [
        ("system", "Sei freundlich."),
        ("user", "Guten Tag"),
        ("assistant", "Guten Tag!"),
    ]
    assert (got.record_id, got.group, got.language, got.licence) == ("d1", "worker-9", "de", "MIT")
    assert got.tags == ("skipped-turns=1",) and got.where == f"{path}#0"


def test_json_lists_of_a_sorted_glob(tmp_path: Path) -> None:
    for name in ("b", "a"):
        items = [{"id": f"{name}{i}", "turns": HELLO} for i in range(2)]
        (tmp_path / f"{name}.json").write_text(json.dumps(items))
    got = read(tmp_path / "*.json", format="json")
    assert [d.record_id for d in got] == ["a0", "a1", "b0", "b1"]
    assert [d.where.rpartition("/")[2] for d in got][:2] == ["a.json#0", "a.json#1"]
    assert [f.name for f in input_files(entry(tmp_path / "*.json"))] == ["a.json", "b.json"]


@pytest.mark.parametrize(
    "key,role,text", [("conversations", "from", "value"), ("utterances", "speaker", "text")]
)
def test_usual_names_need_no_mapping(tmp_path: Path, key: str, role: str, text: str) -> None:
    turns = [{role: "human", text: "Hello?"}, {role: "GPT", text: "Hi!"}]
    (got,) = read(lines(tmp_path / "a.jsonl", {key: turns}), format="jsonl")
    assert texts(got) == [("user", "Hello?"), ("assistant", "Hi!")]


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows(rows)
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_csv_rows_of_one_id(tmp_path: Path, suffix: str) -> None:
    path = write_csv(
        tmp_path / f"a.{suffix}",
        [
            ["conv", "who", "said"],
            ["1", "user", "two\nlines, and a comma"],
            ["1", "bot", "fine"],
            ["2", "user", "hello"],
            ["2", "bot", "hi"],
            ["1", "user", "back again"],
            ["1", "bot", "late"],
        ],
    )
    one, two, late = read(path, format="csv", id="conv", role="who", text="said")
    assert texts(one) == [("user", "two\nlines, and a comma"), ("assistant", "fine")]
    assert (two.record_id, two.where) == ("2", f"{path}:5")
    assert isinstance(late, Rejection) and late.record_id == "1" and "came before" in late.reason


def test_a_row_can_be_a_dialogue(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "a.csv", [["n", "ask", "answer"], ["1", "Which?", "That."], ["2", "Now?", ""]]
    )
    roles = {"ask": "user", "answer": "assistant"}
    good, bad = read(path, format="csv", id="n", turns="ask, answer", roles=roles)
    assert texts(good) == [("user", "Which?"), ("assistant", "That.")]
    assert bad.record_id == "2" and "only one side" in bad.reason


def tree(role: str, text: str, *replies: Any, **fields: Any) -> dict[str, Any]:
    return {"role": role, "text": text, "replies": list(replies), **fields}


def test_tree_takes_the_deepest_answered_path_then_the_better_rank(tmp_path: Path) -> None:
    deep = tree(
        "assistant",
        "worse but deep",
        tree("prompter", "more", tree("assistant", "end A")),
        tree("prompter", "better", tree("assistant", "end B"), rank=0),
        rank=2,
    )
    open_end = tree("assistant", "best rank", tree("prompter", "unanswered"), rank=0)
    gone = tree("assistant", "deleted", *deep["replies"], rank=0, deleted=True)
    record = {"message_tree_id": "t", "prompt": tree("prompter", "go", gone, open_end, deep)}
    record["prompt"]["lang"] = "en"
    (got,) = read(lines(tmp_path / "a.jsonl", record), format="tree")
    assert [t.text for t in got.turns] == ["go", "worse but deep", "better", "end B"]
    assert got.group == "t" and got.language == "en"
    record["prompt"]["replies"] = [open_end]  # a question at the end that nobody answered
    (got,) = read(lines(tmp_path / "a.jsonl", record), format="tree")
    assert [t.text for t in got.turns] == ["go", "best rank"]


def test_huggingface_local_folder_and_files(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the package `datasets` is not installed")
    rows = {"id": ["a", "b"], "chat": [HELLO, HELLO]}
    table = datasets.Dataset.from_dict(rows)
    table.save_to_disk(str(tmp_path / "saved"))
    datasets.DatasetDict({"train": table, "test": table}).save_to_disk(str(tmp_path / "two"))
    table.to_parquet(str(tmp_path / "p.parquet"))
    (tmp_path / "files").mkdir()
    lines(tmp_path / "files" / "train.jsonl", *({"id": i, "chat": HELLO} for i in rows["id"]))
    for path, fields in (
        ("saved", {}),
        ("two", {"split": "test"}),
        ("p.parquet", {}),
        ("files", {}),
    ):
        got = read(tmp_path / path, format="huggingface", turns="chat", **fields)
        assert [d.record_id for d in got] == ["a", "b"], path
        assert texts(got[0]) == [("user", "Hello?"), ("assistant", "Hi!")]
        assert got[1].where == f"{tmp_path / path}#1"
        assert input_files(entry(tmp_path / path, format="huggingface"))
    with pytest.raises(StrettoError, match="splits here: train, test; set `split`"):
        read(tmp_path / "two", format="huggingface", turns="chat")


def test_huggingface_without_the_package_names_the_extra(repo: Path) -> None:
    code = """
import sys
sys.modules["datasets"] = None  # what Python itself does for a package that cannot be imported
from generators.sources import read_source
from schemas.config import SourceEntry
entry = SourceEntry(dialogues={"path": "org/name", "format": "huggingface"})
try:
    next(read_source(entry, "x"))
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, text=True)
    assert done.stdout.startswith("StrettoError"), done.stderr
    assert "stretto[huggingface]" in done.stdout


def test_names_and_limit(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", *({"id": i, "messages": HELLO} for i in range(5)))
    assert source_name(entry(path, name="My set"), 3) == "My set"
    assert source_name(entry("corpus/Talk Show/*.jsonl"), 3) == "talk-show-3"
    assert [source_name(entry(p), 0) for p in ("a/B c.json", "*.json", ".", "..")] == [
        "b-c-0",
        "source-0",
        "source-0",
        "source-0",
    ]
    assert [d.record_id for d in read(path, limit=2)] == ["0", "1"]
    assert read(path) == read(path)


def test_taskmaster(shared_dir: Path) -> None:
    path = shared_dir / "data" / "taskmaster4_coffee" / "data_07.json"
    got = read(
        path,
        format="json",
        id="conversation_id",
        turns="utterances",
        role="speaker",
        text="text",
        system="instructions",
    )
    assert len(got) == 210 == sum(isinstance(d, Dialogue) for d in got)
    raw = json.loads(path.read_text())
    assert [len(d["utterances"]) for d in raw] == [
        sum(t.role != "system" for t in d.turns) for d in got
    ]
    assert len({d.key for d in got}) == 210


def test_sgd(shared_dir: Path) -> None:
    got = read(
        shared_dir / "data" / "sgd" / "test_dialogues_*.json",
        format="json",
        id="dialogue_id",
        turns="turns",
        role="speaker",
        text="utterance",
        roles={"USER": "user", "SYSTEM": "assistant"},
    )
    assert len(got) == 51 and {t.role for d in got for t in d.turns} == {"user", "assistant"}


def test_open_assistant(shared_dir: Path) -> None:
    got = read(shared_dir / "data" / "oasst_en_100" / "*.jsonl", format="tree")
    assert len(got) == 100 == len({d.group for d in got})
    assert all(d.turns[-1].role == "assistant" and d.language == "en" for d in got)
    assert max(len(d.turns) for d in got) == 6


def test_iglu_csv_all_rows_accounted_for(shared_dir: Path) -> None:
    path = shared_dir / "data" / "iglu_clarifying_questions" / "clarifying_questions_train.csv"
    got = read(
        path,
        format="csv",
        id="GameId",
        turns="InputInstruction, ClarifyingQuestion",
        roles={"InputInstruction": "user", "ClarifyingQuestion": "assistant"},
    )
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    asked = [r["GameId"] for r in rows if r["ClarifyingQuestion"].strip()]
    assert len(got) == len(rows) == 6828
    assert [d.record_id for d in got if isinstance(d, Dialogue)] == list(dict.fromkeys(asked))
    assert all(
        "only one side" in d.reason or "came before" in d.reason
        for d in got
        if isinstance(d, Rejection)
    )
