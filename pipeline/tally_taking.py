"""Who takes the floor and when, summed over samples: `add_taking` for each, `taking_result` once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.exchange import EARLY, early, responses, spoken_into, stops
from pipeline.human import SIDES
from pipeline.sums import Sums, ratio
from pipeline.turn_taking import TurnTaking
from schemas.timeline import Say, Timeline


def add_taking(sums: Sums, timeline: Timeline, t: TurnTaking) -> None:
    """Offsets, pauses, backchannels and overlaps of one dialogue."""
    sums.add_s(dialogue=t.duration_s, overlap=t.overlap_s, silent=t.silent_s)
    sums.n["transitions"] += len(t.transitions)
    sums.n["said_backchannels"] += sum(
        isinstance(e, Say) and e.behaviour == "backchannel" for e in timeline.agent
    )
    for who in ("user", "assistant"):
        _add_side(sums, "fto", who, [x.fto_s for x in t.transitions if x.to == who])
    _add_side(sums, "pause", "user", t.user_pauses_s)
    _add_side(sums, "pause", "assistant", t.assistant_pauses_s)
    _add_side(sums, "backchannel", "user", t.user_backchannels_s)
    _add_side(sums, "backchannel", "assistant", t.assistant_backchannels_s)
    sums.add_values("overlap", t.overlaps_s)


def _add_side(sums: Sums, measure: str, who: str, values_s: Sequence[float]) -> None:
    """To the side's own distribution and to that of both sides together."""
    sums.add_values(f"{measure}_{who}", values_s)
    sums.add_values(f"{measure}_both", values_s)


def taking_result(sums: Sums) -> dict[str, Any]:
    """Beside it in `pipeline.human`: what people do, by the same definitions."""
    whole_s = sums.seconds("dialogue")
    overlap = sums.of("overlap")
    return {
        "dialogue_hours": round(whole_s / 3600, 4),
        "overlap_frac": ratio(sums.seconds("overlap"), whole_s),
        "silent_frac": ratio(sums.seconds("silent"), whole_s),
        "transitions_per_min": ratio(sums.n["transitions"], whole_s / 60, 2),
        "overlap": overlap.result(),
        "overlaps_per_min": ratio(overlap.n, whole_s / 60, 2),
        # by behaviour; in `both`, by the human definition, which counts only those in overlap
        "said_backchannels_per_min": ratio(sums.n["said_backchannels"], whole_s / 60, 2),
        **{who: _side(sums, who, whole_s / 60) for who in SIDES},
    }


def _side(sums: Sums, who: str, minutes: float) -> dict[str, Any]:
    """What one side does: floor transfers it takes, its pauses and backchannels."""
    fto, pause, backchannel = (
        sums.of(f"{measure}_{who}") for measure in ("fto", "pause", "backchannel")
    )
    return {
        "fto": fto.result() | {"histogram_200ms": fto.histogram()},
        "fto_gap": fto.within(0.0, float("inf")).result(),
        "fto_overlap": fto.within(float("-inf"), 0.0).result(),
        "fto_overlap_share": fto.share(float("-inf"), 0.0),
        "fto_gap_lt_200ms_share": fto.share(0.0, 0.2),
        "pause": pause.result() | {"histogram_200ms": pause.histogram()},
        "backchannel": backchannel.result() | {"histogram_200ms": backchannel.histogram()},
        "backchannels_per_min": ratio(backchannel.n, minutes, 2),
    }


# ---- what passes between the two -----------------------------------------------------------------


def add_exchange(sums: Sums, timeline: Timeline, taking: TurnTaking) -> None:
    """Answers, stops and the reasons for early words of one dialogue."""
    for response in responses(timeline):
        sums.n[f"asked_{response.after}"] += 1
        if response.latency_s is not None:
            sums.add_values(f"response_{response.after}", [response.latency_s])
            sums.add_values(f"clamped_{response.after}", [max(0.0, response.latency_s)])
    for what, stopped in spoken_into(timeline):
        sums.n[f"into_{what}"] += 1
        sums.n[f"stopped_{what}"] += stopped
    for why in early(timeline, taking):
        sums.n[f"early_{why}"] += 1


def add_stops(sums: Sums, timeline: Timeline) -> None:
    """How fast interruptions silence the assistant, in dialogues and robot episodes alike."""
    for stop in stops(timeline):
        sums.add_values("stop_after_start", [stop.after_start_s])
        sums.add_values("stop_after_plain", [stop.after_plain_s])


def exchange_result(sums: Sums) -> dict[str, Any]:
    """Latencies in seconds; `clamped` as Full-Duplex-Bench counts them, negative ones as 0."""
    into = sorted(name.removeprefix("into_") for name in sums.n if name.startswith("into_"))
    return {
        "barge_ins_per_min": ratio(sums.n["asked_barge_in"], sums.seconds("dialogue") / 60, 2),
        "after_turn": _response(sums, "turn"),
        "after_barge_in": _response(sums, "barge_in"),
        "silent_after_interruption_starts": sums.of("stop_after_start").result(),
        "yields_after_plain_to_hear": sums.of("stop_after_plain").result(),
        "spoken_into": {
            what: {"n": sums.n[f"into_{what}"], "stopped": sums.n[f"stopped_{what}"]}
            for what in into
        },
        "early_assistant": {why: sums.n[f"early_{why}"] for why in EARLY},
    }


def _response(sums: Sums, after: str) -> dict[str, Any]:
    latency, asked = sums.of(f"response_{after}"), sums.n[f"asked_{after}"]
    return {
        "asked": asked,
        "answered_share": ratio(latency.n, asked),
        "latency": latency.result(),
        "clamped": sums.of(f"clamped_{after}").result(),
    }
