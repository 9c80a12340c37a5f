"""Promise 2 and 3: replace the world's future, plan again, and nothing decided before may differ.

Each pair of worlds is one record (same key) whose next turn, barge-in or end differs. They part at the
first sample at which what is heard differs; up to there agent events, speech and labels are equal.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from known_tokens import assert_same_where_known
from numpy.typing import NDArray
from preset_codecs import all_codecs, preset_set
from worlds import EVERYTHING, config, dialogue, sample_of

from generators.sources import read_source
from generators.video import decode_mp4
from schemas.config import Config, DialogueSource, SourceEntry, TrajectorySource
from schemas.records import Dialogue, Trajectory, Turn
from schemas.sample import Sample
from schemas.timeline import Act, AnyAgentEvent, Say, TypedInput
from token_schema import Tokens, compile_sample, load_schema
from token_schema.codec_set import CodecSet
from token_schema.codecs.fit import ActionSettings, fit_action
from token_schema.codecs.uniform import ActionUniform, UniformSettings
from token_schema.models import AudioLane
from token_schema.tokens import CONTENT

# one of each kind: blocks with and without phases, steps with each placement, turns
COMPARED = (
    "ellsa",
    "lws",
    "minicpm-o",
    "bayling",
    "moshi",
    "personaplex",
    "roboego",
    "moss-speech",
    "llama-omni",
)

LONG = (
    "Well, there are three ways to get there. You can take the train from the central station, "
    "which leaves every hour. You can drive along the coast. Or you can take the ferry."
)


def parting_sample(a: Sample, b: Sample) -> int:
    """The first sample at which the two worlds sound different (or one is over)."""
    n = min(len(a.listen), len(b.listen))
    differ = np.flatnonzero(a.listen[:n] != b.listen[:n])
    heard = int(differ[0]) if len(differ) else n
    seen_s = first_difference_s(a, b)
    return min(heard, max(0, math.ceil(seen_s * 16000) - 1)) if seen_s < math.inf else heard


def seen_at(event: AnyAgentEvent, t_s: float) -> dict[str, object]:
    """All that can be known of an agent event at time t: what is later is not compared."""
    parts = {"words", "pieces", "unsaid_words", "unsaid_pieces"}
    known = event.model_dump(exclude={"end_s", "cut_s", "cut_by", *parts})
    if isinstance(event, Act):  # its extent is a record, not a plan
        known = {k: v for k, v in known.items() if k not in ("step_count", "planned_end_s")}
    if isinstance(event, Say):
        known["words"] = [w.model_dump() for w in event.words if w.end_s <= t_s]
        known["pieces"] = [p.start_s for p in event.pieces if p.start_s <= t_s]
        known["plan"] = event.planned_words, event.planned_pieces
    if event.cut_s is not None and event.cut_s <= t_s:
        known["cut"] = (event.cut_s, event.cut_by)
    return known


@dataclass(frozen=True)
class InMemory:
    """A sample's media."""

    sample: Sample

    def listen(self) -> NDArray[np.int16]:
        return self.sample.listen

    def speak(self) -> NDArray[np.int16]:
        return self.sample.speak

    def frames(self, camera: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        return decode_mp4(self.sample.look[camera], indices)

    def act(self) -> NDArray[np.float32] | None:
        return self.sample.act

    def state(self) -> NDArray[np.float32] | None:
        return self.sample.state


def assert_causal(a: Sample, b: Sample, presets: Sequence[str] = COMPARED) -> float:
    """Equal up to where the worlds part, as Timelines and as tokens; gives that time in seconds."""
    rate = a.timeline.listen.sample_rate_hz
    at = parting_sample(a, b)
    t_s = at / rate
    assert np.array_equal(a.speak[:at], b.speak[:at])
    events = [[seen_at(e, t_s) for e in s.timeline.agent if e.decided_s <= t_s] for s in (a, b)]
    assert events[0] == events[1]
    labels = [[label for label in s.timeline.labels if label.decided_s <= t_s] for s in (a, b)]
    assert labels[0] == labels[1]
    for name in presets:
        n = assert_same_where_known(load_schema(name), tokens_of(a, name), tokens_of(b, name), t_s)
        assert n > 0
    return t_s


def tokens_of(sample: Sample, name: str, codecs: CodecSet | None = None) -> Tokens:
    chosen = codecs or preset_set(name)
    return compile_sample(load_schema(name), chosen, sample.timeline, InMemory(sample))


def assert_same_output(name: str, a: Sample, b: Sample, cut_s: float) -> None:
    """What the agent emits before it can know of the cut is its twin's, whatever it hears
    meanwhile: lane by lane, because the user's voice moves the ids of no other lane.

    In steps the code of the frame in which the cut lies may differ: the step that emits it knows
    why. In turns the cut ends the turn: its lanes are prefixes of the twin's.
    """
    schema, tokens = load_schema(name), [tokens_of(s, name) for s in (a, b)]
    compared = 0
    for i, lane in enumerate(schema.lanes):
        if schema.is_input(lane):
            continue
        own = [(t.lane == i) & (t.known_s < cut_s) for t in tokens]
        if schema.timing == "frames" and isinstance(lane, AudioLane):
            late = lane.delay + min(lane.delays or (0,))
            ends_s = [np.round((t.block - late + 1) * schema.block_s, 6) for t in tokens]
            own = [mine & (end <= cut_s) for mine, end in zip(own, ends_s, strict=True)]
        ids = [t.ids[mine] for t, mine in zip(tokens, own, strict=True)]
        n = min(map(len, ids)) if schema.timing == "turns" else len(ids[0])
        assert np.array_equal(ids[0][:n], ids[1][:n]), (name, lane.name)
        assert schema.timing == "turns" or len(ids[0]) == len(ids[1]), (name, lane.name)
        compared += n
    assert compared > 20, name


def test_another_next_user_turn() -> None:
    base = ("Hello, how can I get to the island?", LONG, "Thank you, the train it is.", "Enjoy it.")
    other = (*base[:2], "And what does the ferry cost?", "About twenty euros.")
    a, b = (sample_of(dialogue(*t), config(barge_in={"rate": 0})) for t in (base, other))
    t_s = assert_causal(a, b)
    assert t_s > a.timeline.agent[0].decided_s, "the worlds must part after the first reply"


def test_with_and_without_a_barge_in() -> None:
    turns = [
        Turn(role="user", text="How can I get to the island?"),
        Turn(role="assistant", text=LONG),
        Turn(role="user", text="Stop. The ferry please.", interrupts=True),
        Turn(role="assistant", text="The ferry leaves at nine."),
    ]
    quiet = [*turns[:2], turns[2].model_copy(update={"interrupts": False}), turns[3]]
    a, b = (sample_of(dialogue(*t), config(barge_in={"rate": 0})) for t in (turns, quiet))
    assert_causal(a, b)
    [cut] = [e for e in a.timeline.agent if isinstance(e, Say) and e.cut_s is not None]
    assert cut.cut_s is not None
    # the twin is equal beyond the parting: until the assistant has yielded
    until = round(cut.cut_s * 16000)
    assert np.array_equal(a.speak[:until], b.speak[:until])
    fade = round(0.15 * 16000)
    reply = min(e.start_s for e in a.timeline.agent if isinstance(e, Say) and e.start_s > cut.end_s)
    assert not a.speak[until + fade : round(reply * 16000)].any(), "silent after the fade"
    assert cut.cut_by is not None and cut.cut_by.revealed_s <= cut.cut_s
    for name in COMPARED:
        assert_same_output(name, a, b, cut.cut_s)
    assert sum(w.cut for w in cut.words) <= 1 and not any(w.start_s >= cut.cut_s for w in cut.words)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_turn_that_goes_on_or_ends(rate: float) -> None:
    """The user stops after a sentence, or after an unfinished clause, or goes on."""
    finished = "I would like to book a room."
    unfinished = "I would like to book a quiet room, with two large beds in it,"
    more = " and a view over the sea and the old harbour."
    for start in (finished, unfinished):
        ends = dialogue(start, "Very well, for which night?")
        goes_on = dialogue(start + more, "Very well, for which night?")
        a, b = (sample_of(d, config(backchannel={"per_min": 300 * rate})) for d in (ends, goes_on))
        t_s = assert_causal(a, b)
        assert t_s > 1.0
    backchannels = [e for e in a.timeline.agent if isinstance(e, Say) and e.behaviour != "turn"]
    assert bool(backchannels) == (rate == 1.0)


@pytest.mark.parametrize("n", range(12))
def test_a_sentence_more_with_every_behaviour(n: int) -> None:
    """What the assistant does during a turn does not rest on how it goes on, nor on whether the
    sample goes on."""
    start = "I would like to book a quiet room, with two large beds in it."
    more = " It should have a view over the sea and the old harbour, my friends say."
    reply = "Very well, for which night would you like to have it? We are open all year."
    cfg = config(**EVERYTHING)
    worlds = (
        dialogue(start, reply, key=f"s-{n}"),
        dialogue(start + more, reply, key=f"s-{n}"),
        dialogue(start, key=f"s-{n}"),
        dialogue(start + more, key=f"s-{n}"),
        dialogue(start, reply, "And now?", key=f"s-{n}"),
        dialogue(start, reply, "And now?", reply, key=f"s-{n}"),
    )
    samples = [sample_of(world, cfg) for world in worlds]
    for i, a in enumerate(samples):
        for b in samples[i + 1 :]:
            assert_causal(a, b, [COMPARED[(n + i) % len(COMPARED)]])


SYSTEM = Turn(role="system", text="The kitchen closes at nine.")
TOOL = Turn(role="tool", text='{"tables": 2}')
ASK = Turn(role="user", text="Is there a table for two?")
MORE = Turn(role="user", text="By the window, please.")
YES = Turn(role="assistant", text="Yes, there is one.")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([ASK, YES], [ASK, SYSTEM, YES]),
        ([ASK, YES], [ASK, TOOL, YES]),
        ([ASK, TOOL, YES], [ASK, TOOL, MORE, YES]),
        ([ASK, TOOL, YES], [ASK, TOOL, SYSTEM, YES]),
        ([ASK, YES], [ASK, MORE, YES]),
    ],
)
def test_what_appears_before_an_answer(one: list[Turn], other: list[Turn]) -> None:
    """A typed message, a tool's result or more speech comes before the answer was decided."""
    cfg = config(backchannel={"per_min": 0})
    for n in range(12):
        a, b = (sample_of(dialogue(*turns, key=f"t-{n}"), cfg) for turns in (one, other))
        t_s = assert_causal(a, b, [COMPARED[(n + k) % len(COMPARED)] for k in (0, 4)])
        early = [[e.id for e in s.timeline.agent if e.decided_s <= t_s] for s in (a, b)]
        assert early[0] == early[1] == []


