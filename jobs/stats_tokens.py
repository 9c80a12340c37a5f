"""`stretto stats OUT` for a token corpus: what its schema costs, from the index alone."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from jobs.tables import number, table


def rate_tables(rates: dict[str, Any]) -> list[Table]:
    """`pipeline.retokenize_rates.token_rates` as tables."""
    hours = rates["seconds"] / 3600
    title = f"{rates['schema']}: {rates['tokens']:,} tokens, {rates['samples']:,} samples"
    return [_whole(f"{title}, {hours:.2f} hours", rates), _lanes(rates)]


def _whole(title: str, rates: dict[str, Any]) -> Table:
    rows = [
        ("tokens a second", number(rates["tokens_per_s"], 2)),
        ("rows a second", number(rates["steps_per_s"], 2)),
        ("blocks (steps, turns)", number(rates["blocks"], 0)),
        ("  of these after the end of the sound", number(rates["tail_blocks"], 0)),
        ("share of tokens with a loss", number(rates["loss_share"], 3)),
        ("  that are in the head", number(rates["prompt_share"], 3)),
        ("  that open or close something", number(rates["boundary_share"], 3)),
        ("  that say there is nothing", number(rates["idle_share"], 3)),
        ("text tokens dropped", number(rates["dropped_tokens"], 0)),
    ]
    return table(title, ("", "corpus"), rows, left=1)


def _lanes(rates: dict[str, Any]) -> Table:
    names = ("lane", "tokens", "a second", "a block", "boundary", "idle", "with loss")
    rows = [
        (
            lane["lane"],
            number(lane["tokens"], 0),
            number(lane["tokens_per_s"], 2),
            number(lane["tokens_per_block"], 2),
            number(lane["boundary_share"], 3),
            number(lane["idle_share"], 3),
            number(lane["loss_share"], 3),
        )
        for lane in rates["lanes"]
    ]
    return table("Lanes (shares of a lane's own tokens)", names, rows, left=1)
