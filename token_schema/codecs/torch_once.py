"""How the real codecs use torch: one thread, no gradient, weights that are all there.

Thread count changes the last bits of a float product, so encode and decode run with one thread;
the caller's number is put back. Only backends import this, inside their functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.errors import StrettoError

INSTALL = "pip install 'stretto[codecs]'"


@contextmanager
def one_thread() -> Iterator[None]:
    """torch with one thread and without gradients inside; as it was afterwards."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)


def transformers_class(name: str, where: str) -> Any:
    """A class of transformers. Raises StrettoError when it is not installed."""
    try:
        import transformers

        return getattr(transformers, name)
    except (ImportError, AttributeError) as error:
        raise StrettoError(f"transformers with {name} is not installed", where, INSTALL) from error


def read_config(config: Any, folder: Path, where: str) -> Any:
    """The model's config of the folder. Raises StrettoError when it is another model's."""
    try:
        values, _ = config.get_config_dict(str(folder), local_files_only=True)
        found = values.get("model_type")
        known = {config.model_type, "emu3"} if config.base_config_key else {config.model_type}
        if found in known:
            return config.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # transformers raises its own kinds, strict configs theirs
        raise StrettoError(
            f"config.json does not fit ({type(error).__name__}: {error})", where
        ) from error
    raise StrettoError(f"{folder} holds a {found!r} model, not {config.model_type!r}", where)


def read_model(cls: Any, folder: Path, where: str) -> Any:
    """The model in float32 from safetensors; StrettoError when a weight is missing or odd.

    transformers fills missing weights with random numbers and a warning: refused here.
    """
    import torch
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, info = cls.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation="eager",
            output_loading_info=True,
        )
    except Exception as error:
        raise StrettoError(
            f"weights cannot be loaded ({type(error).__name__}: {error})", where
        ) from error
    finally:
        logging.set_verbosity(verbosity)
    if wrong := sorted(map(str, info["missing_keys"])) + sorted(map(str, info["mismatched_keys"])):
        raise StrettoError(f"{len(wrong)} weights missing, the first {wrong[0]}", where)
    return model.eval()
