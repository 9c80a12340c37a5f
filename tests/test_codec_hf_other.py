"""Emu3's image VQ, the FAST tokenizer's files, CosyVoice 2's speech tokenizer: tiny, from disk."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.fft import dct
from tiny_codecs import speech_like
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from schemas.errors import StrettoError
from token_schema.codecs import base
from token_schema.codecs.cosyvoice_tokens import FILE, log_mel, mel_bank
from token_schema.codecs.hf_fast import fit_options
from token_schema.codecs.pinned import pin

# ---- Emu3 --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def emu3_model() -> Any:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.Emu3VQVAEConfig(
        codebook_size=64,
        base_channels=32,
        channel_multiplier=[1, 1, 1, 1],
        num_res_blocks=1,
        hidden_size=32,
    )
    return transformers.Emu3VQVAE(config)


@pytest.fixture(scope="module")
def emu3_folder(emu3_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("emu3")
    emu3_model.save_pretrained(folder)
    values = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    (folder / "preprocessor_config.json").write_text(json.dumps(values))
    return folder


@pytest.fixture(scope="module")
def emu3(emu3_folder: Path) -> Any:
    return pin("image", "emu3", str(emu3_folder), None, {"height_px": 32, "width_px": 40})


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    return coarse.repeat(8, 0).repeat(8, 1)[:height, :width].astype(np.uint8)


def test_emu3_gives_its_models_ids(emu3: Any, emu3_model: Any) -> None:
    import torch

    assert (emu3.kind, emu3.size, emu3.tokens) == ("image", 64, 20)
    assert isinstance(emu3, base.Codec)
    frame = picture(32, 40)
    pixels = torch.from_numpy(frame.transpose(2, 0, 1) / 127.5 - 1.0).float()[None]
    with torch.inference_mode():
        want = emu3_model.encode(pixels, torch.tensor([[32, 40]])).image_tokens[0]
    codes = emu3.encode(frame)
    assert codes.dtype == np.int32 and np.array_equal(codes, want.flatten().numpy())
    assert len(np.unique(codes)) > 3


def test_emu3_sees_what_upstreams_processor_shows(emu3: Any) -> None:
    processor = pytest.importorskip(
        "transformers.models.emu3.image_processing_emu3"
    ).Emu3ImageProcessor
    half = [0.5, 0.5, 0.5]
    shown = processor(image_mean=half, image_std=half, min_pixels=32 * 40, max_pixels=32 * 40)
    want = shown(picture(64, 80))["pixel_values"][0]
    assert want.shape == (3, 32, 40)
    assert np.abs(emu3.pixels(picture(64, 80)) - want).max() < 1e-5


def test_emu3_batch_and_threads_change_nothing(emu3: Any) -> None:
    import torch

    frames = [picture(48, 64, seed) for seed in range(4)]
    codes, before = emu3.encode_batch(frames), torch.get_num_threads()
    assert codes.shape == (4, 20) and codes.dtype == np.int32
    assert emu3.encode_batch([]).shape == (0, 20)
    try:
        torch.set_num_threads(2)
        alone = [emu3.encode(frame) for frame in reversed(frames)]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(np.stack(alone[::-1]), codes)


def test_emu3_decodes_to_a_picture(emu3: Any) -> None:
    shown = emu3.decode(emu3.encode(picture(32, 40)))
    assert shown.shape == (32, 40, 3) and shown.dtype == np.uint8 and len(np.unique(shown)) > 5
    with pytest.raises(StrettoError, match="image codes, not 20"):
        emu3.decode(np.zeros(19, np.int32))
    with pytest.raises(StrettoError, match=r"outside of 0\.\.63"):
        emu3.decode(np.full(20, 64))
    with pytest.raises(StrettoError, match="frame must be uint8"):
        emu3.encode(np.zeros((32, 40), np.uint8))


def test_emu3_out_of_a_whole_checkpoint(
    emu3: Any, emu3_model: Any, emu3_folder: Path, tmp_path: Path
) -> None:
    """A full Emu3: its config holds `vq_config`, one of its shards the VQ's weights."""
    import torch
    from safetensors.torch import save_file

    folder = tmp_path / "whole"
    folder.mkdir()
    config = {"model_type": "emu3", "vq_config": emu3_model.config.to_dict()}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_bytes(
        (emu3_folder / "preprocessor_config.json").read_bytes()
    )
    inside = {f"model.vqmodel.{k}": v.contiguous() for k, v in emu3_model.state_dict().items()}
    save_file(inside, folder / "model-00001-of-00002.safetensors")
    save_file({"lm_head.weight": torch.zeros(2)}, folder / "model-00002-of-00002.safetensors")
    named = dict.fromkeys(inside, "model-00001-of-00002.safetensors")
    named["lm_head.weight"] = "model-00002-of-00002.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": named}))
    codec = pin("image", "emu3", str(folder), None, {"height_px": 32, "width_px": 40})
    assert "model-00002-of-00002.safetensors" not in codec.pin.weights
    frame = picture(32, 40)
    assert np.array_equal(codec.encode(frame), emu3.encode(frame))


