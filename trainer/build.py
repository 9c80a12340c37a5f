"""The model of a token language: flat or parallel, with what its continuous lanes need."""

from __future__ import annotations

from trainer.config import TrainConfig
from trainer.language import Language
from trainer.model import Decoder
from trainer.parallel_model import ParallelDecoder


def build_model(config: TrainConfig, language: Language) -> Decoder | ParallelDecoder:
    """Fresh weights, a function of config and language."""
    layout = language.layout
    lanes = list(layout.values)
    values = tuple(layout.values.values())
    frames = tuple(lanes.index(i) for i in layout.frames)
    if layout.lookup is None:
        return Decoder(config.model, language.vocab_size, config.seed, values, frames)
    sizes = tuple(len(table) for table in language.tables)
    return ParallelDecoder(config.model, sizes, layout.heads, config.seed, values, frames)
