"""The stream reader: byte ranges, filters, the order and its resumption, untrusted tars."""

from __future__ import annotations

import io
import shutil
import tarfile
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trainer_corpus import RATE, make_corpus, make_sample

from pipeline.order import SampleOrder
from pipeline.stream import open_corpus, read_members
from schemas.errors import StrettoError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("stream"), train=9, val=3, fit=False)


def test_every_sample_comes_back_as_it_was_written(root: Path) -> None:
    corpus = open_corpus(str(root))
    for row in reversed(corpus.rows()):
        timeline, media = corpus.read(int(row))
        sample = make_sample(int(timeline.key.split("-")[1]))
        assert timeline == sample.timeline
        assert np.array_equal(media.listen(), sample.listen)
        assert np.array_equal(media.speak(), sample.speak)
        assert media.act() is None
        assert len(media.listen()) == round(timeline.duration_s * RATE)


def test_rows_filter(root: Path) -> None:
    corpus = open_corpus(str(root))
    table = corpus.index.to_pylist()
    assert [table[r]["split"] for r in corpus.rows("val")] == ["val"] * 3
    german = [r["key"] for r in table if r["language"] == "de" and r["split"] == "train"]
    assert [table[r]["key"] for r in corpus.rows("train", languages=["de"])] == german
    assert len(german) == 3
    assert len(corpus.rows("train", subset="robot")) == 0
    assert len(corpus.rows(kind="dialogue")) == 12
    assert len(corpus.rows(languages=["de", "fr"])) == len(corpus.rows(languages=["de"]))
    assert len(corpus.rows(languages=["xx"])) == 0


def test_a_key_is_found_or_like_ones_named(root: Path) -> None:
    corpus = open_corpus(str(root))
    key = corpus.row(5)["key"]
    assert corpus.find(key) == 5
    with pytest.raises(StrettoError, match=f"no sample '{key[:-1]}'; keys are like .*{key[:-1]}"):
        corpus.find(key[:-1])


def test_a_broken_member_names_its_sample(root: Path, tmp_path: Path) -> None:
    """The bytes of a FLAC stream are overwritten; the index still fits."""
    copy = tmp_path / "corpus"
    shutil.copytree(root, copy)
    corpus = open_corpus(str(copy))
    at = corpus.row(0)
    tar = copy / at["shard"]
    data = tar.read_bytes()
    tar.write_bytes(data.replace(b"fLaC", b"junk"))
    with pytest.raises(
        StrettoError, match=f"{at['shard']}: sample {at['key']}: member listen.flac"
    ):
        corpus.read(0)[1].listen()


def test_order_is_a_permutation_each_epoch_and_resumes_on_any_world_size() -> None:
    order = SampleOrder(101, seed=3)
    first, second = ([order.sample(e * 101 + i) for i in range(101)] for e in (0, 1))
    assert sorted(first) == sorted(second) == list(range(101))
    assert first != second and first != sorted(first)
    assert first != [SampleOrder(101, seed=4).sample(i) for i in range(101)]
    # two ranks go to global position 60, three go on from there: everything once
    seen = [list(islice(SampleOrder(101, 3, rank=r, world_size=2), 30)) for r in range(2)]
    seen += [
        list(islice(SampleOrder(101, 3, rank=r, world_size=3, start=60), 14)) for r in range(3)
    ]
    flat = sorted(pair for part in seen for pair in part)
    assert [p for p, _ in flat] == list(range(102))
    assert [s for _, s in flat[:101]] == first
    assert list(islice(SampleOrder(101, 3, epoch=1), 5)) == list(enumerate(second[:5], 101))


def test_order_refuses_what_cannot_be() -> None:
    with pytest.raises(StrettoError, match="no samples"):
        SampleOrder(0, 1)
    with pytest.raises(StrettoError, match="rank 2"):
        SampleOrder(5, 1, rank=2, world_size=2)


def test_no_corpus_there(tmp_path: Path) -> None:
    with pytest.raises(StrettoError, match=r"no index.parquet.*stretto generate"):
        open_corpus(str(tmp_path))
    (tmp_path / "index.parquet").write_bytes(b"not parquet")
    with pytest.raises(StrettoError, match="unreadable"):
        open_corpus(str(tmp_path))
    pq.write_table(pa.table({"key": ["a"]}), tmp_path / "index.parquet")
    with pytest.raises(StrettoError, match="lacks column 'split'"):
        open_corpus(str(tmp_path))


def test_an_index_that_points_at_other_bytes_is_told(root: Path, tmp_path: Path) -> None:
    table = pq.read_table(root / "index.parquet")
    starts = table.column("start_byte").to_pylist()
    shifted = table.set_column(
        table.column_names.index("start_byte"), "start_byte", pa.array([s + 100 for s in starts])
    )
    for split in ("train", "val"):
        (tmp_path / split).symlink_to(root / split)
    pq.write_table(shifted, tmp_path / "index.parquet")
    with pytest.raises(StrettoError, match="not a tar at these bytes"):
        open_corpus(str(tmp_path)).read(0)


def tar_of(*members: tuple[str, bytes | None]) -> bytes:
    """A tar; a member with None is a symbolic link to /etc/passwd."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if data is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            info.size = len(data or b"")
            tar.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


def test_members_are_read_and_the_untrusted_are_refused() -> None:
    assert read_members(tar_of(("k.json", b"{}"), ("k.look.Front_1.mp4", b"x")), "k", "t") == {
        "json": b"{}",
        "look.Front_1.mp4": b"x",
    }
    for name, data in (
        ("k.json", None),
        ("/k.json", b""),
        ("../k.json", b""),
        ("k./json", b""),
        ("other.json", b""),
        ("k.", b""),
        ("k...", b""),
    ):
        with pytest.raises(StrettoError, match="member"):
            read_members(tar_of((name, data)), "k", "t")
    with pytest.raises(StrettoError, match="twice"):
        read_members(tar_of(("k.json", b"1"), ("k.json", b"2")), "k", "t")
    with pytest.raises(StrettoError, match="not a tar"):
        read_members(b"x" * 600, "k", "t")
    good = bytearray(tar_of(("k.json", b"1"), ("k.act.npy", b"2")))
    good[1024 + 150] ^= 1  # the checksum of the second header
    with pytest.raises(StrettoError, match="not a tar after byte 1024"):
        read_members(bytes(good), "k", "t")


def test_a_broken_timeline_names_its_field(root: Path) -> None:
    from pipeline.stream import read_timeline

    with pytest.raises(StrettoError, match=r"Timeline: duration_s"):
        text = make_sample(0).timeline.to_json().replace('"duration_s":', '"duration_s":-')
        read_timeline({"json": text.encode()}, "here")
    with pytest.raises(StrettoError, match="no Timeline"):
        read_timeline({}, "here")