def test_emu3_kept_changed_and_refused(emu3: Any, emu3_folder: Path, tmp_path: Path) -> None:
    base.save(emu3, tmp_path / "image")
    loaded: Any = base.load(tmp_path / "image", expect_hash=emu3.hash)
    frame = picture(32, 40)
    assert np.array_equal(loaded.encode(frame), emu3.encode(frame))
    assert np.array_equal(pickle.loads(pickle.dumps(loaded)).encode(frame), emu3.encode(frame))
    with pytest.raises(StrettoError, match="no multiple of 8"):
        pin("image", "emu3", str(emu3_folder), None, {"height_px": 30})
    fresh: Any = base.load(tmp_path / "image")
    settings = emu3_folder / "preprocessor_config.json"
    before = settings.read_text()
    settings.write_text(before.replace("0.5", "0.4"))
    try:
        with pytest.raises(StrettoError, match="weights changed: .*preprocessor_config.json"):
            fresh.encode(frame)
    finally:
        settings.write_text(before)


# ---- FAST --------------------------------------------------------------------------------------

HORIZON, DIMS, SCALE, MIN_TOKEN = 10, 7, 10.0, -354


def motions(count: int, seed: int = 0) -> list[np.ndarray]:
    """Smooth, rough and jumping chunks in -1..1."""
    rng = np.random.default_rng(seed)
    smooth = [np.cumsum(rng.normal(size=(HORIZON, DIMS)) * 0.15, 0) for _ in range(count)]
    rough = [rng.uniform(-1, 1, (HORIZON, DIMS)) for _ in range(count)]
    jumps = [np.sign(rng.normal(size=(HORIZON, DIMS))) for _ in range(count)]
    return [np.clip(c, -1, 1) for c in smooth + rough + jumps]


def letters(chunk: np.ndarray) -> str:
    """What upstream's processor gives its tokenizer, written down apart from the codec."""
    whole = np.around(dct(chunk[None], axis=1, norm="ortho")[0] * SCALE)
    return "".join(map(chr, np.maximum(whole.flatten() - MIN_TOKEN, 0).astype(int)))


