"""How far each aligner is from the true word times.

    python -m benchmarks.alignment                        # the estimate, and a toy CTC model trained here
    python -m benchmarks.alignment --model PATH_OR_NAME   # the estimate, and a real CTC model
    python -m benchmarks.alignment --no-toy               # the estimate alone

Against (a) espeak-ng's own word times on the example dialogues, in the voices that a corpus has,
and (b) the Wavenet readings of ../shared/data/vap_phrases_tts_aligned with the times of another
aligner. Prints a row an aligner and a truth: error of word starts and ends in ms. The toy
(`alignment_toy.py`) learns from espeak speech of sentences that are not measured.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import soundfile

from generators.align import Alignment, Unaligned
from generators.align.base import Aligner, sounding
from generators.align.ctc import CtcAligner
from generators.align.duration import DurationAligner
from generators.speech import SpeechRequest, SpokenWord, Voice, open_backend, pick_voice
from generators.speech.backend import Speech
from generators.text_split import sentences
from schemas.config import AlignConfig

REPO = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("STRETTO_SHARED", REPO.parent / "shared"))
TOY = Path(gettempdir()) / "stretto-toy-ctc"


@dataclass(frozen=True)
class Truth:
    """An utterance and (start, end) in samples of each of its words."""

    item: Unaligned
    words: tuple[tuple[int, int], ...]


def spoken_truth(languages: Sequence[str] = ("en",), first: bool = True) -> list[Truth]:
    """Sentences of the example dialogues by espeak-ng, in their speakers' voices.

    `first` half of the dialogues or the other, so that a model can learn from what isn't measured.
    """
    return spoken(_lines(languages, first))


def toy_material(voices: int = 3, shuffled: int = 700) -> list[Truth]:
    """The unmeasured half in several voices, and its words in random order: no sentence to learn."""
    lines = _lines(("en",), first=False)
    vocabulary = sorted({w for text, _ in lines for w in text.split() if w.strip(",.?!").isalpha()})
    rng = np.random.default_rng(0)
    more = []
    for number in range(voices * len(lines) + shuffled):
        voice = pick_voice("user", "en-US", 7, f"toy-{number}", "user")
        if number < voices * len(lines):
            more.append((lines[number % len(lines)][0], voice))
        else:
            more.append((" ".join(rng.choice(vocabulary, int(rng.integers(4, 10)))), voice))
    return spoken(more)


def _lines(languages: Sequence[str], first: bool) -> list[tuple[str, Voice]]:
    """(sentence, voice) of every second dialogue."""
    lines = (REPO / "examples/data/dialogues.jsonl").read_text(encoding="utf-8").splitlines()
    records = [r for r in map(json.loads, lines) if r["language"].split("-")[0] in languages]
    found = []
    for record in records[0 if first else 1 :: 2]:
        for turn in record["messages"]:
            if turn["role"] not in ("user", "assistant"):
                continue
            text = turn.get("say") or turn["content"]
            voice = pick_voice(turn["role"], record["language"], 7, record["id"], turn["role"])
            parts = [span.of(text) for span in sentences(text)]
            found += [(part, voice) for part in parts if part.strip() and "`" not in part]
    return found


def spoken(lines: Sequence[tuple[str, Voice]]) -> list[Truth]:
    """What espeak-ng says, with its word times; without what it can't say or counts otherwise."""
    backend = open_backend("espeak", 16000)
    requests = [SpeechRequest(text, voice, 7) for text, voice in lines]
    answers = backend.say(requests)
    backend.close()
    return [
        _truth(request, speech)
        for request, speech in zip(requests, answers, strict=True)
        if isinstance(speech, Speech) and _comparable(request.text, speech.words)
    ]


def _comparable(text: str, words: Sequence[SpokenWord]) -> bool:
    return [t.start for t in sounding(text)] == [w.char_start for w in words]


def _truth(request: SpeechRequest, speech: Speech) -> Truth:
    item = Unaligned(request.text, request.voice.language, speech.pcm, speech.sample_rate_hz)
    return Truth(item, tuple((w.start_sample, w.end_sample) for w in speech.words))


