"""Alignment: speech without word times in, words with times out, behind one interface (`base.py`).

aligner = open_aligner(config.align)
aligner.check()
[aligned] = aligner.align([Unaligned("Hello, world!", "en", pcm, 16000)])
"""

from __future__ import annotations

from collections.abc import Sequence

from generators.align.base import Aligned, Aligner, Alignment, Unaligned
from generators.align.cache import CachedAligner
from generators.align.duration import DurationAligner
from generators.align.silence import trimmed, voiced
from generators.speech.artefacts import Artefacts
from schemas.config.align import AlignConfig
from schemas.errors import StrettoError

__all__ = ["Aligned", "Aligner", "Alignment", "Unaligned", "open_aligner", "trimmed", "voiced"]


class WithFallback:
    """The first aligner's answer, or the second's where the first has none."""

    def __init__(self, first: Aligner, second: Aligner) -> None:
        self.name = first.name
        self._first, self._second = first, second

    def version(self) -> str:
        """Both versions: either may have made the times."""
        return f"{self._first.version()}, else {self._second.version()}"

    def check(self) -> None:
        """StrettoError when either can't run."""
        self._first.check()
        self._second.check()

    def close(self) -> None:
        """Close both."""
        self._first.close()
        self._second.close()

    def align(self, items: Sequence[Unaligned]) -> list[Aligned]:
        """`word_times` of each answer tells whose it is; where both fail, why the second did."""
        found = self._first.align(items)
        failed = [index for index, answer in enumerate(found) if isinstance(answer, StrettoError)]
        second = self._second.align([items[index] for index in failed])
        for index, answer in zip(failed, second, strict=True):
            found[index] = answer
        return found


def open_aligner(config: AlignConfig, kept: Artefacts | None = None) -> Aligner:
    """The config's aligner. Nothing is loaded before its first use.

    A model's answers are kept in `kept`, write-once; an estimate is made again, it costs less.
    """
    if config.resolved == "duration":
        return DurationAligner()
    from generators.align.ctc import CtcAligner

    ctc = CachedAligner(CtcAligner(config), kept)
    return WithFallback(ctc, DurationAligner()) if config.fallback == "duration" else ctc