@pytest.fixture(scope="module")
def fast_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published files' shape: byte-level BPE, scale 10, min_token -354."""
    folder = tmp_path_factory.mktemp("fast")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=10000,
    )
    tokenizer.train_from_iterator(map(letters, motions(60, seed=5)), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    values = {"scale": 10, "min_token": -354, "vocab_size": 600, "time_horizon": None}
    (folder / "processor_config.json").write_text(json.dumps({**values, "action_dim": None}))
    return folder


@pytest.fixture(scope="module")
def fast(fast_folder: Path) -> Any:
    options = {"horizon": HORIZON, "low": [-1] * DIMS, "high": [1] * DIMS}
    return pin("action", "hf_fast", str(fast_folder), None, options)


def test_fast_gives_upstreams_ids(fast: Any) -> None:
    assert (fast.kind, fast.horizon, fast.dims, fast.fixed) == ("action", HORIZON, DIMS, None)
    assert fast.size == fast.model.get_vocab_size() and isinstance(fast, base.Codec)
    chunks = motions(40)
    for chunk, ids in zip(chunks, fast.encode_batch(chunks), strict=True):
        assert ids == fast.model.encode(letters(chunk), add_special_tokens=False).ids
        assert ids == fast.encode(chunk)
        assert fast.least_tokens(HORIZON) <= len(ids) <= fast.most_tokens(HORIZON)


def test_fast_comes_back_within_its_stated_error(fast: Any) -> None:
    worst = np.zeros(DIMS)
    for steps in (1, 4, HORIZON):
        for chunk in motions(30, seed=2):
            back = fast.decode(fast.encode(chunk[:steps]), steps, DIMS)
            assert back.dtype == np.float32 and back.shape == (steps, DIMS)
            error = np.abs(back - chunk[:steps]).max(axis=0)
            assert (error <= fast.max_error(steps)).all()
            worst = np.maximum(worst, error / fast.max_error(steps))
    assert worst.max() > 0.5  # the bound is no more than twice what happens


def test_fast_pieces_count_the_coefficients_that_end_in_them(fast: Any) -> None:
    cut = 0
    for chunk in motions(30, seed=3):
        ids = fast.encode(chunk)
        held = [len(fast.piece(i)) for i in ids]
        assert sum(held) == chunk.size and held[-1] > 0
        cut += held.count(0)
    assert cut  # some characters of two bytes are cut by ids: counted once, where they end


def test_fast_scales_by_percentiles_and_clips(fast_folder: Path) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(500, 3)) * [0.01, 5, 0] + [3, 0, 7]
    rows[:, 2] = 7.0
    gripper = (np.arange(500) == 250).astype(float)[:, None]
    options = fit_options(
        [np.hstack([rows[:300], gripper[:300]]), np.hstack([rows[300:], gripper[300:]])], 10
    )
    assert options["high"][3] == 1.0 and options["low"][3] == 0.0  # moves in one row of 500
    codec = pin("action", "hf_fast", str(fast_folder), None, options)
    chunk = np.hstack([rows, gripper])[246:256]
    back = codec.decode(codec.encode(chunk), 10, 4)
    inside = np.clip(chunk, options["low"], options["high"])
    assert (np.abs(back - inside) <= codec.max_error(10)).all()
    assert (back[:, 2] == 7.0).all() and codec.max_error()[2] < 1e-5
    assert codec.decode(codec.encode(chunk * 100), 10, 4).max() <= max(options["high"]) + 1e-5


