"""Runs the backend against the real CosyVoice code and writes down what it saw.

python tests/cosyvoice_check.py FOLDER HOME full|again, in CosyVoice's own environment.
FOLDER is what `cosyvoice_model.py` built; its full.json (or again.json) is read by
`test_speech_cosyvoice.py`. Faults are put into the running model one by one: a thread's exception, an
end that never comes, silence.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from cosyvoice_voices import voice

from generators.speech.backend import Speech, SpeechRequest, Spoken
from generators.speech.cosyvoice import CosyVoiceBackend
from generators.speech.cosyvoice_engine import Engine
from generators.speech.cosyvoice_policy import speakable_text
from generators.speech.cosyvoice_voice import MODES, marked, prompt_of, style_of
from schemas.config.cosyvoice import CosyVoiceConfig

TEXT = "Hello there, how are you today?"
# over 80 tokens: split into sentences
LONG = "It was a bright day\n\tand we went out.  " * 6
HZ = 16000


def main(folder: Path, home: Path, part: str) -> None:
    """Load, run the steps of `part`; write their findings."""
    started = time.monotonic()
    # a random model's pace is no speaker's: the bounds are tested apart
    options = CosyVoiceConfig(model_dir=str(folder), home=str(home), device="cpu",
                              min_s_per_char=0.0001, max_s_per_char=1.2)  # fmt: skip
    _write_prompt(folder.parent)
    backend = CosyVoiceBackend(HZ, options, [voice(mode, folder.parent) for mode in MODES])
    backend.check()
    loaded = time.monotonic()
    found: dict[str, Any] = {
        "load_s": loaded - started,
        "version": backend.version(),
    }
    steps = {
        "full": (_modes, _order, _cache, _long, _thread, _runaway, _silence),
        "again": (_modes,),
    }
    for step in steps[part]:
        found[step.__name__[1:]] = step(backend, folder.parent)
    found["steps_s"] = time.monotonic() - loaded
    (folder / f"{part}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


def _write_prompt(folder: Path) -> None:
    """Three seconds of a buzzing tone: something with a level, a pitch and a change."""
    at_s = np.arange(3 * 24000) / 24000
    tone = 0.3 * np.sin(2 * np.pi * 180 * at_s) * (1 + np.sin(2 * np.pi * 3 * at_s)) / 2
    noise = 0.01 * np.random.default_rng(5).standard_normal(len(at_s))
    soundfile.write(folder / "prompt.wav", tone + noise, 24000)


def _engine(backend: CosyVoiceBackend) -> Engine:
    assert backend._engine
    return backend._engine


def _request(mode: str, folder: Path, seed: int = 3, text: str = TEXT) -> SpeechRequest:
    return SpeechRequest(text, voice(mode, folder), seed)


def _told(spoken: Spoken) -> dict[str, Any]:
    """An answer as plain values."""
    if not isinstance(spoken, Speech):
        return {"error": str(spoken)}
    digest = blake2b(spoken.pcm.tobytes(), digest_size=16).hexdigest()
    return {
        "samples": len(spoken.pcm),
        "hz": spoken.sample_rate_hz,
        "peak": int(np.abs(spoken.pcm.astype(int)).max()),
        "kind": str(spoken.pcm.dtype),
        "words": len(spoken.words),
        "digest": digest,
    }


def _modes(backend: CosyVoiceBackend, folder: Path) -> dict[str, Any]:
    """Each way of asking, timed."""
    found = {}
    for mode in MODES:
        started = time.monotonic()
        [spoken] = backend.say([_request(mode, folder)])
        found[mode] = _told(spoken) | {"took_s": time.monotonic() - started}
    return found


def _order(backend: CosyVoiceBackend, folder: Path) -> dict[str, Any]:
    """The same requests forwards, then backwards with others between; and another seed."""
    requests = [_request(mode, folder) for mode in MODES]
    refused = _request("sft", folder, text="...")
    forwards = [_told(spoken) for spoken in backend.say(requests)]
    mixed = backend.say([refused, _request("sft", folder, seed=99), *reversed(requests)])
    return {
        "forwards": forwards,
        "backwards": [_told(spoken) for spoken in reversed(mixed[2:])],
        "refused": _told(mixed[0]),
        "other_seed": _told(mixed[1]),
    }


def _cache(backend: CosyVoiceBackend, folder: Path) -> dict[str, Any]:
    """A prompt's features are made once, and are what upstream makes without a cache."""
    engine = _engine(backend)
    engine._prompts.clear()
    counts = {}
    with _counted(engine.auto.frontend, "_extract_speech_token") as seen:
        for mode in ("zero_shot", "zero_shot", "instruct2", "instruct2"):
            backend.say([_request(mode, folder, seed=len(seen))])
        counts["extracted"] = len(seen)
    counts["same_inputs"] = [_same_inputs(engine, m, folder) for m in MODES if m != "sft"]
    return counts


