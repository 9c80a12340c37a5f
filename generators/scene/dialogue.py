"""A dialogue as a Scene: turns, pauses, one barge-in and one backchannel behaviour.

Each turn is planned from the turns before it. What the assistant does after a stretch of the user's
speech is drawn under that stretch's id and depends only on the words up to its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from generators.scene.backchannel import backchannel_after
from generators.scene.timing import RESUME_MARGIN_S, Timing
from generators.scene.voices import assistant_voice, user_voice
from generators.speakable import speakable
from generators.text_split import clauses, is_complete, sentences
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.records import Dialogue, Turn
from schemas.scene import Anchor, Scene, SceneEvent, Span, TextEvent, Utterance

# how long after what came before it a typed message or a tool's result appears
TEXT_DELAY_S = 0.3
# a sentence of more words is spoken in clauses, with a pause between them
CLAUSE_WORDS = 8


@dataclass
class _Plan:
    """What the turns planned so far leave behind for the next one."""

    record: Dialogue
    config: Config
    timing: Timing
    events: list[SceneEvent] = field(default_factory=list)
    behaviours: set[str] = field(default_factory=set)
    evidence: tuple[str, ...] = ()
    last: Utterance | TextEvent | None = None

    def add(self, event: Utterance | TextEvent) -> None:
        self.events.append(event)
        self.last = event

    @property
    def last_utterance(self) -> Utterance | None:
        return self.last if isinstance(self.last, Utterance) else None


def plan_dialogue(record: Dialogue, config: Config) -> Scene:
    """The Scene of a dialogue. Raises StrettoError naming the turn that can't be spoken."""
    _check(record, config)
    opening = _opening(record)
    plan = _Plan(record, config, Timing(config, record.key))
    for index, turn in enumerate(record.turns[opening:], start=opening):
        _add_turn(plan, index, turn)
    # a sample that ends on the world's side ends before an answer could have begun
    answered = _answer_gap_s(plan) is None
    return Scene(
        key=record.key,
        subset="dialogue",
        language=record.language,
        system="\n".join(t.text for t in record.turns[:opening]),
        assistant_voice=assistant_voice(record.language, config.seed),
        behaviours=tuple(sorted(plan.behaviours)),
        tail_s=0.5 if answered else config.scene.reply_gap_s[0] - RESUME_MARGIN_S,
        events=tuple(plan.events),
    )


def _opening(record: Dialogue) -> int:
    """How many system turns stand before the conversation: they are context, before t = 0."""
    roles = [turn.role for turn in record.turns]
    return next((i for i, role in enumerate(roles) if role != "system"), len(roles))


def _check(record: Dialogue, config: Config) -> None:
    limit = config.scene.max_turn_chars
    for index, turn in enumerate(record.turns):
        if len(turn.text) > limit:
            raise StrettoError(
                f"turn {index + 1} has {len(turn.text):,} characters, more than {limit:,}",
                fix="split the turn or raise `scene.max_turn_chars`",
            )


def _add_turn(plan: _Plan, index: int, turn: Turn) -> None:
    if turn.role == "user":
        _add_user(plan, index, turn)
    elif turn.role == "assistant":
        _add_assistant(plan, index, turn)
    else:
        _add_text(plan, index, turn)


def _add_text(plan: _Plan, index: int, turn: Turn) -> None:
    """A tool's result, or a system message in mid-conversation: it appears, nobody speaks it."""
    gap_s = _answer_gap_s(plan)
    delay_s = TEXT_DELAY_S if gap_s is None else min(TEXT_DELAY_S, gap_s - RESUME_MARGIN_S)
    anchor = Anchor(of=plan.last.id, edge="settled", offset_s=delay_s) if plan.last else Anchor()
    event = TextEvent(
        id=f"w{index:03d}",
        role="tool_result" if turn.role == "tool" else "typed",
        turn_index=index,
        text=turn.text,
        anchor=anchor,
    )
    plan.add(event)
    plan.evidence = (event.id,)


# ---- the user ----------------------------------------------------------------------------------


def _add_user(plan: _Plan, index: int, turn: Turn) -> None:
    event_id = f"u{index:03d}"
    text = _spoken(turn, plan.record.language, index)
    spans = _user_spans(plan, event_id, text)
    barges_in = _barges_in(plan, event_id, turn)
    utterance = Utterance(
        id=event_id,
        speaker="user",
        behaviour="barge_in" if barges_in else "turn",
        turn_index=index,
        text=text,
        language=plan.record.language,
        voice=user_voice(plan.record, turn.speaker, plan.config.seed),
        spans=spans,
        anchor=_user_anchor(plan, event_id, barges_in),
        reaction_s=plan.timing.between(event_id, "reaction", plan.config.scene.reaction_s),
    )
    plan.add(utterance)
    plan.evidence = (event_id,)
    if barges_in:
        plan.behaviours.add("barge_in")
    _add_backchannels(plan, utterance)


def _user_spans(plan: _Plan, event_id: str, text: str) -> tuple[Span, ...]:
    """Sentences and clauses, with the pause that stands before each."""
    language = plan.record.language
    spans: list[Span] = []
    for sentence in sentences(text, language):
        for clause in clauses(sentence.of(text), CLAUSE_WORDS):
            start, end = sentence.start + clause.start, sentence.start + clause.end
            pause_s = 0.0
            if spans:
                complete = is_complete(text[spans[-1].char_start : spans[-1].char_end], language)
                pause_s = plan.timing.user_pause_s(f"{event_id}:{len(spans) - 1}", complete)
            spans.append(Span(char_start=start, char_end=end, pause_before_s=pause_s))
    return tuple(spans)


