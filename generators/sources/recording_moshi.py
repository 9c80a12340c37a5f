"""moshi-finetune's layout: `data.jsonl` with a stereo file a line, words beside it in a JSON.

`{"path": "data_stereo/a.wav", "duration": 24.5}`, left is the assistant (SPEAKER_MAIN), right the
user; `a.json` holds `{"alignments": [["hello", [0.5, 0.9], "SPEAKER_MAIN"], ...]}`. The user's
words, under any other label, may be absent: then the user is heard and not read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from generators.sources.fields import required
from generators.sources.readers import parse_json
from generators.sources.recording_raw import (
    RawFile,
    RawRecording,
    RawSegment,
    RawWord,
    listing,
    mapping,
    number,
    word_of,
)
from generators.sources.recording_words import joined
from generators.sources.refusal import Refused

MAIN = "SPEAKER_MAIN"


def words_path(audio: str) -> str:
    """Where the words of an audio file lie."""
    return os.path.splitext(audio)[0] + ".json"


def read_moshi(value: dict[str, Any], audio: str) -> RawRecording:
    """The recording of one line of `data.jsonl`, whose audio file was found at `audio`."""
    path = required(value, ("path",), "path")
    file_s = number(value["duration"], "`duration`") if "duration" in value else None
    data = mapping(_sidecar(words_path(audio)), "the words' file")
    words = _words(listing(data.get("alignments"), "`alignments`"))
    notes = ("text_conditions are not used",) if data.get("text_conditions") else ()
    return RawRecording(
        audio=(RawFile(path),),
        segments=_by_speaker(words),
        record_id=path,
        file_s=file_s,
        loose=True,
        notes=notes,
    )


def _sidecar(path: str) -> Any:
    try:
        return parse_json(Path(path).read_bytes())
    except FileNotFoundError:
        fix = "make it with moshi-finetune's annotate.py, or use `format: json`"
        raise Refused(f"no file with its words: {path}", fix) from None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise Refused(f"{path}: broken JSON: {error}") from None


def _words(items: list[Any]) -> list[RawWord]:
    found = [word_of(item, (), n) for n, item in enumerate(items, start=1)]
    return [word for word in found if word is not None]


def _by_speaker(words: list[RawWord]) -> tuple[RawSegment, ...]:
    """One long segment a speaker: pauses cut it later. The main speaker is the assistant."""
    labels = dict.fromkeys(word.label or MAIN for word in words)
    return tuple(
        RawSegment(text=joined(own), label=label, words=own)
        for label in labels
        if (own := tuple(w for w in words if (w.label or MAIN) == label))
    )
