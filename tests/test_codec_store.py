"""Codec folders: whole or refused; and the same codes and fits whatever the BLAS does."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from schemas.errors import StrettoError
from token_schema.codecs import Codec, base, load, save
from token_schema.codecs.fit import AudioSettings, ImageSettings, fit_audio, fit_image, fit_text
from token_schema.codecs.mel import MelTables

ROOT = Path(__file__).resolve().parents[1]
TEXT = fit_text(["one two three"] * 3)
NOISE = np.random.default_rng(0).integers(-2000, 2000, 32000).astype(np.int16)
AUDIO = fit_audio([NOISE], AudioSettings(entries=8, codebooks=2))


def test_save_load_and_replace(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "codec"
    assert save(AUDIO, folder) == AUDIO.hash == load(folder, AUDIO.hash).hash
    assert isinstance(load(folder), Codec)
    assert save(TEXT, folder) == load(str(folder)).hash
    assert sorted(path.name for path in folder.iterdir()) == ["codec.json", "tokenizer.json"]
    assert [path.name for path in folder.parent.iterdir()] == ["codec"]  # nothing left beside


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StrettoError, match="no codec"):
        save(TEXT, tmp_path)
    with pytest.raises(StrettoError, match="a file stands"):
        save(TEXT, tmp_path / "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_missing_is_one_line_that_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(StrettoError) as caught:
        load(tmp_path / "none")
    assert str(caught.value).startswith(str(tmp_path / "none"))
    assert "codec missing" in str(caught.value) and "stretto fit CONFIG DIR --out" in str(
        caught.value
    )
    save(AUDIO, tmp_path / "a")
    (tmp_path / "a" / "codebooks.npy").unlink()
    with pytest.raises(StrettoError, match="missing: codebooks.npy"):
        load(tmp_path / "a")


def test_every_flipped_byte_is_found() -> None:
    files = AUDIO.to_files()
    for name, data in files.items():
        for at in range(0, len(data), max(1, len(data) // 40)):
            bad = bytearray(data)
            bad[at] ^= 1
            try:
                back = load({**files, name: bytes(bad)})
            except StrettoError:
                continue
            # white space of codec.json alone may change unseen
            assert name == "codec.json" and json.loads(bytes(bad)) == json.loads(data)
            assert back.hash == AUDIO.hash


def test_another_codec_than_the_pinned_one_is_refused() -> None:
    with pytest.raises(StrettoError, match="not the pinned"):
        load(AUDIO.to_files(), TEXT.hash)
    with pytest.raises(StrettoError, match="unknown codec type"):
        load(base.pack("audio", "mystery", 1, {}, {}))
    with pytest.raises(StrettoError, match="version 99"):
        load(base.pack("audio", "rvq", 99, {}, {}))


def test_pickles_and_paths_are_refused() -> None:
    out = io.BytesIO()
    np.save(out, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    settings = json.loads(AUDIO.to_files()["codec.json"])["settings"]
    with pytest.raises(StrettoError, match="unreadable: codebooks.npy"):
        load(base.pack("audio", "rvq", 1, settings, {"codebooks.npy": out.getvalue()}))
    with pytest.raises(StrettoError, match="outside of the codec"):
        load(base.pack("audio", "rvq", 1, settings, {"../../etc/passwd": b""}))


@pytest.mark.parametrize(
    "change",
    [{"n_mels": 41}, {"rate_hz": "10"}, {"colour": 1}, {"subframes": 4.0}, {"rate_hz": 9.7}],
)
def test_settings_that_do_not_fit_are_refused(change: dict[str, object]) -> None:
    files = AUDIO.to_files()
    settings = json.loads(files["codec.json"])["settings"] | change
    with pytest.raises(StrettoError):
        load(base.pack("audio", "rvq", 1, settings, {"codebooks.npy": files["codebooks.npy"]}))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 8, 160), np.int32),
        np.zeros((2, 8, 161), np.int16),
        np.ones((2, 8, 160), np.int16),
        np.zeros((0, 8, 160), np.int16),
    ],
)
def test_arrays_that_no_fit_makes_are_refused(array: np.ndarray) -> None:
    settings = json.loads(AUDIO.to_files()["codec.json"])["settings"]
    with pytest.raises(StrettoError):
        load(base.pack("audio", "rvq", 1, settings, {"codebooks.npy": base.npy_bytes(array)}))


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b'{"files": 3, "hash": 1}', b'{"hash": "x", "files": ["a.npy"]}'],
)
def test_a_broken_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(StrettoError, match="codec.json"):
        load({"codec.json": text})
    for type_, name in (("bpe", "tokenizer.json"), ("fast", "tokenizer.json")):
        with pytest.raises(StrettoError):
            load(base.pack("text", type_, 1, {}, {name: text}))


def test_a_full_or_closed_disk_leaves_the_old_codec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(AUDIO, tmp_path / "c")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StrettoError, match="No space left"):
        save(TEXT, tmp_path / "c")
    assert load(tmp_path / "c").hash == AUDIO.hash
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def everything() -> str:
    """A digest of fits and codes of every kind of codec, for other processes to repeat."""
    from test_codec_action import trajectory
    from test_codec_audio import speech_like
    from test_codec_image import scene

    from token_schema.codecs.fit import ActionSettings, fit_action

    audio = fit_audio([speech_like(8, s) for s in range(3)], AudioSettings(entries=48))
    image = fit_image([scene(s) for s in range(40)], ImageSettings(entries=48))
    action = fit_action([trajectory(s) for s in range(6)], ActionSettings())
    text = fit_text(["the same text every time, and again the same"] * 3)
    loud = np.random.default_rng(1).integers(-32768, 32768, 64000).astype(np.int16)
    tables = MelTables.of(audio.spec)  # before rounding: any inexact product would show here
    frames = np.lib.stride_tricks.sliding_window_view(loud, 1024)[::400]
    codes = [
        tables.amplitudes(frames) @ tables.weights,
        audio.encode(loud),
        audio.encode(speech_like(9, 9)),
        image.encode_batch([scene(s, 97, 201) for s in range(20)]),
        np.array(sum(action.encode_batch([trajectory(9)[i : i + 9] for i in range(99)]), [])),
        action.decode(action.encode(trajectory(8)[:7]), 7, 7),
    ]
    from schemas.draws import digest

    return digest([audio.hash, image.hash, action.hash, text.hash, *(c.tolist() for c in codes)])


@pytest.mark.parametrize(
    "env",
    [
        {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "RAYON_NUM_THREADS": "2"},
        {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX2 FMA3"},
        {"OPENBLAS_CORETYPE": "SkylakeX"},
        {"OPENBLAS_CORETYPE": "Sandybridge"},
    ],
)
def test_threads_and_processor_types_change_no_byte(env: dict[str, str]) -> None:
    path = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    quiet = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS", "OMP", "NPY_"))}
    code = "import test_codec_store as t; print(t.everything())"
    if "AVX512F" not in _cpu_flags() and env.get("OPENBLAS_CORETYPE") == "SkylakeX":
        pytest.skip("this processor has no AVX-512")
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=quiet | env | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == _here()


def _cpu_flags() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text().upper() if path.is_file() else ""


_memo: list[str] = []


def _here() -> str:
    """The digest in this process, made once."""
    if not _memo:
        _memo.append(everything())
    return _memo[0]
