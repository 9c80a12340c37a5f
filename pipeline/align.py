"""The align stage: word times for speech that came without them, all of a shard in one batch.

Speech that has its words (espeak-ng's, a recording's own) passes untouched and costs nothing. What
can't be aligned sends its record to quarantine.
"""

from __future__ import annotations

from dataclasses import replace

from generators.align import Aligned, Aligner, Unaligned
from generators.speech import Speech
from pipeline.work import Services, Stage, Work, rejected
from schemas.config import Config
from schemas.errors import MachineError, StrettoError
from schemas.scene import Utterance

Key = tuple[str, int]


def _align(works: list[Work], config: Config, services: Services) -> list[Work]:
    wanted = [(n, key) for n, work in enumerate(works) for key in _unaligned(work)]
    if not wanted:
        return works
    items = [_item(works[n], key) for n, key in wanted]
    answers = dict(zip(wanted, _answers(items, services.aligner), strict=True))
    return [
        _aligned(work, {key: answer for (m, key), answer in answers.items() if m == n})
        for n, work in enumerate(works)
    ]


def _answers(items: list[Unaligned], aligner: Aligner) -> list[Aligned]:
    """The aligner's answers. One that breaks is the machine's fault: it may reject no record."""
    try:
        return aligner.align(items)
    except StrettoError:
        raise
    except Exception as error:
        what = f"the aligner failed: {type(error).__name__}: {error}"
        fix = "free memory or mend the model, then run the same command again: it resumes"
        raise MachineError(what, "stage align", fix) from error


def _unaligned(work: Work) -> list[Key]:
    """The speech of a work that has no words yet."""
    return [key for key, speech in work.speech.items() if not speech.words]


def _item(work: Work, key: Key) -> Unaligned:
    speech, (event_id, index) = work.speech[key], key
    assert work.scene is not None
    said = next(e for e in work.scene.events if e.id == event_id)
    assert isinstance(said, Utterance)
    text = said.text[said.spans[index].char_start : said.spans[index].char_end]
    return Unaligned(text, said.language, speech.pcm, speech.sample_rate_hz)


def _aligned(work: Work, answers: dict[Key, Aligned]) -> Work:
    """The work with its words, or rejected for the first that has none."""
    speech: dict[Key, Speech] = dict(work.speech)
    for key, answer in answers.items():
        if isinstance(answer, StrettoError):
            return rejected(work, "align", answer)
        speech[key] = replace(speech[key], words=answer.words, word_times=answer.word_times)
    return replace(work, speech=speech) if answers else work


STAGE = Stage("align", _align)