def test_fast_refuses_what_upstream_passes_in_silence(fast: Any, fast_folder: Path) -> None:
    ids = fast.encode(motions(1)[0])
    with pytest.raises(StrettoError, match="coefficients|cut through"):
        fast.decode(ids[:-1], HORIZON, DIMS)
    with pytest.raises(StrettoError, match="coefficients"):
        fast.decode([*ids, *ids], HORIZON, DIMS)
    with pytest.raises(StrettoError, match=r"outside of 0\.\."):
        fast.decode([fast.size], HORIZON, DIMS)
    plain = pin("action", "hf_fast", str(fast_folder), None, {"horizon": HORIZON, "dims": DIMS})
    assert plain.encode(motions(1)[0]) == ids
    with pytest.raises(StrettoError, match="too large.*low"):
        plain.encode(np.full((HORIZON, DIMS), -40.0))
    with pytest.raises(StrettoError, match="not a finite number"):
        plain.encode(np.full((HORIZON, DIMS), np.nan))
    with pytest.raises(StrettoError, match="action chunk of shape"):
        plain.encode(np.zeros((HORIZON + 1, DIMS)))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"horizon": 10}, "low"),
        ({"low": [0], "high": [1]}, "horizon"),
        ({"horizon": 10, "low": [0, 1], "high": [1]}, "do not fit"),
        ({"horizon": 10, "low": [2], "high": [1]}, "do not fit"),
        ({"horizon": 1600, "low": [0], "high": [1]}, "do not fit"),
    ],
)
def test_fast_options_are_checked(fast_folder: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(StrettoError, match=says):
        pin("action", "hf_fast", str(fast_folder), None, options)


def test_a_horizon_whose_coefficients_the_tokenizer_lacks_is_refused(
    tmp_path: Path, fast_folder: Path
) -> None:
    (tmp_path / "tokenizer.json").write_bytes((fast_folder / "tokenizer.json").read_bytes())
    (tmp_path / "processor_config.json").write_text('{"scale": 50, "min_token": -158}')
    options = {"low": [-1], "high": [1]}
    assert pin("action", "hf_fast", str(tmp_path), None, {**options, "horizon": 10}).size
    with pytest.raises(StrettoError, match="coefficients up to 173.*begins at -158"):
        pin("action", "hf_fast", str(tmp_path), None, {**options, "horizon": 12})


def test_fast_kept_and_changed(fast: Any, fast_folder: Path, tmp_path: Path) -> None:
    base.save(fast, tmp_path / "action-x")
    loaded: Any = base.load(tmp_path / "action-x", expect_hash=fast.hash)
    chunks = motions(5)
    assert loaded.encode_batch(chunks) == fast.encode_batch(chunks)
    assert pickle.loads(pickle.dumps(fast)).encode_batch(chunks) == fast.encode_batch(chunks)
    assert loaded.hash == fast.hash and loaded.facts == fast.facts
    fresh: Any = base.load(tmp_path / "action-x")
    path, before = fast_folder / "processor_config.json", None
    before = path.read_text()
    path.write_text(before.replace("10", "11"))
    try:
        with pytest.raises(StrettoError, match="weights changed"):
            fresh.encode(chunks[0])
    finally:
        path.write_text(before)


def test_the_published_fast_files_give_upstreams_ids() -> None:
    """With STRETTO_FAST at a checkout of physical-intelligence/fast: its own code's ids."""
    if not (where := os.environ.get("STRETTO_FAST")):
        pytest.skip("STRETTO_FAST is not set: the published FAST files are not tested here")
    options = {"horizon": HORIZON, "low": [-1] * DIMS, "high": [1] * DIMS}
    codec = pin("action", "hf_fast", where, None, options)
    assert (codec.size, codec.facts.scale, codec.facts.min_token) == (2048, 10, -354)
    for chunk in motions(60):
        want = codec.model.encode(letters(chunk), add_special_tokens=False).ids
        assert codec.encode(chunk) == want
        back = codec.decode(want, HORIZON, DIMS)
        assert (np.abs(back - chunk).max(axis=0) <= codec.max_error()).all()


# ---- CosyVoice 2 -------------------------------------------------------------------------------


def test_the_mel_is_whispers() -> None:
    audio = pytest.importorskip("transformers.audio_utils")
    whisper = pytest.importorskip("transformers").WhisperFeatureExtractor(feature_size=128)
    bank = audio.mel_filter_bank(201, 128, 0.0, 8000.0, 16000, norm="slaney", mel_scale="slaney")
    assert np.abs(mel_bank() - bank).max() < 1e-9
    wave = (speech_like(16000) / 32768).astype(np.float32)
    want = whisper._np_extract_fbank_features(wave[None], "cpu")[0]
    assert log_mel(wave).shape == (128, 100) and np.abs(log_mel(wave) - want).max() < 1e-4


@pytest.fixture(scope="module")
def cosyvoice_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network of the real signature: convolution by four, a mean over all, FSQ of 3**8."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: no tiny network to test with")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    helper, numbers = onnx.helper, onnx.numpy_helper
    rng = np.random.default_rng(0)
    constants = {
        "kernel": rng.normal(size=(8, 128, 4)).astype(np.float32),
        "powers": (3.0 ** np.arange(8)).astype(np.float32).reshape(1, 8, 1),
        "one": np.array(1.0, np.float32),
        "channel": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["feats", "kernel"], ["h"], strides=[4]),
        helper.make_node("ReduceMean", ["h"], ["mean"], axes=[2], keepdims=1),
        helper.make_node("Sub", ["h", "mean"], ["centred"]),
        helper.make_node("Tanh", ["centred"], ["bounded"]),
        helper.make_node("Add", ["bounded", "one"], ["shifted"]),
        helper.make_node("Round", ["shifted"], ["level"]),
        helper.make_node("Mul", ["level", "powers"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "channel"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["indices"], to=onnx.TensorProto.INT32),
        helper.make_node("Identity", ["feats_length"], ["unused"]),
    ]
    value, kinds = helper.make_tensor_value_info, onnx.TensorProto
    graph = helper.make_graph(
        nodes,
        "tiny",
        [value("feats", kinds.FLOAT, [1, 128, "T"]), value("feats_length", kinds.INT32, [1])],
        [value("indices", kinds.INT32, None), value("unused", kinds.INT32, [1])],
        [numbers.from_array(v, k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    folder = tmp_path_factory.mktemp("cosyvoice")
    onnx.save(model, folder / FILE)
    return folder


@pytest.fixture(scope="module")
def cosyvoice(cosyvoice_folder: Path) -> Any:
    return pin("audio", "cosyvoice2", str(cosyvoice_folder), None, {}, 16000)


def test_cosyvoice_properties(cosyvoice: Any) -> None:
    assert (cosyvoice.size, cosyvoice.codebooks, cosyvoice.rate_hz) == (6561, 1, 25.0)
    assert (cosyvoice.frame_samples, cosyvoice.sample_rate_hz) == (640, 16000)
    assert cosyvoice.lookahead_s == pytest.approx(34 / 25)


def test_cosyvoice_looks_ahead_by_what_it_declares(cosyvoice: Any) -> None:
    pcm = speech_like(640 * 160 + 9)
    codes = cosyvoice.encode(pcm)
    assert codes.shape == (160, 1) and len(np.unique(codes)) > 60
    assert np.array_equal(codes, cosyvoice.encode(pcm))
    ahead = round(cosyvoice.lookahead_s * 16000)
    for frame in (0, 3, 24, 25, 50, 60):
        other = pcm.copy()
        other[(frame + 1) * 640 + ahead :] = 0
        assert np.array_equal(cosyvoice.encode(other)[: frame + 1], codes[: frame + 1])
    louder = pcm.copy()
    last = slice(ahead, ahead + 640)  # the last frame that frame 0's window holds
    louder[last] = np.random.default_rng(3).integers(-32768, 32768, 640)
    changed = cosyvoice.encode(louder) != codes
    assert changed[:5].any() and not changed[125:].any()  # 75 frames of memory
    for frames in (35, 60, 61, 119):  # whole windows: a prefix has their codes
        sure = max(0, (frames - 10) // 25 * 25)
        assert np.array_equal(cosyvoice.encode(pcm[: frames * 640])[:sure], codes[:sure])


def test_cosyvoice_kept_changed_and_not_decoded(
    cosyvoice: Any, cosyvoice_folder: Path, tmp_path: Path
) -> None:
    base.save(cosyvoice, tmp_path / "audio")
    loaded: Any = base.load(tmp_path / "audio", expect_hash=cosyvoice.hash)
    pcm = speech_like(640 * 30)
    assert np.array_equal(loaded.encode(pcm), cosyvoice.encode(pcm))
    assert np.array_equal(pickle.loads(pickle.dumps(loaded)).encode(pcm), cosyvoice.encode(pcm))
    with pytest.raises(StrettoError, match="flow and vocoder"):
        cosyvoice.decode(cosyvoice.encode(pcm))
    assert cosyvoice.silence_codes(2).shape == (2, 1)
    with pytest.raises(StrettoError, match="no speech_tokenizer_v2.onnx"):
        pin("audio", "cosyvoice2", str(tmp_path), None, {}, 16000)
    (tmp_path / FILE).write_bytes(b"not a network")
    with pytest.raises(StrettoError, match="cannot be loaded"):
        pin("audio", "cosyvoice2", str(tmp_path), None, {}, 16000)


def test_cosyvoice_takes_a_corpus_of_another_rate(cosyvoice_folder: Path) -> None:
    codec = pin("audio", "cosyvoice2", str(cosyvoice_folder), None, {}, 24000)
    assert (codec.frame_samples, codec.sample_rate_hz) == (960, 24000)
    assert codec.encode(speech_like(960 * 30)).shape == (30, 1)
