"""The CosyVoice backend: its rules alone, then against FunAudioLLM's real code with random weights.

The second part runs where COSYVOICE_HOME is a checkout and COSYVOICE_PYTHON an interpreter with its
packages (docs/cosyvoice.md); it takes two to five minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from cosyvoice_voices import PROMPT_TEXT, voice

from generators.speech import SpeechRequest, open_speech
from generators.speech.cosyvoice import CosyVoiceBackend
from generators.speech.cosyvoice_engine import is_machine_fault, takes_samples
from generators.speech.cosyvoice_home import find_home, model_hash
from generators.speech.cosyvoice_policy import Take, fault, speakable_text, to_int16
from generators.speech.cosyvoice_voice import (
    check_prompt,
    check_style,
    marked,
    prompt_of,
    style_of,
)
from schemas.config.cosyvoice import CosyVoiceConfig
from schemas.config.speech import SpeechConfig
from schemas.errors import StrettoError

OPTIONS = CosyVoiceConfig()
HELLO = "Hello there, how are you?"
MODES = ("zero_shot", "cross_lingual", "instruct2", "sft")


def take(seconds: float = 1.5, level: float = 0.1, **more: Any) -> Take:
    """A noise of `seconds` at 24 kHz that passes for HELLO."""
    wave = level * np.random.default_rng(1).standard_normal(int(24000 * seconds))
    return replace(Take(wave.astype(np.float32), 24000, 37, 140, 0), **more)


def test_what_may_be_kept_and_why_not() -> None:
    assert fault(take(), HELLO, OPTIONS) is None
    wrong = {
        "runaway: not finished": take(tokens=140),
        "runaway: 6.0 s": take(6.0),
        "cut short": take(0.3),
        "truncated": take(expected_samples=24000 * 2),
        "no speech": take(0.0, tokens=0),
        "silence": take(level=1e-4),
        "broken": take(level=float("nan")),
    }
    for reason, bad in wrong.items():
        assert (fault(bad, HELLO, OPTIONS) or "").startswith(reason), reason
    # half the speed: twice the time for the same words is no runaway, and none is cut short
    assert fault(take(4.0), HELLO, OPTIONS, speed=0.5) is None
    assert (fault(take(4.0), HELLO, OPTIONS) or "").startswith("runaway")


def test_pace_counts_wide_characters_more_and_a_word_may_take_a_second() -> None:
    assert fault(take(2.4), "今天天气很好我们走吧", OPTIONS) is None
    assert fault(take(0.4), "今天天气很好我们走吧", OPTIONS) is not None
    assert fault(take(1.1), "No.", OPTIONS) is None
    assert fault(take(1.5), "No.", OPTIONS) is not None


def test_half_a_sentence_of_silence_is_speech() -> None:
    wave = take(2.0).wave.copy()
    wave[24000:] = 0
    assert fault(take(wave=wave), HELLO, OPTIONS) is None
    wave[2400:] = 0
    assert fault(take(wave=wave), HELLO, OPTIONS) == "silence"


def test_samples_keep_one_gain_and_never_wrap() -> None:
    assert to_int16(np.array([-2.0, -1.0, 0.0, 0.5, 2.0])).tolist() == [
        -32768, -32767, 0, 16384, 32767]  # fmt: skip


@pytest.mark.parametrize("text", ["", "   ", "...", "?!", "🙂", "<|im_end|>", "\x01"])
def test_a_text_with_nothing_to_speak_is_refused(text: str) -> None:
    with pytest.raises(StrettoError, match="nothing to speak"):
        speakable_text(text)


def test_special_tokens_do_not_reach_the_model() -> None:
    clean = speakable_text("Hi <|endofprompt|>there|>\n\n <|you\x01, [laughter]")
    # single spaces: its normaliser fails on two
    assert clean == "Hi there you , [laughter]"
    with pytest.raises(StrettoError, match="2500 characters"):
        speakable_text("a" * 2500)


def test_each_version_gets_its_marks() -> None:
    zero, told = style_of(voice("zero_shot")), style_of(voice("instruct2"))
    assert prompt_of(zero, 2) == PROMPT_TEXT
    assert prompt_of(zero, 3) == f"You are a helpful assistant.<|endofprompt|>{PROMPT_TEXT}"
    assert prompt_of(replace(zero, prompt_text="A.<|endofprompt|>B"), 3) == "A.<|endofprompt|>B"
    assert prompt_of(told, 2) == "Speak slowly.<|endofprompt|>"
    long = "You are a helpful assistant. Speak slowly.<|endofprompt|>"
    assert prompt_of(told, 3) == long
    assert prompt_of(replace(told, instruct_text=long), 3) == long
    for mode in MODES:
        assert marked("Hi.", mode, 2) == "Hi."
        assert ("<|endofprompt|>" in marked("Hi.", mode, 3)) == (mode in ("sft", "cross_lingual"))


def test_the_prompt_argument_is_told_by_its_name() -> None:
    def newer(tts_text: str, prompt_text: str, prompt_wav: str) -> None: ...
    def older(tts_text: str, prompt_text: str, prompt_speech_16k: object) -> None: ...

    assert not takes_samples(newer) and takes_samples(older)


def test_a_lost_gpu_is_the_machines_fault_and_a_bad_sentence_is_not() -> None:
    class OutOfMemoryError(RuntimeError):
        """As torch names it."""

    assert is_machine_fault(OutOfMemoryError("tried to allocate"))
    assert is_machine_fault(RuntimeError("CUDA error: device-side assert triggered"))
    assert not is_machine_fault(AssertionError("<|endofprompt|> not detected"))


def wav(path: Path, seconds: float, hz: int, level: float = 0.3) -> str:
    """A tone on disk."""
    tone = level * np.sin(2 * np.pi * 200 * np.arange(int(seconds * hz)) / hz)
    soundfile.write(path, tone, hz)
    return str(path)


def test_prompts_that_would_fail_late_are_refused_at_the_start(tmp_path: Path) -> None:
    check_prompt(wav(tmp_path / "good.wav", 5, 16000))
    bad = {
        "a prompt of 31.00 s": wav(tmp_path / "long.wav", 31, 16000),
        "a prompt of 0.05 s": wav(tmp_path / "short.wav", 0.05, 24000),
        "a prompt at 8000 Hz": wav(tmp_path / "phone.wav", 3, 8000),
        "a silent prompt": wav(tmp_path / "mute.wav", 3, 16000, level=0.001),
        "no such prompt": str(tmp_path / "missing.wav"),
    }
    (tmp_path / "text.wav").write_text("not audio")
    bad["unreadable prompt"] = str(tmp_path / "text.wav")
    for reason, path in bad.items():
        with pytest.raises(StrettoError, match=reason):
            check_prompt(path)


def test_a_voice_that_cannot_work_is_refused(tmp_path: Path) -> None:
    wav(tmp_path / "prompt.wav", 3, 24000)
    for mode in MODES:
        check_style(style_of(voice(mode, tmp_path)), 2)
    wrong = {
        "zero_shot voice without prompt_text": voice("zero_shot", tmp_path, prompt_text=" "),
        "instruct2 voice without instruct_text": voice("instruct2", tmp_path, instruct_text=""),
        "sft voice without spk_id": voice("sft", spk_id=""),
        "unknown mode 'vc'": replace(voice("sft"), settings=(("mode", "vc"),)),
        "a speed of 3": voice("sft", speed=3),
        "CosyVoice 2 speaks no 'de-DE'": replace(voice("sft"), language="de-DE"),
    }  # fmt: skip
    for reason, bad in wrong.items():
        with pytest.raises(StrettoError, match=reason):
            check_style(style_of(bad), 2)
    check_style(style_of(replace(voice("sft"), language="de-DE")), 3)


def checkout(folder: Path) -> Path:
    """The outline of a checkout."""
    (folder / "cosyvoice/cli").mkdir(parents=True)
    (folder / "cosyvoice/cli/cosyvoice.py").write_text("")
    (folder / "third_party/Matcha-TTS/matcha").mkdir(parents=True)
    return folder


def model(folder: Path, version: int = 2) -> Path:
    """The outline of a model's folder."""
    (folder / "CosyVoice-BlankEN").mkdir(parents=True)
    tokenizer = f"speech_tokenizer_v{version}.onnx"
    for name in ("llm.pt", "flow.pt", "hift.pt", "campplus.onnx", tokenizer):
        (folder / name).write_bytes(name.encode())
    (folder / f"cosyvoice{version}.yaml").write_text("")
    return folder


