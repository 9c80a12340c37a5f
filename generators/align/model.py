"""Opening a CTC model of `transformers`: found, of the right kind, all weights there, or one line why.

emitter, identity = open_model(name, revision, device)

Any model with a ...ForCTC class whose tokenizer writes single letters: wav2vec 2.0, HuBERT, WavLM,
UniSpeech, SEW, data2vec, Wav2Vec2-BERT, MMS. `identity` is a digest of its files.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from generators.align.emissions import MOST_ROWS, Emitter
from generators.align.labels import Vocabulary, vocabulary
from schemas.errors import StrettoError

WHERE = "align.model"
# Trained, but used only in training: wav2vec2-base-960h and others leave it out.
UNUSED = ("masked_spec_embed",)
FILES = (
    "config.json",
    "preprocessor_config.json",
    "vocab.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json",
           "pytorch_model.bin.index.json")  # fmt: skip


def require(name: str, device: str) -> None:
    """StrettoError when the libraries, the folder or the device aren't there. Loads no weights."""
    for library in ("torch", "transformers"):
        if find_spec(library) is None:
            raise StrettoError(
                f"{library} is not installed, so `align` can't run a model",
                WHERE,
                "pip install 'stretto[align]', or set `align: {backend: duration}`",
            )
    folder = Path(name).expanduser()
    if looks_local(name) and not (folder / "config.json").is_file():
        raise StrettoError(
            f"{name} is no folder with a model (it has no config.json)",
            WHERE,
            "give a model's folder, or its name on the hub as OWNER/NAME",
        )
    if device.startswith("cuda"):
        import torch

        index = int(device.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise StrettoError(
                f"there is no GPU {index} here", "align.device", "use `auto` or `cpu`"
            )


def looks_local(name: str) -> bool:
    """A path rather than OWNER/NAME of a hub."""
    return (
        Path(name).expanduser().exists() or name.startswith((".", "/", "~")) or name.count("/") > 1
    )


def open_model(name: str, revision: str | None, device: str) -> tuple[Emitter, str]:
    """The model on its device, and a digest of its files. StrettoError when it can't be used."""
    require(name, device)
    source = str(Path(name).expanduser()) if looks_local(name) else name
    identity = file_digest(source, revision)
    processor_parts = _parts(source, revision)
    extractor, tokenizer = processor_parts
    model = _weights(source, revision)
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    rate_hz = int(extractor.sampling_rate)
    stride, offset = _geometry(model, extractor, rate_hz)
    known = _vocabulary(tokenizer, model.config)
    rows = 1 if device == "cpu" else MOST_ROWS
    return Emitter(
        model.to(device), extractor, known, rate_hz, stride, offset, device, rows
    ), identity


def file_digest(source: str, revision: str | None) -> str:
    """A digest of the config, the vocabulary and the weights, wherever they came from."""
    files = [path for name in (*FILES, *WEIGHTS) if (path := _file(source, revision, name))]
    if not any(Path(path).name in WEIGHTS for path in files):
        raise StrettoError(
            f"{source} has no weights", WHERE, f"it needs {' or '.join(WEIGHTS[:2])}"
        )
    whole = hashlib.blake2b(digest_size=16)
    for path in [*files, *_pieces(source, revision, files)]:
        with open(path, "rb") as handle:
            whole.update(hashlib.file_digest(handle, "sha256").digest())
    return whole.hexdigest()


def _pieces(source: str, revision: str | None, files: list[str]) -> list[str]:
    """The weight files that an index names."""
    import json

    found: list[str] = []
    for path in files:
        if path.endswith(".index.json"):
            names = sorted(set(json.loads(Path(path).read_text())["weight_map"].values()))
            found += [part for name in names if (part := _file(source, revision, name))]
    return found


def _file(source: str, revision: str | None, name: str) -> str | None:
    """Where a file of the model lies here; None when the model has none of this name."""
    from transformers.utils import cached_file

    try:
        return cached_file(
            source, name, revision=revision, _raise_exceptions_for_missing_entries=False
        )
    except Exception as error:  # huggingface_hub raises its own kinds
        raise _not_had(source, error) from error


def _parts(source: str, revision: str | None) -> tuple[Any, Any]:
    """The feature extractor and the tokenizer."""
    from transformers import AutoFeatureExtractor, AutoTokenizer

    try:
        return (
            AutoFeatureExtractor.from_pretrained(source, revision=revision),
            AutoTokenizer.from_pretrained(source, revision=revision),
        )
    except Exception as error:
        raise _not_had(source, error) from error


def _weights(source: str, revision: str | None) -> Any:
    """The model in float32; StrettoError when a weight is missing: it would be a random number."""
    import torch
    from transformers import AutoModelForCTC
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, info = AutoModelForCTC.from_pretrained(
            source, revision=revision, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:
        raise _not_had(source, error) from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
    absent = {*map(str, info["missing_keys"]), *map(str, info["mismatched_keys"])}
    if wrong := sorted(key for key in absent if not key.endswith(UNUSED)):
        raise StrettoError(f"{source} lacks {len(wrong)} weights, the first {wrong[0]}", WHERE,
                           "use a model that was fine-tuned for CTC")  # fmt: skip
    return model.eval()


def _geometry(model: Any, extractor: Any, rate_hz: int) -> tuple[int, int]:
    """Stride and offset in samples, measured: inputs four seconds apart differ by whole frames."""
    import numpy as np

    name = model.main_input_name

    def frames(seconds: int) -> int:
        silence = np.zeros(seconds * rate_hz, dtype=np.float32)
        found = extractor(silence, sampling_rate=rate_hz, return_tensors="np")[name][0]
        return int(model._get_feat_extract_output_lengths(len(found)))

    if not hasattr(model, "_get_feat_extract_output_lengths"):
        raise StrettoError(f"{type(model).__name__} is no wav2vec2-style model", WHERE)
    stride, rest = divmod(4 * rate_hz, frames(6) - frames(2))
    if rest:
        raise StrettoError(f"{type(model).__name__} has no constant stride", WHERE)
    reach = 1
    kernels = zip(getattr(model.config, "conv_kernel", ()), getattr(model.config, "conv_stride", ()),
                  strict=False)  # fmt: skip
    step = 1
    for kernel, hop in kernels:
        reach += (kernel - 1) * step
        step *= hop
    if step == 1 and hasattr(extractor, "stride"):  # Wav2Vec2-BERT: stacked filterbank frames
        reach, step = 400 + 160 * (extractor.stride - 1), 160 * extractor.stride
    # a frame stands for the middle of what it was made from
    return stride, max(0, reach - step) // 2


def _vocabulary(tokenizer: Any, config: Any) -> Vocabulary:
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else config.pad_token_id
    delimiter = getattr(tokenizer, "word_delimiter_token", None)
    try:
        return vocabulary(tokenizer.get_vocab(), config.vocab_size, pad, delimiter)
    except ValueError as error:
        raise StrettoError(str(error), WHERE, "use a model that writes letters") from error


def _not_had(source: str, error: Exception) -> StrettoError:
    said = " ".join(str(error).split())[:200]
    return StrettoError(
        f"{source} can't be opened as a CTC model ({type(error).__name__}: {said})",
        WHERE,
        "give the folder of a model, or fetch it first where there is a network",
    )