def wavenet_truth() -> list[Truth]:
    """The phrases with the words tier of their TextGrids."""
    folder = SHARED / "data/vap_phrases_tts_aligned"
    if not folder.is_dir():
        return []
    texts = {
        p["name"]: p["text"] for p in _phrases(json.loads((folder / "phrases.json").read_text()))
    }
    found = []
    for path in sorted((folder / "audio").glob("*.wav")):
        pcm, rate = soundfile.read(path, dtype="int16")
        tier = words_tier((folder / "alignment" / f"{path.stem}.TextGrid").read_text())
        item = Unaligned(texts[path.stem], "en", pcm, rate)
        if len(tier) == len(sounding(item.text)):
            spans = tuple((round(start * rate), round(end * rate)) for start, end, _ in tier)
            found.append(Truth(item, spans))
        else:
            print(f"left out, its tier has other words than its text: {path.stem}")
    return found


def _phrases(data: object) -> list[dict[str, str]]:
    """Every mapping with a `name`, however deep."""
    if isinstance(data, dict):
        if "name" in data:
            return [data]
        return [p for value in data.values() for p in _phrases(value)]
    return [p for value in data for p in _phrases(value)] if isinstance(data, list) else []


def words_tier(text: str) -> list[tuple[float, float, str]]:
    """(start, end, word) of a long TextGrid's tier `words`, empty intervals left out."""
    tier = text.split('name = "words"', 1)[1].split("item [", 1)[0]
    found = []
    for interval in tier.split("intervals [")[1:]:
        fields = dict(
            (part.strip() for part in line.split("=", 1))
            for line in interval.splitlines()
            if "=" in line
        )
        word = fields["text"].strip('"')
        if word:
            found.append((float(fields["xmin"]), float(fields["xmax"]), word))
    return found


def measure(name: str, truth_name: str, aligner: Aligner, truths: Sequence[Truth]) -> None:
    """Print one row for starts and one for ends."""
    began = time.perf_counter()
    answers = aligner.align([t.item for t in truths])
    took = time.perf_counter() - began
    sound_s = sum(len(t.item.pcm) / t.item.sample_rate_hz for t in truths)
    errors: list[np.ndarray] = []
    failed = 0
    for truth, answer in zip(truths, answers, strict=True):
        if not isinstance(answer, Alignment):
            failed += 1
            continue
        found = np.array([(w.start_sample, w.end_sample) for w in answer.words])
        errors.append((found - np.array(truth.words)) * 1000 / truth.item.sample_rate_hz)
    if not errors:
        print(f"{name:<28} {truth_name:<18} all {failed} failed: {answers[0]}")
        return
    stacked = np.concatenate(errors)
    for column, edge in enumerate(("starts", "ends")):
        signed, ms = stacked[:, column], np.abs(stacked[:, column])
        print(
            f"{name:<28} {truth_name:<18} {edge:<6} {len(ms):>5} {ms.mean():>6.0f} "
            f"{np.median(ms):>6.0f} {np.quantile(ms, 0.9):>6.0f} {signed.mean():>+6.0f} "
            f"{(ms <= 50).mean():>6.0%} {(ms <= 100).mean():>6.0%} {failed:>4} "
            f"{sound_s / took:>7.0f} x",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", help="a CTC model of transformers: a folder or a hub name")
    parser.add_argument("--romanise", action="store_true")
    parser.add_argument("--no-toy", action="store_true")
    parser.add_argument("--minutes", type=float, default=5.0, help="of CPU to train the toy for")
    chosen = parser.parse_args()
    aligners: list[tuple[str, Aligner]] = [("duration (estimate)", DurationAligner())]
    if chosen.model:
        config = AlignConfig(model=chosen.model, romanise=chosen.romanise, min_score=0)
        aligners.append((f"ctc {chosen.model}"[:28], CtcAligner(config)))
    elif not chosen.no_toy:
        from benchmarks.alignment_toy import train

        train(TOY, toy_material(), chosen.minutes * 60)
        aligners.append(
            ("ctc toy", CtcAligner(AlignConfig(model=str(TOY), device="cpu", min_score=0)))
        )
    truths = {"espeak en": spoken_truth(), "wavenet en": wavenet_truth()}
    if not chosen.model:
        truths["espeak, 5 more"] = spoken_truth(("de", "es", "fr", "hi", "cmn"))
    print(f"{'aligner':<28} {'truth':<18} {'edge':<6} {'words':>5} {'mean':>6} {'median':>6} {'p90':>6} "
          f"{'bias':>6} {'<=50':>6} {'<=100':>6} {'fail':>4} {'speed':>9}")  # fmt: skip
    for name, aligner in aligners:
        for truth_name, found in truths.items():
            if found and not (name == "ctc toy" and truth_name == "espeak, 5 more"):
                measure(name, truth_name, aligner, found)


if __name__ == "__main__":
    main()
