"""`stretto stats DIR [--json]`: what is in a corpus, beside how people take turns.

Tables on a terminal or in a log; with `--json` one JSON document, the same for equal corpora.
Of a token corpus its token rates (`jobs.stats_tokens`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from jobs.stats_tokens import rate_tables
from jobs.tables import number, table
from pipeline.corpus_files import dataset
from pipeline.distribution import QUANTILES
from pipeline.retokenize_plan import KIND
from pipeline.retokenize_rates import token_rates
from pipeline.stats import corpus_stats, to_json
from pipeline.store import open_store

LOG_WIDTH = 110
REASONS = 20


def run(dir: str, as_json: bool) -> int:
    """Print the statistics. Exit code 0; StrettoError when there is no corpus."""
    if dataset(open_store(dir)).get("kind") == KIND:
        rates = token_rates(dir)
        return _show(json.dumps(rates, indent=1), rate_tables(rates), as_json)
    stats = corpus_stats(open_store(dir))
    return _show(to_json(stats), tables(stats), as_json)


def _show(text: str, made: Sequence[Table], as_json: bool) -> int:
    if as_json:
        print(text)
        return 0
    show(made)
    return 0


def show(made: Sequence[Table]) -> None:
    """Print tables: as wide as the terminal, or LOG_WIDTH in a log."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)
    for shown in made:
        console.print(shown)
        console.print()


def tables(stats: dict[str, Any]) -> list[Table]:
    """Everything, as tables; corpus text is escaped, or `[bold]` in it would be markup."""
    made = [_parts(stats), _times(stats), _shares(stats), _behaviours(stats)]
    return made + ([_rejected(stats)] if stats["rejected"] else [])


def _parts(stats: dict[str, Any]) -> Table:
    title = f"{stats['name']}: {stats['samples']:,} samples, {stats['hours']:.2f} hours"
    names = (
        "split",
        "subset",
        "language",
        "samples",
        "hours",
        "user h",
        "assistant h",
        "turns",
        "steps",
    )
    return table(
        title,
        names,
        [
            (
                p["split"],
                p["subset"],
                p["language"],
                f"{p['samples']:,}",
                f"{p['hours']:.3f}",
                f"{p['user_speech_hours']:.3f}",
                f"{p['assistant_speech_hours']:.3f}",
                f"{p['turns']:,}",
                f"{p['steps']:,}",
            )
            for p in stats["parts"]
        ],
        left=3,
    )


def _times(stats: dict[str, Any]) -> Table:
    """Quantiles in seconds, the corpus's beside people's."""
    taking, human = stats["turn_taking"], stats["human"]
    user, assistant = taking["user"], taking["assistant"]
    rows = [
        _quantiles("floor transfer to the user", user["fto"]),
        _quantiles("floor transfer to the assistant", assistant["fto"]),
        _quantiles("  of people", {"s": human["fto_s"], "n": None}),
        _quantiles("pause of the user", user["pause"]),
        _quantiles("pause of the assistant", assistant["pause"]),
        _quantiles("  of people", {"s": human["pause_s"], "n": None}),
        _quantiles("backchannel of the assistant", assistant["backchannel"]),
        _quantiles("  of people", {"s": human["backchannel_s"], "n": None}),
        _quantiles("silent after being interrupted", taking["silent_after_interruption_starts"]),
        _quantiles("yields after it is plain to hear", taking["yields_after_plain_to_hear"]),
    ]
    names = ("seconds", "n", *(f"p{p}" for p in QUANTILES))
    return table(f"Turn-taking beside {human['source']}", names, rows, left=1)


def _quantiles(name: str, found: dict[str, Any]) -> Sequence[str]:
    values = found["s"] or {}
    n = "" if found["n"] is None else f"{found['n']:,}"
    return (name, n, *(number(values.get(f"p{p}"), 2) for p in QUANTILES))


def _shares(stats: dict[str, Any]) -> Table:
    """Numbers beside people's, where those are known."""
    text = stats["text"]
    rows = [(name, number(value, digits), people) for name, value, digits, people in _rates(stats)]
    for what in ("written", "said"):
        planned = f"{text[f'{what}_chars']:,} / {text[f'{what}_chars_planned']:,}"
        rows.append((f"characters {what} / planned", planned, None))
    vad = stats["vad"] or {}
    for track in ("listen", "speak"):
        if vad.get(track) is not None:
            name = f"VAD agrees on {track} ({vad.get('samples', '?')} samples)"
            rows.append((name, number(vad[track], 3), None))
    shown = [(name, value, "" if people is None else f"{people:g}") for name, value, people in rows]
    return table("Shares and rates", ("", "corpus", "people"), shown, left=1)


Rate = tuple[str, float | None, int, float | None]


def _rates(stats: dict[str, Any]) -> list[Rate]:
    """(name, the corpus's value, digits, people's value)."""
    taking, human, acts = stats["turn_taking"], stats["human"], stats["actions"]
    user, assistant = taking["user"], taking["assistant"]
    overlap = human["fto_overlap_share"]
    return [
        ("both speak (share of time)", taking["overlap_frac"], 3, human["overlap_frac"]),
        ("none speaks (share of time)", taking["silent_frac"], 3, human["silent_frac"]),
        ("transfers a minute", taking["transitions_per_min"], 1, human["transitions_per_min"]),
        ("transfers in overlap, to the user", user["fto_overlap_share"], 3, overlap),
        ("transfers in overlap, to the assistant", assistant["fto_overlap_share"], 3, overlap),
        (
            "backchannels a minute, in overlap",
            assistant["backchannels_per_min"],
            2,
            human["backchannels_per_min"],
        ),
        ("backchannels a minute, in pauses too", taking["said_backchannels_per_min"], 2, None),
        ("words a minute of speech, user", stats["words_per_min"]["user"], 0, None),
        ("words a minute of speech, assistant", stats["words_per_min"]["assistant"], 0, None),
        ("action steps that idle (share)", acts["idle_frac"], 3, None),
        ("of acting, speaks too (share)", acts["speaking_while_acting_frac"], 3, None),
    ]


def _behaviours(stats: dict[str, Any]) -> Table:
    rows = [(name, f"{n:,}") for name, n in stats["behaviours"].items()]
    return table("Behaviours", ("behaviour", "samples"), rows, left=1)


def _rejected(stats: dict[str, Any]) -> Table:
    found = stats["rejected"]
    rows = [(r["status"], r["stage"], r["reason"], f"{r['records']:,}") for r in found[:REASONS]]
    if rest := sum(r["records"] for r in found[REASONS:]):
        rows.append(("", "", "other reasons: see quarantine/*.jsonl, or --json", f"{rest:,}"))
    return table("Not in the corpus", ("status", "stage", "reason", "records"), rows, left=3)