def _same_inputs(engine: Engine, mode: str, folder: Path) -> bool:
    """Is the cached input, tensor by tensor, what upstream's own front end makes?"""
    style = style_of(voice(mode, folder))
    text, front = marked(TEXT, mode, engine.home.version), engine.auto.frontend
    key, wav = engine._remember(style), engine._prompt_argument(style.prompt_wav)
    # old checkouts put the mark behind an instruction themselves, and write into what is cached
    before = "" if mode == "cross_lingual" else prompt_of(style, engine.home.version)
    if mode == "instruct2" and not isinstance(wav, str):
        before = before.removesuffix("<|endofprompt|>")
    ask = {
        "zero_shot": lambda w, k: front.frontend_zero_shot(text, before, w, 24000, k),
        "instruct2": lambda w, k: front.frontend_instruct2(text, before, w, 24000, k),
        "cross_lingual": lambda w, k: front.frontend_cross_lingual(text, w, 24000, k),
    }[mode]
    cached, fresh = dict(ask("", key)), ask(wav, "")
    return set(cached) == set(fresh) and all(
        np.array_equal(cached[name].numpy(), fresh[name].numpy()) for name in fresh
    )


def _long(backend: CosyVoiceBackend, folder: Path) -> dict[str, Any]:
    """A text of several sentences and lines; and a sentence that is short beside its prompt."""
    engine = _engine(backend)
    with _counted(engine.auto.model.llm, "inference") as seen:
        [spoken] = backend.say([_request("zero_shot", folder, text=LONG)])
    calls = len(seen)
    with _counted(engine.auto, "inference_cross_lingual") as crossed:
        [short] = backend.say([_request("zero_shot", folder, text="Yes.")])
    return {
        "pieces": len(engine.pieces(speakable_text(LONG))),
        "calls": calls,
        "spoken": _told(spoken),
        "short": _told(short),
        "short_crossed": len(crossed),
    }


def _thread(backend: CosyVoiceBackend, folder: Path) -> dict[str, Any]:
    """The LLM's thread raises in the middle of one utterance; the next is as ever."""
    llm = _engine(backend).auto.model.llm
    real, drawn = llm.sampling, 0

    def broken(*arguments: Any) -> Any:
        nonlocal drawn
        drawn += 1
        if drawn > 4:
            raise RuntimeError("lost in the thread")
        return real(*arguments)

    llm.sampling = broken
    [failed] = backend.say([_request("sft", folder)])
    llm.sampling = real
    [after] = backend.say([_request("sft", folder)])
    left = len(_engine(backend).auto.model.tts_speech_token_dict)
    return {"failed": _told(failed), "after": _told(after), "left": left}


def _runaway(backend: CosyVoiceBackend, folder: Path) -> dict[str, Any]:
    """An LLM that never stops: always, then only at the first try."""
    llm = _engine(backend).auto.model.llm
    real, request = llm.sampling, _request("zero_shot", folder)

    def endless(scores: Any, *arguments: Any) -> Any:
        scores[min(llm.stop_token_ids) :] = -float("inf")
        return real(scores, *arguments)

    with _counted(llm, "inference") as always:
        llm.sampling = endless
        [failed] = backend.say([request])
    with _counted(llm, "inference", lambda: setattr(llm, "sampling", real), after=1) as once:
        [saved] = backend.say([request])
    llm.sampling = real
    return {
        "failed": _told(failed),
        "tries": len(always),
        "saved": _told(saved),
        "saved_tries": len(once),
    }


def _silence(backend: CosyVoiceBackend, folder: Path) -> dict[str, Any]:
    """A vocoder that gives zeros."""
    hift = _engine(backend).auto.model.hift
    real = hift.inference

    def mute(*arguments: Any, **named: Any) -> Any:
        speech, source = real(*arguments, **named)
        return speech * 0, source

    hift.inference = mute
    [failed] = backend.say([_request("sft", folder)])
    hift.inference = real
    return {"failed": _told(failed)}


@contextmanager
def _counted(
    owner: Any, name: str, then: Callable[[], None] | None = None, after: int = 0
) -> Iterator[list[int]]:
    """Count calls of a method; `then` runs before the call that follows `after` calls."""
    real, seen = getattr(owner, name), list[int]()

    def counting(*arguments: Any, **named: Any) -> Any:
        if then and len(seen) == after:
            then()
        seen.append(1)
        return real(*arguments, **named)

    setattr(owner, name, counting)
    try:
        yield seen
    finally:
        setattr(owner, name, real)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