def test_what_is_missing_is_named_before_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COSYVOICE_HOME", raising=False)
    home, folder = checkout(tmp_path / "home"), model(tmp_path / "model", 3)
    options = CosyVoiceConfig(model_dir=str(folder), home=str(home))
    assert find_home(options).version == 3
    monkeypatch.setenv("COSYVOICE_HOME", str(home))
    assert find_home(options.model_copy(update={"home": None})).checkout == home
    (folder / "flow.pt").unlink()
    for reason, wrong in {
        "flow.pt is missing": options,
        "nothing is downloaded": options.model_copy(update={"model_dir": "iic/CosyVoice2-0.5B"}),
        "no cosyvoice2.yaml": options.model_copy(update={"model_dir": str(home)}),
        "not a CosyVoice checkout": options.model_copy(update={"home": str(tmp_path)}),
    }.items():
        with pytest.raises(StrettoError, match=reason):
            CosyVoiceBackend(16000, wrong).check()
    (home / "third_party/Matcha-TTS/matcha").rmdir()
    with pytest.raises(StrettoError, match="git submodule update"):
        find_home(options)
    monkeypatch.delenv("COSYVOICE_HOME")
    with pytest.raises(StrettoError, match="git clone --recursive"):
        find_home(options.model_copy(update={"home": None}))


