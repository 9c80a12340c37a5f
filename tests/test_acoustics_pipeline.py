"""The stage in the pipeline: bytes, stems as members, provenance, twins, refusals, the card."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from recording_fixture import write_config, write_moshi
from small_corpus import barge_in, dialogue, files, generate, write_corpus

from generators import acoustics as effects_of
from generators.sources import read_source
from jobs.config_file import load_config
from pipeline import acoustics
from pipeline.fingerprint import differences, fingerprint
from pipeline.media import MemberMedia
from pipeline.pack import Packed
from pipeline.run import prepare
from pipeline.stages import Services, make_shard, open_services
from pipeline.store import open_store
from pipeline.stream import open_corpus, read_timeline
from pipeline.validate import validate
from schemas.config import AcousticsConfig, Config
from schemas.errors import StrettoError
from schemas.records import Dialogue, Trajectory
from schemas.timeline import Timeline

ON: dict[str, Any] = {"rate": 1.0}
PLAIN = {"echo": ON, "noise": ON, "telephone": {"rate": 0.5}, "loss": {"rate": 0.5}}
KEPT = {**PLAIN, "keep_stems": True}
STEM_NAMES = ("user", "bystander", "sounds")
STEMS = {"stem.bystander.flac", "stem.sounds.flac", "stem.user.flac"}

Records = list[Dialogue | Trajectory]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("acoustics")
    return load_config(str(write_corpus(folder, [*(dialogue(n) for n in range(3)), barge_in()])))


@pytest.fixture(scope="module")
def services(clean: Config) -> Iterator[Services]:
    opened = open_services(clean)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def records(clean: Config) -> Records:
    return [r for r in read_source(clean.sources[0], "small") if isinstance(r, Dialogue)]


def with_acoustics(config: Config, settings: dict[str, Any]) -> Config:
    return config.model_copy(update={"acoustics": AcousticsConfig.model_validate(settings)})


def made(records: Records, config: Config, services: Services) -> list[Packed]:
    packed, rejections = make_shard(records, config, services)
    assert not rejections, rejections
    return packed


def opened(packed: Packed) -> tuple[Timeline, MemberMedia]:
    return read_timeline(packed.members, "here"), MemberMedia(packed.members)


def test_only_listen_and_provenance_change(
    records: Records, clean: Config, services: Services
) -> None:
    """No time, label or word moves; `speak` is the same bytes; nothing happens by default."""
    before = made(records, clean, services)
    after = made(records, with_acoustics(clean, PLAIN), services)
    for first, second in zip(before, after, strict=True):
        assert first.members["speak.flac"] == second.members["speak.flac"]
        assert first.members["listen.flac"] != second.members["listen.flac"]
        (there, _), (here, media) = opened(first), opened(second)
        names = [e.name for e in here.provenance.acoustics]
        assert names[:2] == ["echo", "noise"] and there.provenance.acoustics == ()
        silent = here.provenance.model_copy(update={"acoustics": ()})
        assert here.model_copy(update={"provenance": silent}) == there
        assert len(media.listen()) == there.listen.sample_count
        assert second.row == first.row


def test_kept_stems_make_listen_again(records: Records, clean: Config, services: Services) -> None:
    """Replayed from provenance, redrawn by the same config, and redrawn by another one."""
    config = with_acoustics(clean, KEPT)
    plain = made(records, clean, services)
    for packed, before in zip(made(records, config, services), plain, strict=True):
        assert packed.members.keys() - before.members.keys() == STEMS
        timeline, media = opened(packed)
        assert timeline.stems == STEM_NAMES
        total = sum(media.stem(n).astype(np.int32) for n in timeline.stems)
        assert np.array_equal(total, MemberMedia(before.members).listen())
        assert np.array_equal(acoustics.replay(timeline, media, config), media.listen())
        listen, effects = acoustics.redraw(timeline, media, config)
        assert effects == timeline.provenance.acoustics
        assert np.array_equal(listen, media.listen())
        other = config.model_copy(update={"seed": config.seed + 1})
        again, drawn = acoustics.redraw(timeline, media, other)
        assert drawn != effects and not np.array_equal(again, listen)
        none, nothing = acoustics.redraw(timeline, media, clean)
        assert nothing == () and np.array_equal(none, total)
    with pytest.raises(StrettoError, match="no clean stems; generate it with"):
        acoustics.redraw(*opened(plain[0]), config)


def test_order_and_company_change_nothing(
    records: Records, clean: Config, services: Services
) -> None:
    config = with_acoustics(clean, KEPT)
    together = made(records, config, services)
    backwards = made(records[::-1], config, services)[::-1]
    alone = [made([r], config, services)[0] for r in records]
    assert together == backwards == alone


def test_a_clean_twin_stays_clean(records: Records, clean: Config, services: Services) -> None:
    record = records[0]
    assert isinstance(record, Dialogue)
    twin = record.model_copy(
        update={"key": f"{record.key}-clean", "perturb": False, "draws_as": record.key}
    )
    config = with_acoustics(clean, {**KEPT, "reverb": None})
    first, second = made([record, twin], config, services)
    (noisy, _), (quiet, media) = opened(first), opened(second)
    assert noisy.provenance.acoustics and quiet.provenance.acoustics == ()
    assert first.members.keys() == second.members.keys()
    assert np.array_equal(media.listen(), media.stem("user"))


def test_every_sample_has_all_stems_and_no_other(
    records: Records, clean: Config, services: Services
) -> None:
    """A source that is not heard is silence; a track that was never taken apart is the user's."""
    config = with_acoustics(clean, KEPT)
    sample = _sample_of(records[0], clean, services)
    assert tuple(sample.stems) == STEM_NAMES
    given: tuple[dict[str, Any], ...] = ({}, {"user": sample.listen})
    for stems in given:
        heard = acoustics.heard(replace(sample, stems=stems), records[0], config)
        assert heard.timeline.stems == STEM_NAMES == tuple(heard.stems)
        assert np.array_equal(heard.stems["user"], sample.listen)
        assert not heard.stems["sounds"].any()
    with pytest.raises(StrettoError, match="a stem 'dog', known are user, bystander, sounds"):
        acoustics.heard(replace(sample, stems={"dog": sample.listen}), records[0], config)