def first_difference_s(a: Sample, b: Sample) -> float:
    """When the silent part of the worlds (what is typed, what tools answer) first differs."""
    texts = [
        {(e.revealed_s, e.text) for e in s.timeline.world if isinstance(e, TypedInput)}
        for s in (a, b)
    ]
    return min((t for t, _ in texts[0] ^ texts[1]), default=math.inf)


@pytest.mark.parametrize(
    "scene", [{"barge_in": {"rate": 0.5}, "backchannel": {"per_min": 100}}, EVERYTHING]
)
def test_worlds_of_every_example_dialogue(repo: Path, scene: dict[str, Any]) -> None:
    """Each user turn of the examples but the first, in turn, is replaced by another one."""
    path = str(repo / "examples/data/dialogues.jsonl")
    entry = SourceEntry(dialogues=DialogueSource(path=path))
    records = [r for r in read_source(entry, "examples") if isinstance(r, Dialogue)][::6]
    cfg = config(**scene)
    parted = 0
    for record in records:
        base = sample_of(record, cfg)
        for other in other_worlds(record):
            # three presets a pair: each meets every third pair
            presets = [COMPARED[(parted + k) % len(COMPARED)] for k in (0, 3, 6)]
            assert_causal(base, sample_of(other, cfg), presets)
            parted += 1
    assert parted >= 10


