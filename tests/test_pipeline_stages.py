"""Stages, packing and shards: one bad record stops no other, and plain tools read the result."""

from __future__ import annotations

import errno
import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_corpus import dialogue, write_corpus

from generators.sources import read_source
from jobs.config_file import load_config
from pipeline.check import check, require
from pipeline.check_report import summary
from pipeline.commit import make_commit, read_commit
from pipeline.media import MemberMedia
from pipeline.pack import flac, npy, pack
from pipeline.plan import ShardPlan
from pipeline.shard import write_tar
from pipeline.stages import STAGES, Services, Work, each, make_shard, open_services
from pipeline.store import open_store
from pipeline.stream import read_timeline
from schemas.config import ChecksConfig, Config, SourceEntry
from schemas.errors import StrettoError
from schemas.records import Dialogue, Trajectory
from schemas.sample import Sample
from schemas.timeline import AnyAgentEvent

Records = list[Dialogue | Trajectory]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("corpus")
    return load_config(str(write_corpus(folder, [dialogue(n) for n in range(4)])))


@pytest.fixture(scope="module")
def services(config: Config) -> Iterator[Services]:
    opened = open_services(config)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def records(config: Config) -> Records:
    found = list(read_source(config.sources[0], "small"))
    return [r for r in found if isinstance(r, Dialogue)]


@pytest.fixture(scope="module")
def episode(repo: Path) -> Trajectory:
    """The first of the example's robot episodes."""
    source = {"path": str(repo / "examples" / "data" / "metaworld")}
    entry = SourceEntry.model_validate({"trajectories": source})
    return next(r for r in read_source(entry, "robot") if isinstance(r, Trajectory))


def rendered(record: Dialogue | Trajectory, config: Config, services: Services) -> Sample:
    works = [Work(record)]
    for stage in STAGES[: [s.name for s in STAGES].index("check")]:
        works = stage.run(works, config, services)
    assert works[0].sample is not None, works[0].rejection
    return works[0].sample


def shard_of(count: int, subset: str = "dialogue") -> ShardPlan:
    return ShardPlan(split="train", subset=subset, index=0, records=count, sha256="")


def test_packed_media_come_back(
    episode: Trajectory, records: Records, config: Config, services: Services
) -> None:
    for record in (records[0], episode):
        sample = rendered(record, config, services)
        members = pack(sample).members
        media = MemberMedia(members)
        assert read_timeline(members, "here") == sample.timeline
        assert np.array_equal(media.listen(), sample.listen)
        assert np.array_equal(media.speak(), sample.speak)
    acts, states = media.act(), media.state()
    assert acts is not None and states is not None and acts.dtype == states.dtype == np.float32
    assert sample.act is not None and np.array_equal(acts, sample.act)
    track = sample.timeline.look[0]
    last = media.frames(track.camera, [0, track.frame_count - 1])
    assert last.shape == (2, track.height_px, track.width_px, 3)
    with pytest.raises(StrettoError, match="no member look.none.mp4; members here: act.npy"):
        media.frames("none", [0])


def test_broken_members_are_one_line() -> None:
    media = MemberMedia({"listen.flac": b"junk", "act.npy": b"junk"}, "train/x.tar")
    with pytest.raises(StrettoError, match="train/x.tar: member listen.flac is not sound"):
        media.listen()
    with pytest.raises(StrettoError, match="member act.npy is not an array"):
        media.act()
    pickled = io.BytesIO()
    np.save(pickled, np.array([object()], dtype=object), allow_pickle=True)
    with pytest.raises(StrettoError, match="not an array"):
        MemberMedia({"act.npy": pickled.getvalue()}).act()
    film = MemberMedia({"look.front.mp4": b"junk"}, "train/x.tar")
    with pytest.raises(StrettoError, match=r"train/x.tar: member look.front.mp4 is not video"):
        film.frames("front", [0])


def test_one_record_or_many_gives_the_same_samples(
    records: Records, config: Config, services: Services
) -> None:
    """What the Ray runner rests on when it makes a shard record by record."""
    together, _ = make_shard(records, config, services)
    alone = [make_shard([r], config, services)[0][0] for r in records]
    assert together == alone
    assert len({p.key for p in together}) == len(records) == 4


def test_a_record_that_fails_stops_no_other(
    records: Records, config: Config, services: Services
) -> None:
    def faulty(work: Work, config: Config) -> Work:
        if work.record is records[1]:
            raise StrettoError("too long", "turn 3", "split it")
        if work.record is records[2]:
            raise KeyError("x")
        return work

    for place in range(len(STAGES) + 1):
        stages = [*STAGES[:place], each("faulty", faulty), *STAGES[place:]]
        packed, rejections = make_shard(records, config, services, stages)
        assert [p.key for p in packed] == [records[0].key, records[3].key][: len(packed)]
        first, second = rejections
        assert (first.stage, first.reason, first.fix) == ("faulty", "turn 3: too long", "split it")
        assert second.reason.startswith("unexpected KeyError in stage faulty")


def test_a_full_machine_is_no_fault_of_the_record(
    records: Records, config: Config, services: Services
) -> None:
    def full(work: Work, config: Config) -> Work:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StrettoError, match="stage full: no space left on device; free it"):
        make_shard(records, config, services, [each("full", full)])