def test_the_version_follows_code_model_and_options(tmp_path: Path) -> None:
    home, folder = checkout(tmp_path / "home"), model(tmp_path / "model")
    options = CosyVoiceConfig(model_dir=str(folder), home=str(home))
    seen = [CosyVoiceBackend(16000, options).version()]
    (home / "cosyvoice/cli/cosyvoice.py").write_text("# edited")
    seen.append(CosyVoiceBackend(16000, options).version())
    (folder / "llm.pt").write_bytes(b"llm.Pt")
    seen.append(CosyVoiceBackend(16000, options).version())
    seen.append(CosyVoiceBackend(16000, options.model_copy(update={"threads": 2})).version())
    assert len(set(seen)) == 4
    before = model_hash(find_home(options))
    (folder / "flow.decoder.estimator.fp32.mygpu.plan").write_bytes(b"built at first use")
    assert model_hash(find_home(options)) == before


# --- the real code ---


@pytest.fixture(scope="module")
def home() -> Path:
    """The checkout that COSYVOICE_HOME names."""
    named = os.environ.get("COSYVOICE_HOME")
    if not named:
        pytest.skip("COSYVOICE_HOME names no CosyVoice checkout: the real code not tested here")
    return Path(named).resolve()


def run(repo: Path, *arguments: str, own: bool = False) -> subprocess.CompletedProcess[str]:
    """Python on the repository, in CosyVoice's environment or our own."""
    python = sys.executable if own else os.environ.get("COSYVOICE_PYTHON", sys.executable)
    done = subprocess.run([python, "-W", "ignore", *arguments], cwd=repo, text=True, timeout=900,
                          capture_output=True, env={**os.environ, "PYTHONPATH": str(repo)})  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module", params=[2, 3])