def other_worlds(record: Dialogue) -> list[Dialogue]:
    """The record with one later user turn swapped for the first user's words."""
    users = [i for i, t in enumerate(record.turns) if t.role == "user"]
    worlds = []
    for index in users[1:3]:
        turns = list(record.turns)
        turns[index] = turns[index].model_copy(update={"text": record.turns[users[0]].text})
        worlds.append(record.model_copy(update={"turns": tuple(turns)}))
    return worlds


def test_another_outcome_of_a_robot_episode(repo: Path) -> None:
    """The same instruction and the same start, but the motion is over earlier."""
    entry = SourceEntry(
        trajectories=TrajectorySource(path=str(repo / "examples/data/metaworld"), limit=1)
    )
    [record] = [r for r in read_source(entry, "robot") if isinstance(r, Trajectory)]
    steps = record.step_count - 12
    shorter = record.model_copy(
        update={
            "step_count": steps,
            "row_end": record.row_start + steps,
            "videos": tuple(v.model_copy(update={"frame_count": steps}) for v in record.videos),
        }
    )
    a, b = (sample_of(r, config()) for r in (record, shorter))
    [motion] = [e for e in b.timeline.agent if isinstance(e, Act) and e.mode == "trajectory"]
    parted_s, fps = motion.end_s, record.fps
    assert a.act is not None and b.act is not None
    until = round(parted_s * fps)
    assert np.array_equal(a.act[:until], b.act[:until])
    events = [
        [seen_at(e, parted_s) for e in s.timeline.agent if e.decided_s < parted_s] for s in (a, b)
    ]
    assert events[0] == events[1] and len(events[0]) >= 4
    at = round(parted_s * 16000)
    assert np.array_equal(a.speak[:at], b.speak[:at])
    for name in ("ellsa", "ellsa-speech", "roboego", "roboego-trailing", "minicpm-o"):
        codecs = robot_codecs(name, a)
        one, two = (tokens_of(s, name, codecs) for s in (a, b))
        before_s = float(np.nextafter(parted_s, 0))
        n = assert_same_where_known(load_schema(name), one, two, before_s)
        assert n < min(len(one), len(two))
        for i, lane in enumerate(load_schema(name).lanes):
            if lane.name in ("act", "look"):
                here = (one.lane[:n] == i) & (one.kind[:n] == CONTENT)
                assert here.sum() > 10, "the robot is there"


