"""`stretto stats DIR [--json]`: what is in a corpus, beside how people take turns.

Tables on a terminal or in a log (`jobs.stats_tables`); with `--json` one JSON document, the same for
equal corpora. Of a token corpus its token rates (`jobs.stats_tokens`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from jobs.stats_tables import tables
from jobs.stats_tokens import rate_tables
from pipeline.corpus_files import dataset
from pipeline.retokenize_plan import KIND
from pipeline.retokenize_rates import token_rates
from pipeline.stats import corpus_stats, to_json
from pipeline.store import open_store

LOG_WIDTH = 110


def run(dir: str, as_json: bool) -> int:
    """Print the statistics. Exit code 0; StrettoError when there is no corpus."""
    if dataset(open_store(dir)).get("kind") == KIND:
        rates = token_rates(dir)
        return _show(json.dumps(rates, indent=1), rate_tables(rates), as_json)
    stats = corpus_stats(open_store(dir))
    return _show(to_json(stats), tables(stats), as_json)


def _show(text: str, made: Sequence[Table], as_json: bool) -> int:
    if as_json:
        print(text)
    else:
        show(made)
    return 0


def show(made: Sequence[Table]) -> None:
    """Print tables: as wide as the terminal, or LOG_WIDTH in a log."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)
    for shown in made:
        console.print(shown)
        console.print()
