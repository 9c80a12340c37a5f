"""Checks in the main job: quarantine with a reason, the books hold, draws are keyed, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broken_samples import check_named, clean
from small_corpus import dialogue, files, generate, write_corpus

from generators.sources import read_source
from jobs import stats, validate
from jobs.config_file import load_config
from pipeline import check, check_report
from pipeline.checks import CHECKS, Check, Finding, Reason, verdicts
from pipeline.checks.stage import drawn, run_checks
from pipeline.checks.verdicts import kept
from pipeline.finish import finish
from pipeline.run import missing, open_plan, prepare
from pipeline.runner_local import run_local
from pipeline.stages import STAGES, Work, each, open_services
from pipeline.store import open_store
from schemas.config import ChecksConfig, Config
from schemas.errors import StrettoError
from schemas.records import Dialogue
from schemas.sample import Rejection

BEFORE_CHECK = [stage.name for stage in STAGES].index("check")


def muting(record_id: str) -> Callable[[Work, Config], Work]:
    """A stage that breaks one record: its assistant makes no sound."""

    def step(work: Work, config: Config) -> Work:
        if work.record.record_id != record_id or work.sample is None:
            return work
        return replace(work, sample=replace(work.sample, speak=np.zeros_like(work.sample.speak)))

    return step


def made(config: Config, out: Path, broken: str = "") -> dict[str, Any]:
    """The corpus of a config, one record broken on its way."""
    store, print_ = open_store(str(out)), prepare(config, None)
    plan = open_plan(config, print_, None, store)
    stages = [*STAGES[:BEFORE_CHECK], each("mute", muting(broken)), *STAGES[BEFORE_CHECK:]]
    settled = check.settled(config)
    list(run_local(store, settled, plan.fingerprint.digest, missing(store, plan), stages))
    return finish(store, config, plan)


def config_of(tmp_path: Path, count: int = 4, **checks: Any) -> Config:
    settings = {"vad": False} | checks
    return load_config(
        str(write_corpus(tmp_path, [dialogue(n) for n in range(count)], checks=settings))
    )


def test_a_broken_sample_goes_to_quarantine_and_the_books_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    summary = made(config_of(tmp_path), out, broken="d02")
    assert summary["records"]["committed"] == 3 and summary["records"]["quarantined"] == 1
    assert summary["quarantined_by_stage"] == {"check": 1} and summary["unexpected"] == 0
    lines = [line for p in out.glob("quarantine/*.jsonl") for line in p.read_text().splitlines()]
    (refused,) = map(Rejection.model_validate_json, lines)
    assert (refused.record_id, refused.stage) == ("d02", "check")
    assert "check level: at " in refused.reason and "also silence" in refused.reason
    assert "the assistant is silent where words should be" in refused.reason
    assert refused.fix and "checks.level.dbfs" in refused.fix and "reports" not in lines[0]
    level, clipping = summary["checks"]["level"], summary["checks"]["clipping"]
    assert (level["samples"], level["failed"], level["rejected"]) == (4, 1, 1)
    assert level["passed"] == 0.75 and clipping["passed"] == 1.0 and clipping["rejected"] == 0
    assert validate.run(str(out)) == 0
    assert stats.run(str(out), as_json=False) == 0
    shown = capsys.readouterr().out
    assert "4 of 4" in shown and "75.0%" in shown and "not_run: not configured" in shown
    card = (out / "README.md").read_text()
    assert "| level | run | 4 of 4 | 75.0% | 1 |" in card
    assert "| wer | not_run: not configured |" in card


def test_what_may_not_reject_only_reports(tmp_path: Path) -> None:
    mild = {"level": {"reject": False}, "silence": {"reject": False}}
    summary = made(config_of(tmp_path, **mild), tmp_path / "out", broken="d02")
    assert summary["records"]["committed"] == 4
    assert summary["checks"]["level"]["failed"] == 1
    assert summary["checks"]["level"]["rejected"] == 0
    rows = [json.loads(line) for p in (tmp_path / "out/checks").iterdir() for line in p.open()]
    failed = [r for r in rows if r["verdict"] == "fail"]
    assert {r["check"] for r in failed} == {"level", "silence"}
    assert all(r["reasons"] and r["reasons_total"] >= len(r["reasons"]) for r in failed)


def test_checks_change_no_byte_of_a_good_shard(tmp_path: Path) -> None:
    """They read; and two runs give the same rows."""
    off = dict.fromkeys(("clipping", "level", "silence", "rate"), False)
    made(config_of(tmp_path, **off), tmp_path / "off")
    made(config_of(tmp_path), tmp_path / "on")
    made(config_of(tmp_path), tmp_path / "again")
    tars = lambda name: {n: b for n, b in files(tmp_path / name).items() if n.endswith(".tar")}  # noqa: E731
    assert tars("off") == tars("on") and tars("off")
    assert files(tmp_path / "on") == files(tmp_path / "again")
    assert not (tmp_path / "off/checks").exists()
    about = json.loads((tmp_path / "off/dataset.json").read_text())
    assert {c["status"] for c in about["checks"].values()} == {"not_run"}


def test_a_corpus_without_checks_in_its_books_is_still_shown(tmp_path: Path) -> None:
    """dataset.json of an earlier version has `vad` alone."""
    out = tmp_path / "out"
    made(config_of(tmp_path, 2), out)
    about = json.loads((out / "dataset.json").read_text())
    del about["checks"]
    (out / "dataset.json").write_text(json.dumps(about))
    assert stats.run(str(out), as_json=True) == 0 and stats.run(str(out), as_json=False) == 0
    row = {"check": "vad", "key": "k", "duration_s": 2.0, "listen": 0.9, "speak": 0.8}
    (out / "checks/old.jsonl").write_text(json.dumps(row) + "\n")
    found = check_report.summary(open_store(str(out)), config_of(tmp_path))
    assert found["vad"] == {"status": "run", "samples": 1, "listen": 0.9, "speak": 0.8}
    assert found["checks"]["speech"]["samples"] == 1


# ---- draws ---------------------------------------------------------------------------------------


def records(config: Config) -> list[Dialogue]:
    return [r for r in read_source(config.sources[0], "small") if isinstance(r, Dialogue)]


def test_the_share_is_drawn_by_key(tmp_path: Path) -> None:
    config = config_of(tmp_path, vad=True, vad_share=0.25)
    speech = check_named("speech")
    record = records(config)[0]
    works = [Work(record.model_copy(update={"key": f"k-{n}"})) for n in range(2000)]
    taken = [w.record.key for w in works if drawn(speech, w, config)]
    assert 400 < len(taken) < 600
    back = [w.record.key for w in reversed(works) if drawn(speech, w, config)]
    assert back[::-1] == taken
    # a perturbed sample and its clean twin are checked together
    twins = [
        Work(record.model_copy(update={"key": f"t-{n}", "draws_as": f"k-{n}"})) for n in range(2000)
    ]
    assert [drawn(speech, t, config) for t in twins] == [drawn(speech, w, config) for w in works]
    # and another check draws for itself
    wer = config.model_copy(
        update={"checks": ChecksConfig.model_validate({"asr": {"model": "m", "share": 0.25}})}
    )
    assert [w.record.key for w in works if drawn(check_named("wer"), w, wer)] != taken


def test_reports_do_not_follow_the_shard(tmp_path: Path) -> None:
    """The same rows whatever is in the shard, in whatever order."""
    pytest.importorskip("silero_vad")
    config = config_of(tmp_path, 8, vad=True, vad_share=0.4)
    services = open_services(config)
    works = [Work(record) for record in records(config)]
    for stage in STAGES[:BEFORE_CHECK]:
        works = stage.run(works, config, services)
    together = {w.record.key: w.reports for w in run_checks(works, config, services)}
    back = {w.record.key: w.reports for w in run_checks(works[::-1], config, services)}
    alone = {w.record.key: run_checks([w], config, services)[0].reports for w in works}
    services.close()
    assert together == back == alone
    heard = [key for key, rows in together.items() if any(r["check"] == "speech" for r in rows)]
    assert 0 < len(heard) < 8


# ---- verdicts of models --------------------------------------------------------------------------


def counting(calls: list[int], finding: Finding) -> Check:
    """A check by a model that counts its samples and always says this."""

    def run(samples: Any, settings: Any, models: Any) -> list[Finding]:
        calls.append(len(samples))
        return [finding] * len(samples)

    return replace(check_named("speech"), run=run)


def test_the_first_verdict_of_a_model_holds(tmp_path: Path) -> None:
    bad = Finding({"listen": 0.5}, (Reason(what="no speech", event="u000", start_s=1, end_s=2),))
    good, calls = Finding({"listen": 0.99}), list[int]()
    settings = ChecksConfig().speech
    other = replace(clean(), listen=clean().listen[::-1].copy())
    assert kept(counting(calls, bad), [clean()], settings, None, tmp_path) == [bad]
    # on another machine the model says otherwise: what was decided stands, the rest is decided
    both = kept(counting(calls, good), [clean(), other], settings, None, tmp_path)
    assert both == [bad, good] and calls == [1, 1]
    moved = settings.model_copy(update={"max_span_s": 0.9})
    assert kept(counting(calls, good), [clean()], moved, None, tmp_path) == [good]
    assert not list(tmp_path.rglob(".*"))


def test_two_workers_at_once_give_one_verdict(tmp_path: Path) -> None:
    first, second = Finding({"listen": 0.1}), Finding({"listen": 0.2})
    settings = ChecksConfig().speech

    def slow(samples: Any, asked: Any, models: Any) -> list[Finding]:
        # while this one thinks, another worker decides
        kept(counting([], second), samples, settings, None, tmp_path)
        return [first]

    late = replace(check_named("speech"), run=slow)
    assert kept(late, [clean()], settings, None, tmp_path) == [second]


def test_a_torn_verdict_is_one_line(tmp_path: Path) -> None:
    settings = ChecksConfig().speech
    kept(counting([], Finding({})), [clean()], settings, None, tmp_path)
    (path,) = tmp_path.rglob("*.json")
    path.write_text("{")
    with pytest.raises(StrettoError, match="this verdict can't be read.*delete the file"):
        kept(counting([], Finding({})), [clean()], settings, None, tmp_path)


def test_a_model_rejects_by_a_kept_verdict(tmp_path: Path) -> None:
    """And a resume on a machine without that verdict's arithmetic gives the same corpus."""
    pytest.importorskip("silero_vad")
    checks = {
        "vad": True,
        "vad_share": 1.0,
        "speech": {"reject": True},
        "verdicts": str(tmp_path / "verdicts"),
        "level": False,
        "silence": False,
    }
    config = config_of(tmp_path, **checks)
    summary = made(config, tmp_path / "out", broken="d01")
    assert summary["records"]["quarantined"] == 1 and "verdicts" not in summary["config"]["checks"]
    (line,) = [x for p in (tmp_path / "out/quarantine").glob("t*.jsonl") for x in p.open()] or [
        x for p in (tmp_path / "out/quarantine").glob("v*.jsonl") for x in p.open()
    ]
    assert "check speech: " in json.loads(line)["reason"]
    assert len(list((tmp_path / "verdicts").rglob("*.json"))) == 4
    # every verdict turned round by hand: the corpus follows what is kept, not the model
    for path in (tmp_path / "verdicts").rglob("*.json"):
        path.write_text(
            json.dumps({"figures": {"listen": 1, "speak": 1}, "reasons": [], "details": {}})
        )
    again = made(config, tmp_path / "again", broken="d01")
    assert again["records"]["quarantined"] == 0


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_verdicts_that_cannot_be_kept_refuse_the_run(tmp_path: Path, place: str) -> None:
    pytest.importorskip("silero_vad")
    (tmp_path / "file").write_text("")
    kept_in = {"vad": True, "speech": {"reject": True}, "verdicts": str(tmp_path / place)}
    with pytest.raises(
        StrettoError, match=f"{place}: no verdict can be kept there: not a d"
    ) as error:
        check.require(config_of(tmp_path, 1, **kept_in))
    assert "\n" not in str(error.value)
    # and while it runs, should the folder become a file: what is wrong, not what cleaning up met
    with pytest.raises(StrettoError, match="a verdict can't be kept: not a directory"):
        settings = ChecksConfig().speech
        kept(counting([], Finding({})), [clean()], settings, None, tmp_path / "file")


