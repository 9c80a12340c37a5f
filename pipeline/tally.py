"""Sums over the samples of a corpus: a Timeline goes in, counts and distributions come out.

`Tally.add(timeline)` for each sample, then `Tally.result()`. Distributions are counts of whole
milliseconds, so memory does not grow with the hours and the order of adding does not matter.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.distribution import Distribution
from pipeline.human import SIDES
from pipeline.turn_taking import TurnTaking, measure, total
from schemas.timeline import Act, AgentEvent, Hear, Say, Timeline, Write

TEXT_COUNTS = ("written_chars_planned", "written_chars", "said_chars_planned", "said_chars")


class Tally:
    """Sums over samples. Turn-taking is measured on dialogues: robots hardly take turns."""

    def __init__(self) -> None:
        self.behaviours: Counter[str] = Counter()
        self.sources: Counter[tuple[str, str]] = Counter()
        self.n: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.times: dict[str, Distribution] = {}

    def add(self, timeline: Timeline) -> None:
        self.behaviours.update(timeline.behaviours)
        made = timeline.provenance
        self.sources[made.source, made.licence or ""] += 1
        taking = measure(timeline)
        self._add_words(timeline, taking)
        self._add_text(timeline)
        self._add_actions(timeline, taking)
        self._add_stops(timeline)
        if timeline.act is None:
            self._add_turn_taking(taking)
            says = [e for e in timeline.agent if isinstance(e, Say)]
            self.n["said_backchannels"] += sum(e.behaviour == "backchannel" for e in says)

    def _add_turn_taking(self, t: TurnTaking) -> None:
        self._add_seconds(dialogue=t.duration_s, overlap=t.overlap_s, silent=t.silent_s)
        self.n["transitions"] += len(t.transitions)
        for who in ("user", "assistant"):
            self._add_side(f"fto_{who}", [x.fto_s for x in t.transitions if x.to == who])
        self._add_side("pause_user", t.user_pauses_s)
        self._add_side("pause_assistant", t.assistant_pauses_s)
        self._add_side("backchannel_user", t.user_backchannels_s)
        self._add_side("backchannel_assistant", t.assistant_backchannels_s)

    def _add_side(self, name: str, values_s: Sequence[float]) -> None:
        """To the side's own distribution and to that of both sides together."""
        self._add_times(name, values_s)
        self._add_times(f"{name.partition('_')[0]}_both", values_s)

    def _add_words(self, timeline: Timeline, t: TurnTaking) -> None:
        hears = [e for e in timeline.world if isinstance(e, Hear)]
        says = [e for e in timeline.agent if isinstance(e, Say)]
        self.n["user_words"] += sum(len(e.words) for e in hears)
        self.n["assistant_words"] += sum(len(e.words) for e in says)
        self._add_seconds(user_speech=total(t.user), assistant_speech=total(t.assistant))

    def _add_text(self, timeline: Timeline) -> None:
        for event in timeline.agent:
            if isinstance(event, Write):
                self.n["written_chars_planned"] += len(event.text)
                self.n["written_chars"] += chars_by_cut(event, len(event.text))
            elif isinstance(event, Say):
                self.n["said_chars_planned"] += len(event.text)
                self.n["said_chars"] += max((w.char_end for w in event.words), default=0)

    def _add_actions(self, timeline: Timeline, t: TurnTaking) -> None:
        if timeline.act is None:
            return
        fps = timeline.act.fps
        for event in timeline.agent:
            if isinstance(event, Act):
                self.n[f"{event.mode}_steps"] += event.step_count
                if event.mode == "trajectory":
                    end_s = event.start_s + event.step_count / fps
                    spoken = (min(e, end_s) - max(s, event.start_s) for s, e in t.assistant)
                    self._add_seconds(acting=end_s - event.start_s)
                    self._add_seconds(speaking_while_acting=sum(max(0.0, s) for s in spoken))

    def _add_stops(self, timeline: Timeline) -> None:
        heard = {e.id: e for e in timeline.world if isinstance(e, Hear)}
        for say in timeline.agent:
            if isinstance(say, Say) and say.cut_s is not None and say.cut_by is not None:
                if cause := heard.get(say.cut_by.event):
                    self._add_times("stop_after_start", [say.end_s - cause.start_s])
                    self._add_times("stop_after_plain", [say.cut_s - cause.plain_s])

    def _add_seconds(self, **more_s: float) -> None:
        for name, seconds in more_s.items():
            self.seconds[name] += seconds

    def _add_times(self, name: str, values_s: Iterable[float]) -> None:
        self.times.setdefault(name, Distribution()).add(values_s)

    def result(self) -> dict[str, Any]:
        """Everything as JSON data, in a fixed order."""
        sources = sorted(self.sources.items())
        return {
            "sources": [
                {"source": source, "licence": licence or None, "samples": n}
                for (source, licence), n in sources
            ],
            "behaviours": {name: self.behaviours[name] for name in sorted(self.behaviours)},
            "turn_taking": self._turn_taking(),
            "words_per_min": {
                who: ratio(self.n[f"{who}_words"], self.seconds[f"{who}_speech"] / 60, 1)
                for who in ("user", "assistant")
            },
            "text": {name: self.n[name] for name in TEXT_COUNTS},
            "actions": self._actions(),
        }

    def _turn_taking(self) -> dict[str, Any]:
        whole_s = self.seconds["dialogue"]
        return {
            "dialogue_hours": hours([whole_s]),
            "overlap_frac": ratio(self.seconds["overlap"], whole_s),
            "silent_frac": ratio(self.seconds["silent"], whole_s),
            "transitions_per_min": ratio(self.n["transitions"], whole_s / 60, 2),
            # by behaviour; below, by the human definition, which counts only those in overlap
            "said_backchannels_per_min": ratio(self.n["said_backchannels"], whole_s / 60, 2),
            **{who: self._side(who, whole_s / 60) for who in SIDES},
            "silent_after_interruption_starts": self._of("stop_after_start").result(),
            "yields_after_plain_to_hear": self._of("stop_after_plain").result(),
        }

    def _actions(self) -> dict[str, Any]:
        steps = self.n["idle_steps"] + self.n["trajectory_steps"]
        both_s, acting_s = self.seconds["speaking_while_acting"], self.seconds["acting"]
        return {
            "steps": steps,
            "idle_frac": ratio(self.n["idle_steps"], steps),
            "speaking_while_acting_frac": ratio(both_s, acting_s),
        }

    def _of(self, name: str) -> Distribution:
        return self.times.get(name, Distribution())

    def _side(self, who: str, minutes: float) -> dict[str, Any]:
        """What one side does: floor transfers it takes, its pauses and backchannels."""
        fto, backchannel = self._of(f"fto_{who}"), self._of(f"backchannel_{who}")
        return {
            "fto": fto.result(),
            "fto_overlap_share": fto.share(float("-inf"), 0.0),
            "fto_gap_lt_200ms_share": fto.share(0.0, 0.2),
            "pause": self._of(f"pause_{who}").result(),
            "backchannel": backchannel.result(),
            "backchannels_per_min": ratio(backchannel.n, minutes, 2),
        }


def chars_by_cut(event: AgentEvent, chars: int) -> int:
    """Characters of a text that streams evenly to `planned_end_s` which are out before the cut."""
    if event.cut_s is None or event.planned_end_s <= event.start_s:
        return chars
    share = (event.cut_s - event.start_s) / (event.planned_end_s - event.start_s)
    return max(0, min(chars, int(chars * share)))


def hours(seconds: Iterable[float]) -> float:
    return round(sum(seconds) / 3600, 4)


def ratio(part: float, whole: float, digits: int = 4) -> float | None:
    return round(part / whole, digits) if whole > 0 else None