def folder(
    request: pytest.FixtureRequest, home: Path, repo: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A small model of each version, built by the checkout's own classes."""
    version = request.param
    if not (home / f"examples/libritts/cosyvoice{version}/conf/cosyvoice{version}.yaml").exists():
        pytest.skip(f"this checkout is older than CosyVoice {version}")
    made = tmp_path_factory.mktemp("cosyvoice") / f"model{version}"
    run(repo, "tests/cosyvoice_model.py", str(made), str(home), str(version))
    return made


@pytest.fixture(scope="module")
def found(folder: Path, home: Path, repo: Path) -> dict[str, Any]:
    """What `cosyvoice_check.py` saw."""
    run(repo, "tests/cosyvoice_check.py", str(folder), str(home), "full")
    return json.loads((folder / "full.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.slow
def test_every_mode_speaks(found: dict[str, Any]) -> None:
    assert set(found["modes"]) == set(MODES)
    for mode, told in found["modes"].items():
        assert told.get("samples", 0) > 300, (mode, told)
        assert (told["hz"], told["kind"], told["words"]) == (16000, "int16", 0)
        assert told["peak"] > 300, mode
    assert len({told["digest"] for told in found["modes"].values()}) == 4


@pytest.mark.slow
def test_an_utterance_is_a_function_of_its_request(
    found: dict[str, Any], folder: Path, home: Path, repo: Path
) -> None:
    order = found["order"]
    assert order["forwards"] == order["backwards"]
    first = [told["digest"] for told in found["modes"].values()]
    assert first == [told["digest"] for told in order["forwards"]]
    assert order["other_seed"]["digest"] != order["forwards"][-1]["digest"]
    assert "nothing to speak" in order["refused"]["error"]
    run(repo, "tests/cosyvoice_check.py", str(folder), str(home), "again")
    again = json.loads((folder / "again.json").read_text())
    assert [told["digest"] for told in again["modes"].values()] == first
    assert again["version"] == found["version"]


@pytest.mark.slow
def test_a_prompt_is_worked_out_once_and_exactly(found: dict[str, Any]) -> None:
    assert found["cache"] == {"extracted": 2, "same_inputs": [True, True, True]}


@pytest.mark.slow
def test_a_long_text_is_split_and_a_short_one_leaves_the_prompt_out(found: dict[str, Any]) -> None:
    told = found["long"]
    assert told["pieces"] > 1 and told["calls"] >= told["pieces"]
    assert told["spoken"]["samples"] and told["short"]["samples"]
    assert told["short_crossed"] >= 1


@pytest.mark.slow
def test_an_exception_in_the_llm_thread_costs_one_utterance(found: dict[str, Any]) -> None:
    thread = found["thread"]
    assert "RuntimeError: lost in the thread" in thread["failed"]["error"]
    assert thread["after"]["digest"] == found["modes"]["sft"]["digest"]
    assert thread["left"] == 0


@pytest.mark.slow
def test_a_runaway_is_caught_and_spoken_again(found: dict[str, Any]) -> None:
    told = found["runaway"]
    assert "runaway: not finished" in told["failed"]["error"] and told["tries"] == 3
    assert told["saved"]["samples"] and told["saved_tries"] >= 2


@pytest.mark.slow
def test_silence_is_caught(found: dict[str, Any]) -> None:
    assert "silence, in each of 3 tries" in found["silence"]["failed"]["error"]


@pytest.mark.slow
def test_hosted_in_its_own_environment_it_says_the_same(
    found: dict[str, Any], folder: Path, home: Path
) -> None:
    speech = SpeechConfig(
        backend="cosyvoice",
        python=os.environ.get("COSYVOICE_PYTHON", sys.executable),
        streams=2,
        cosyvoice=CosyVoiceConfig(
            model_dir=str(folder), home=str(home), device="cpu",
            min_s_per_char=0.0001, max_s_per_char=1.2,
        ),
    )  # fmt: skip
    backend = open_speech(speech)
    said = [
        SpeechRequest("Hello there, how are you today?", voice(mode, folder.parent), 3)
        for mode in MODES
    ]
    missing = SpeechRequest("Hello.", voice("zero_shot", folder), 3)
    try:
        assert backend.version() == found["version"]
        *spoken, refused = backend.say([*said, missing])
    finally:
        backend.close()
    assert isinstance(refused, StrettoError) and "no such prompt" in str(refused)
    heard = [blake2b(s.pcm.tobytes(), digest_size=16).hexdigest() for s in spoken]  # type: ignore[union-attr]
    assert heard == [found["modes"][mode]["digest"] for mode in MODES]


OWN = """
import importlib.machinery, sys, types
for name in ("torchaudio", "torchaudio.compliance", "torchaudio.compliance.kaldi"):
    module = types.ModuleType(name)  # never called by the language model
    module.__spec__, module.__path__ = importlib.machinery.ModuleSpec(name, None), []
    sys.modules[name] = module
sys.path.insert(0, sys.argv[1])
from cosyvoice.llm.llm import Qwen2Encoder, Qwen2LM
from generators.speech.cosyvoice_engine import _refuse_wrong_decoding
try:
    _refuse_wrong_decoding(Qwen2LM(64, 64, 6561, Qwen2Encoder(sys.argv[2]), None).eval())
except Exception as refused:
    print(type(refused).__name__, refused)
"""


@pytest.mark.slow
def test_our_own_transformers_is_refused(folder: Path, home: Path, repo: Path) -> None:
    import transformers

    if tuple(map(int, transformers.__version__.split(".")[:2])) < (4, 53):
        pytest.skip("this environment's transformers is old enough for CosyVoice")
    said = run(repo, "-c", OWN, str(home), str(folder / "CosyVoice-BlankEN"), own=True).stdout
    assert "StrettoError CosyVoice would speak wrong audio" in said
    assert transformers.__version__ in said and "transformers 4.51.3" in said