def test_recordings_pass_like_any_other(tmp_path: Path) -> None:
    """What was recorded is the user's stem; the effects lie on it, times and words stay."""
    source = {"name": "calls", "path": str(write_moshi(tmp_path)), "format": "moshi"}
    for out, settings in (("plain", {}), ("heard", KEPT)):
        path = write_config(tmp_path, source, acoustics=settings)
        done = generate(path, tmp_path / out)
        assert done.returncode == 0, done.stderr
    (before, clean), (after, media) = (
        open_corpus(str(tmp_path / out)).read(0) for out in ("plain", "heard")
    )
    assert before.world == after.world and before.agent == after.agent
    assert np.array_equal(media.stem("user"), clean.listen())
    assert not np.array_equal(media.listen(), clean.listen())
    assert not [line for line in validate(open_store(str(tmp_path / "heard"))) if line.faults]


def _sample_of(record: Any, config: Config, services: Services) -> Any:
    from pipeline.stages import STAGES, Work

    works = [Work(record)]
    for stage in STAGES[: [s.name for s in STAGES].index("acoustics")]:
        works = stage.run(works, config, services)
    return works[0].sample


def test_a_corpus_is_whole_the_same_twice_and_tells(tmp_path: Path) -> None:
    """`generate` in two processes, robots included; validate; the card names effects and stems."""
    lines = [dialogue(0), dialogue(1)]
    path = write_corpus(tmp_path, lines, robots=1, acoustics=KEPT, checks={"vad": False})
    for out in ("one", "two"):
        done = generate(path, tmp_path / out)
        assert done.returncode == 0, done.stderr
    assert files(tmp_path / "one") == files(tmp_path / "two")
    wrong = [line for line in validate(open_store(str(tmp_path / "one"))) if line.faults]
    assert not wrong
    corpus = open_corpus(str(tmp_path / "one"))
    assert {corpus.row(r)["kind"] for r in corpus.rows()} == {"dialogue", "trajectory"}
    for row in corpus.rows():
        timeline, media = corpus.read(row)
        assert np.array_equal(
            acoustics.replay(timeline, media, load_config(str(path))), media.listen()
        )
    card = (tmp_path / "one" / "README.md").read_text()
    assert "stem.user.flac" in card and "simulated acoustics (echo, loss, noise, telephone)" in card
    assert "clean source of `listen`" in card and "is clean speech" not in card
    croissant = json.loads((tmp_path / "one" / "croissant.json").read_text())
    assert croissant["distribution"]


