"""Text, turns and actions, summed over samples: `add_text` for each, `text_result` once."""

from __future__ import annotations

from typing import Any, get_args

from generators.consistency import consistency_of
from pipeline.sums import Sums, ratio
from pipeline.text_timing import chars_by_cut, leads, turn_lengths, word_steps
from pipeline.turn_taking import TurnTaking, heard_of_user, total
from schemas.timeline import Act, Hear, Say, Timeline, WordTimes, Write

TEXT_COUNTS = ("written_chars_planned", "written_chars", "said_chars_planned", "said_chars")
SIDES = ("user", "assistant")
CONSISTENT = 0.9


def add_text(sums: Sums, timeline: Timeline, taking: TurnTaking) -> None:
    """Words, characters, turn lengths, leads and consistency of one sample."""
    _add_words(sums, timeline, taking)
    _add_chars(sums, timeline)
    for side in SIDES:
        lengths = turn_lengths(timeline, side)
        sums.add_values(f"turn_words_{side}", (words for words, _ in lengths))
        sums.add_values(f"turn_s_{side}", (seconds for _, seconds in lengths))
    for lead in leads(timeline):
        sums.add_values("text_lead", [lead.text_s])
        sums.add_values("word_lead", lead.words_s)
        sums.n["said_before_written"] += sum(s < 0 for s in lead.words_s)
    sums.add_values("consistency", consistency_of(timeline))
    begun, steps = word_steps(timeline)
    sums.n["word_steps"] += begun
    sums.n["steps"] += steps


def _add_words(sums: Sums, timeline: Timeline, taking: TurnTaking) -> None:
    sums.n["user_words"] += sum(len(e.words) for e in heard_of_user(timeline))
    sums.n["assistant_words"] += sum(len(e.words) for e in timeline.agent if isinstance(e, Say))
    speech = [e for e in (*timeline.world, *timeline.agent) if isinstance(e, Hear | Say)]
    for event in speech:
        sums.n[f"words_{event.word_times}"] += len(event.words)
    sums.add_s(user_speech=total(taking.user), assistant_speech=total(taking.assistant))
    sums.add_s(sample=timeline.duration_s)


def _add_chars(sums: Sums, timeline: Timeline) -> None:
    for event in timeline.agent:
        if isinstance(event, Write):
            sums.n["written_chars_planned"] += len(event.text)
            sums.n["written_chars"] += chars_by_cut(event, len(event.text))
        elif isinstance(event, Say):
            sums.n["said_chars_planned"] += len(event.text)
            sums.n["said_chars"] += max((w.char_end for w in event.words), default=0)


def text_result(sums: Sums) -> dict[str, Any]:
    """How much text there is, how far it leads the voice, and how well the two agree."""
    word_lead = sums.of("word_lead")
    return {
        **{name: sums.n[name] for name in TEXT_COUNTS},
        "text_lead": sums.of("text_lead").result(),
        "word_lead": word_lead.result(),
        "said_before_written_share": ratio(sums.n["said_before_written"], word_lead.n),
        # how well the word times are known, on which every figure of time rests
        "word_times": {how: sums.n[f"words_{how}"] for how in get_args(WordTimes)},
        "said_words_per_s": ratio(sums.n["assistant_words"], sums.seconds("sample"), 3),
        "no_word_begins_80ms_share": ratio(sums.n["steps"] - sums.n["word_steps"], sums.n["steps"]),
    }


def consistency_result(sums: Sums) -> dict[str, Any]:
    """Written against spoken, 0 to 1: one score each visible text that is spoken."""
    scores = sums.of("consistency")
    found = scores.quantiles() or {}
    return {
        "n": scores.n,
        "mean": scores.mean,
        "p5": found.get("p5"),
        "p50": found.get("p50"),
        "share_below_0.9": scores.share(float("-inf"), CONSISTENT),
    }


def turns_result(sums: Sums) -> dict[str, Any]:
    """Words and seconds of a spoken turn, of each side."""
    return {
        side: {
            "words": sums.of(f"turn_words_{side}").result(),
            "seconds": sums.of(f"turn_s_{side}").result(),
        }
        for side in SIDES
    }


def words_per_min(sums: Sums) -> dict[str, float | None]:
    """Words a minute of speech, pauses not counted."""
    return {
        who: ratio(sums.n[f"{who}_words"], sums.seconds(f"{who}_speech") / 60, 1) for who in SIDES
    }


# ---- actions -------------------------------------------------------------------------------------


def add_actions(sums: Sums, timeline: Timeline, taking: TurnTaking) -> None:
    """Steps that idle and that move, and how long the assistant speaks meanwhile."""
    if timeline.act is None:
        return
    fps = timeline.act.fps
    for event in timeline.agent:
        if isinstance(event, Act):
            sums.n[f"{event.mode}_steps"] += event.step_count
            if event.mode == "trajectory":
                end_s = event.start_s + event.step_count / fps
                spoken = (min(e, end_s) - max(s, event.start_s) for s, e in taking.assistant)
                sums.add_s(acting=end_s - event.start_s)
                sums.add_s(speaking_while_acting=sum(max(0.0, s) for s in spoken))


def actions_result(sums: Sums) -> dict[str, Any]:
    """Of robot episodes."""
    steps = sums.n["idle_steps"] + sums.n["trajectory_steps"]
    both_s, acting_s = sums.seconds("speaking_while_acting"), sums.seconds("acting")
    return {
        "steps": steps,
        "idle_frac": ratio(sums.n["idle_steps"], steps),
        "speaking_while_acting_frac": ratio(both_s, acting_s),
    }