def robot_codecs(name: str, sample: Sample) -> CodecSet:
    """The preset's codecs, those of actions fitted on this robot."""
    assert sample.act is not None
    subset = sample.timeline.subset
    return CodecSet(
        load_schema(name),
        {
            **{n: c for n, c in all_codecs().items() if not n.endswith(".arm")},
            f"action.{subset}": fit_action([sample.act], ActionSettings(vocab_size=300)),
            f"uniform.{subset}": ActionUniform.fit([sample.act], UniformSettings()),
        },
    )


def test_a_leak_would_be_found() -> None:
    """The comparison itself can fail: another reply to the same words is seen as a difference."""
    cfg: Config = config(barge_in={"rate": 0})
    a = sample_of(dialogue("Hello there.", "Hi.", "How are you?", "Fine."), cfg)
    b = sample_of(dialogue("Hello there.", "Hey.", "How are you?", "Fine."), cfg)
    with pytest.raises(AssertionError):
        assert_causal(a, b)


def test_samples_are_the_same_twice() -> None:
    record = dialogue("Hello, is anyone there?", LONG, "Good, thanks.")
    a, b = (sample_of(record, config()) for _ in range(2))
    assert a.timeline.to_json() == b.timeline.to_json()
    assert np.array_equal(a.listen, b.listen) and np.array_equal(a.speak, b.speak)
    assert json.loads(a.timeline.to_json())["key"] == "t-1"
