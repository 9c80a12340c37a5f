"""The four voices of the CosyVoice tests: one for each mode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from generators.speech.voices import Voice

PROMPT_TEXT = "Well, I think we could."


@dataclass(frozen=True)
class SettingsVoice(Voice):
    """A voice with settings of an engine."""

    settings: tuple[tuple[str, Any], ...] = ()


def voice(mode: str, folder: Path | None = None, **more: Any) -> SettingsVoice:
    """A voice of `mode`; its prompt is `prompt.wav` in `folder`."""
    wav = {"prompt_wav": str((folder or Path()) / "prompt.wav")}
    settings = {
        "sft": {"spk_id": "robot"},
        "zero_shot": wav | {"prompt_text": PROMPT_TEXT},
        "cross_lingual": wav,
        "instruct2": wav | {"instruct_text": "Speak slowly."},
    }[mode]
    made = SettingsVoice(f"cosyvoice:{mode}@en", "en")
    return replace(made, settings=tuple(sorted({"mode": mode, **settings, **more}.items())))
