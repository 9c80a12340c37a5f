"""A robot episode as a Scene: a spoken instruction, then the motion with the assistant speaking.

The first frame is held and the action idles while the instruction is spoken. The assistant decides
when it has heard it, starts to move, and says what it does while it moves.
"""

from __future__ import annotations

from generators.scene.timing import Timing
from generators.scene.voices import assistant_voice, user_voice
from generators.text_split import is_complete
from schemas.config import Config
from schemas.draws import rng
from schemas.errors import StrettoError
from schemas.records import Trajectory
from schemas.scene import Anchor, Motion, Scene, Utterance, one_breath

# What the assistant says around the instruction, by language: before it moves, and when it is done.
# A language without an entry keeps silent: acting without speaking is data too.
PHRASES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "en": (
        ("Okay, I will {task}.", "Sure. I'm going to {task} now.", "All right, let me {task}."),
        ("Done.", "That's done.", "There we go."),
    ),
    "de": (("In Ordnung: {task}.", "Gut, ich fange an: {task}."), ("Fertig.", "Erledigt.")),
    "es": (("De acuerdo: {task}.", "Muy bien, empiezo: {task}."), ("Listo.", "Hecho.")),
    "fr": (("D'accord : {task}.", "Bien, je commence : {task}."), ("Voilà.", "C'est fait.")),
}
POLITE = ("Please {task}.", "{Task}.", "Could you {task}?", "Can you {task}, please?")
DONE_GAP_S = (0.25, 0.6)


def plan_robot(record: Trajectory, config: Config) -> Scene:
    """The Scene of a robot episode."""
    if len(record.instruction) > config.scene.max_turn_chars:
        raise StrettoError(
            f"the task has {len(record.instruction):,} characters",
            fix="shorten it or raise `scene.max_turn_chars`",
        )
    timing = Timing(config, record.key)
    instruction = _instruction(record, config, timing)
    stretch = f"{instruction.id}:{len(instruction.spans) - 1}"
    gap_s = timing.reply_gap_s(stretch, is_complete(instruction.text, record.language))
    motion = Motion(anchor=Anchor(of=instruction.id, offset_s=gap_s), evidence=(instruction.id,))
    events: list[Utterance | Motion] = [instruction, motion]
    phrases = PHRASES.get(record.language.split("-")[0])
    if phrases:
        lead_s = config.scene.speak_lead_s
        before = Anchor(of=instruction.id, offset_s=round(gap_s + lead_s, 6))
        after = Anchor(of=motion.id, offset_s=timing.between("a001", "gap", DONE_GAP_S))
        task = _task(record)
        events.append(_say(record, config, "a000", phrases[0], task, before, instruction.id))
        if record.videos:  # that the motion is over must be seen to be said
            events.append(_say(record, config, "a001", phrases[1], task, after, motion.id))
    return Scene(
        key=record.key,
        subset=record.subset,
        language=record.language,
        task=record.instruction,
        embodiment=record.robot_type,
        assistant_voice=assistant_voice(record.language, config),
        behaviours=("act_on_instruction", "speak_while_acting")
        if phrases
        else ("act_on_instruction",),
        events=tuple(events),
    )


def _task(record: Trajectory) -> str:
    return record.instruction.strip().rstrip(".!?")


def _choice(config: Config, key: str, event_id: str, options: tuple[str, ...]) -> str:
    return options[int(rng(config.seed, key, event_id, "phrase").integers(len(options)))]


def _instruction(record: Trajectory, config: Config, timing: Timing) -> Utterance:
    """What the user says. English instructions in the imperative are wrapped in one of a few forms."""
    task = _task(record)
    text = f"{task}."
    if record.language.split("-")[0] == "en":
        form = _choice(config, record.key, "u000", POLITE)
        text = form.format(task=task[:1].lower() + task[1:], Task=task[:1].upper() + task[1:])
    return Utterance(
        id="u000",
        speaker="user",
        turn_index=0,
        text=text,
        language=record.language,
        voice=user_voice(record, None, config),
        spans=one_breath(text),
        anchor=Anchor(offset_s=timing.between("u000", "start", config.scene.start_s)),
        reaction_s=timing.between("u000", "reaction", config.scene.reaction_s),
    )


def _say(
    record: Trajectory,
    config: Config,
    event_id: str,
    options: tuple[str, ...],
    task: str,
    anchor: Anchor,
    evidence: str,
) -> Utterance:
    task = task[:1].lower() + task[1:]
    text = _choice(config, record.key, event_id, options).format(task=task)
    return Utterance(
        id=event_id,
        speaker="assistant",
        turn_index=1,
        text=text,
        write=text,
        language=record.language,
        voice=assistant_voice(record.language, config),
        spans=one_breath(text),
        anchor=anchor,
        lead_s=config.scene.speak_lead_s,
        evidence=(evidence,),
    )
