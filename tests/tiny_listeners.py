"""Tiny random-weight models that listen, of the real classes and saved as real ones are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Whisper's real layout: 50,257 pieces, the end, the start, 99 languages, 6 signs, 1,501 times
PIECES, LANGUAGES, TIMES = 50257, 99, 1501


def _bytes() -> list[str]:
    """The characters that stand for bytes in a byte-level BPE."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    signs = {b: chr(b) for b in shown} | {b: chr(256 + n) for n, b in enumerate(hidden)}
    return [signs[b] for b in range(256)]


def _whisper_tokenizer() -> Any:
    from tokenizers import AddedToken
    from transformers import WhisperTokenizer
    from transformers.models.whisper.tokenization_whisper import LANGUAGES as CODES

    pieces = [*_bytes(), *(f"Ġw{n}" for n in range(PIECES - 256))]
    end = "<|endoftext|>"
    tokenizer = WhisperTokenizer(
        vocab={piece: n for n, piece in enumerate(pieces)},
        merges=[],
        **{f"{name}_token": end for name in ("unk", "bos", "eos", "pad")},
    )
    signs = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    names = ["endoftext", "startoftranscript", *list(CODES)[:LANGUAGES], *signs]
    special = [AddedToken(f"<|{name}|>", special=True, normalized=False) for name in names]
    tokenizer.add_tokens(special, special_tokens=True)
    times = [f"<|{n * 0.02:.2f}|>" for n in range(TIMES)]
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in times])
    return tokenizer


def whisper(folder: Path) -> Path:
    """A multilingual Whisper of one layer."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    tokenizer = _whisper_tokenizer()
    ids = tokenizer.convert_tokens_to_ids
    end, start = ids("<|endoftext|>"), ids("<|startoftranscript|>")
    size = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 16, "vocab_size": len(tokenizer)}
    heads = {f"{side}_attention_heads": 2 for side in ("encoder", "decoder")}
    widths = {f"{side}_ffn_dim": 32 for side in ("encoder", "decoder")}
    special = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end}
    config = transformers.WhisperConfig(
        **size, **heads, **widths, **special, decoder_start_token_id=start
    )
    model = transformers.WhisperForConditionalGeneration(config)
    model.generation_config = transformers.GenerationConfig(
        **special,
        decoder_start_token_id=start,
        is_multilingual=True,
        lang_to_id={f"<|{code}|>": ids(f"<|{code}|>") for code in ("en", "de", "fr", "zh")},
        task_to_id={task: ids(f"<|{task}|>") for task in ("transcribe", "translate")},
        no_timestamps_token_id=ids("<|notimestamps|>"),
        suppress_tokens=[],
        begin_suppress_tokens=[end],
        alignment_heads=[[0, 0]],
        max_length=24,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    transformers.WhisperFeatureExtractor().save_pretrained(folder)
    return folder


def ctranslate2(source: Path, folder: Path) -> Path:
    """The same model in CTranslate2's format, by its own converter."""
    pytest.importorskip("faster_whisper")
    tool = Path(sys.executable).with_name("ct2-transformers-converter")
    copied = ["tokenizer.json", "preprocessor_config.json"]
    made = subprocess.run(
        [tool, "--model", source, "--output_dir", folder, "--copy_files", *copied],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert made.returncode == 0, made.stderr
    return folder


def ctc(folder: Path) -> Path:
    """A wav2vec 2.0 of one layer with letters for output."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]
    (folder / "vocab.json").write_text(json.dumps({c: n for n, c in enumerate(letters)}))
    transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    config = transformers.Wav2Vec2Config(vocab_size=len(letters), **_SMALL)
    transformers.Wav2Vec2ForCTC(config).save_pretrained(folder)
    return folder


def xvector(folder: Path, kind: str = "WavLM") -> Path:
    """A WavLM (or Wav2Vec2) with an x-vector head of 16 dimensions."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    head = {"tdnn_dim": (16, 16, 24), "tdnn_kernel": (5, 3, 1), "tdnn_dilation": (1, 2, 1)}
    config = getattr(transformers, f"{kind}Config")(
        **_SMALL, **head, xvector_output_dim=16, num_buckets=32, max_bucket_distance=64
    )
    getattr(transformers, f"{kind}ForXVector")(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


_SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
