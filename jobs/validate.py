"""`stretto validate DIR [--source SRC]`: proves the promises on a finished corpus, one line each.

Of a token corpus too; SRC is then where the corpus lies of which it was made, when that has moved.
Exit codes: 0 all hold, 1 one does not, 2 there is no corpus to check.
"""

from __future__ import annotations

from pipeline.store import open_store
from pipeline.validate import validate


def run(dir: str, source: str | None = None) -> int:
    """Print a line a promise and a last line with the verdict."""
    lines = validate(open_store(dir), source)
    for line in lines:
        print(line)
    broken = [line.name for line in lines if line.faults]
    if broken:
        print(f"{dir}: {len(broken)} of {len(lines)} promises broken: {', '.join(broken)}")
        return 1
    print(f"{dir}: every promise that was checked holds")
    return 0