def test_validate_finds_stems_that_are_not_listens(tmp_path: Path) -> None:
    from pipeline.pack import flac
    from pipeline.validate_media import stems
    from pipeline.validate_timeline import Seen

    config = load_config(str(write_corpus(tmp_path, [dialogue(0)], acoustics={"keep_stems": True})))
    services = open_services(config)
    records = [r for r in read_source(config.sources[0], "s") if isinstance(r, Dialogue)]
    packed = made(records, config, services)[0]
    services.close()
    timeline, media = opened(packed)
    assert not list(stems(Seen(packed.row, timeline, packed.members, 0.15)))
    wrong = flac(media.stem("user") // 2, timeline.listen.sample_rate_hz)
    members = packed.members | {"stem.user.flac": wrong}
    (line,) = stems(Seen(packed.row, timeline, members, 0.15))
    assert "do not sum to listen" in line


# ---- refused before work begins ------------------------------------------------------------------


def test_a_missing_library_refuses_the_run(clean: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generators.acoustics.find_spec", lambda name: None)
    effects_of.require(with_acoustics(clean, PLAIN).acoustics, 16000)
    with pytest.raises(StrettoError, match=r"acoustics.reverb: pyroomacoustics is not installed"):
        prepare(with_acoustics(clean, {"reverb": {}}), None)


def test_noise_files_are_checked_first_and_pinned(clean: Config, tmp_path: Path) -> None:
    config = with_acoustics(clean, {"noise": {"files": str(tmp_path / "*.wav")}})
    with pytest.raises(StrettoError, match="no such file"):
        prepare(config, None)
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, np.random.default_rng(1).normal(0, 0.1, 9000), 16000)
    effects_of.noise_files.cache_clear()
    before = fingerprint(config, None, "speech")
    soundfile.write(tmp_path / "b.wav", np.random.default_rng(2).normal(0, 0.1, 9000), 16000)
    after = fingerprint(config, None, "speech")
    assert "input acoustics.noise: b.wav another content" in differences(before, after)
    (tmp_path / "b.wav").write_text("no sound")
    with pytest.raises(StrettoError, match="b.wav: cannot read this noise file"):
        prepare(config, None)


@pytest.mark.parametrize(
    ("sound", "said"),
    [
        (np.zeros(9000), "is silent"),
        (np.full(9000, np.nan), "not finite"),
        (np.zeros(0), "is empty"),
    ],
)
def test_noise_that_cannot_be_used_refuses_the_run(
    clean: Config, tmp_path: Path, sound: Any, said: str
) -> None:
    soundfile.write(tmp_path / "a.wav", sound, 48000, subtype="FLOAT")
    config = with_acoustics(clean, {"noise": {"files": str(tmp_path / "*.wav")}})
    with pytest.raises(StrettoError, match=f"a.wav: the noise file .*{said}"):
        prepare(config, None)


def test_rooms_are_in_the_fingerprint_only_where_there_are_rooms(clean: Config) -> None:
    pytest.importorskip("pyroomacoustics", reason="pyroomacoustics is absent: rooms not tested")
    rooms = with_acoustics(clean, {"reverb": {}})
    assert "pyroomacoustics" in fingerprint(rooms, None, "s").versions
    assert "pyroomacoustics" not in fingerprint(clean, None, "s").versions
