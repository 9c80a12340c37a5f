"""Where a check's model lies: a folder, or a name of the Hugging Face hub. Refused at once where not.

    name = model_place(settings.model, "checks.asr")     # a folder, or a name as it stands
    require_model(settings.model, "checks.asr")          # and the hub knows it, asked once

The libraries ask the hub six times over half a minute and print each try; a run that can't begin
should say so in one line.
"""

from __future__ import annotations

import os
from pathlib import Path

from schemas.errors import StrettoError

TIMEOUT_S = 10.0
PATHS = ("/", ".", "~")  # how no name of the hub begins
FIX = "give a folder that holds the model, or a name of the hub and a network"


def model_place(name: str, where: str) -> str:
    """What to open. StrettoError for a path at which there is no folder."""
    path = Path(name).expanduser()
    if path.is_dir():
        return str(path)
    if name.startswith(PATHS) or path.exists() or name.count("/") > 1:
        raise StrettoError(f"there is no such folder: {name}", where, FIX)
    return name


def require_model(name: str, where: str) -> None:
    """StrettoError for a model that is no folder, not in the cache, and not on the hub: one try."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    if os.path.isdir(model_place(name, where)):
        return
    try:
        if not isinstance(try_to_load_from_cache(name, "config.json"), str):
            HfApi().model_info(name, timeout=TIMEOUT_S)
    except Exception as error:  # the hub's errors are of many kinds
        said = str(error).strip() or type(error).__name__
        what = f"{name} can't be had from the hub: {said.splitlines()[0]}"
        raise StrettoError(what, where, FIX) from None