def test_speech_that_cannot_be_made_is_a_rejection(
    records: Records, config: Config, services: Services
) -> None:
    record = records[1]
    assert isinstance(record, Dialogue)
    turns = (record.turns[0].model_copy(update={"text": "?! ..."}), record.turns[1])
    packed, rejections = make_shard(
        [records[0], record.model_copy(update={"turns": turns}), records[2]], config, services
    )
    assert [p.key for p in packed] == [records[0].key, records[2].key]
    assert len(rejections) == 1 and rejections[0].record_id == record.record_id


def test_check_refuses_what_breaks_a_promise(
    episode: Trajectory, config: Config, services: Services
) -> None:
    good = rendered(episode, config, services)
    check(good)
    assert good.act is not None
    endless = good.act.copy()
    endless[3, 0] = np.inf
    timeline = good.timeline
    early = tuple(_decided_early(e) if e.evidence else e for e in timeline.agent)
    assert early != timeline.agent
    bad = {
        "not finite": replace(good, act=endless),
        "act is": replace(good, act=good.act[:-1]),
        "listen is": replace(good, listen=good.listen[:-1]),
        "cameras": replace(good, look={}),
        "state has no array": replace(good, state=None),
        "rests on": replace(good, timeline=timeline.model_copy(update={"agent": early})),
    }
    for said, sample in bad.items():
        with pytest.raises(StrettoError, match=said):
            check(sample)


def _decided_early(event: AnyAgentEvent) -> AnyAgentEvent:
    return event.model_copy(update={"decided_s": 0.0})


def test_a_check_that_cannot_run_refuses_the_run(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants = config.model_copy(update={"checks": config.checks.model_copy(update={"vad": True})})
    require(config)
    monkeypatch.setattr("pipeline.checks.speech.find_spec", lambda name: None)
    with pytest.raises(StrettoError, match="silero-vad is not installed"):
        require(wants)


def test_vad_reports_stand_beside_the_shards_and_are_summed(
    records: Records, config: Config, services: Services, tmp_path: Path
) -> None:
    pytest.importorskip("silero_vad", reason="silero-vad is absent: the VAD check is not run")
    checks = ChecksConfig(vad=True, vad_share=1.0)
    asked = config.model_copy(update={"checks": checks})
    measured, _ = make_shard(records, asked, services)
    plain, _ = make_shard(records, config, services)
    assert [p.members for p in measured] == [p.members for p in plain]
    store, shard = open_store(str(tmp_path)), shard_of(4)
    make_commit(store, "digest", shard, measured, [])
    found = summary(store, asked)["vad"]
    assert found["status"] == "run" and found["samples"] == 4
    # the reports are joined by time; how well the two agree is measured in test_vad.py
    rows = [row for p in measured for row in p.reports if row["check"] == "speech"]
    seconds = [row["duration_s"] for row in rows]
    for channel in ("listen", "speak"):
        parts = [row[channel] * row["duration_s"] for row in rows]
        assert found[channel] == pytest.approx(sum(parts) / sum(seconds), abs=1e-4)
    make_commit(store, "digest", shard, plain, [])
    assert summary(store, config)["vad"] == {"status": "not_run"}


def test_plain_tools_read_a_tar_and_each_sample_alone(
    records: Records, config: Config, services: Services, tmp_path: Path
) -> None:
    import webdataset

    packed, _ = make_shard(records, config, services)
    tar = write_tar(shard_of(4), packed)
    assert tar.data == write_tar(shard_of(4), packed).data
    (tmp_path / "x.tar").write_bytes(tar.data)
    read = list(webdataset.WebDataset(str(tmp_path / "x.tar"), shardshuffle=False))
    assert [s["__key__"] for s in read] == [r["key"] for r in tar.rows]
    assert all(s["json"] == p.members["json"] for s, p in zip(read, packed, strict=True))
    for row, sample in zip(tar.rows, packed, strict=True):
        part = io.BytesIO(tar.data[row["start_byte"] : row["end_byte"]])
        with tarfile.open(fileobj=part, mode="r|") as alone:
            infos = list(alone)
        assert [i.name for i in infos] == [f"{sample.key}.{n}" for n in sorted(sample.members)]
        assert {(i.mtime, i.mode, i.uid, i.uname) for i in infos} == {(0, 0o444, 0, "bigdata")}


def test_a_commit_counts_its_shard_and_replaces_an_old_quarantine(
    records: Records, config: Config, services: Services, tmp_path: Path
) -> None:
    store, shard = open_store(str(tmp_path)), shard_of(4)
    store.write_bytes(shard.quarantine, b"of an attempt that was killed")
    packed, _ = make_shard(records, config, services)
    commit = make_commit(store, "digest", shard, packed, [])
    assert not store.exists(shard.quarantine)
    assert read_commit(store, shard.commit) == commit
    assert commit.size == len(store.read_bytes(shard.tar))
    assert [r["key"] for r in commit.rows] == list(commit.keys)
    with pytest.raises(StrettoError, match="3 samples and 0 rejections of 4 records"):
        make_commit(store, "digest", shard, packed[:3], [])


def test_bytes_do_not_follow_memory_order() -> None:
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert npy(rows) == npy(np.asfortranarray(rows)) == npy(rows.astype(np.float64))
    pcm = np.arange(-500, 500, dtype=np.int16)
    assert np.array_equal(MemberMedia({"listen.flac": flac(pcm, 16000)}).listen(), pcm)
