"""One line of what `stretto validate` prints: a promise, and what was found."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from pipeline.commit import Commit
from pipeline.validate_corpus import Books, Fault
from schemas.errors import StrettoError

SHOWN = 3
T = TypeVar("T")


@dataclass
class Line:
    """One promise: how many things were checked, how many faults, and the first of them."""

    name: str
    promise: str
    unit: str
    checked: int = 0
    faults: int = 0
    first: list[Fault] = field(default_factory=list)
    not_run: str = ""

    def add(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.faults += 1
            if len(self.first) < SHOWN:
                self.first.append(fault)

    @property
    def state(self) -> str:
        return "FAIL" if self.faults else "--" if self.not_run else "ok"

    def __str__(self) -> str:
        head = f"{self.state:<4}  {self.name:<10}"
        if self.not_run and not self.faults:
            return f"{head}  not run: {self.not_run}"
        if not self.faults:
            return f"{head}  {self.promise} ({self.checked:,} {self.unit})"
        shown = "; ".join(f"{where}: {what}" for where, what in self.first)
        rest = self.faults - len(self.first)
        return f"{head}  {shown}" + (f"; and {rest:,} more" if rest else "")


def tar_bytes(books: Books, commit: Commit, line: Line) -> bytes | None:
    """The tar of a commit record, its checksum compared in `line`; None when there is none."""
    if commit.shard is None:
        return None
    line.checked += 1
    if not books.store.exists(commit.shard):
        line.add([(commit.shard, "is missing, its commit record is there")])
        return None
    data = books.store.read_bytes(commit.shard)
    found = hashlib.sha256(data).hexdigest()
    if len(data) != commit.size:
        line.add([(commit.shard, f"{len(data):,} bytes, committed {commit.size:,}")])
    elif found != commit.sha256:
        line.add([(commit.shard, f"sha256 is {found}, not {commit.sha256}")])
    return data


def faults_of(key: str, check: Callable[[T], Iterator[str]], seen: T) -> Iterator[Fault]:
    """What a check says of one sample; what it raises is a finding, not the end."""
    try:
        for what in check(seen):
            yield key, what
    except Exception as error:  # damage raises whatever it leads to
        yield key, reason(error)


def reason(error: Exception) -> str:
    """An exception as the text of a fault."""
    if isinstance(error, StrettoError):
        return f"{error.where}: {error.what}" if error.where else error.what
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
