"""Which models of `transformers` a config speaks with: their names, kind and content.

Only their small files are read here, so a run is refused in seconds where one is missing.
"""

from __future__ import annotations

from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from generators.speech.voice_book import read_book
from generators.speech.voices import Voice
from schemas.config.speech import SpeechConfig, TransformersSpeech
from schemas.errors import StrettoError

EDGE_BYTES = 1 << 20


class ModelName(NamedTuple):
    """A hub name or folder, and a revision of the former."""

    name: str
    revision: str | None


def named(voice: Voice, settings: TransformersSpeech) -> ModelName:
    """The model of a voice: its own, or the config's."""
    if own := voice.get("model"):
        return ModelName(own, voice.get("revision"))
    return ModelName(settings.model, settings.revision)


def model_names(speech: SpeechConfig) -> list[ModelName]:
    """Every model that this config may speak with, sorted."""
    assert speech.transformers is not None
    found = {ModelName(speech.transformers.model, speech.transformers.revision)}
    if speech.voices:
        for entry in read_book(speech.voices).entries:
            if entry.engine == "transformers" and "model" in entry.settings:
                own = entry.settings
                revision = str(own["revision"]) if "revision" in own else None
                found.add(ModelName(str(own["model"]), revision))
    return sorted(found, key=lambda model: (model.name, model.revision or ""))


def config_of(model: ModelName) -> Any:
    """The model's config. StrettoError where there is none."""
    from transformers import AutoConfig

    path = Path(model.name).expanduser()
    if not path.is_dir() and (path.is_absolute() or model.name.startswith((".", "~"))):
        raise StrettoError("there is no such folder", f"speech model {model.name}")
    try:
        return AutoConfig.from_pretrained(_place(model), revision=model.revision)
    except Exception as error:  # the hub's errors are of many kinds
        raise StrettoError(
            f"it can't be loaded: {str(error).splitlines()[0]}",
            f"speech model {model.name}",
            "give a folder that holds the model, or a name of the hub and a network",
        ) from None


def family(model: ModelName, settings: TransformersSpeech) -> str:
    """The model's type (`vits`, `speecht5`, ...). StrettoError for one that can't speak here."""
    from transformers.models.auto import modeling_auto as auto

    config = config_of(model)
    kind = str(config.model_type)
    spectrogram = kind in auto.MODEL_FOR_TEXT_TO_SPECTROGRAM_MAPPING_NAMES
    where = f"speech model {model.name}"
    if kind not in auto.MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING_NAMES and not spectrogram:
        raise StrettoError(f"a {kind} model does not speak", where, "use a text-to-speech model")
    if spectrogram and settings.vocoder is None:
        raise StrettoError(
            f"a {kind} model makes spectrograms only",
            where,
            "name its vocoder in speech.transformers.vocoder",
        )
    if kind in ("vits", "speecht5"):
        _check_tokenizer(model)
    return kind


def _check_tokenizer(model: ModelName) -> None:
    tokenizer = tokenizer_of(model)
    if getattr(tokenizer, "phonemize", False) and find_spec("phonemizer") is None:
        raise StrettoError(
            "its texts must be turned into phonemes",
            f"speech model {model.name}",
            "pip install phonemizer (and espeak-ng), or use a model that reads letters",
        )


def tokenizer_of(model: ModelName) -> Any:
    """The model's tokenizer."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(_place(model), revision=model.revision)
    except Exception as error:
        raise StrettoError(
            f"its tokenizer can't be loaded: {str(error).splitlines()[0]}",
            f"speech model {model.name}",
        ) from None


def identity(model: ModelName) -> str:
    """What the model is, wherever it lies: the hub's commit, or a hash of the folder's files."""
    path = Path(model.name).expanduser()
    if not path.is_dir():
        return f"{model.name} {getattr(config_of(model), '_commit_hash', None)}"
    hashed = blake2b(digest_size=12)
    for file in sorted(p for p in path.iterdir() if p.is_file() and p.name[0] != "."):
        hashed.update(f"{file.name} {file.stat().st_size} ".encode())
        with open(file, "rb") as source:  # both ends: weights are gigabytes
            hashed.update(source.read(EDGE_BYTES))
            source.seek(max(EDGE_BYTES, file.stat().st_size - EDGE_BYTES))
            hashed.update(source.read())
    return f"model {hashed.hexdigest()}"


def _place(model: ModelName) -> str:
    return str(Path(model.name).expanduser()) if model.name.startswith("~") else model.name


def loading(model: ModelName) -> str:
    """The name to give to `from_pretrained`."""
    return _place(model)
