"""A corpus as tokens: the same keys and shards, the same bytes whoever makes them, and proof of it."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from corpus_fixture import fit_codecs
from s3_server import s3_server
from small_corpus import (
    REPO,
    barge_in,
    dialogue,
    environment,
    files,
    generate,
    objects,
    write_corpus,
)

from jobs.retokenize import run
from pipeline.media import MemberMedia
from pipeline.retokenize import Run, compile_missing, open_plan, open_run
from pipeline.retokenize_finish import finish_tokens
from pipeline.retokenize_pack import ARRAYS
from pipeline.retokenize_rates import token_rates
from pipeline.store import open_store
from pipeline.stream import read_members
from pipeline.token_stream import open_tokens, read_tokens, stream_tokens
from pipeline.validate import validate
from pipeline.validate_texts import Source, run_on
from pipeline.validate_token_corpus import differing
from schemas.errors import StrettoError

SAMPLES = 9
TEXT_ONLY = """
name: text-only
mode: interleaved
clock: {block_s: 1.0}
prompt: {open: <bop>, close: <eop>}
lanes:
  - write: {as: text, budget: 8, idle: <no>, end: <end>, cut: <cut>, open: <bot>, close: <eot>, loss: 1}
"""
PARALLEL = """
name: side-by-side
mode: parallel
clock: {frame_s: 0.1}
prompt: {open: <bop>, close: <eop>}
lanes:
  - say: {as: text, placement: word, idle: <pad>, epad: <epad>, loss: 1}
  - speak: {as: codes, rate_hz: 10, codebooks: 4, delays: [0, 1, 1, 1], pad: <apad>, loss: 1}
  - listen: {as: codes, rate_hz: 10, codebooks: 4, delays: [0, 1, 1, 1], pad: <apad>}
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven dialogues, a cut reply and a robot episode in shards of two, with tiny codecs."""
    folder = tmp_path_factory.mktemp("retokenize")
    records = [*(dialogue(n) for n in range(7)), barge_in()]
    done = generate(write_corpus(folder, records, robots=1), folder / "corpus")
    assert done.returncode == 0, done.stderr
    fit_codecs(folder / "corpus")
    return folder / "corpus"


@pytest.fixture(scope="module")
def clean(corpus: Path) -> Path:
    """What an undisturbed run with two workers makes of it."""
    done = retokenize(corpus, corpus.parent / "clean", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert f"samples      {SAMPLES}" in done.stdout
    return corpus.parent / "clean"


@pytest.fixture
def copy(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "tokens"))


def command(corpus: Path | str, out: Path | str, *more: str, schema: str = "ellsa") -> list[str]:
    verb = [sys.executable, "-m", "jobs.main", "retokenize"]
    return [*verb, str(corpus), "--schema", schema, "--out", str(out), *more]


def retokenize(
    corpus: Path | str, out: Path | str, *more: str, schema: str = "ellsa", **env: str
) -> subprocess.CompletedProcess[str]:
    """Run `stretto retokenize` as a user does, in a process of its own."""
    return subprocess.run(
        command(corpus, out, *more, schema=schema),
        capture_output=True,
        text=True,
        cwd=REPO,
        env=environment(**env),
        timeout=120,
    )


def compiled_here(opened: Run) -> dict[str, Any]:
    """The same in this process, where a test can interfere."""
    plan = open_plan(opened)
    assert list(compile_missing(opened, plan, workers=0))
    return finish_tokens(opened.store, opened.source, opened.schema, opened.codecs, plan)


# ---- what is made --------------------------------------------------------------------------------


def test_shards_keys_and_order_are_those_of_the_corpus(corpus: Path, clean: Path) -> None:
    source = pq.read_table(corpus / "index.parquet").to_pylist()
    made = pq.read_table(clean / "index.parquet").to_pylist()
    place = ("key", "split", "subset", "group", "language", "kind", "shard", "duration_s")
    assert [[r[n] for n in place] for r in made] == [[r[n] for n in place] for r in source]
    assert {p.name for p in (clean / "commits").iterdir()} == {
        p.name for p in (corpus / "commits").iterdir()
    }
    for row in made:
        sample = (clean / row["shard"]).read_bytes()[row["start_byte"] : row["end_byte"]]
        assert sample[:100].rstrip(b"\0").decode() == f"{row['key']}.block.npy"
    assert any(r["dropped_tokens"] for r in made), "no cut reply: equal bytes would say little"
    assert not (clean / ".tmp").exists()


def test_streaming_gives_what_was_stored(corpus: Path, clean: Path) -> None:
    for split in (None, "train", "val"):
        streamed = list(stream_tokens(str(corpus), "ellsa", split=split))
        stored = list(read_tokens(str(clean), split=split))
        assert [key for key, _ in streamed] == [key for key, _ in stored]
        for (_, a), (_, b) in zip(streamed, stored, strict=True):
            assert not list(differing(b, a))
            assert all(getattr(a, name).dtype == getattr(b, name).dtype for name in ARRAYS)
            assert b.values["listen"].dtype == np.float32 and len(b.values["listen"])
    assert len(streamed) < len(list(read_tokens(str(clean)))) == SAMPLES


def test_plain_webdataset_reads_it(clean: Path) -> None:
    wds = pytest.importorskip("webdataset", reason="webdataset is not installed")
    opened = open_tokens(str(clean))
    read = 0
    for subset in set(opened.corpus.index["subset"].to_pylist()):
        rows = opened.corpus.rows("train", subset)
        tars = sorted({str(clean / opened.corpus.row(int(r))["shard"]) for r in rows})
        data = wds.WebDataset(tars, shardshuffle=False).decode()
        for row, sample in zip(rows, data, strict=True):
            tokens = opened.read(int(row))
            assert sample["__key__"] == opened.corpus.row(int(row))["key"]
            assert np.array_equal(sample["ids.npy"], tokens.ids)
            assert np.array_equal(sample["loss.npy"], tokens.loss)
            assert sample["json"]["tokens"] == len(tokens)
            read += 1
    assert read


def test_hugging_face_datasets_read_it(clean: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    loaded = datasets.load_dataset(str(clean), "dialogue", streaming=True)["train"]
    wanted = dict(read_tokens(str(clean), "train", "dialogue"))
    found = {sample["__key__"]: sample for sample in loaded}
    assert found.keys() == wanted.keys()
    for key, sample in found.items():
        assert np.array_equal(sample["ids.npy"], wanted[key].ids)
        assert sample["json"]["report"]["blocks"] == wanted[key].report.blocks


def test_the_schema_and_the_codecs_travel_with_the_ids(clean: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copytree(clean, tmp_path / "moved"))
    opened = open_tokens(str(alone))
    codecs = opened.codecs()
    assert codecs.hash == opened.about["language_hash"]
    assert json.loads((alone / "vocabulary.json").read_text()) == json.loads(
        codecs.vocabulary.to_json()
    )
    # nobody could tell the source's place from the data, and no path stands there
    for name, data in files(alone).items():
        assert name == "source.json" or str(clean.parent).encode() not in data, name


def test_parallel_streams_are_rows(corpus: Path, tmp_path: Path) -> None:
    schema, out = tmp_path / "parallel.yaml", tmp_path / "out"
    schema.write_text(PARALLEL)
    compiled_here(open_run(str(corpus), str(schema), str(out)))
    opened = open_tokens(str(out))
    for row, (key, made) in enumerate(stream_tokens(str(corpus), str(schema))):
        at, stored = opened.corpus.row(row), opened.read(row)
        assert at["key"] == key and not list(differing(stored, made))
        data = (out / at["shard"]).read_bytes()[at["start_byte"] : at["end_byte"]]
        ids = np.load(io.BytesIO(read_members(data, key, key)["ids.npy"]))
        assert ids.shape == (at["steps"], 9) and at["tokens"] == ids.size
        assert np.array_equal(ids.reshape(-1), made.ids)
    assert row == SAMPLES - 1
    assert not broken(out, corpus)


def test_token_rates_count_what_is_there(clean: Path) -> None:
    rates = token_rates(str(clean))
    samples = [tokens for _, tokens in read_tokens(str(clean))]
    index = pq.read_table(clean / "index.parquet").to_pylist()
    seconds = sum(row["duration_s"] for row in index)
    total = sum(len(t) for t in samples)
    assert rates["tokens"] == total and rates["samples"] == SAMPLES
    assert rates["tokens_per_s"] == pytest.approx(total / seconds, abs=0.01)
    with_loss = sum(int((t.loss > 0).sum()) for t in samples)
    assert rates["loss_share"] == pytest.approx(with_loss / total, abs=1e-4)
    edges = sum(int(((t.kind >= 2) & (t.block >= 0)).sum()) for t in samples)
    assert rates["boundary_share"] == pytest.approx(edges / total, abs=1e-4)
    listen = rates["lanes"][0]
    assert listen["lane"] == "listen" and listen["tokens_per_block"] == 7  # <bosp>, 5, <eosp>
    assert (
        sum(lane["tokens"] for lane in rates["lanes"])
        + sum(int((t.block < 0).sum()) for t in samples)
        == total
    )


def test_rates_as_json(corpus: Path, clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(corpus), "ellsa", str(clean), workers=0, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == token_rates(str(clean))


def test_a_schema_without_audio_codes_never_decodes_sound(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(media: MemberMedia, *_: Any) -> Any:
        raise AssertionError("sound or video was decoded for a schema of text")

    for name in ("listen", "speak", "frames", "act", "state"):
        monkeypatch.setattr(MemberMedia, name, poisoned)
    schema = tmp_path / "text.yaml"
    schema.write_text(TEXT_ONLY)
    summary = compiled_here(open_run(str(corpus), str(schema), str(tmp_path / "out")))
    assert summary["samples"] == SAMPLES and summary["records"]["quarantined"] == 0
    streamed = list(stream_tokens(str(corpus), str(schema)))
    assert [k for k, _ in streamed] == [k for k, _ in read_tokens(str(tmp_path / "out"))]
    with pytest.raises(AssertionError, match="was decoded"):  # the poison does bite
        list(stream_tokens(str(corpus), "ellsa"))


# ---- the same bytes ------------------------------------------------------------------------------


def test_any_number_of_workers_gives_the_same_bytes(corpus: Path, clean: Path) -> None:
    for workers in ("1", "3"):
        out = corpus.parent / f"workers-{workers}"
        done = retokenize(corpus, out, "--workers", workers)
        assert done.returncode == 0, done.stderr
        assert files(out) == files(clean)
    compiled_here(open_run(str(corpus), "ellsa", str(corpus.parent / "here")))
    assert files(corpus.parent / "here") == files(clean)


def test_a_second_run_compiles_nothing(corpus: Path, clean: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in clean.rglob("*.tar")}
    whole = files(clean)
    assert run(str(corpus), "ellsa", str(clean), workers=0) == 0
    assert {p: p.stat().st_mtime_ns for p in clean.rglob("*.tar")} == before
    assert files(clean) == whole


@pytest.mark.slow
def test_kills_and_a_resume_give_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL at five moments: while planning, between and inside shards, and at the end."""
    records = [*(dialogue(n) for n in range(20)), barge_in("barge-a"), barge_in("barge-b")]
    config = write_corpus(tmp_path, records, robots=2, shards={"samples": 1})
    corpus, out, draw = tmp_path / "corpus", tmp_path / "killed", random.Random(20261120)
    assert generate(config, corpus).returncode == 0
    fit_codecs(corpus)
    assert retokenize(corpus, tmp_path / "clean").returncode == 0
    _kill_after(corpus, out, "plan/*", draw.uniform(0, 0.02))
    for _ in range(3):
        _kill_after(corpus, out, "commits/*", draw.uniform(0, 0.05))
    made = files(out)
    assert "schema.yaml" not in made, "the kills came too late to test anything"
    _kill_after(corpus, out, "schema.yaml", 0.0)
    done = retokenize(corpus, out)
    assert done.returncode == 0, done.stderr
    assert "resuming" in done.stderr
    assert files(out) == files(tmp_path / "clean")
    assert not [str(line) for line in validate(open_store(str(out))) if line.faults]


