"""The checks of finished samples, in the order in which they run: the exact ones first.

Another check is a module with a `CHECK` and a line here, and its section in
`schemas/config/checks.py`.
"""

from pipeline.checks import clipping, level, rate, silence, speaker, speech, wer
from pipeline.checks.base import Check, Finding, Reason

CHECKS: tuple[Check, ...] = (
    clipping.CHECK,
    level.CHECK,
    silence.CHECK,
    rate.CHECK,
    speech.CHECK,
    wer.CHECK,
    speaker.CHECK,
)

__all__ = ["CHECKS", "Check", "Finding", "Reason"]
