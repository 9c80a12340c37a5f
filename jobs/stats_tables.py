"""What `stretto stats` prints on a terminal: tables from `pipeline.stats.corpus_stats`.

`tables(stats)` gives them in order. Corpus text is escaped, or `[bold]` in it would be markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from jobs.tables import number, table
from pipeline import check_report
from pipeline.distribution import QUANTILES
from pipeline.human import SIDES

REASONS = 20
PARTS = (
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
PERCENTS = tuple(f"p{p}" for p in QUANTILES)
# why the assistant spoke before the user's last word; see pipeline.exchange.early
WHY = {
    "backchannel": "a backchannel",
    "opener": "an opener, which needs no answer",
    "evidence_revealed": "it had heard all it needs",
    "continued": "its own turn goes on after a pause",
    "together": "decided before the user began",
    "unexplained": "none of these (must be 0)",
}


def tables(stats: dict[str, Any]) -> list[Table]:
    """Everything."""
    made = [_parts(stats), beside_people(stats)]
    made += [_subsets(stats)] if len(stats["subsets"]) > 1 else []
    made += [_rates(stats), *exchange(stats), _behaviours(stats)]
    if stats.get("checks"):
        made.append(table("Checks", *check_report.table(stats["checks"]), left=6))
    return made + ([_rejected(stats)] if stats["rejected"] else [])


def _parts(stats: dict[str, Any]) -> Table:
    longest = f", the longest {stats['longest_s']:.0f} s" if stats["longest_s"] else ""
    title = f"{stats['name']}: {stats['samples']:,} samples, {stats['hours']:.2f} hours{longest}"
    rows = [
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
    ]
    return table(title, PARTS, rows, left=3)


def beside_people(stats: dict[str, Any]) -> Table:
    """Quantiles in seconds, the corpus's above people's, with the distance in ms."""
    taking, human, far = stats["turn_taking"], stats["human"], stats["distance"]
    rows: list[Sequence[str]] = []
    for measure, names in (
        ("fto", ("floor transfer to the user", "floor transfer to the assistant", "both")),
        ("pause", ("pause of the user", "pause of the assistant", "both")),
        ("backchannel", ("backchannel of the user", "backchannel of the assistant", "both")),
    ):
        for side, name in zip(SIDES, names, strict=True):
            found = taking[side][measure]
            shown = f"  {name}" if side == "both" else name
            rows.append((*_times(shown, found), number(far[f"{measure}_{side}_ms"], 0)))
        rows.append((*_times("  of people", {"s": human[f"{measure}_s"], "n": None}), ""))
    head = ("seconds", "n", *PERCENTS, "distance ms")
    title = f"Turn-taking beside {human['conversations']:,} human conversations"
    return table(title, head, rows, left=1)


def _times(name: str, found: dict[str, Any], digits: int = 2) -> Sequence[str]:
    values = found["s"] or {}
    n = "" if found["n"] is None else f"{found['n']:,}"
    return (name, n, *(number(values.get(p), digits) for p in PERCENTS))


Rate = tuple[str, float | None, int, float | None, float | None]


def _rates(stats: dict[str, Any]) -> Table:
    """Shares and rates beside people's, where those are known."""
    rows = [
        (
            name,
            number(value, digits),
            "" if people is None else f"{people:g}",
            "" if far is None else f"{far:+.2f}",
        )
        for name, value, digits, people, far in [*_taking_rates(stats), *_other_rates(stats)]
    ]
    names = ("", "corpus", "people", "difference")
    return table("Shares and rates (difference of shares in points)", names, rows, left=1)


def _taking_rates(stats: dict[str, Any]) -> list[Rate]:
    """(name, the corpus's value, digits, people's value, difference)."""
    taking, human, far = stats["turn_taking"], stats["human"], stats["distance"]
    user, assistant, both = (taking[side] for side in ("user", "assistant", "both"))
    overlap, quick = human["fto_overlap_share"], human["fto_gap_lt_200ms_share"]

    def share(name: str, side: str, key: str, people: float) -> Rate:
        return name, taking[side][key], 3, people, far[f"{key}_{side}_points"]

    return [
        ("both speak (share of time)", taking["overlap_frac"], 3, human["overlap_frac"],
         far["overlap_frac_points"]),
        ("none speaks (share of time)", taking["silent_frac"], 3, human["silent_frac"],
         far["silent_frac_points"]),
        ("transfers a minute", taking["transitions_per_min"], 1, human["transitions_per_min"],
         far["transitions_per_min"]),
        share("transfers in overlap, to the user", "user", "fto_overlap_share", overlap),
        share("transfers in overlap, to the assistant", "assistant", "fto_overlap_share", overlap),
        share("transfers within 0.2 s, to the user", "user", "fto_gap_lt_200ms_share", quick),
        share("  to the assistant", "assistant", "fto_gap_lt_200ms_share", quick),
        ("barge-ins a minute", stats["exchange"]["barge_ins_per_min"], 2, None, None),
        ("overlaps a minute", taking["overlaps_per_min"], 1, None, None),
        ("backchannels a minute, both sides", both["backchannels_per_min"], 2,
         human["backchannels_per_min"], far["backchannels_both_per_min"]),
        ("  of the user", user["backchannels_per_min"], 2, None, None),
        ("  of the assistant", assistant["backchannels_per_min"], 2, None, None),
        ("  of the assistant, those in pauses too", taking["said_backchannels_per_min"], 2, None,
         None),
    ]  # fmt: skip