def test_trying_the_verdicts_folder_leaves_nothing_in_it(tmp_path: Path) -> None:
    """Nor the folder: a dry run writes nothing."""
    verdicts.require(str(tmp_path / "new" / "folder"))
    verdicts.require(str(tmp_path))
    assert not list(tmp_path.iterdir())


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        (
            {"asr": {"model": "/nowhere/whisper"}},
            "checks.asr: there is no such folder: /nowhere/whisper",
        ),
        ({"level": {"dbfs": [0, -10]}}, "the low bound 0 is not below"),
        ({"speech": {"reject": True}}, "needs checks.verdicts"),
        ({"verdicts": "s3://bucket/verdicts"}, "a folder, not s3://"),
    ],
)
def test_what_cannot_run_refuses_the_run(tmp_path: Path, checks: Any, said: str) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("faster_whisper")
    config = write_corpus(tmp_path, [dialogue(0)], checks={"vad": False} | checks)
    done = generate(config, tmp_path / "out", env={"HF_HUB_OFFLINE": "1"})
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert len([line for line in done.stderr.splitlines() if said in line]) == 1
    assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("asr", {"backend": "transformers"}),
        ("asr", {}),
        ("speaker", {}),
    ],
)
@pytest.mark.parametrize("model", ["/nowhere/w", "~/nowhere/w", "./w", "here/is/none"])
def test_a_missing_model_is_one_line(
    tmp_path: Path, section: str, settings: Any, model: str
) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("jiwer")
    pytest.importorskip("faster_whisper")
    said, settings = f"there is no such folder: {model}", settings | {"model": model}
    with pytest.raises(StrettoError, match=f"small: checks.{section}: {said}") as error:
        check.require(config_of(tmp_path, 1, **{section: settings}))
    assert "\n" not in str(error.value) and "HFValid" not in str(error.value)


