"""Do our conversations time like people's? `python -m benchmarks.turn_taking`

Makes 200 dialogues of the example and shared inputs with default settings, in memory (plan, speak,
render; no FLAC, no tar), and prints the figures beside people's. Of another corpus:

    python -m benchmarks.turn_taking --corpus DIR              # a finished corpus instead
    python -m benchmarks.turn_taking --cache DIR               # what was spoken once stays there
    python -m benchmarks.turn_taking --set scene.barge_in.rate=0.2 --limit 20 --by-source
    python -m benchmarks.turn_taking --out DIR                 # a whole `stretto generate` into DIR
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from generators.sources import read_source
from jobs.config_file import with_settings
from jobs.generate import run as generate
from jobs.stats import show
from jobs.stats_tables import beside_people, exchange
from jobs.tables import number, table
from pipeline.human import human
from pipeline.stages import STAGES, Work, open_services
from pipeline.stats import corpus_stats
from pipeline.store import open_store
from pipeline.tally import Tally
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.records import Dialogue
from schemas.sample import Rejection

REPO = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("STRETTO_SHARED", REPO.parent / "shared")) / "data"
# the stages that time depends on; effects, labels, checks and FLAC change none
SKIPPED = {"acoustics", "annotate", "check", "pack"}
LIMITS = {"example": 61, "oasst": 47, "sgd": 46, "coffee": 46}
BATCH = 16


def inputs(limit: int | None) -> list[dict[str, Any]]:
    """The sources of the benchmark; those of ../shared only where it is present."""
    examples = str(REPO / "examples/data/dialogues.jsonl")
    found: dict[str, dict[str, Any]] = {
        "example": {"path": examples, "format": "messages"},
        "oasst": {"path": str(SHARED / "oasst_en_100/en_100_tree.jsonl"), "format": "tree"},
        "sgd": {
            "path": str(SHARED / "sgd/test_dialogues_011.json"),
            "format": "json",
            "id": "dialogue_id",
            "turns": "turns",
            "role": "speaker",
            "text": "utterance",
            "roles": {"USER": "user", "SYSTEM": "assistant"},
        },
        "coffee": {
            "path": str(SHARED / "taskmaster4_coffee/data_07.json"),
            "format": "json",
            "id": "conversation_id",
            "turns": "utterances",
            "role": "speaker",
            "text": "text",
        },
    }
    for name, source in list(found.items()):
        if not Path(source["path"]).is_file():
            print(f"absent, so not measured: {source['path']}", file=sys.stderr)
            del found[name]
    return [
        {"dialogues": {"name": name, **source, "limit": LIMITS[name] if limit is None else limit}}
        for name, source in found.items()
    ]


def config_of(args: argparse.Namespace) -> Config:
    """Default settings, and what the options change."""
    data = {"name": "turn-taking", "seed": args.seed, "sources": inputs(args.limit)}
    return Config.from_mapping(with_settings(data, settings(args)), "benchmarks.turn_taking")


def settings(args: argparse.Namespace) -> tuple[str, ...]:
    """What `--set` and `--cache` say."""
    return (*args.set, *([f"speech.cache={args.cache}"] if args.cache else []))


def made(config: Config) -> Iterator[Work]:
    """The records through the stages that give a Timeline its times, a few at a time."""
    services = open_services(config)
    stages = [stage for stage in STAGES if stage.name not in SKIPPED]
    for entry in config.sources:
        assert entry.dialogues is not None and entry.dialogues.name is not None
        found = list(read_source(entry, entry.dialogues.name))
        for refused in (r for r in found if isinstance(r, Rejection)):
            print(f"refused: {refused.line()}", file=sys.stderr)
        records = [record for record in found if isinstance(record, Dialogue)]
        for at in range(0, len(records), BATCH):
            works = [Work(record) for record in records[at : at + BATCH]]
            for stage in stages:
                works = stage.run(works, config, services)
            yield from works
    services.close()


def measured(config: Config) -> dict[str, dict[str, Any]]:
    """Statistics of all samples, and of each source."""
    tallies: dict[str, Tally] = {"all": Tally()}
    for work in made(config):
        if work.rejection is not None:
            print(f"quarantined: {work.rejection.line()}", file=sys.stderr)
        elif work.sample is not None:
            for name in ("all", work.record.source):
                tallies.setdefault(name, Tally()).add(work.sample.timeline)
    return {name: tally.result() for name, tally in tallies.items()}


# ---- what the issue asks -------------------------------------------------------------------------

Asked = tuple[str, float | None, float | None, float | None, float | None]


def figures(stats: dict[str, Any]) -> list[Asked]:
    """(figure, the corpus's, people's, distance, the most asked for; None where none is)."""
    taking, people, far = stats["turn_taking"], human(), stats["distance"]
    user, assistant, both = (taking[side] for side in ("user", "assistant", "both"))
    share, rate = people["fto_overlap_share"], people["backchannels_per_min"]

    def middle(side: dict[str, Any], measure: str) -> float | None:
        return (side[measure]["s"] or {}).get("p50")

    def times(side: str, measure: str, most: float | None) -> Asked:
        value = middle(taking[side], measure)
        return value, people[f"{measure}_s"]["p50"], far[f"{measure}_{side}_ms"], most

    why = float(stats["exchange"]["early_assistant"]["unexplained"])
    unexplained = why, None, why
    return [
        ("user takes the floor, p50 s, distance ms", *times("user", "fto", 60)),
        ("  in overlap, share, distance in points", user["fto_overlap_share"], share,
         far["fto_overlap_share_user_points"], 5),
        ("assistant takes the floor, p50 s, ms", *times("assistant", "fto", None)),
        ("  in overlap, share, points", assistant["fto_overlap_share"], share,
         far["fto_overlap_share_assistant_points"], None),
        ("backchannels a minute, both sides", both["backchannels_per_min"], rate,
         far["backchannels_both_per_min"], 0.5),
        ("  of the user", user["backchannels_per_min"], None, None, None),
        ("  of the assistant", assistant["backchannels_per_min"], None, None, None),
        ("pause, both sides, p50 s, ms", *times("both", "pause", 100)),
        ("  of the user", *times("user", "pause", 100)),
        ("  of the assistant", *times("assistant", "pause", 100)),
        ("early words of the assistant that nothing explains", *unexplained, 0),
        ("transfers a minute", taking["transitions_per_min"], people["transitions_per_min"],
         far["transitions_per_min"], None),
        ("both speak, share of time, points", taking["overlap_frac"], people["overlap_frac"],
         far["overlap_frac_points"], None),
        ("none speaks, share of time, points", taking["silent_frac"], people["silent_frac"],
         far["silent_frac_points"], None),
    ]  # fmt: skip


def verdict(distance: float | None, most: float | None) -> str:
    """Whether a figure is as near as asked."""
    if most is None:
        return ""
    return "pass" if distance is not None and abs(distance) <= most else "FALLS SHORT"


def report(name: str, stats: dict[str, Any], samples: int) -> list[Any]:
    """The figures that the issue asks for, then the tables of `stretto stats` on turn-taking."""
    hours = stats["turn_taking"]["dialogue_hours"]
    rows = [
        (label, number(value, 3), number(people, 3), number(far, 2), number(most, 1), said)
        for label, value, people, far, most in figures(stats)
        for said in [verdict(far, most)]
    ]
    names = ("figure", "corpus", "people", "distance", "at most", "")
    asked = table(f"{name}: {samples} dialogues, {hours:.2f} h", names, rows, left=1)
    return [asked, beside_people(stats | {"human": human()}), *exchange(stats)]


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.turn_taking")
    parser.add_argument("--corpus", help="a finished corpus: nothing is made")
    parser.add_argument("--out", help="make a whole corpus there, with shards")
    parser.add_argument("--limit", type=int, help="dialogues of each source (default: 200 in all)")
    parser.add_argument("--cache", help="keep what was spoken in this folder")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--by-source", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 when a figure falls short, 2 for what can't be measured."""
    try:
        return run(options(arguments))
    except StrettoError as error:
        print(f"benchmarks.turn_taking: {error}", file=sys.stderr)
        return 2


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    begin = time.perf_counter()
    if args.out:
        config = Path(f"{args.out}.yaml")
        config.write_text(yaml.safe_dump({"name": "turn-taking", "seed": args.seed,
                                          "sources": inputs(args.limit)}))  # fmt: skip
        code = generate(str(config), args.out, "local", None, None, settings(args))
        if code:
            return code
    place = args.corpus or args.out
    found = {"all": corpus_stats(open_store(place))} if place else measured(config_of(args))
    if args.json:
        print(json.dumps(found, indent=1))
        return 0
    names = list(found) if args.by_source else ["all"]
    for name in names:
        samples = sum(s["samples"] for s in found[name]["sources"])
        show(report(name, found[name], samples))
    print(f"{time.perf_counter() - begin:.0f} s")
    short = [f for f in figures(found["all"]) if verdict(f[3], f[4]) == "FALLS SHORT"]
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
