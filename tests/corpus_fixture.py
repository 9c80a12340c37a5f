"""Two hand-made samples that keep every promise, for tests of what reads finished samples.

`dialogue()` has a question, a reply, a barge-in on it that cuts it, a backchannel and a last reply;
`robot()` acts on an instruction and speaks while it acts. The audio is tones where words sound and
silence elsewhere. Tests change one thing (`model_copy`) and expect one finding.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from generators.video import encode_mp4
from schemas.label import Evidence, Label
from schemas.timeline import (
    Act,
    AgentEvent,
    ArrayTrack,
    AudioTrack,
    Context,
    Hear,
    LookTrack,
    Piece,
    Provenance,
    Say,
    TimedWord,
    Timeline,
    Write,
)
from token_schema.codecs.base import save
from token_schema.codecs.fit import (
    ActionSettings,
    AudioSettings,
    ImageSettings,
    TextSettings,
    fit_action,
    fit_audio,
    fit_image,
    fit_text,
)

REPO = Path(__file__).resolve().parent.parent
RATE_HZ = 16000
FADE_S = 0.15
WORD_S = 0.25


def words(text: str, start_s: float, until_s: float = 1e9) -> tuple[TimedWord, ...]:
    """One word each 0.3 s, 0.25 s long; those that would start at `until_s` or later are gone."""
    found, at, position = [], start_s, 0
    for token in text.split():
        begin = text.index(token, position)
        position = begin + len(token)
        if at < until_s:
            end_s = at + WORD_S
            found.append(
                TimedWord(
                    text=token,
                    char_start=begin,
                    char_end=position,
                    start_s=round(at, 6),
                    end_s=round(min(end_s, until_s + FADE_S), 6),
                    cut=end_s > until_s,
                )
            )
        at = round(at + 0.3, 6)
    return tuple(found)


def spoken_s(text: str) -> float:
    return round(0.3 * (len(text.split()) - 1) + WORD_S, 6)


def hear(
    event_id: str, text: str, start_s: float, behaviour: Literal["turn", "barge_in"] = "turn"
) -> Hear:
    end_s = round(start_s + spoken_s(text), 6)
    return Hear(
        id=event_id,
        text=text,
        language="en",
        voice="v1",
        start_s=start_s,
        end_s=end_s,
        plain_s=round(start_s + WORD_S, 6),
        revealed_s=end_s,
        words=words(text, start_s),
        pieces=(Piece(char_start=0, char_end=len(text), start_s=start_s, end_s=end_s),),
        behaviour=behaviour,
    )


def say(
    event_id: str,
    text: str,
    start_s: float,
    on: Evidence,
    cut_s: float | None = None,
    cut_by: Evidence | None = None,
    behaviour: Literal["turn", "backchannel"] = "turn",
) -> Say:
    planned_s = round(start_s + spoken_s(text), 6)
    end_s = planned_s if cut_s is None else round(min(planned_s, cut_s + FADE_S), 6)
    return Say(
        id=event_id,
        text=text,
        language="en",
        voice="v2",
        decided_s=round(start_s - 0.1, 6),
        start_s=start_s,
        end_s=end_s,
        planned_end_s=planned_s,
        cut_s=cut_s,
        cut_by=cut_by,
        behaviour=behaviour,
        evidence=(on,),
        words=words(text, start_s, 1e9 if cut_s is None else cut_s),
        pieces=(Piece(char_start=0, char_end=len(text), start_s=start_s, end_s=end_s),),
    )


def write(event_id: str, text: str, said: Say) -> Write:
    end_s = said.planned_end_s if said.cut_s is None else said.cut_s
    return Write(
        id=event_id,
        text=text,
        decided_s=said.decided_s,
        start_s=said.decided_s,
        end_s=end_s,
        planned_end_s=said.planned_end_s,
        cut_s=said.cut_s,
        cut_by=said.cut_by,
        evidence=said.evidence,
    )


def on(event: Hear, word: int | None = None) -> Evidence:
    """Evidence: the whole event, or its words up to `word`."""
    revealed_s = event.revealed_s if word is None else event.words[word].end_s
    return Evidence(event=event.id, word=word, revealed_s=revealed_s)


def tones(spans: list[tuple[float, float]], count: int, hz: float) -> NDArray[np.int16]:
    pcm = np.zeros(count, np.int16)
    for start_s, end_s in spans:
        a, b = round(start_s * RATE_HZ), min(count, round(end_s * RATE_HZ))
        t = np.arange(b - a)
        envelope = np.sin(np.pi * t / max(1, b - a))
        pcm[a:b] = (9000 * envelope * np.sin(2 * np.pi * hz * t / RATE_HZ)).astype(np.int16)
    return pcm


def labels(duration_s: float) -> tuple[Label, ...]:
    return tuple(
        Label(
            second_index=i,
            decided_s=min(i + 1.0, duration_s),
            floor="silence",
            stance="listen",
            note=f"second {i}",
        )
        for i in range(int(np.ceil(duration_s)))
    )


def dialogue(key: str = "dlg-one") -> Timeline:
    """A barge-in at 4.6 s, told from a cough at 4.85 s; the reply yields at 5.15 s."""
    duration_s = 10.0
    ask = hear("u000", "how do I make a strong coffee", 0.5)
    murmur_at = ask.words[3].end_s
    back = say("b000", "mhm", round(murmur_at + 0.2, 6), on(ask, 3), behaviour="backchannel")
    barge = hear("u002", "no wait decaf please", 4.6, behaviour="barge_in")
    reply = say(
        "a001",
        "use more beans and hotter water then wait four minutes before pressing",
        2.8,
        on(ask),
        cut_s=5.15,
        cut_by=on(barge, 0),
    )
    last = say("a003", "then take decaf beans", 6.4, on(barge, 3))
    agent: tuple[AgentEvent, ...] = (
        back,
        write("w001", "Use **more beans** <script>alert(1)</script> & hotter water", reply),
        reply,
        write("w003", "Then take decaf beans.", last),
        last,
    )
    return Timeline(
        key=key,
        subset="dialogue",
        group=f"group-{key}",
        language="en",
        duration_s=duration_s,
        behaviours=("backchannel", "barge_in"),
        context=Context(system="Be brief.", languages=("en",)),
        listen=AudioTrack(sample_rate_hz=RATE_HZ, sample_count=round(duration_s * RATE_HZ)),
        speak=AudioTrack(sample_rate_hz=RATE_HZ, sample_count=round(duration_s * RATE_HZ)),
        world=(ask, barge),
        agent=agent,
        labels=labels(duration_s),
        provenance=provenance(key),
    )


def robot(key: str = "bot-one") -> Timeline:
    duration_s, fps = 8.0, 10.0
    ask = hear("u000", "please open the drawer", 0.5)
    motion_s = 2.0
    said = say("a000", "okay I will open the drawer", 2.1, on(ask))
    idle = Act(
        id="idle0",
        mode="idle",
        first_step=0,
        step_count=20,
        decided_s=0.0,
        start_s=0.0,
        end_s=2.0,
        planned_end_s=2.0,
    )
    move = Act(
        id="motion",
        mode="trajectory",
        first_step=20,
        step_count=60,
        decided_s=motion_s,
        start_s=motion_s,
        end_s=8.0,
        planned_end_s=8.0,
        evidence=(on(ask),),
        step_evidence="look.front",
    )
    return Timeline(
        key=key,
        subset="arm",
        group=f"group-{key}",
        language="en",
        duration_s=duration_s,
        behaviours=("act_on_instruction", "speak_while_acting"),
        context=Context(task="open the drawer", embodiment="arm"),
        listen=AudioTrack(sample_rate_hz=RATE_HZ, sample_count=round(duration_s * RATE_HZ)),
        speak=AudioTrack(sample_rate_hz=RATE_HZ, sample_count=round(duration_s * RATE_HZ)),
        look=(LookTrack(camera="front", fps=fps, frame_count=80, width_px=64, height_px=48),),
        act=ArrayTrack(fps=fps, step_count=80, dim=3, names=("x", "y", "grip")),
        state=ArrayTrack(fps=fps, step_count=80, dim=2, names=("x", "y")),
        world=(ask,),
        agent=(idle, move, write("w000", "Okay, I will open the drawer.", said), said),
        labels=labels(duration_s),
        provenance=provenance(key),
    )


def provenance(key: str) -> Provenance:
    return Provenance(
        source="hand",
        record_id=key,
        where="tests:1",
        record_digest="0" * 32,
        licence="CC0-1.0",
        seed=1,
        backends={"speech": "tones"},
    )


def members(timeline: Timeline) -> dict[str, bytes]:
    """The members of a sample as they stand in a shard, without the key."""
    hears = [(w.start_s, w.end_s) for e in timeline.world if isinstance(e, Hear) for w in e.words]
    says = [(w.start_s, w.end_s) for e in timeline.agent if isinstance(e, Say) for w in e.words]
    count = timeline.listen.sample_count
    found = {
        "json": timeline.to_json().encode(),
        "listen.flac": flac(tones(hears, count, 220.0)),
        "speak.flac": flac(tones(says, count, 330.0)),
    }
    for track in timeline.look:
        found[f"look.{track.camera}.mp4"] = encode_mp4(frames(track), track.fps)
    if timeline.act:
        found["act.npy"] = npy(curves(timeline.act))
    if timeline.state:
        found["state.npy"] = npy(curves(timeline.state))
    return found


def flac(pcm: NDArray[np.int16], rate_hz: int = RATE_HZ) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, pcm, rate_hz, format="FLAC", subtype="PCM_16")
    return out.getvalue()


def npy(array: NDArray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def frames(track: LookTrack) -> list[NDArray[np.uint8]]:
    y, x = np.mgrid[: track.height_px, : track.width_px]
    return [
        np.stack([(x + i * 3) % 256, (y * 4) % 256, np.full_like(x, (i * 2) % 256)], -1).astype(
            np.uint8
        )
        for i in range(track.frame_count)
    ]


def curves(track: ArrayTrack) -> NDArray[np.float32]:
    t = np.arange(track.step_count)[:, None] / track.fps
    phase = np.arange(track.dim)[None]
    return np.ascontiguousarray(np.sin(t + phase).astype(np.float32))


# ---- a real corpus -------------------------------------------------------------------------------


def real_corpus(base: Path, limit: int = 6) -> Path:
    """The first records of the example sources, made by the local runner; kept for the session."""
    from jobs.generate import run

    out = base / f"small-corpus-{limit}"
    if not (out / "dataset.json").is_file():
        with contextlib.chdir(REPO):
            assert run("examples/quickstart.yaml", str(out), "local", None, limit) == 0
    return out


def fit_codecs(corpus: Path) -> None:
    """Tiny codecs of every kind, fitted on the corpus and put into its folder."""
    from pipeline.stream import open_corpus

    opened = open_corpus(str(corpus))
    samples = [opened.read(int(row)) for row in opened.rows("train")]
    texts = [e.text for t, _ in samples for e in t.agent if isinstance(e, Write)]
    audio = AudioSettings(codebooks=4, entries=16, sample_frames=400, iterations=3)
    codecs: dict[str, Any] = {
        "text": fit_text(texts, TextSettings(vocab_size=400)),
        "audio": fit_audio([m.listen() for _, m in samples[:4]], audio),
    }
    for timeline, media in samples:
        if timeline.act is not None:
            settings = ActionSettings(horizon=max(10, round(timeline.act.fps)), vocab_size=1024)
            rows = [m.act() for t, m in samples if t.subset == timeline.subset]
            codecs[f"action.{timeline.subset}"] = fit_action(rows, settings)
            image = ImageSettings(
                size_px=32, patch_px=8, entries=16, sample_patches=400, iterations=3
            )
            frames = media.frames(timeline.look[0].camera, [0, 10])
            codecs["image"] = fit_image(list(frames), image)
    for name, codec in codecs.items():
        save(codec, corpus / "codecs" / name)