@pytest.mark.parametrize(
    ("section", "settings"), [("asr", {"backend": "transformers"}), ("speaker", {})]
)
def test_a_hub_that_cannot_be_reached_is_asked_once(
    tmp_path: Path, section: str, settings: Any
) -> None:
    """In a process of its own: the hub's address is read when its library is first imported."""
    pytest.importorskip("transformers")
    pytest.importorskip("jiwer")
    checks = {"vad": False, section: settings | {"model": "nobody/nothing"}}
    config = write_corpus(tmp_path, [dialogue(0)], checks=checks)
    nobody = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    done = generate(config, tmp_path / "out", env=nobody)
    assert done.returncode == 2 and "Retrying" not in done.stderr
    [line] = done.stderr.splitlines()
    assert f"checks.{section}: nobody/nothing can't be had from the hub: " in line


@pytest.mark.parametrize(
    ("section", "settings", "package"),
    [
        ("asr", {"model": "tiny"}, "faster-whisper"),
        ("asr", {"model": "tiny", "backend": "transformers"}, "transformers"),
        ("speaker", {"model": "tiny"}, "transformers"),
    ],
)
def test_a_missing_package_refuses_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str, settings: Any, package: str
) -> None:
    config = config_of(tmp_path, 1, **{section: settings})
    for module in ("asr", "speaker"):
        monkeypatch.setattr(f"pipeline.checks.{module}.find_spec", lambda name: None)
    with pytest.raises(StrettoError, match=f"small: checks.{section}: {package} is not installed"):
        check.require(config)


def test_every_check_says_what_it_needs_and_what_to_do() -> None:
    assert [c.name for c in CHECKS if c.exact] == ["clipping", "level", "silence", "rate"]
    for each_check in CHECKS:
        assert each_check.needs and each_check.cost and each_check.fix and each_check.shown
