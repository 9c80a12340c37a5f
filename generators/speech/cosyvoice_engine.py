"""CosyVoice's own classes, loaded and watched: one model, one call at a time.

`Engine(home, options)` imports the checkout, loads the model and tests its decoding.
`engine.pieces(text)` gives normalised sentences, `engine.take(piece, style, seed)` speaks one. All
that upstream loses in its thread comes back here: exceptions are raised, tokens are counted.
"""

from __future__ import annotations

import contextlib
import fcntl
import inspect
import logging
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from generators.speech.cosyvoice_home import Home
from generators.speech.cosyvoice_policy import Take
from generators.speech.cosyvoice_selftest import decode_fault
from generators.speech.cosyvoice_voice import END_OF_PROMPT, Style, marked, prompt_of
from schemas import draws
from schemas.config.cosyvoice import CosyVoiceConfig
from schemas.errors import MachineError, StrettoError


class Watch:
    """Sees what upstream's LLM thread hides: its exception, its tokens, its limit."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.failure: BaseException | None = None
        self.tokens = self.token_limit = self.kept = 0
        self._job, self._inference = model.llm_job, model.llm.inference
        ratio = inspect.signature(self._inference).parameters["max_token_text_ratio"].default
        self._ratio = int(ratio)
        model.llm_job, model.llm.inference = self._watched_job, self._watched_inference

    def reset(self) -> None:
        """Before each call."""
        self.failure, self.tokens, self.token_limit, self.kept = None, 0, 0, 0

    def forget(self) -> None:
        """A failed call leaves its entries behind: one call at a time, so all are stale."""
        for name in ("tts_speech_token_dict", "llm_end_dict", "hift_cache_dict"):
            getattr(self.model, name, {}).clear()

    def _watched_job(self, *arguments: Any) -> None:
        try:
            self._job(*arguments)
            self.kept = len(self.model.tts_speech_token_dict[arguments[-1]])
        except BaseException as problem:  # a thread's exception would only be printed
            self.failure = problem

    def _watched_inference(self, *arguments: Any, **named: Any) -> Iterator[Any]:
        self.token_limit = self._ratio * int(named["text"].shape[1])
        for token in self._inference(*arguments, **named):
            self.tokens += 1
            yield token


class Engine:
    """A loaded model. Use it from one thread at a time, in the process that made it."""

    def __init__(self, home: Home, options: CosyVoiceConfig) -> None:
        self.home, self.options = home, options
        with _quiet():
            self.auto = _load(home, options)
        self.sample_rate_hz = int(self.auto.sample_rate)
        if not options.load_vllm:  # vLLM deletes the layers that the test runs
            _refuse_wrong_decoding(self.auto.model.llm)
        self.watch = Watch(self.auto.model)
        self._prompts: dict[str, dict[str, Any]] = {}

    def speakers(self) -> list[str]:
        """The ids that an sft voice may name."""
        return [name for name, entry in self._spk2info.items() if "embedding" in entry]

    def pieces(self, text: str) -> list[str]:
        """Sentences as CosyVoice's front end normalises and splits them; [] for nothing to say.

        Done here and not inside its calls, because a text with version 3's mark is not split.
        """
        with _quiet():
            return list(self.auto.frontend.text_normalize(text, split=True, text_frontend=True))

    def take(self, piece: str, style: Style, seed: int) -> Take:
        """One sentence spoken. Raises what failed, the LLM thread's exception first."""
        self.watch.reset()
        with _quiet():
            spoken = self._call(piece, style)
            _seed_all(seed)  # last: the generator below is lazy and draws from here on
            try:
                waves = [item["tts_speech"][0].float().cpu().numpy() for item in spoken]
            except Exception as problem:
                waves = self._none_if_stopped_at_once(problem)
        if self.watch.failure:
            self.watch.forget()
            raise self.watch.failure
        wave = np.concatenate([np.zeros(0, np.float32), *waves])
        expected = int((self.watch.kept / style.speed - 0.5) * self._samples_per_token)
        watch = self.watch  # half a token is forgiven: `speed` rounds frames down
        return Take(wave, self.sample_rate_hz, watch.tokens, watch.token_limit, expected)

    def _none_if_stopped_at_once(self, problem: Exception) -> list[np.ndarray]:
        """No waves where the flow choked on no tokens: another draw may do better."""
        self.watch.forget()
        if self.watch.failure or self.watch.tokens or not self.watch.token_limit:
            raise self.watch.failure or problem from None
        return []

    def _call(self, piece: str, style: Style) -> Iterator[dict[str, Any]]:
        """Upstream's generator for one sentence, its prompt taken from our cache."""
        text, auto = marked(piece, style.mode, self.home.version), self.auto
        plain = {"stream": False, "speed": style.speed, "text_frontend": False}
        if style.mode == "sft":
            return auto.inference_sft(text, style.spk_id, **plain)  # type: ignore[no-any-return]
        known = {"zero_shot_spk_id": self._remember(style)}
        if style.mode == "cross_lingual":
            return auto.inference_cross_lingual(text, "", **known, **plain)  # type: ignore[no-any-return]
        if style.mode == "instruct2":
            return auto.inference_instruct2(text, "", "", **known, **plain)  # type: ignore[no-any-return]
        return auto.inference_zero_shot(text, "", "", **known, **plain)  # type: ignore[no-any-return]

    def _remember(self, style: Style) -> str:
        """The id of the prompt's features, made once per (recording, text before it).

        A cached speaker keeps the text it was made with, so an instruction is part of the key.
        """
        text = self._prompt_text(style)
        key = "stretto-" + draws.digest(style.prompt_wav, text)
        if key not in self._prompts:
            self.auto.add_zero_shot_spk(text, self._prompt_argument(style.prompt_wav), key)
            self._prompts[key] = self._spk2info.pop(key)
        # a copy: versions before December 2025 write into the entry and delete from it
        self._spk2info[key] = dict(self._prompts[key])
        return key

    def _prompt_text(self, style: Style) -> str:
        text = "" if style.mode == "cross_lingual" else prompt_of(style, self.home.version)
        normalised = self.auto.frontend.text_normalize(text, split=False, text_frontend=True)
        return str(normalised) if END_OF_PROMPT not in text else text

    def _prompt_argument(self, path: str) -> Any:
        """A path, or 16 kHz samples for versions before 2025-12-08."""
        if not takes_samples(self.auto.add_zero_shot_spk):
            return path
        from cosyvoice.utils.file_utils import load_wav  # type: ignore[import-not-found]

        return load_wav(path, 16000)

    @property
    def _spk2info(self) -> dict[str, dict[str, Any]]:
        return self.auto.frontend.spk2info  # type: ignore[no-any-return]

    @property
    def _samples_per_token(self) -> float:
        return self.sample_rate_hz / float(self.auto.model.flow.input_frame_rate)


