"""Stores: names stay inside the corpus, objects appear whole or not at all, faults are a line."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import s3_server

from pipeline.store import Store, open_store
from pipeline.store_names import shown
from schemas.errors import StrettoError

BAD_NAMES = [
    "../x",
    "a/../b",
    "/etc/x",
    "a//b",
    "",
    ".hidden",
    "a/.b",
    "a\\b",
    "a b",
    "ä",
    "a\n",
    "./a",
]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket's URL, with the environment that a user would set."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test-id",
        "AWS_SECRET_ACCESS_KEY": "test-secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(
        Bucket="corpora"
    )
    yield "s3://corpora/some/corpus"


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return open_store(str(tmp_path / "corpus"))
    return open_store(request.getfixturevalue("s3") + f"/{tmp_path.name}")


def test_objects_come_back_as_they_went(store: Store, tmp_path: Path) -> None:
    big = os.urandom(3_000_000)
    store.write_bytes("train/a-000000.tar", big)
    store.write_bytes("b.json.gz", b"not gzip at all")
    (tmp_path / "file").write_bytes(b"from a file")
    store.put_file("plan/c.jsonl", tmp_path / "file")

    assert store.read_bytes("train/a-000000.tar") == big
    assert store.read_bytes("b.json.gz") == b"not gzip at all"
    assert store.read_range("train/a-000000.tar", 512, 4096) == big[512:4608]
    assert store.list() == ["b.json.gz", "plan/c.jsonl", "train/a-000000.tar"]
    assert store.list("plan") == store.list("plan/") == ["plan/c.jsonl"]
    assert store.list("nothing") == []
    store.delete("plan/c.jsonl")
    store.delete("plan/c.jsonl")
    assert store.exists("b.json.gz") and not store.exists("plan/c.jsonl")
    store.write_bytes("b.json.gz", b"replaced")
    assert store.read_bytes("b.json.gz") == b"replaced"


def test_a_range_past_the_end_is_refused(store: Store) -> None:
    store.write_bytes("x", b"0123456789")
    with pytest.raises(StrettoError, match="cut short"):
        store.read_range("x", 5, 10)


def test_a_missing_object_is_one_line(store: Store) -> None:
    with pytest.raises(StrettoError) as caught:
        store.read_bytes("no/such.json")
    assert "no/such.json" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_cannot_leave_the_folder(store: Store, name: str) -> None:
    for use in (store.read_bytes, store.exists, store.delete):
        with pytest.raises(StrettoError, match="unsafe"):
            use(name)
    with pytest.raises(StrettoError, match="unsafe"):
        store.write_bytes(name, b"x")


def test_missing_bucket_is_refused_at_once(s3: str) -> None:
    with pytest.raises(StrettoError, match="there is no bucket 'other'"):
        open_store("s3://other/x")


def test_credentials_never_reach_a_message(endpoint: str) -> None:
    host = endpoint.removeprefix("http://")
    url = f"s3://anid:hush%2Fhush@other/x?endpoint_override={host}&scheme=http&region=us-east-1"
    with pytest.raises(StrettoError) as caught:
        open_store(url)
    assert "hush" not in str(caught.value) and "anid" not in str(caught.value)
    assert shown(url) == "s3://other/x"


def test_unknown_scheme_is_refused() -> None:
    with pytest.raises(StrettoError, match="no store for ftp"):
        open_store("ftp://host/x")


def test_a_second_run_is_kept_out(tmp_path: Path) -> None:
    one, two = open_store(str(tmp_path / "c")), open_store(str(tmp_path / "c"))
    with one.lock():
        one.write_bytes("x", b"1")
        with pytest.raises(StrettoError, match="another run"), two.lock():
            pass
    with two.lock():
        pass
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["x"]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """A file size limit stands in for a full disk: the kernel refuses in the middle of a write."""
    script = (
        "import resource, signal, sys\n"
        "from pipeline.store import open_store\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "store = open_store(sys.argv[1])\n"
        "store.write_bytes('small', b'1')\n"
        "try:\n"
        "    store.write_bytes('train/big.tar', bytes(200_000))\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "c")], capture_output=True, text=True
    )
    assert done.stdout.startswith("StrettoError"), done.stderr
    assert "train/big.tar: file too large" in done.stdout
    left = [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()]
    assert left == ["c/small"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 100_000


def test_no_permission_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("in the way")
    with pytest.raises(StrettoError, match="not a folder; use another --out"):
        open_store(str(folder))
    with pytest.raises(StrettoError, match="a part of the path is a file"):
        open_store(str(folder / "below")).write_bytes("x", b"1")