def _user_anchor(plan: _Plan, event_id: str, barges_in: bool) -> Anchor:
    scene, last = plan.config.scene, plan.last
    if last is None:
        return Anchor(offset_s=plan.timing.between(event_id, "start", scene.start_s))
    if barges_in:
        at = plan.timing.between(event_id, "barge_in_at", scene.barge_in_at)
        return Anchor(of=last.id, edge="fraction", at=at)
    if isinstance(last, Utterance) and last.speaker == "user":
        # the same person goes on: before the assistant would have answered
        stretch, complete = _last_stretch(last)
        return Anchor(of=last.id, offset_s=plan.timing.user_pause_s(stretch, complete))
    if (gap_s := _answer_gap_s(plan)) is not None:
        offset_s = max(0.0, plan.timing.user_offset_s(event_id))
        return Anchor(of=last.id, offset_s=min(offset_s, gap_s - RESUME_MARGIN_S))
    return Anchor(of=last.id, edge="settled", offset_s=plan.timing.user_offset_s(event_id))


def _barges_in(plan: _Plan, event_id: str, turn: Turn) -> bool:
    last = plan.last_utterance
    if last is None or last.speaker != "assistant":
        return False
    scene = plan.config.scene
    long_enough = len(last.text.split()) >= scene.barge_in_min_words
    drawn = long_enough and plan.timing.chance(event_id, "barge_in", scene.barge_in_rate)
    return turn.interrupts or drawn


def _add_backchannels(plan: _Plan, utterance: Utterance) -> None:
    last = plan.last
    for number in range(len(utterance.spans)):
        if event := backchannel_after(utterance, number, plan.timing, plan.config):
            plan.events.append(event)
            plan.behaviours.add("backchannel")
    plan.last = last


# ---- the assistant -----------------------------------------------------------------------------


def _add_assistant(plan: _Plan, index: int, turn: Turn) -> None:
    if turn.text.strip() or turn.say:
        _add_reply(plan, index, turn)
    if turn.tool_calls:
        _add_call(plan, index, turn.tool_calls)


def _add_call(plan: _Plan, index: int, calls: str) -> None:
    """A call of a tool, decided like a reply and made at once."""
    event_id = f"c{index:03d}"
    _, anchor = _reply_anchor(plan, event_id)
    plan.add(
        TextEvent(
            id=event_id,
            role="tool_call",
            turn_index=index,
            text=calls,
            anchor=anchor,
            evidence=plan.evidence,
        )
    )


def _add_reply(plan: _Plan, index: int, turn: Turn) -> None:
    event_id, language = f"a{index:03d}", plan.record.language
    text = _spoken(turn, language, index)
    gap_s, anchor = _reply_anchor(plan, event_id)
    lead_s = min(plan.config.scene.speak_lead_s, gap_s)
    plan.add(
        Utterance(
            id=event_id,
            speaker="assistant",
            turn_index=index,
            text=text,
            write=turn.text,
            think=turn.think,
            language=language,
            voice=assistant_voice(language, plan.config.seed),
            spans=_reply_spans(plan, event_id, text),
            anchor=anchor,
            lead_s=lead_s,
            evidence=plan.evidence,
        )
    )


def _reply_anchor(plan: _Plan, event_id: str) -> tuple[float, Anchor]:
    """How long after its evidence the reply starts to sound, and the anchor that says so."""
    scene, last, timing = plan.config.scene, plan.last, plan.timing
    if last is None:
        start_s = timing.between(event_id, "start", scene.start_s)
        return start_s, Anchor(offset_s=start_s)
    answer_gap_s = _answer_gap_s(plan)
    if answer_gap_s is None:
        gap_s = timing.sentence_pause_s(event_id)
    else:
        gap_s = answer_gap_s + scene.speak_lead_s
    return gap_s, Anchor(of=last.id, offset_s=round(gap_s, 6))


def _answer_gap_s(plan: _Plan) -> float | None:
    """How long after the last event the assistant would answer it; None where it has the floor.

    Drawn under that event's id: whatever the world does next comes before it (see timing.py).
    """
    last = plan.last
    if isinstance(last, Utterance):
        return (
            None if last.speaker == "assistant" else plan.timing.reply_gap_s(*_last_stretch(last))
        )
    if last is None or last.role == "tool_call":
        return None
    return plan.timing.between(last.id, "gap", plan.config.scene.reply_gap_s)


def _reply_spans(plan: _Plan, event_id: str, text: str) -> tuple[Span, ...]:
    spans = []
    for number, s in enumerate(sentences(text, plan.record.language)):
        pause_s = plan.timing.sentence_pause_s(f"{event_id}:{number}") if number else 0.0
        spans.append(Span(char_start=s.start, char_end=s.end, pause_before_s=pause_s))
    return tuple(spans)


# ---- both --------------------------------------------------------------------------------------


def _spoken(turn: Turn, language: str, index: int) -> str:
    text = turn.say if turn.say is not None else speakable(turn.text, language)
    if not text.strip():
        raise StrettoError(
            f"turn {index + 1} ({turn.role}) has nothing that can be spoken",
            fix="give it a `say` text or leave the turn out",
        )
    return text


def _last_stretch(utterance: Utterance) -> tuple[str, bool]:
    """The id of an utterance's last stretch, and whether its words sound finished."""
    span = utterance.spans[-1]
    text = utterance.text[span.char_start : span.char_end]
    return f"{utterance.id}:{len(utterance.spans) - 1}", is_complete(text, utterance.language)
