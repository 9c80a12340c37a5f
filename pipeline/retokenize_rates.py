"""How many tokens a schema costs: `token_rates("out/demo-ellsa") -> dict`, from the index alone.

Per second of sound, prompts and tail blocks included. `boundary_share` is the share of open and
close tokens, `idle_share` that of tokens which say that there is nothing, `loss_share` that of
tokens with a loss weight above 0. A parallel step of 17 streams is 17 tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.corpus_files import dataset, index_table
from pipeline.retokenize_pack import COUNTS, PER_LANE
from pipeline.store import open_store
from schemas.errors import StrettoError


def token_rates(url: str) -> dict[str, Any]:
    """The rates of a token corpus, as JSON data. Raises StrettoError when there is none."""
    store = open_store(url)
    about = dataset(store)
    if "schema" not in about or "rates" not in about:
        fix = "give the folder that `stretto retokenize DIR --schema S --out OUT` made"
        raise StrettoError("this is not a token corpus", store.shown, fix)
    names = about["schema"]["lanes"]
    return {"schema": about["schema"]["name"], **rates(index_table(store), names)}


def rates(index: pa.Table, lanes: Sequence[str]) -> dict[str, Any]:
    """The same of an index at hand; `lanes` names the schema's lanes in their order."""
    seconds = math.fsum(index["duration_s"].to_pylist())
    total = {name: pc.sum(index[name]).as_py() or 0 for name in COUNTS}
    by_lane = {name: _sums(index[name], len(lanes)) for name in PER_LANE}
    n = total["tokens"]
    return {
        "samples": index.num_rows,
        "seconds": round(seconds, 3),
        "tokens": n,
        "steps": total["steps"],
        "blocks": total["blocks"],
        "tail_blocks": total["tail_blocks"],
        "dropped_tokens": total["dropped_tokens"],
        "tokens_per_s": _ratio(n, seconds, 2),
        "steps_per_s": _ratio(total["steps"], seconds, 2),
        "prompt_share": _ratio(total["prompt_tokens"], n),
        "boundary_share": _ratio(total["boundary_tokens"], n),
        "idle_share": _ratio(total["idle_tokens"], n),
        "loss_share": _ratio(total["loss_tokens"], n),
        "lanes": [
            _lane(name, i, by_lane, seconds, total["blocks"]) for i, name in enumerate(lanes)
        ],
    }


def _lane(
    name: str, i: int, sums: dict[str, list[int]], seconds: float, blocks: int
) -> dict[str, Any]:
    n = sums["lane_tokens"][i]
    return {
        "lane": name,
        "tokens": n,
        "tokens_per_s": _ratio(n, seconds, 2),
        "tokens_per_block": _ratio(n, blocks, 3),
        "boundary_share": _ratio(sums["lane_boundary_tokens"][i], n),
        "idle_share": _ratio(sums["lane_idle_tokens"][i], n),
        "loss_share": _ratio(sums["lane_loss_tokens"][i], n),
    }


def _sums(column: pa.ChunkedArray, width: int) -> list[int]:
    """Sums by place of lists that have all one length."""
    return [pc.sum(pc.list_element(column, i)).as_py() or 0 for i in range(width)]


def _ratio(part: float, whole: float, digits: int = 4) -> float | None:
    return round(part / whole, digits) if whole > 0 else None
