"""The four voices of the CosyVoice tests: one for each mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from generators.speech.voices import Voice

PROMPT_TEXT = "Well, I think we could."


def voice(mode: str, folder: Path | None = None, **more: Any) -> Voice:
    """A voice of `mode`; its prompt is `prompt.wav` in `folder`."""
    wav = {"prompt_wav": str((folder or Path()) / "prompt.wav")}
    settings = {
        "sft": {"spk_id": "robot"},
        "zero_shot": wav | {"prompt_text": PROMPT_TEXT},
        "cross_lingual": wav,
        "instruct2": wav | {"instruct_text": "Speak slowly."},
    }[mode]
    said = tuple(sorted({"mode": mode, **settings, **more}.items()))
    return Voice(f"cosyvoice:{mode}@en", "en", engine="cosyvoice", settings=said)
