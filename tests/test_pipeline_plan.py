"""Plans, splits and fingerprints: every record has its place, and a folder knows who made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpus import dialogue, write_corpus

from jobs.config_file import load_config
from pipeline.fingerprint import Fingerprint, differences, fingerprint
from pipeline.plan import Plan, make_plan, read_plan, shard_records
from pipeline.splits import assign_splits
from pipeline.store import Store, open_store
from schemas.config import ShardsConfig
from schemas.errors import StrettoError
from schemas.sample import Rejection


def planned(config_path: Path, out: Path, limit: int | None = None) -> tuple[Store, Plan]:
    config, store = load_config(str(config_path)), open_store(str(out))
    return store, make_plan(config, fingerprint(config, limit, "test 1"), limit, store)


def test_every_record_has_one_place(tmp_path: Path) -> None:
    records = [dialogue(n) for n in range(30)]
    config = write_corpus(tmp_path, records, shards={"samples": 4, "test_share": 0.2})
    store, plan = planned(config, tmp_path / "out")
    found = [r.record_id for s in plan.shards for r in shard_records(store, s)]
    assert sorted(found) == sorted(r["id"] for r in records) and plan.planned == 30
    assert {s.split for s in plan.shards} == {"train", "val", "test"}
    for split in ("train", "val", "test"):
        shards = [s for s in plan.shards if s.split == split]
        assert [s.index for s in shards] == list(range(len(shards)))
        assert all(s.records == 4 for s in shards[:-1]) and 1 <= shards[-1].records <= 4
        ids = [r.record_id for s in shards for r in shard_records(store, s)]
        assert ids == sorted(ids), "records stand in input order"
    assert read_plan(store) == plan


def test_a_plan_is_the_same_twice_and_ignores_the_folder(tmp_path: Path) -> None:
    config = write_corpus(tmp_path, [dialogue(n) for n in range(9)])
    one, _ = planned(config, tmp_path / "one")
    two, _ = planned(config, tmp_path / "two")
    assert {n: one.read_bytes(n) for n in one.list()} == {n: two.read_bytes(n) for n in two.list()}


def test_a_half_made_plan_is_made_anew(tmp_path: Path) -> None:
    """A run killed while planning leaves lists that a changed input would never overwrite."""
    config = write_corpus(tmp_path, [dialogue(n) for n in range(3)])
    store = open_store(str(tmp_path / "out"))
    store.write_bytes("plan/train-dialogue-000099.jsonl", b"stale")
    planned(config, tmp_path / "out")
    assert not store.exists("plan/train-dialogue-000099.jsonl")


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    config = write_corpus(tmp_path, [dialogue(0)])
    for name in ("README.md", "notes/mine.txt"):
        open_store(str(tmp_path / "out")).write_bytes(name, b"mine")
    with pytest.raises(StrettoError, match="files of no plan of stretto's: README.md and 1 more"):
        planned(config, tmp_path / "out")


def test_one_key_from_two_sources_is_rejected(tmp_path: Path) -> None:
    """A source named like the one that gets its name from its path and place."""
    write_corpus(tmp_path, [dialogue(0), dialogue(1)])
    path = {"path": str(tmp_path / "dialogues.jsonl")}
    sources = [{"dialogues": path | {"name": "dialogues-1"}}, {"dialogues": path}]
    config = write_corpus(tmp_path, [dialogue(0), dialogue(1)], sources=sources)
    store, plan = planned(config, tmp_path / "out")
    assert (plan.planned, plan.quarantined) == (2, 2)
    refused = store.read_bytes("quarantine/source.jsonl").decode()
    assert "is taken by a record of source dialogues-1" in refused


def test_limit_takes_the_first_of_each_source(tmp_path: Path) -> None:
    write_corpus(tmp_path, [dialogue(n) for n in range(6)])
    path = {"path": str(tmp_path / "dialogues.jsonl")}
    sources = [{"dialogues": path | {"name": name}} for name in ("one", "two")]
    config = write_corpus(tmp_path, [dialogue(n) for n in range(6)], sources=sources)
    store, plan = planned(config, tmp_path / "out", limit=2)
    ids = [(r.source, r.record_id) for s in plan.shards for r in shard_records(store, s)]
    assert sorted(ids) == [("one", "d00"), ("one", "d01"), ("two", "d00"), ("two", "d01")]


def test_nothing_usable_names_the_first_reason(tmp_path: Path) -> None:
    config = write_corpus(tmp_path, ["{broken", "[]"])
    with pytest.raises(StrettoError, match=r"no source yields a usable record.*dialogues.jsonl:1"):
        planned(config, tmp_path / "out")


def test_a_changed_plan_file_is_noticed(tmp_path: Path) -> None:
    config = write_corpus(tmp_path, [dialogue(0)])
    store, plan = planned(config, tmp_path / "out")
    name = f"plan/{plan.shards[0].name}.jsonl"
    store.write_bytes(name, store.read_bytes(name).replace(b"key?", b"cat?"))
    with pytest.raises(StrettoError, match="not the file that was planned"):
        shard_records(store, plan.shards[0])


def test_rejections_of_the_source_are_kept(tmp_path: Path) -> None:
    config = write_corpus(tmp_path, [dialogue(0), "{broken"])
    store, plan = planned(config, tmp_path / "out")
    lines = store.read_bytes("quarantine/source.jsonl").splitlines()
    assert [Rejection.model_validate_json(line).status for line in lines] == ["quarantined"]
    assert (plan.planned, plan.quarantined, plan.unused) == (1, 1, 0)


group_sets = st.dictionaries(
    st.sampled_from(["dialogue", "arm", "hand"]),
    st.sets(st.integers(0, 40).map(lambda n: f"s/{n}"), min_size=1),
    min_size=1,
)


@settings(max_examples=60, deadline=None)
@given(groups=group_sets, seed=st.integers(0, 5))
def test_each_split_of_a_subset_has_a_group_where_there_are_enough(
    groups: dict[str, set[str]], seed: int
) -> None:
    own = {s: {f"{s}-{g}" for g in members} for s, members in groups.items()}
    shares = ShardsConfig(val_share=0.05, test_share=0.05)
    split = assign_splits(seed, own, shares)
    assert split.keys() == {g for members in own.values() for g in members}
    for members in own.values():
        held = {split[g] for g in members}
        assert "train" in held
        assert len(held) == min(3, len(members))


def test_more_groups_move_no_other() -> None:
    shares = ShardsConfig(val_share=0.1)
    many = [f"s/{n}" for n in range(400)]
    few = assign_splits(1, {"dialogue": many[:200]}, shares)
    more = assign_splits(1, {"dialogue": many}, shares)
    assert all(more[g] == s for g, s in few.items())
    assert 20 <= sum(s == "val" for s in more.values()) <= 60


def test_no_share_means_no_split() -> None:
    split = assign_splits(0, {"d": [f"s/{n}" for n in range(50)]}, ShardsConfig(val_share=0.0))
    assert set(split.values()) == {"train"}


def make_print(tmp_path: Path, speech: str = "test 1", **more: Any) -> Fingerprint:
    config = load_config(str(write_corpus(tmp_path, [dialogue(0)], **more)))
    return fingerprint(config, None, speech)


def test_a_fingerprint_names_what_differs(tmp_path: Path) -> None:
    base = make_print(tmp_path)
    assert make_print(tmp_path) == base and differences(base, base) == ""
    assert "version of speech was 'test 1', is 'test 2'" in differences(
        base, make_print(tmp_path, "test 2")
    )
    moved = make_print(tmp_path, scene={"reaction_s": [0.1, 0.4]})
    assert "config key scene.reaction_s.0 was 0.2, is 0.1" in differences(base, moved)
    assert moved.digest != base.digest


def test_what_shapes_no_byte_is_not_in_it(tmp_path: Path) -> None:
    base = make_print(tmp_path)
    config = write_corpus(tmp_path, [dialogue(0)], schema="other", speech={"cache": "kept"})
    other = fingerprint(load_config(str(config)), None, "test 1")
    assert other == base and "kept" not in other.to_json()


def test_a_large_input_is_known_by_size_head_and_tail(tmp_path: Path) -> None:
    from pipeline.fingerprint import EDGE_BYTES, WHOLE_BYTES, _input

    path = tmp_path / "big"
    with open(path, "wb") as out:
        out.truncate(WHOLE_BYTES + 10)
    first = _input("s", "big", path)
    with open(path, "r+b") as out:
        out.seek(WHOLE_BYTES + 10 - EDGE_BYTES)
        out.write(b"x")
    second = _input("s", "big", path)
    assert first.partial and second.partial and first.sha256 != second.sha256
