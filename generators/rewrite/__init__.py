"""The language model as rewriter: `text: {rewriter: openai, url, model, ...}` of a config.

    check(config.text)                                  # refuse before work begins
    say = Rewriter(config.text, config.seed, kept).say(text, "en")

See docs/text.md. The rules need none of this: `generators.speakable`.
"""

from __future__ import annotations

from generators.rewrite.rewriter import Rewriter, open_client
from schemas.config import TextConfig

__all__ = ["Rewriter", "check"]


def check(settings: TextConfig) -> None:
    """StrettoError when the configured rewriter can't be used here; asks the server once."""
    if settings.rewriter == "openai":
        open_client(settings).check()