def _kill_after(corpus: Path, out: Path, wait_for: str, delay_s: float) -> None:
    """Start a run, wait until one more file of that pattern is there and a moment, then SIGKILL."""
    before = len(list(out.glob(wait_for)))
    process = subprocess.Popen(
        command(corpus, out, "--workers", "2"),
        env=environment(),
        cwd=REPO,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(list(out.glob(wait_for))) <= before:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_worker_that_dies_is_one_line_and_the_next_run_resumes(corpus: Path, clean: Path) -> None:
    out = corpus.parent / "died"
    opened = open_run(str(corpus), "ellsa", str(out))
    commits = compile_missing(opened, open_plan(opened), workers=1)
    next(commits)
    for child in multiprocessing.active_children():
        child.kill()
    with pytest.raises(StrettoError, match="a worker process died.*resumes"):
        list(commits)
    assert run(str(corpus), "ellsa", str(out), workers=0) == 0
    assert files(out) == files(clean)


def test_an_object_store_gets_the_same_bytes(corpus: Path, clean: Path) -> None:
    import boto3

    with s3_server() as endpoint, pytest.MonkeyPatch.context() as patch:
        keys = {"AWS_ACCESS_KEY_ID": "test-id", "AWS_SECRET_ACCESS_KEY": "test-secret"}
        env = keys | {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1"}
        for name, value in env.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="tokens")
        done = retokenize(corpus, "s3://tokens/small", "--workers", "2", **env)
        assert done.returncode == 0, done.stderr
        there = objects(open_store("s3://tokens/small"))
        assert {**there, "source.json": b""} == {**files(clean), "source.json": b""}
        assert len(list(read_tokens("s3://tokens/small", "val"))) == 1


# ---- refusals ------------------------------------------------------------------------------------


def test_another_schema_codec_or_source_in_the_same_folder(
    corpus: Path, copy: Path, tmp_path: Path
) -> None:
    whole = files(copy)

    def refused(says: str, source: Path, schema: str = "ellsa", **more: str) -> None:
        with pytest.raises(StrettoError, match=f"made by another run: .*{says}.*another --out"):
            open_plan(open_run(str(source), schema, str(copy), **more))

    schema = tmp_path / "text.yaml"
    schema.write_text(TEXT_ONLY)
    refused("config key schema.", corpus, str(schema))
    refused("--split was None, is 'val'", corpus, split="val")
    shutil.copytree(corpus / "codecs", tmp_path / "fit" / "codecs")
    _other_text_codec(tmp_path / "fit" / "codecs" / "text")
    refused("codecs: text another content", corpus, codecs=str(tmp_path / "fit"))
    other = Path(shutil.copytree(corpus, tmp_path / "other"))
    about = json.loads((other / "dataset.json").read_text())
    about["fingerprint"]["digest"] = "0" * 64
    (other / "dataset.json").write_text(json.dumps(about))
    refused("source.fingerprint was", other)
    done = retokenize(corpus, copy, schema=str(schema))
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert files(copy) == whole


def _other_text_codec(folder: Path) -> None:
    from token_schema.codecs.base import save
    from token_schema.codecs.fit import TextSettings, fit_text

    save(fit_text(["quite another text", "and one more"], TextSettings(vocab_size=300)), folder)


@pytest.mark.parametrize("place", [".", "train", "tokens/deep", ".."])
def test_the_corpus_itself_is_never_written_into(corpus: Path, place: str) -> None:
    with pytest.raises(StrettoError, match="--out (is|lies|holds).*use another --out"):
        open_run(str(corpus), "ellsa", str(corpus / place))


def test_what_cannot_run_is_refused_before_work(corpus: Path, clean: Path, tmp_path: Path) -> None:
    def fails(says: str, *args: Any, **more: Any) -> None:
        with pytest.raises(StrettoError, match=says):
            open_run(*(str(a) for a in args), **more)
        assert not (tmp_path / "out").exists()

    out = tmp_path / "out"
    fails("no schema preset 'elsa'.*did you mean `ellsa`", corpus, "elsa", out)
    fails("no finished corpus|no index.parquet", tmp_path, "ellsa", out)
    fails("this is a token corpus.*small", clean, "ellsa", out)
    fails("no sample in split 'test'", corpus, "ellsa", out, split="test")
    image = Path(shutil.copytree(corpus, tmp_path / "blind"))
    shutil.rmtree(image / "codecs" / "image")
    shutil.rmtree(image / "codecs" / "text")
    fails("codecs/text.*run `stretto fit CONFIG .*blind --schema ellsa`", image, "ellsa", out)
    shutil.copytree(corpus / "codecs" / "text", image / "codecs" / "text")
    fails("codecs/image.*run `stretto fit CONFIG .*blind --schema ellsa`", image, "ellsa", out)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep me")
    with pytest.raises(StrettoError, match="holds other files: mine.txt"):
        open_plan(open_run(str(corpus), "ellsa", str(tmp_path / "notes")))


def test_a_source_shard_that_changed_stops_the_run(corpus: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(corpus, tmp_path / "damaged"))
    tar = sorted((damaged / "train").glob("dialogue-*.tar"))[0]
    data = bytearray(tar.read_bytes())
    data[-2000] ^= 1
    tar.write_bytes(data)
    with pytest.raises(StrettoError, match="not the bytes of its commit record"):
        compiled_here(open_run(str(damaged), "ellsa", str(tmp_path / "out")))


def test_samples_that_do_not_fit_are_quarantined(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dialogues have no camera at all; the robot has one, but not this."""
    schema = tmp_path / "other-camera.yaml"
    schema.write_text("extends: ellsa\nname: other\nchange: {look: {camera: nowhere}}\n")
    assert run(str(corpus), str(schema), str(tmp_path / "out"), workers=0) == 0
    done = capsys.readouterr()
    assert f"samples      {SAMPLES - 1}" in done.out and "quarantined  1" in done.out
    about = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert about["records"] == {"planned": SAMPLES, "committed": SAMPLES - 1, "quarantined": 1}
    assert about["quarantined_by_stage"] == {"compile": 1}
    said = [line for line in done.err.splitlines() if line.startswith("quarantined: ")]
    assert len(said) == 1 and "no camera 'nowhere'" in said[0] and "cameras here" in said[0]
    lines = validate(open_store(str(tmp_path / "out")))
    assert not [str(line) for line in lines if line.faults]


# ---- validate ------------------------------------------------------------------------------------


def states(folder: Path, source: Path | None = None) -> dict[str, str]:
    lines = validate(open_store(str(folder)), str(source) if source else None)
    return {line.name: str(line) for line in lines}


def broken(folder: Path, source: Path | None = None) -> dict[str, str]:
    return {n: s for n, s in states(folder, source).items() if s.startswith("FAIL")}


def test_a_sound_token_corpus_passes(corpus: Path, clean: Path, copy: Path) -> None:
    found = states(clean)
    assert all(line.startswith("ok") for line in found.values()), found
    assert f"({SAMPLES} samples)" in found["grammar"]
    moved = states(copy)  # where the source was, seen from here, there is nothing
    assert "not run" in moved["source"] and "--source DIR" in moved["recompiled"]
    assert not broken(copy)
    assert states(copy, corpus)["recompiled"].startswith("ok")
    with pytest.raises(StrettoError, match="not a finished corpus|no index.parquet"):
        states(copy, copy.parent)


def test_missing_changed_and_stray_shards(corpus: Path, copy: Path) -> None:
    tars = sorted((copy / "train").glob("dialogue-*.tar"))
    shutil.copy(tars[0], copy / "train" / "dialogue-000099.tar")
    data = bytearray(tars[0].read_bytes())
    data[700] ^= 1
    tars[0].write_bytes(data)
    tars[1].unlink()
    (copy / "commits" / "train-dialogue-000002.json").unlink()
    found = broken(copy, corpus)
    assert "000000.tar: sha256 is" in found["checksums"]
    assert "000001.tar: is missing" in found["checksums"]
    assert "dialogue-000099.tar: is a tar without a commit record" in found["committed"]
    assert "train-dialogue-000002.json: is missing" in found["committed"]


def rewrite(folder: Path, change: Callable[[str, np.ndarray], np.ndarray]) -> None:
    """Change arrays inside a tar of the same size and mend its checksum."""
    tar = sorted((folder / "train").glob("dialogue-*.tar"))[0]
    data = bytearray(tar.read_bytes())
    with tarfile.open(tar) as opened:
        for info in opened:
            if info.name.endswith(".npy"):
                name = info.name.split(".", 1)[1].removesuffix(".npy")
                at = slice(info.offset_data, info.offset_data + info.size)
                out = io.BytesIO()
                np.save(out, change(name, np.load(io.BytesIO(bytes(data[at])))))
                assert len(out.getvalue()) == info.size
                data[at] = out.getvalue()
    tar.write_bytes(data)
    record = folder / "commits" / f"train-{tar.stem}.json"
    commit = json.loads(record.read_text())
    record.write_text(json.dumps(commit | {"sha256": hashlib.sha256(data).hexdigest()}))


def altered(name: str, at: int, by: float) -> Callable[[str, np.ndarray], np.ndarray]:
    def change(found: str, array: np.ndarray) -> np.ndarray:
        if found == name:
            array = array.copy()
            array[at] += by
        return array

    return change


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (altered("ids", 0, 1), "grammar", "is not allowed"),
        (altered("ids", -1, 1), "decodes", "is not allowed"),
        (altered("lane", 5, 1), "grammar", "position 5: lane is"),
        (altered("kind", 6, 1), "grammar", "position 6: kind is"),
        (altered("block", -1, 1), "grammar", "block is"),
        (altered("known_s", -1, -1), "known", "known_s falls at"),
        (altered("known_s", -1, np.nan), "known", "not finite"),
        (altered("loss", -1, 1), "recompiled", "loss is another"),
        (altered("known_s", -1, 1), "recompiled", "known_s is another"),
    ],
)
def test_an_edit_that_mends_the_checksums_is_found(
    corpus: Path, copy: Path, change: Any, line: str, says: str
) -> None:
    rewrite(copy, change)
    found = broken(copy, corpus)
    assert "checksums" not in found and says in found[line], found


def test_a_wrong_language_or_index_is_found(corpus: Path, copy: Path) -> None:
    _other_text_codec(copy / "codecs" / "text")
    found = broken(copy, corpus)
    assert "are not those that made the ids" in found["language"]
    assert found["recompiled"]
    index = pq.read_table(copy / "index.parquet")
    rows = index.to_pylist()
    rows[0]["tokens"] += 1
    pq.write_table(index.from_pylist(rows, schema=index.schema), copy / "index.parquet")
    assert f"{rows[0]['key']}: the index says tokens=" in broken(copy, corpus)["index"]


def test_a_source_with_other_samples_is_found(corpus: Path, copy: Path, tmp_path: Path) -> None:
    """A shard more in the source, under the same fingerprint: the tokens lack it."""
    source = Path(shutil.copytree(corpus, tmp_path / "source"))
    index = pq.read_table(source / "index.parquet")
    rows = [r for r in index.to_pylist() if r["shard"] != "train/dialogue-000000.tar"]
    dropped = index.num_rows - len(rows)
    pq.write_table(index.from_pylist(rows, schema=index.schema), source / "index.parquet")
    assert dropped == 2
    found = broken(copy, source)
    assert "train-dialogue-000000: is a shard here, but not of the source" in found["source"]


def test_only_tokens_have_a_source(corpus: Path) -> None:
    with pytest.raises(StrettoError, match="only a token corpus has a source"):
        states(corpus, corpus)


def test_a_run_of_text_is_taken_apart_only_where_a_cut_allows_it() -> None:
    """A lane without `end`, as Moshi's: nothing stands between its texts."""
    one, cut, last = (
        Source("a", "yes", 1.0),
        Source("b", "no way", 2.0, 2.5, True),
        Source("c", "on", 3),
    )
    for said in ("yesno wayon", "yesnoon", "yeson", "yesno\ufffdon", "yes no w on"):
        assert run_on([one, cut, last], said, may_drop=False) == "", said
    assert "does not give back a" in run_on([one, cut, last], "yno wayon", may_drop=False)
    assert "does not give back c" in run_on([one, cut, last], "yesno way", may_drop=False)
    assert "which nobody wrote" in run_on([one, cut, last], "yesno wayonon", may_drop=False)
    assert run_on([one, cut, last], "yesno way", may_drop=True) == ""
