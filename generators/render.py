"""Render: a Scene and its speech become a Sample, on one clock.

requests = speech_requests(scene, config)              # what to speak
sample = render(record, scene, spoken, config)         # spoken[utterance id, span index]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from generators import events, robot_tracks
from generators.mix import mix, stems, together
from generators.place import Placement, SpeechKey, place
from generators.scene.voices import voice_of
from generators.sources import open_episode
from generators.speech import Speech, SpeechRequest
from schemas.base import seconds
from schemas.config import Config
from schemas.draws import digest
from schemas.errors import StrettoError
from schemas.records import InputRecord, Trajectory
from schemas.sample import Sample
from schemas.scene import Motion, Noise, Scene, TextEvent, Thought, Utterance
from schemas.timeline import (
    AnyAgentEvent,
    AudioTrack,
    Context,
    Provenance,
    Timeline,
    WorldEvent,
)


def speech_requests(scene: Scene, config: Config) -> dict[SpeechKey, SpeechRequest]:
    """What to speak: a request for each span, by utterance id and span index."""
    return {
        (event.id, index): SpeechRequest(
            event.text[span.char_start : span.char_end], voice_of(event.voice, config), config.seed
        )
        for event in scene.events
        if isinstance(event, Utterance)
        for index, span in enumerate(event.spans)
    }


def render(
    record: InputRecord, scene: Scene, speech: Mapping[SpeechKey, Speech], config: Config
) -> Sample:
    """The Sample of a scene. Raises StrettoError where it can't be one."""
    if isinstance(record, Trajectory):
        return _render_robot(record, scene, speech, config)
    plan = place(scene, speech, config)
    return _sample(plan, record, scene, config)


def _render_robot(
    record: Trajectory, scene: Scene, speech: Mapping[SpeechKey, Speech], config: Config
) -> Sample:
    episode = open_episode(record)
    cameras = [v.camera for v in record.videos]
    seen_in = f"look.{cameras[0]}" if cameras else None
    plan = place(scene, speech, config, record.step_count, record.fps, seen_in)
    steps = robot_tracks.steps_of(plan)
    clips = [robot_tracks.look_clip(episode, c, steps, record.fps, config.video) for c in cameras]
    idle, before, after = robot_tracks.idle_actions(record, episode)
    act = robot_tracks.act_rows(before, episode, after, steps)
    state = None if episode.state is None else robot_tracks.held(episode.state, steps)
    motion = plan.placed["motion"].event
    assert isinstance(motion, Motion)
    cited = events.evidence(plan, motion.evidence)
    base = _sample(plan, record, scene, config)
    notes = (*record.notes, f"idle action: {idle}")
    timeline = base.timeline.model_copy(
        update={
            "look": tuple(track for track, _ in clips),
            "act": robot_tracks.array_track(act, record.fps, record.action_names),
            "state": None
            if state is None
            else robot_tracks.array_track(state, record.fps, record.state_names),
            "agent": _by_time((*base.timeline.agent, *robot_tracks.act_events(plan, steps, cited))),
            "provenance": base.timeline.provenance.model_copy(update={"notes": notes}),
        }
    )
    look = {track.camera: data for track, data in clips}
    return replace(base, timeline=timeline, look=look, act=act, state=state)


def _sample(plan: Placement, record: InputRecord, scene: Scene, config: Config) -> Sample:
    """The audio and the events that dialogues and robot episodes share."""
    if plan.sample_count > plan.samples(config.scene.max_duration_s):
        raise StrettoError(
            f"the sample would last {plan.sample_count / plan.rate:.6g} s, more than "
            f"{config.scene.max_duration_s:g} s",
            fix="split the record or raise `scene.max_duration_s`",
        )
    track = AudioTrack(sample_rate_hz=plan.rate, sample_count=plan.sample_count)
    world, agent = _events(plan)
    timeline = Timeline(
        key=scene.key,
        subset=scene.subset,
        group=record.group,
        language=scene.language,
        duration_s=seconds(plan.sample_count, plan.rate),
        behaviours=_behaviours(plan, scene),
        pair=scene.pair,
        context=_context(scene),
        listen=track,
        speak=track,
        world=world,
        agent=agent,
        provenance=_provenance(record, config, plan),
    )
    heard = stems(plan)
    return Sample(timeline, together(heard), mix(plan, "assistant"), stems=heard)


def _events(plan: Placement) -> tuple[tuple[WorldEvent, ...], tuple[AnyAgentEvent, ...]]:
    world: list[WorldEvent] = []
    agent: list[AnyAgentEvent] = []
    for placed in plan.placed.values():
        event = placed.event
        if isinstance(event, Utterance) and event.speaker != "assistant":
            world.append(events.hear(plan, placed))
        elif isinstance(event, Utterance):
            agent += [*events.written(plan, placed), events.say(plan, placed)]
        elif isinstance(event, Noise):
            world.append(events.noise(plan, placed))
        elif isinstance(event, Thought):
            agent.append(events.thought(plan, placed))
        elif isinstance(event, TextEvent):
            found = events.text_event(plan, placed)
            agent.append(found) if found.kind == "tool_call" else world.append(found)
        else:
            assert isinstance(event, Motion)
    return tuple(sorted(world, key=lambda e: (e.start_s, e.id))), _by_time(agent)


def _by_time(agent: tuple[AnyAgentEvent, ...] | list[AnyAgentEvent]) -> tuple[AnyAgentEvent, ...]:
    return tuple(sorted(agent, key=lambda e: (e.decided_s, e.start_s, e.id)))


def _behaviours(plan: Placement, scene: Scene) -> tuple[str, ...]:
    """The planned behaviours, `yield` where the assistant really was cut short, and `late_overlap`
    where a user who came in early cut its last words."""
    cut_by = {p.cut_by for p in plan.placed.values() if p.cut is not None and p.cut_by}
    by = (plan.placed[user].event for user in cut_by)
    late = any(isinstance(e, Utterance) and e.behaviour == "turn" for e in by)
    found = {"yield"} if cut_by else set[str]()
    return tuple(sorted({*scene.behaviours, *found, *(["late_overlap"] if late else [])}))


def _context(scene: Scene) -> Context:
    return Context(
        system=scene.system,
        role="assistant",
        task=scene.task,
        languages=(scene.language,),
        embodiment=scene.embodiment,
        assistant_voice=scene.assistant_voice,
    )


def _provenance(record: InputRecord, config: Config, plan: Placement) -> Provenance:
    backends = {"speech": config.speech.backend, "annotator": config.annotator.backend}
    times = {s.speech.word_times for p in plan.placed.values() for s in p.stretches}
    if times & {"aligned", "estimated"}:
        backends["align"] = config.align.resolved
    if config.text.rewriter != "rules":
        backends["text"] = f"{config.text.rewriter} {config.text.model}"
    return Provenance(
        source=record.source,
        record_id=record.record_id,
        where=record.where,
        record_digest=digest(record.model_dump(mode="json")),
        licence=record.licence,
        seed=config.seed,
        backends=backends,
    )