def _other_rates(stats: dict[str, Any]) -> list[Rate]:
    text, scores, acts = stats["text"], stats["consistency"], stats["actions"]
    vad = stats["vad"] or {}
    rates: list[tuple[str, float | None, int]] = [
        ("words a minute of speech, user", stats["words_per_min"]["user"], 0),
        ("words a minute of speech, assistant", stats["words_per_min"]["assistant"], 0),
        ("words said a second of the sample", text["said_words_per_s"], 2),
        ("80 ms steps in which no word begins (share)", text["no_word_begins_80ms_share"], 3),
        ("words said before they are written (share)", text["said_before_written_share"], 3),
        ("written and said agree, mean of 0 to 1", scores["mean"], 3),
        ("  below 0.9 (share)", scores["share_below_0.9"], 3),
        ("written, of what was planned (share)", _part(text, "written_chars"), 3),
        ("said, of what was planned (share)", _part(text, "said_chars"), 3),
        ("action steps that idle (share)", acts["idle_frac"], 3),
        ("of acting, speaks too (share)", acts["speaking_while_acting_frac"], 3),
    ]
    rates += [
        (f"VAD agrees on {track} ({vad.get('samples', '?')} samples)", vad[track], 3)
        for track in ("listen", "speak")
        if vad.get(track) is not None
    ]
    return [(*rate, None, None) for rate in rates]


def _part(text: dict[str, Any], name: str) -> float | None:
    planned = text[f"{name}_planned"]
    return text[name] / planned if planned else None


def exchange(stats: dict[str, Any]) -> list[Table]:
    """What passes between the two: when, and what the assistant does about the user."""
    return [_latencies(stats), _answers(stats)]


def _latencies(stats: dict[str, Any]) -> Table:
    """Latencies as the benchmarks name them, and lengths."""
    found, turns, text = stats["exchange"], stats["turns"], stats["text"]
    rows = [
        _times("answers after a turn's end", found["after_turn"]["latency"]),
        _times("  negative as 0", found["after_turn"]["clamped"]),
        _times("answers after a barge-in's end", found["after_barge_in"]["latency"]),
        _times("silent after an interruption starts", found["silent_after_interruption_starts"]),
        _times("yields after it is plain to hear", found["yields_after_plain_to_hear"]),
        _times("length of an overlap", stats["turn_taking"]["overlap"]),
        _times("text begins before the voice", text["text_lead"]),
        _times("a word is written before it is said", text["word_lead"]),
        _times("length of a user's turn", turns["user"]["seconds"]),
        _times("length of an assistant's turn", turns["assistant"]["seconds"]),
        _times("words of a user's turn", turns["user"]["words"], 0),
        _times("words of an assistant's turn", turns["assistant"]["words"], 0),
    ]
    return table("Answers, stops and lengths", ("seconds", "n", *PERCENTS), rows, left=1)


def _answers(stats: dict[str, Any]) -> Table:
    """What speech and sounds into the assistant's speech did, and why it spoke early."""
    found = stats["exchange"]
    rows: list[Sequence[str]] = [
        (f"into its speech: {what.replace('_', ' ')}", f"{n['n']:,}", f"{n['stopped']:,}")
        for what, n in found["spoken_into"].items()
    ]
    rows += [
        (f"early: {WHY[why]}", f"{n:,}", "")
        for why, n in found["early_assistant"].items()
        if n or why == "unexplained"
    ]
    for after, name in (("after_turn", "turns"), ("after_barge_in", "barge-ins")):
        asked, share = found[after]["asked"], found[after]["answered_share"]
        rows.append((f"{name} that ask, share answered", f"{asked:,}", number(share, 3)))
    names = ("the assistant", "n", "stopped, or share")
    return table("What the assistant does about the user", names, rows, left=1)


def _subsets(stats: dict[str, Any]) -> Table:
    """How far each subset is from people, where several have dialogues."""
    names = ("fto_user_ms", "fto_assistant_ms", "fto_overlap_share_user_points", "pause_both_ms",
             "backchannels_both_per_min")  # fmt: skip
    rows = [
        (subset, *(number(found["distance"][name], 1) for name in names))
        for subset, found in stats["subsets"].items()
    ]
    head = ("from people", "to the user ms", "to the assistant ms", "overlap, points", "pauses ms",
            "backchannels a minute")  # fmt: skip
    return table("Each subset beside people", head, rows, left=1)


def _behaviours(stats: dict[str, Any]) -> Table:
    in_h = stats["behaviour_hours"]
    rows = [(name, f"{n:,}", f"{in_h[name]:.3f}") for name, n in stats["behaviours"].items()]
    rows += [(f"effect: {name}", f"{n:,}", "") for name, n in stats["effects"].items()]
    return table("Behaviours", ("behaviour", "samples", "hours"), rows, left=1)


def _rejected(stats: dict[str, Any]) -> Table:
    found = stats["rejected"]
    rows = [(r["status"], r["stage"], r["reason"], f"{r['records']:,}") for r in found[:REASONS]]
    if rest := sum(r["records"] for r in found[REASONS:]):
        rows.append(("", "", "other reasons: see quarantine/*.jsonl, or --json", f"{rest:,}"))
    return table("Not in the corpus", ("status", "stage", "reason", "records"), rows, left=3)
