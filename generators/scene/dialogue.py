"""A dialogue as a Scene: each turn is planned from the turns before it, never from later ones."""

from __future__ import annotations

from generators.scene.assistant_turns import add_assistant
from generators.scene.interjections import interjections
from generators.scene.plan import Plan
from generators.scene.timing import RESUME_MARGIN_S, Timing
from generators.scene.user_turns import add_user
from generators.scene.voices import assistant_voice
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.records import Dialogue, Turn
from schemas.scene import Anchor, Scene, TextEvent

# how long after what came before it a typed message or a tool's result appears
TEXT_DELAY_S = 0.3


def plan_dialogue(record: Dialogue, config: Config) -> Scene:
    """The Scene of a dialogue. Raises StrettoError naming the turn that can't be spoken."""
    _check(record, config)
    opening = _opening(record)
    plan = Plan(record, config, Timing(config, record.draw_key))
    plan.user = next((t.speaker for t in record.turns if t.role == "user"), None)
    plan.last_index = len(record.turns) - 1
    for index, turn in enumerate(record.turns[opening:], start=opening):
        _add_turn(plan, index, turn)
    if reply := plan.last_reply:
        plan.also(*interjections(plan, reply))
    # a sample that ends on the world's side ends where the answer would have been decided
    due_s = plan.answer_gap_s()
    return Scene(
        key=record.key,
        subset="dialogue",
        language=record.language,
        system="\n".join(t.text for t in record.turns[:opening]),
        assistant_voice=assistant_voice(record.language, config),
        behaviours=tuple(sorted(plan.behaviours)),
        pair=record.pair,
        tail_s=0.5 if due_s is None else due_s - RESUME_MARGIN_S,
        unanswered=plan.last.id if due_s is not None and plan.last else None,
        events=tuple(plan.events),
    )


def _opening(record: Dialogue) -> int:
    """How many system turns stand before the conversation: they are context, before t = 0."""
    roles = [turn.role for turn in record.turns]
    return next((i for i, role in enumerate(roles) if role != "system"), len(roles))


def _check(record: Dialogue, config: Config) -> None:
    limit = config.scene.max_turn_chars
    for index, turn in enumerate(record.turns):
        if max(len(turn.text), len(turn.say or "")) > limit:
            raise StrettoError(
                f"turn {index + 1} has {len(turn.text):,} characters, more than {limit:,}",
                fix="split the turn or raise `scene.max_turn_chars`",
            )


def _add_turn(plan: Plan, index: int, turn: Turn) -> None:
    if turn.role == "user":
        add_user(plan, index, turn)
    elif turn.role == "assistant":
        add_assistant(plan, index, turn)
    else:
        _add_text(plan, index, turn)


def _add_text(plan: Plan, index: int, turn: Turn) -> None:
    """A tool's result, or a system message in mid-conversation: it appears, nobody speaks it."""
    gap_s = plan.answer_gap_s()
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
