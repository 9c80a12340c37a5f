"""Mimi, EnCodec and DAC: real classes with tiny random weights, loaded from disk as real ones."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_codecs
from tiny_codecs import speech_like

from schemas.errors import StrettoError
from token_schema.codecs import base, windows
from token_schema.codecs.hf_audio import dac_reach
from token_schema.codecs.pinned import pin
from token_schema.codecs.windows import resample

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

# type, the corpus's sample rate, options: chunks that neither the lengths nor the contexts divide
CASES = {
    "mimi": (16000, {"codebooks": 4, "chunk_frames": 13}),
    "encodec": (24000, {"chunk_frames": 50, "context_frames": 70}),
    "dac": (16000, {"chunk_frames": 17}),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: getattr(tiny_codecs, name)(root / name) for name in CASES}


@pytest.fixture(scope="module")
def codecs(folders: dict[str, Path]) -> dict[str, Any]:
    return {
        name: pin("audio", name, str(folders[name]), None, options, source)
        for name, (source, options) in CASES.items()
    }


def ahead_frames(codec: Any) -> int:
    return math.ceil(codec.lookahead_s * codec.rate_hz)


@pytest.mark.parametrize(
    ("name", "books", "rate_hz", "frame_samples"),
    [("mimi", 4, 12.5, 1280), ("encodec", 4, 75.0, 320), ("dac", 4, 50.0, 320)],
)
def test_properties_are_the_configs(
    codecs: dict[str, Any], name: str, books: int, rate_hz: float, frame_samples: int
) -> None:
    codec = codecs[name]
    assert (codec.kind, codec.size, codec.codebooks) == ("audio", 64, books)
    assert (codec.rate_hz, codec.frame_samples) == (rate_hz, frame_samples)
    assert codec.sample_rate_hz == CASES[name][0]
    assert isinstance(codec, base.Codec)


def test_the_published_models_frames() -> None:
    """The sizes that the model cards state, from the classes' own defaults."""
    from token_schema.codecs.hf_audio import Dac, Encodec, Mimi

    assert Mimi.hop(transformers.MimiConfig()) == 1920
    assert Mimi.plan(transformers.MimiConfig(), 1920)["left"] == 125  # 10 s
    assert Encodec.hop(transformers.EncodecConfig()) == 320
    assert Dac.hop(transformers.DacConfig(downsampling_ratios=[2, 4, 5, 8])) == 320


@pytest.mark.parametrize("name", CASES)
def test_a_prefix_has_the_codes_of_the_whole(codecs: dict[str, Any], name: str) -> None:
    codec = codecs[name]
    f = codec.frame_samples
    pcm = speech_like(61 * f + 7)
    codes = codec.encode(pcm)
    assert codes.shape == (61, codec.codebooks) and codes.dtype == np.int32
    assert all(len(np.unique(codes[:, q])) > 3 for q in range(codec.codebooks))
    for samples in (0, f - 1, f, 5 * f + 3, 13 * f, 17 * f + 1, 34 * f, 50 * f - 1, 60 * f, 61 * f):
        part = codec.encode(pcm[:samples])
        assert len(part) == samples // f
        sure = max(0, len(part) - ahead_frames(codec))
        assert np.array_equal(part[:sure], codes[:sure]), f"{samples} samples"


@pytest.mark.parametrize("name", CASES)
def test_no_code_moves_when_audio_past_its_lookahead_does(
    codecs: dict[str, Any], name: str
) -> None:
    codec = codecs[name]
    f = codec.frame_samples
    pcm = speech_like(40 * f)
    codes = codec.encode(pcm)
    ahead = math.ceil(codec.lookahead_s * codec.sample_rate_hz)
    for frame in (0, 1, 12, 13, 20, 30):
        other = pcm.copy()
        start = (frame + 1) * f + ahead
        other[start:] = speech_like(len(pcm), seed=9)[start:]
        changed = codec.encode(other)
        assert np.array_equal(changed[: frame + 1], codes[: frame + 1])
        assert not np.array_equal(changed, codes)


