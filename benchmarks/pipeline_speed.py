"""How fast is each stage of the main job on one core? `python -m benchmarks.pipeline_speed`

Times each stage over the example dialogues: hours of samples per core-hour ("x real time" is the same
number). Each check is timed by itself too; VAD runs on a keyed 5 % of the samples by default.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from pathlib import Path

import yaml

from generators.sources import read_source
from pipeline.checks import CHECKS
from pipeline.plan import ShardPlan
from pipeline.shard import write_tar
from pipeline.stages import STAGES, Work, open_services
from schemas.config import Config
from schemas.records import Dialogue

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
REPEATS = 5


def dialogues(config: Config) -> list[Dialogue]:
    """The example dialogues, several times over under other keys."""
    found = [r for r in read_source(config.sources[0], "b") if isinstance(r, Dialogue)]
    return [r.model_copy(update={"key": f"{r.key}-{n}"}) for n in range(REPEATS) for r in found]


def main() -> None:
    os.chdir(EXAMPLES.parent)
    data = yaml.safe_load((EXAMPLES / "quickstart.yaml").read_text(encoding="utf-8"))
    config = Config.from_mapping(data, "quickstart.yaml")
    works = [Work(r) for r in dialogues(config)]
    services = open_services(config)
    seconds: dict[str, float] = {}
    samples = []
    for stage in STAGES:
        begin = time.perf_counter()
        works = stage.run(works, config, services)
        seconds[stage.name] = time.perf_counter() - begin
        if stage.name == "check":
            samples = [w.sample for w in works if w.sample is not None]
    services.close()
    packed = [w.packed for w in works if w.packed is not None]
    shard = ShardPlan(split="train", subset="dialogue", index=0, records=len(packed), sha256="")
    begin = time.perf_counter()
    tar = write_tar(shard, packed)
    seconds["tar"] = time.perf_counter() - begin
    audio_s = sum(s.timeline.duration_s for s in samples)
    print(f"{len(samples)} samples, {audio_s / 3600:.2f} h, tar {len(tar.data) / 1e6:.0f} MB")
    for name, took in seconds.items():
        print(f"{name:10} {took:7.2f} s   {audio_s / took:10,.0f} x real time")
    mix = seconds["render"] + seconds["pack"] + seconds["tar"]
    print(f"render (mix), FLAC and tar   {audio_s / mix:8,.0f} x real time")
    print(f"all stages                   {audio_s / sum(seconds.values()):8,.0f} x real time")
    _checks(samples, config)


def _checks(samples: list, config: Config) -> None:  # type: ignore[type-arg]
    """Each exact check by itself, and silero-vad on some samples."""
    models = open_services(config)
    checks = config.checks.model_copy(update={"vad": True})
    for check in CHECKS:
        settings = check.settings(checks)
        if settings is None:
            continue
        some = samples if check.exact else samples[:20]
        begin = time.perf_counter()
        found = check.run(some, settings, models)
        took = time.perf_counter() - begin
        audio_s = sum(s.timeline.duration_s for s in some)
        ok = sum(f.verdict == "ok" for f in found)
        print(f"check {check.name:22} {audio_s / took:8,.0f} x real time, {ok} of {len(some)} ok")
        if check.name == "speech":
            means = [sum(f.figures[c] for f in found) / len(found) for c in ("listen", "speak")]
            print(f"VAD agreement                listen {means[0]:.3f}, speak {means[1]:.3f}")
    models.close()


if __name__ == "__main__":
    main()
