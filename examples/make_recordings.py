"""Two short telephone calls with espeak-ng on both sides, in moshi-finetune's layout.

The result is committed in ``examples/data/recordings``. To make it again, from the repository root::

    python -m examples.make_recordings --out examples/data/recordings

They stand in for recordings of people: the caller is on the right channel, the assistant on the
left, a little noise lies on both, the caller comes in early and says "mm-hmm". The word times are
the engine's own. Ogg Vorbis draws a random stream number, so only the sound is the same each time.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile

from generators.speech import Speech, SpeechRequest, open_backend, pick_voice

RATE_HZ = 16000
NOISE = 10  # of 32,768: a quiet line
LABELS = {"assistant": "SPEAKER_MAIN", "user": "SPEAKER_CALLER"}
# (who, start in seconds, what)
CALLS = {
    "bakery": (
        ("assistant", 0.4, "Good morning, this is the bakery. How can I help?"),
        ("user", 3.3, "Hi, do you still have rye bread?"),
        ("assistant", 5.6, "Yes, we have two loaves left. They came out of the oven at seven."),
        ("user", 8.1, "mm-hmm"),
        ("user", 10.0, "Great, could you keep one for me?"),
        ("assistant", 12.2, "Of course. Under which name?"),
        ("user", 14.0, "Martin. Thank you!"),
    ),
    "library": (
        ("user", 0.5, "Hello, until when are you open today?"),
        ("assistant", 3.0, "Until eight. On Saturdays we close at one."),
        ("user", 5.8, "And can I return books after that?"),
        ("assistant", 8.0, "You can. There is a box beside the door, it is open day and night."),
        ("user", 11.9, "Good to know, thanks."),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("examples/data/recordings"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(write_call(out, name)) for name in CALLS]
    (out / "data.jsonl").write_text("\n".join(lines) + "\n")


def write_call(out: Path, name: str) -> dict[str, str | float]:
    """The audio and the words of one call; its line in data.jsonl."""
    spoken = speak(name)
    ends = [
        round(s * RATE_HZ) + len(x.pcm) for (_, s, _), x in zip(CALLS[name], spoken, strict=True)
    ]
    count = max(ends) + RATE_HZ // 2
    pcm = np.random.default_rng(len(name)).integers(-NOISE, NOISE + 1, (count, 2)).astype(np.int16)
    words = []
    for (who, start_s, _), speech in zip(CALLS[name], spoken, strict=True):
        start, side = round(start_s * RATE_HZ), 0 if who == "assistant" else 1
        pcm[start : start + len(speech.pcm), side] += speech.pcm // 2
        words += [[w.text, times(start, w), LABELS[who]] for w in speech.words]
    words.sort(key=lambda word: word[1])
    soundfile.write(out / f"{name}.ogg", pcm, RATE_HZ, subtype="VORBIS", compression_level=0.9)
    lines = ",\n".join(json.dumps(word) for word in words)
    (out / f"{name}.json").write_text(f'{{"alignments": [\n{lines}\n]}}\n')
    return {"path": f"{name}.ogg", "duration": round(count / RATE_HZ, 3)}


def speak(name: str) -> list[Speech]:
    backend = open_backend("espeak", RATE_HZ)
    try:
        voices = {who: pick_voice(who, "en", 7, name, who) for who in LABELS}
        answers = backend.say([SpeechRequest(text, voices[who], 7) for who, _, text in CALLS[name]])
    finally:
        backend.close()
    if bad := [a for a in answers if not isinstance(a, Speech)]:
        raise SystemExit(str(bad[0]))
    return answers  # type: ignore[return-value]


def times(start: int, word) -> list[float]:  # type: ignore[no-untyped-def]
    """[start, end] of a word in seconds."""
    found = (start + word.start_sample, start + word.end_sample)
    return [round(x / RATE_HZ, 3) for x in found]


if __name__ == "__main__":
    main()
