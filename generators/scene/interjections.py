"""What the world does while the assistant speaks and that must not stop it: "mm-hmm", a beginning
that is given up, a cough, somebody in the background.

    events, tags = interjections(plan, reply, until=0.5)    # `until`: a barge-in comes there

Planned with the turn that follows, because the world knows when it is going to interrupt. Whether the
assistant stops is not decided here: `generators.yielding` decides it from what has been heard.
"""

from __future__ import annotations

from collections.abc import Iterator

from generators.scene.listening import WORDS_PER_MIN, inner_places
from generators.scene.plan import Plan
from generators.scene.pools import choose
from generators.scene.voices import user_voice
from generators.speech.tokens import readable, tokens
from schemas.draws import rng
from schemas.scene import Anchor, Noise, Utterance, one_breath

LISTENING_DELAY_S = (0.02, 0.2)
# between two of them, so that each can be heard for what it is
APART_CHARS = 45
# a barge-in is not preceded by another sound of the user's within this share of the turn
BEFORE_BARGE_IN = 0.15
NOISES = ("cough", "knock", "clatter")
Interjection = Utterance | Noise


def interjections(plan: Plan, reply: Utterance, until: float = 1.0) -> list[Interjection]:
    """The events during one assistant turn, in the order of their places."""
    if not plan.perturb or len(reply.text.split()) < plan.config.scene.cough.min_words:
        return []
    taken: list[int] = []
    found: list[tuple[int, Interjection]] = []
    for char, event in _wanted(plan, reply, until - BEFORE_BARGE_IN if until < 1 else 1.0):
        if all(abs(char - other) >= APART_CHARS for other in taken):
            taken.append(char)
            found.append((char, event))
    plan.behaviours.update(_tag(event) for _, event in found)
    return [event for _, event in sorted(found, key=lambda f: f[0])]


def _wanted(plan: Plan, reply: Utterance, until: float) -> Iterator[tuple[int, Interjection]]:
    scene, timing = plan.config.scene, plan.timing
    words = len(reply.text.split())
    gives_up = words >= scene.failed_barge_in.min_words
    if gives_up and timing.chance(reply.id, "failed_barge_in", scene.failed_barge_in.rate):
        if (char := _somewhere(plan, reply, "failed_barge_in", until)) is not None:
            yield from _said(plan, reply, char, "failed_barge_in", "give_up", "f")
    if timing.chance(reply.id, "cough", scene.cough.rate):
        if (char := _somewhere(plan, reply, "cough", until)) is not None:
            yield char, _noise(plan, reply, char)
    chance = scene.user_backchannel.per_min / WORDS_PER_MIN
    for char in inner_places(reply, timing, "user_backchannel", chance, until):
        yield from _said(plan, reply, char, "backchannel", "listening", "l")


def _somewhere(plan: Plan, reply: Utterance, name: str, until: float) -> int | None:
    """The end of a word in the middle of the turn, where there is one."""
    ends = [t.end for t in tokens(readable(reply.text)) if t.must_sound][3:-5]
    ends = [e for e in ends if e <= until * len(reply.text)]
    if not ends:
        return None
    draw = rng(plan.config.seed, plan.timing.key, reply.id, f"{name}_at")
    return ends[int(draw.integers(len(ends)))]


def _said(
    plan: Plan, reply: Utterance, char: int, behaviour: str, pool: str, letter: str
) -> Iterator[tuple[int, Utterance]]:
    event_id = f"{letter}{reply.id[1:]}-{char}"
    text = choose(plan.timing, event_id, pool, reply.language)
    if text is None:
        return
    delay_s = plan.timing.between(event_id, "delay", LISTENING_DELAY_S)
    yield (
        char,
        Utterance(
            id=event_id,
            speaker="user",
            behaviour="backchannel" if behaviour == "backchannel" else "failed_barge_in",
            turn_index=reply.turn_index,
            text=text,
            language=reply.language,
            voice=user_voice(plan.record, plan.user, plan.config),
            spans=one_breath(text),
            anchor=Anchor(of=reply.id, edge="word", char=char, offset_s=delay_s),
            reaction_s=plan.timing.between(event_id, "reaction", plan.config.scene.reaction_s),
        ),
    )


def _noise(plan: Plan, reply: Utterance, char: int) -> Noise:
    event_id = f"n{reply.id[1:]}-{char}"
    cough, timing = plan.config.scene.cough, plan.timing
    kind = int(rng(plan.config.seed, timing.key, event_id, "noise").integers(len(NOISES)))
    return Noise(
        id=event_id,
        name=NOISES[kind],
        duration_s=timing.between(event_id, "duration", cough.duration_s),
        gain_db=timing.between(event_id, "gain", cough.gain_db),
        anchor=Anchor(of=reply.id, edge="word", char=char),
    )


def _tag(event: Interjection) -> str:
    if isinstance(event, Noise):
        return "cough"
    return "user_backchannel" if event.behaviour == "backchannel" else event.behaviour