def takes_samples(function: Any) -> bool:
    """Does this version's prompt argument want samples (`prompt_speech_16k`), not a path?"""
    return "prompt_speech_16k" in inspect.signature(function).parameters


def _load(home: Home, options: CosyVoiceConfig) -> Any:
    """The model, by AutoModel or the class that older checkouts have."""
    _prepare(home, options)
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        raise StrettoError("no GPU here", "speech.cosyvoice.device", "use `auto` or `cpu`")
    wanted = ("load_jit", "load_trt", "load_vllm", "fp16")
    asked = {name: True for name in wanted if getattr(options, name)}
    if asked and not torch.cuda.is_available():
        raise StrettoError(
            f"no GPU here for {', '.join(asked)}", "speech.cosyvoice", "leave it out"
        )
    if home.version == 3 and "load_jit" in asked:
        raise StrettoError("CosyVoice 3 has no load_jit", "speech.cosyvoice", "leave it out")
    torch.set_num_threads(options.threads)
    from cosyvoice.cli import cosyvoice as cli

    make = getattr(cli, "AutoModel", None) or getattr(cli, f"CosyVoice{home.version}")
    with _alone(home.model_dir if options.load_trt or options.load_vllm else None):
        return make(model_dir=str(home.model_dir), **asked)


def _prepare(home: Home, options: CosyVoiceConfig) -> None:
    """All that must be set before the first import of torch or CosyVoice."""
    os.environ["TQDM_DISABLE"] = "1"
    # with handlers there, upstream's basicConfig(level=DEBUG) does nothing
    logging.basicConfig(level=logging.ERROR)
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    for path in (str(home.matcha), str(home.checkout)):
        if path not in sys.path:
            sys.path.insert(0, path)
    import torchaudio  # type: ignore[import-not-found]

    # since 2.9 it needs torchcodec and FFmpeg's libraries to read a WAV
    torchaudio.load = _read_audio


def _read_audio(path: Any, *_: Any, **__: Any) -> tuple[Any, int]:
    """torchaudio.load by soundfile: float32 [channels, n] and the rate."""
    import torch

    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return torch.from_numpy(np.ascontiguousarray(samples.T)), int(rate_hz)


def _refuse_wrong_decoding(llm: Any) -> None:
    problem = decode_fault(llm)
    if problem:
        import transformers

        raise StrettoError(
            f"CosyVoice would speak wrong audio with transformers {transformers.__version__}: "
            f"{problem}",
            fix="run it in an environment with transformers 4.51.3 (docs/cosyvoice.md)",
        )


def _seed_all(seed: int) -> None:
    """Every generator that CosyVoice may draw from (loading it resets them all to fixed values)."""
    import torch

    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.manual_seed(seed)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Upstream prints: what it says must not reach a stdout that carries answers."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def _alone(folder: Path | None) -> Iterator[None]:
    """One process at a time in `folder`: TensorRT and vLLM write into the model's at first use."""
    if folder is None:
        yield
        return
    with (folder / ".stretto-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_unlucky(problem: BaseException) -> bool:
    """Checkouts before December 2025 give up where 100 draws in a row say stop too early."""
    return "max_trials" in str(problem)


def is_machine_fault(problem: BaseException) -> bool:
    """A GPU that is out of memory or lost: no fault of the sentence, and the next would fail too."""
    return isinstance(problem, MachineError | MemoryError) or any(
        word in f"{type(problem).__name__} {problem}" for word in ("OutOfMemory", "CUDA", "cuDNN")
    )