@pytest.mark.parametrize("ratios", [[2, 4, 5, 8], [2, 4, 8, 8], [3, 5]])
def test_dac_reach_is_what_its_encoder_reads(ratios: list[int]) -> None:
    config = transformers.DacConfig(
        encoder_hidden_size=4, decoder_hidden_size=32, downsampling_ratios=ratios
    )
    before, after = dac_reach(ratios)
    hop = math.prod(ratios)
    frame = before // hop + 2
    wave = torch.randn(1, 1, (frame + after // hop + 3) * hop, requires_grad=True)
    transformers.DacModel(config).encoder(wave)[0, :, frame].sum().backward()
    read = torch.nonzero(wave.grad[0, 0])[:, 0]
    assert (frame * hop - int(read[0]), int(read[-1]) - frame * hop) == (before, after)


def test_encodecs_own_encode_shows_the_first_frame_its_future(
    folders: dict[str, Path], codecs: dict[str, Any]
) -> None:
    """Why windows begin with silence: the mirrored padding, which the plain call keeps."""
    model = transformers.EncodecModel.from_pretrained(folders["encodec"]).eval()
    wave = torch.from_numpy(speech_like(20 * 320) / np.float32(32768)).float()[None, None]
    other = wave.clone()
    other[..., 640:] = 0
    with torch.inference_mode():
        first, again = (model.encoder(w)[0, :, 0] for w in (wave, other))
    assert (first - again).abs().max() > 1e-4  # float noise is 1e-8 here


def test_mimi_and_dac_codes_are_the_plain_models(
    folders: dict[str, Path], codecs: dict[str, Any]
) -> None:
    """Within the first chunk, and for DAC anywhere: its reach is finite."""
    pcm = speech_like(12 * 1280)
    wave = torch.from_numpy(resample(pcm, 16000, 24000))[None, None]
    mimi = transformers.MimiModel.from_pretrained(folders["mimi"]).eval()
    with torch.inference_mode():
        want = mimi.encode(wave, num_quantizers=4).audio_codes[0].T.numpy()
    assert np.array_equal(codecs["mimi"].encode(pcm), want)

    pcm = speech_like(40 * 320)
    quiet = np.zeros(10 * 320, np.int16)
    wave = torch.from_numpy(np.concatenate([pcm, quiet]) / np.float32(32768)).float()[None, None]
    dac = transformers.DacModel.from_pretrained(folders["dac"]).eval()
    with torch.inference_mode():
        want = dac.encode(wave).audio_codes[0].T.numpy()[:40]
    assert (codecs["dac"].encode(pcm) == want).mean() > 0.99  # other lengths: other last bits


@pytest.mark.parametrize("name", CASES)
def test_threads_change_nothing_and_are_put_back(codecs: dict[str, Any], name: str) -> None:
    codec, before = codecs[name], torch.get_num_threads()
    pcm = speech_like(20 * codec.frame_samples)
    got = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            got.append(codec.encode(pcm))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(got[0], got[1]) and np.array_equal(got[0], got[2])


@pytest.mark.parametrize("name", CASES)
def test_decode_gives_sound_of_the_right_length(codecs: dict[str, Any], name: str) -> None:
    codec = codecs[name]
    codes = codec.encode(speech_like(30 * codec.frame_samples))
    pcm = codec.decode(codes)
    assert pcm.dtype == np.int16 and len(pcm) == 30 * codec.frame_samples
    assert pcm.any() and np.array_equal(pcm, codec.decode(codes))
    assert len(codec.decode(codes[:, :2])) == len(pcm)
    assert len(codec.decode(codes[:0])) == 0
    with pytest.raises(StrettoError, match=r"outside of 0\.\.63"):
        codec.decode(codes + 64)


@pytest.mark.parametrize("name", CASES)
def test_silence_is_what_a_long_silence_encodes_to(codecs: dict[str, Any], name: str) -> None:
    codec = codecs[name]
    codes = codec.silence_codes(3)
    assert codes.shape == (3, codec.codebooks) and codes.dtype == np.int32
    long = codec.encode(np.zeros(60 * codec.frame_samples, np.int16))
    settled = (long[13:50] == codes[0]).mean()
    assert settled > 0.9


# ---- kept and found again ----------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_kept_and_loaded_it_is_the_same(codecs: dict[str, Any], name: str, tmp_path: Path) -> None:
    codec = codecs[name]
    assert base.save(codec, tmp_path / "audio") == codec.hash
    assert sorted(p.name for p in (tmp_path / "audio").iterdir()) == ["codec.json"]
    loaded: Any = base.load(tmp_path / "audio", expect_hash=codec.hash)
    assert loaded.to_files() == codec.to_files() and loaded.facts == codec.facts
    pcm = speech_like(15 * codec.frame_samples)
    assert np.array_equal(loaded.encode(pcm), codec.encode(pcm))
    sent = pickle.loads(pickle.dumps(codec))
    assert np.array_equal(sent.encode(pcm), codec.encode(pcm))


def test_other_weights_are_refused_and_absent_ones_named(tmp_path: Path) -> None:
    folder = tiny_codecs.mimi(tmp_path / "mimi")
    made = pin("audio", "mimi", str(folder), None, {}, 24000)
    base.save(made, tmp_path / "audio")
    model = transformers.MimiModel.from_pretrained(folder)
    with torch.no_grad():
        next(model.parameters()).add_(1e-3)
    model.save_pretrained(folder)
    codec: Any = base.load(tmp_path / "audio")
    assert codec.size == 64 and codec.frame_samples == 1920  # the manifest alone says so
    with pytest.raises(StrettoError, match=r"weights changed: .*model\.safetensors"):
        codec.encode(np.zeros(1920, np.int16))
    assert pin("audio", "mimi", str(folder), None, {}, 24000).hash != made.hash

    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(StrettoError, match=r"no \*\.safetensors.*pickled weights are not read"):
        codec.open()
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(StrettoError, match="no model at .*STRETTO_MODELS"):
        codec.open()


def test_models_are_found_below_the_named_folders(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folders["mimi"].parent
    monkeypatch.setenv("STRETTO_MODELS", f"/nowhere:{root.parent}")
    codec = pin("audio", "mimi", f"{root.name}/mimi", None, {}, 24000)
    assert codec.pin.path == f"{root.name}/mimi"


def test_a_hub_name_that_is_not_there_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(StrettoError, match="weights of nobody/nothing absent.*hf download"):
        pin("audio", "mimi", "nobody/nothing", None, {}, 16000)


def test_a_snapshot_of_the_hubs_cache_pins_its_commit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    home = tmp_path / "models--kyutai--mimi"
    tiny_codecs.mimi(home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    codec = pin("audio", "mimi", "kyutai/mimi", None, {}, 16000)
    assert codec.pin.revision == commit
    base.save(codec, tmp_path / "audio")
    base.load(tmp_path / "audio").open()


def test_a_weight_that_is_missing_is_not_made_up(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tiny_codecs.dac(tmp_path / "dac")
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.conv1.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StrettoError, match="weights missing, the first encoder.conv1.weight"):
        pin("audio", "dac", str(folder), None, {}, 16000)


def test_the_published_checkpoints_older_layouts_load(
    folders: dict[str, Path], codecs: dict[str, Any], tmp_path: Path
) -> None:
    """facebook/encodec_24khz has weight_g and weight_v, kyutai/mimi says its frame rate."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folders["encodec"] / "model.safetensors")
    names = {"parametrizations.weight.original0": "weight_g"}
    names["parametrizations.weight.original1"] = "weight_v"
    old = {}
    for key, value in weights.items():
        ends = next((n for n in names if key.endswith(n)), None)
        old[key.replace(ends, names[ends]) if ends else key] = value
    assert sum(key.endswith("weight_g") for key in old) > 20
    (tmp_path / "config.json").write_bytes((folders["encodec"] / "config.json").read_bytes())
    save_file(old, tmp_path / "model.safetensors", metadata={"format": "pt"})
    source, options = CASES["encodec"]
    codec = pin("audio", "encodec", str(tmp_path), None, options, source)
    pcm = speech_like(60 * 320)
    assert np.array_equal(codec.encode(pcm), codecs["encodec"].encode(pcm))

    mimi = pin("audio", "mimi", str(tiny_codecs.mimi(tmp_path / "m", frame_rate=12.5)), None, {})
    assert (mimi.rate_hz, mimi.frame_samples, mimi.sample_rate_hz) == (12.5, 1920, 24000)


@pytest.mark.parametrize(
    ("kind", "name", "model", "options", "source", "says"),
    [
        ("audio", "mimi", "dac", {}, 16000, "holds a 'dac' model"),
        ("image", "mimi", "mimi", {}, 16000, "is a codec for audio, not image"),
        ("audio", "mimi", "mimi", {"books": 3}, 16000, "unknown option 'books'.*codebooks"),
        ("audio", "mimi", "mimi", {"codebooks": 7}, 16000, "7 codebooks wanted, the model has 6"),
        ("audio", "mimi", "mimi", {"codebooks": 0}, 16000, "whole number above 0"),
        ("audio", "encodec", "encodec", {}, 16000, "no whole number of samples.*24000 Hz"),
        ("audio", "wavtok", "mimi", {}, 16000, "no real codec"),
    ],
)
def test_what_does_not_fit_is_refused(
    folders: dict[str, Path],
    kind: str,
    name: str,
    model: str,
    options: dict[str, Any],
    source: int,
    says: str,
) -> None:
    with pytest.raises(StrettoError, match=says):
        pin(kind, name, str(folders[model]), None, options, source)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"normalize": True}, "still to come"),
        ({"audio_channels": 2}, "2 audio channels"),
        ({"use_causal_conv": False}, "look ahead"),
    ],
)
def test_an_encodec_that_is_not_causal_is_refused(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    folder = tiny_codecs.encodec(tmp_path / "encodec", **changes)
    with pytest.raises(StrettoError, match=says):
        pin("audio", "encodec", str(folder), None, {}, 24000)


# ---- resampling and windows --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target"), [(16000, 24000), (24000, 16000), (16000, 44100), (22050, 24000)]
)
def test_resampling_is_causal_and_exact(source: int, target: int) -> None:
    pcm = speech_like(source // 2)
    whole = resample(pcm, source, target)
    assert len(whole) == len(pcm) * target // source and whole.dtype == np.float32
    for n in (1, 100, 147, 1001, len(pcm) - 1):
        part = resample(pcm[:n], source, target)
        assert np.array_equal(part, whole[: len(part)])
    t = np.arange(source) / source
    tone = np.rint(12000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)
    late = 16 / min(source, target)
    want = 12000 / 32768 * np.sin(2 * np.pi * 440 * (np.arange(target) / target - late))
    got = resample(tone, source, target)
    assert np.abs(got - want)[target // 10 :].max() < 2e-3


def test_what_lies_above_the_lower_band_is_removed() -> None:
    t = np.arange(24000) / 24000
    tone = np.rint(20000 * np.sin(2 * np.pi * 9500 * t)).astype(np.int16)
    assert np.abs(resample(tone, 24000, 16000)[2000:-2000]).max() < 1e-2


def test_decode_takes_the_delay_of_both_resamplings_back(codecs: dict[str, Any]) -> None:
    """A codec whose network changes nothing gives its input back, in place."""

    class Echo(windows.WindowedAudio):
        type_ = "mimi"

        def decode_wave(self, codes: np.ndarray) -> np.ndarray:
            return wave

    codec = codecs["mimi"]
    t = np.arange(25 * 1280) / 16000
    pcm = np.rint(9000 * np.sin(2 * np.pi * 300 * t) * np.hanning(len(t))).astype(np.int16)
    wave = resample(pcm, 16000, 24000)
    back = Echo(codec.pin, codec.facts).decode(np.zeros((25, 4), np.int32))
    assert len(back) == len(pcm) and np.abs(back.astype(int) - pcm).max() < 40


def test_windows_depend_on_their_number_alone() -> None:
    facts = windows.AudioFacts(64, 1, 16000, 16000, 320, chunk=10, left=25, right=3)
    long = list(windows.windows(facts, 95))
    for frames in (1, 9, 10, 11, 40, 94):
        some = list(windows.windows(facts, frames))
        assert [(w.start, w.stop, w.first) for w in some] == [
            (w.start, w.stop, w.first) for w in long[: len(some)]
        ]
        assert [n for w in some for n in range(w.first, w.last)] == list(range(frames))
    assert long[0].start == 0 and long[3].start == 5
