"""Promise 6: `webdataset`, `datasets`, Ray Data and Megatron-Energon open our folders as is."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from corpus_fixture import real_corpus

from schemas.timeline import Timeline


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_corpus(tmp_path_factory.getbasetemp())


def rows(corpus: Path, split: str, kind: str) -> list[dict]:
    found = pq.read_table(corpus / "index.parquet").to_pylist()
    return [r for r in found if r["split"] == split and r["kind"] == kind]


def tars(corpus: Path, split: str, kind: str) -> list[str]:
    return sorted({str(corpus / r["shard"]) for r in rows(corpus, split, kind)})


def seconds(flac: bytes) -> float:
    pcm, rate_hz = soundfile.read(io.BytesIO(flac))
    return len(pcm) / rate_hz


@pytest.mark.parametrize("kind", ["dialogue", "trajectory"])
def test_webdataset(corpus: Path, kind: str) -> None:
    wds = pytest.importorskip("webdataset", reason="webdataset is not installed")
    found = list(wds.WebDataset(tars(corpus, "train", kind), shardshuffle=False))
    wanted = rows(corpus, "train", kind)
    assert [s["__key__"] for s in found] == [r["key"] for r in wanted]
    for sample, row in zip(found, wanted, strict=True):
        assert json.loads(sample["json"])["key"] == row["key"]
        assert seconds(sample["listen.flac"]) == pytest.approx(row["duration_s"], abs=1e-4)
        assert seconds(sample["speak.flac"]) == pytest.approx(row["duration_s"], abs=1e-4)
        if kind == "trajectory":
            act = np.load(io.BytesIO(sample["act.npy"]), allow_pickle=False)
            assert len(act) == row["step_count"]


@pytest.mark.parametrize("kind", ["dialogue", "trajectory"])
def test_hugging_face_datasets(corpus: Path, tmp_path: Path, kind: str) -> None:
    """As on the Hub: the folder alone, with the configs and features that its README names.

    `datasets` 5.2 reads no sound without torchcodec and FFmpeg, so the members come as bytes.
    """
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    copy = Path(shutil.copytree(corpus, tmp_path / "corpus"))
    card = (copy / "README.md").read_text("utf-8")
    assert "dtype: audio" in card
    for kind_of in ("audio", "video"):
        card = card.replace(f"dtype: {kind_of}", "dtype: binary")
    (copy / "README.md").write_text(card, "utf-8")
    subset = rows(corpus, "train", kind)[0]["subset"]
    assert subset in datasets.get_dataset_config_names(str(copy))
    loaded = datasets.load_dataset(str(copy), subset, streaming=True)
    for split in ("train", "val"):
        found = list(loaded[split])
        wanted = rows(corpus, split, kind)
        assert [s["__key__"] for s in found] == [r["key"] for r in wanted]
        for sample, row in zip(found, wanted, strict=True):
            assert seconds(sample["listen.flac"]) == pytest.approx(row["duration_s"], abs=1e-4)
            # every field of every Timeline is there, also those that the first samples lack
            assert Timeline.model_validate(sample["json"]).key == row["key"]
            assert len(sample.get("act.npy") or []) == row["step_count"]


def test_ray_data(corpus: Path) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed")
    # "local": never join a cluster that happens to run on this machine
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        for kind in ("dialogue", "trajectory"):
            data = ray.data.read_webdataset(tars(corpus, "train", kind), decoder=False)
            found = {row["__key__"]: row for row in data.take_all()}
            wanted = rows(corpus, "train", kind)
            assert sorted(found) == sorted(r["key"] for r in wanted)
            row = wanted[0]
            assert seconds(found[row["key"]]["speak.flac"]) == pytest.approx(
                row["duration_s"], abs=1e-4
            )
    finally:
        ray.shutdown()


@pytest.mark.parametrize("kind", ["dialogue", "trajectory"])
def test_megatron_energon(corpus: Path, tmp_path: Path, kind: str) -> None:
    """`energon prepare` adds sidecars to a copy of the folder; the tars stay as they are."""
    energon = pytest.importorskip("megatron.energon", reason="megatron-energon is not installed")
    copy = Path(shutil.copytree(corpus, tmp_path / "corpus"))
    subset = rows(corpus, "train", kind)[0]["subset"]
    done = subprocess.run(
        [
            Path(sys.executable).with_name("energon"),
            "prepare",
            "--non-interactive",
            "--sample-type",
            "CrudeWebdataset",
            *(a for s in ("train", "val") for a in ("--split-parts", f"{s}:{s}/{subset}-.*")),
            copy,
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {p.name: p.read_bytes() for p in copy.rglob("*.tar")} == {
        p.name: p.read_bytes() for p in corpus.rglob("*.tar")
    }
    data = energon.get_train_dataset(
        str(copy),
        worker_config=energon.WorkerConfig(rank=0, world_size=1, num_workers=0),
        batch_size=None,
        shuffle_buffer_size=None,
        max_samples_per_sequence=None,
        repeat=False,
        task_encoder=crude_encoder(energon),
    )
    found = {sample["__key__"].split("/")[-1]: sample for sample in energon.get_loader(data)}
    assert sorted(found) == sorted(r["key"] for r in rows(corpus, "train", kind))
    sample = next(iter(found.values()))
    assert json.loads(sample["json"])["key"] in found


def crude_encoder(energon: Any) -> Any:
    """Takes every sample as it is, undecoded."""

    class Encoder(energon.TaskEncoder):
        cookers = [energon.Cooker(energon.stateless(lambda sample: sample))]
        decoder = None

    return Encoder()
