"""The `rules` annotator: what can be said of each second from what is revealed by its end.

It reads words that have ended, speech that has begun and cuts that have been made by `decided_s`,
the end of the second; of the agent it reads what the agent has itself begun. Nothing else, so the
labels of two worlds agree for as long as the worlds do.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from generators.text_split import is_complete, with_mark
from schemas.label import Evidence, Floor, Label, Stance
from schemas.timeline import Act, Hear, Piece, Say, Sound, TimedWord, Timeline, TypedInput


def annotate(timeline: Timeline) -> Timeline:
    """The Timeline with its labels, one for each second begun."""
    heard = _heard_by_second(timeline)
    labels = [
        _label(timeline, second, heard[second]) for second in range(math.ceil(timeline.duration_s))
    ]
    return timeline.model_copy(update={"labels": tuple(labels)})


HeardWords = list[tuple[Hear, int, TimedWord]]


def _heard_by_second(timeline: Timeline) -> defaultdict[int, HeardWords]:
    """The user's words by the second at whose end they are first known (one ending on k: k - 1)."""
    found: defaultdict[int, HeardWords] = defaultdict(list)
    for event in timeline.world:
        if isinstance(event, Hear) and event.speaker == "user":
            for index, word in enumerate(event.words):
                found[max(0, math.ceil(word.end_s) - 1)].append((event, index, word))
    return found


def _label(timeline: Timeline, second: int, heard: HeardWords) -> Label:
    user = [e for e in _sounds(timeline, Hear, second) if isinstance(e, Hear)]
    assistant = [s for s in _sounds(timeline, Say, second) if isinstance(s, Say)]
    floor: Floor = "silence"
    if user or assistant:
        floor = "both" if user and assistant else "user" if user else "assistant"
    stance = _stance(timeline, second, bool(user), assistant)
    return Label(
        second_index=second,
        decided_s=float(second + 1),
        floor=floor,
        stance=stance,
        heard=" ".join(word.text for _, _, word in heard),
        note=_note(stance, heard, timeline, second),
        evidence=_evidence(timeline, second, heard),
    )


def _sounds(timeline: Timeline, kind: type[Hear] | type[Say], second: int) -> list[Hear | Say]:
    events: Iterable[object] = timeline.world if kind is Hear else timeline.agent
    found = [e for e in events if isinstance(e, (Hear, Say)) and type(e) is kind]
    # a voice in the background has no floor to take
    return [e for e in found if getattr(e, "speaker", "user") == "user" and _in(e, second)]


def _in(event: Hear | Say, second: int) -> bool:
    return any(_overlaps(p, second) for p in event.pieces)


def _overlaps(span: Piece | Act, second: int) -> bool:
    return span.start_s < second + 1 and span.end_s > second


def _stance(timeline: Timeline, second: int, user: bool, assistant: list[Say]) -> Stance:
    if any(s.cut_s is not None and second <= s.cut_s < second + 1 for s in assistant):
        return "yield"
    if any(s.behaviour != "backchannel" for s in assistant):
        return "respond"
    if assistant:
        return "backchannel"
    acts = [a for a in timeline.agent if isinstance(a, Act) and a.mode == "trajectory"]
    if any(_overlaps(a, second) for a in acts):
        return "act"
    return "listen" if user else "idle"


def _note(stance: Stance, heard: HeardWords, timeline: Timeline, second: int) -> str:
    """One line: what the words heard so far amount to, and what the agent does."""
    typed = [e for e in timeline.world if isinstance(e, TypedInput) and int(e.revealed_s) == second]
    parts = [f"{e.kind.replace('_', ' ')} arrives" for e in typed]
    sounds = [e for e in timeline.world if isinstance(e, Sound)]
    parts += [f"a {e.name}, no speech" for e in sounds if math.ceil(e.revealed_s) - 1 == second]
    if heard and heard[-1][0].addressed_to != "assistant":
        parts.append("the user speaks to somebody else")
    elif heard:
        event, _, word = heard[-1]
        said = with_mark(event.text, word.char_end)
        finished = "finished" if is_complete(said, event.language) else "not finished"
        parts.append(f"the user's sentence is {finished}")
    doing = {
        "listen": "keep listening",
        "respond": "speak",
        "yield": "the user takes the floor: stop",
        "backchannel": "show that you listen",
        "act": "go on moving",
        "idle": "wait",
    }
    return "; ".join([*parts, doing[stance]])


def _evidence(timeline: Timeline, second: int, heard: HeardWords) -> tuple[Evidence, ...]:
    last: dict[str, Evidence] = {}
    for event, index, word in heard:
        last[event.id] = Evidence(event=event.id, word=index, revealed_s=word.end_s)
    frames = [_frame(track.camera, track.fps, second) for track in timeline.look]
    return (*last.values(), *frames)


def _frame(camera: str, fps: float, second: int) -> Evidence:
    """The frame shown as the second begins: the one that a block of one second shows."""
    index = math.floor(second * fps + 1e-6)
    return Evidence(event=f"look.{camera}", frame_index=index, revealed_s=round(index / fps, 6))
