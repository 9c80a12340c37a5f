"""The align stage: a corpus whose engine knows no word times passes its checks all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_corpus import barge_in, dialogue, write_corpus
from tiny_ctc import write_ctc

from generators.align import Aligned, Unaligned, open_aligner
from generators.align.duration import DurationAligner
from generators.sources import read_source
from generators.speech import Speech, SpeechRequest, Spoken
from jobs.config_file import load_config
from pipeline.run import prepare
from pipeline.stages import STAGES, Services, Work, make_shard, open_services
from schemas.config import AlignConfig, Config
from schemas.errors import MachineError, StrettoError
from schemas.records import Dialogue, Trajectory
from schemas.timeline import Timeline


class Wordless:
    """espeak-ng as an engine that knows no word times."""

    def __init__(self, services: Services) -> None:
        self._speech = services.speech
        self.name = "wordless"

    def version(self) -> str:
        return self._speech.version()

    def check(self) -> None:
        self._speech.check()

    def close(self) -> None:
        """The fixture's services close it."""

    def say(self, requests: Sequence[SpeechRequest]) -> list[Spoken]:
        said = self._speech.say(requests)
        return [replace(s, words=()) if isinstance(s, Speech) else s for s in said]


class Counting(DurationAligner):
    """The estimate, with a count of what it was asked."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def align(self, items: Sequence[Unaligned]) -> list[Aligned]:
        self.batches.append(len(items))
        return super().align(items)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("corpus")
    return load_config(str(write_corpus(folder, [barge_in(), *(dialogue(n) for n in range(3))])))


@pytest.fixture(scope="module")
def services(config: Config) -> Iterator[Services]:
    opened = open_services(config)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def records(config: Config) -> list[Dialogue | Trajectory]:
    return list(read_source(config.sources[0], "small"))


def timelines(packed: Sequence[object]) -> list[Timeline]:
    return [Timeline.model_validate_json(p.members["json"]) for p in packed]  # type: ignore[attr-defined]


def test_engine_times_stay_and_nothing_is_asked(
    config: Config, services: Services, records: list[Dialogue | Trajectory]
) -> None:
    counting = Counting()
    asked = Services(services.speech, counting)
    packed, _ = make_shard(records, config, asked)
    without = [stage for stage in STAGES if stage.name != "align"]
    assert packed == make_shard(records, config, services, without)[0]
    assert counting.batches == [] and len(packed) == 4
    assert all("align" not in t.provenance.backends for t in timelines(packed))


def test_wordless_speech_is_aligned_in_one_batch_and_passes_check(
    config: Config, services: Services, records: list[Dialogue | Trajectory]
) -> None:
    counting = Counting()
    wordless = Services(Wordless(services), counting)
    packed, rejections = make_shard(records, config, wordless)
    assert not rejections and len(packed) == 4
    assert len(counting.batches) == 1 and counting.batches[0] > 8
    for found, spoken in zip(
        timelines(packed), timelines(make_shard(records, config, services)[0]), strict=True
    ):
        # the same audio and words; only when each is said is estimated
        said = [w.text for e in (*found.world, *found.agent) for w in getattr(e, "words", ())]
        assert len(said) >= 3
        assert found.world[0].text == spoken.world[0].text  # type: ignore[union-attr]
        assert found.world[0].words[-1].end_s <= found.world[0].end_s  # type: ignore[union-attr]


def test_the_speech_says_how_its_words_were_found(
    config: Config, services: Services, records: list[Dialogue | Trajectory], tmp_path: Path
) -> None:
    pytest.importorskip("transformers", reason="transformers is absent: ctc is not run")
    align = AlignConfig(model=str(write_ctc(tmp_path / "m")), device="cpu", min_score=0)
    for name, section in (("estimated", AlignConfig()), ("aligned", align)):
        works = [Work(record) for record in records]
        for stage in STAGES[: [s.name for s in STAGES].index("align") + 1]:
            works = stage.run(works, config, Services(Wordless(services), open_aligner(section)))
        speech = [s for work in works for s in work.speech.values()]
        assert {s.word_times for s in speech} == {name}
        assert all(s.words for s in speech)
        asked = config.model_copy(update={"align": section})
        packed, rejections = make_shard(
            records, asked, Services(Wordless(services), open_aligner(section))
        )
        assert len(packed) == 4 and not rejections
        for found in timelines(packed):
            said = [e for e in (*found.world, *found.agent) if e.kind in ("hear", "say")]
            assert {e.word_times for e in said} == {name}  # type: ignore[union-attr]
            assert found.provenance.backends["align"] == section.resolved


def test_what_cannot_be_aligned_rejects_its_own_record(
    config: Config, services: Services, records: list[Dialogue | Trajectory]
) -> None:
    class Muting(Wordless):
        def say(self, requests: Sequence[SpeechRequest]) -> list[Spoken]:
            said = super().say(requests)
            return [
                replace(s, pcm=np.zeros_like(s.pcm)) if "late" in r.text else s  # type: ignore[type-var, union-attr]
                for r, s in zip(requests, said, strict=True)
            ]

    packed, rejections = make_shard(records, config, Services(Muting(services), DurationAligner()))
    assert len(packed) == 3
    [rejection] = rejections
    assert rejection.stage == "align" and "nothing sounds" in rejection.reason
    assert "'Is it late?'" in rejection.reason and rejection.fix


def test_an_aligner_that_breaks_stops_the_run(
    config: Config, services: Services, records: list[Dialogue | Trajectory]
) -> None:
    class Broken(DurationAligner):
        def align(self, items: Sequence[Unaligned]) -> list[Aligned]:
            raise RuntimeError("CUDA out of memory")

    with pytest.raises(MachineError, match="the aligner failed: RuntimeError: CUDA out of memory"):
        make_shard(records, config, Services(Wordless(services), Broken()))


def test_the_model_is_part_of_the_fingerprint_and_refused_before_work(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="transformers is absent: ctc is not run")
    model = write_ctc(tmp_path / "m")
    align = {"model": str(model), "device": "cpu"}
    path = write_corpus(tmp_path, [dialogue(0)], align=align)
    first = prepare(load_config(str(path)), None)
    assert first.versions["align"].startswith("ctc ")
    assert first.config["align.model"] == str(model)
    write_ctc(model, "abc")
    assert prepare(load_config(str(path)), None).digest != first.digest
    path.write_text(json.dumps(json.loads(path.read_text()) | {"align": {"model": "./nowhere"}}))
    with pytest.raises(StrettoError, match="no model at ./nowhere"):
        prepare(load_config(str(path)), None)
