"""Clean twins: a dialogue written twice, as the config's behaviours make it and without them.

    for record in with_twin(dialogue, config): ...     # one record, or the perturbed and the clean one

Both draw under one key, so what they share is equal to the sample; they stay in one split, and
`pair` in the Timeline and the index names the two (Full-Duplex-Bench has such pairs).
"""

from __future__ import annotations

from collections.abc import Iterator

from schemas.config import Config
from schemas.draws import uniform
from schemas.records import Dialogue

CLEAN = "clean"


def with_twin(record: Dialogue, config: Config) -> Iterator[Dialogue]:
    """The record, and for a share `scene.pairs` of records its clean twin after it."""
    if uniform(config.seed, record.key, "sample", "pair") >= config.scene.pairs:
        yield record
        return
    yield record.model_copy(update={"pair": record.key})
    yield record.model_copy(
        update={
            "key": f"{record.key}-{CLEAN}",
            "draws_as": record.key,
            "perturb": False,
            "pair": record.key,
        }
    )
