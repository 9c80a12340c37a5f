"""Tables as `stats` and others print them: `table(title, names, rows, left) -> rich.table.Table`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table


def table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> Table:
    """A table whose first `left` columns are text and the rest numbers.

    What stands in it is escaped: corpus text may hold `[bold]`, which would be markup.
    """
    made = Table(
        title=escape(title),
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="dim",
    )
    for index, name in enumerate(names):
        made.add_column(name, justify="left" if index < left else "right", overflow="fold")
    for row in rows:
        made.add_row(*(escape(cell) for cell in row))
    return made


def number(value: float | None, digits: int) -> str:
    """A number, or `-` where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"
