"""The card's statistics: how a corpus takes turns beside people, with distances, and what that means.

`statistics(stats)` is a table and `honest(stats)` what it says in words, from
`pipeline.stats.corpus_stats`. The whole of it is `stretto stats DIR --json`.
"""

from __future__ import annotations

from typing import Any

from pipeline.card_text import markdown

HEAD = ("p10 / p50 / p90, or a share", "this corpus", "people", "distance")


def statistics(stats: dict[str, Any]) -> str:
    """The table."""
    rows = [*_times(stats), *_shares(stats), *_own(stats)]
    return markdown(HEAD, [row for row in rows if row[1] != "-"] or [("dialogues", "none", "", "")])


def _times(stats: dict[str, Any]) -> list[tuple[str, ...]]:
    taking, human, far = stats["turn_taking"], stats["human"], stats["distance"]
    rows: list[tuple[str, ...]] = []
    for measure, what in (
        ("fto", "floor transfer to the {}, s"),
        ("pause", "pause of the {}, s"),
        ("backchannel", "length of a backchannel of the {}, s"),
    ):
        for side in ("user", "assistant"):
            found, ms = taking[side][measure]["s"], far[f"{measure}_{side}_ms"]
            people = _quantiles(human[f"{measure}_s"])
            away = "-" if ms is None else f"{ms:.0f} ms"
            rows.append((what.format(side), _quantiles(found), people, away))
    exchange = stats["exchange"]
    for name, found in (
        ("answer after the user's last word, s", exchange["after_turn"]["latency"]),
        ("silent after an interruption starts, s", exchange["silent_after_interruption_starts"]),
        ("yields after it is plain to hear, s", exchange["yields_after_plain_to_hear"]),
    ):
        rows.append((name, _quantiles(found["s"]), "", ""))
    return rows


def _shares(stats: dict[str, Any]) -> list[tuple[str, ...]]:
    taking, human, far = stats["turn_taking"], stats["human"], stats["distance"]
    rows: list[tuple[str, float | None, float, float | None, str]] = [
        (f"floor transfers to the {side} in overlap, share", taking[side]["fto_overlap_share"],
         human["fto_overlap_share"], far[f"fto_overlap_share_{side}_points"], " points")
        for side in ("user", "assistant")
    ]  # fmt: skip
    rows += [
        ("both speak, share of time", taking["overlap_frac"], human["overlap_frac"],
         far["overlap_frac_points"], " points"),
        ("none speaks, share of time", taking["silent_frac"], human["silent_frac"],
         far["silent_frac_points"], " points"),
        ("floor transfers a minute", taking["transitions_per_min"], human["transitions_per_min"],
         far["transitions_per_min"], ""),
        ("backchannels a minute, both sides", taking["both"]["backchannels_per_min"],
         human["backchannels_per_min"], far["backchannels_both_per_min"], ""),
    ]  # fmt: skip
    return [
        (name, _value(value), _value(people), "-" if away is None else f"{away:+.4g}{unit}")
        for name, value, people, away, unit in rows
    ]


def _own(stats: dict[str, Any]) -> list[tuple[str, ...]]:
    """What people have no figure for."""
    rows = (
        ("words a minute of speech, user", stats["words_per_min"]["user"]),
        ("words a minute of speech, assistant", stats["words_per_min"]["assistant"]),
        ("what is said agrees with what is written, mean of 0 to 1", stats["consistency"]["mean"]),
        ("action steps that idle, share", stats["actions"]["idle_frac"]),
    )
    return [(name, _value(value), "", "") for name, value in rows]


def _quantiles(found: dict[str, float] | None) -> str:
    return " / ".join(f"{found[p]:.2f}" for p in ("p10", "p50", "p90")) if found else "-"


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def honest(stats: dict[str, Any]) -> str:
    """How near to people the corpus is, and where it can't be; empty without transfers."""
    far, exchange = stats["distance"], stats["exchange"]
    user, assistant = far["fto_user_ms"], far["fto_assistant_ms"]
    if user is None or assistant is None:
        return ""
    why = exchange["early_assistant"]
    early = sum(why.values())
    text = (
        f"A distance is the mean absolute difference of seven quantiles (p5 to p95). The user takes "
        f"the floor {user:.0f} ms from how people do, the assistant {assistant:.0f} ms: it may not "
        f"answer before it has heard what its answer rests on, so of its floor transfers {early:,} "
        "overlap the user"
    )
    if early:
        text += f" ({_reasons(why)})"
    scores = stats["consistency"]
    if scores["n"]:
        text += (
            f". Of {scores['n']:,} visible texts that are spoken, {scores['share_below_0.9']:.1%} "
            "agree with their speech by less than 0.9"
        )
    return text + "."


def _reasons(why: dict[str, int]) -> str:
    """What stretto knows of each early word of the assistant's."""
    names = {
        "backchannel": "{} backchannels",
        "opener": "{} openers that need no answer",
        "evidence_revealed": "{} turns whose evidence was revealed",
        "continued": "{} where its own turn goes on",
        "together": "{} decided before the user began",
        "unexplained": "{} that nothing explains",
    }
    return ", ".join(names[reason].format(f"{n:,}") for reason, n in why.items() if n)
