"""Raw dialogue records from JSON, JSONL and CSV files, each with where it stands.

JSONL and CSV are read line by line, so memory stays flat. A JSON file is loaded whole: one list
cannot be split safely without a parser of our own; use JSONL for files beyond memory.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from generators.sources.refusal import Fault
from schemas import StrettoError

CSV_ROWS = "rows of one id"  # the field of a raw CSV record that holds its rows
_CSV_FIELD_CHARS = 1 << 30  # csv refuses fields over 131,072 characters by default


@dataclass(frozen=True)
class Raw:
    """One parsed record, nothing checked yet. `where` is `path:line` or `path#index` (from 0)."""

    where: str
    value: Any


def parse_json(data: bytes) -> Any:
    """The JSON value of `data` (UTF-8, a byte order mark allowed). Raises ValueError."""
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ValueError("nested too deep") from None


def read_jsonl(path: Path) -> Iterator[Raw | Fault]:
    """One record a line; blank lines are skipped."""
    with open_input(path) as file:
        yield from json_lines(path, file)


def json_lines(path: Path, file: BinaryIO) -> Iterator[Raw | Fault]:
    """The same from an open file, such as an unpacked `.gz`; `path` is for messages."""
    yield from _or_empty(path, _json_lines(path, file))


def _json_lines(path: Path, file: BinaryIO) -> Iterator[Raw | Fault]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            yield Raw(where, parse_json(line))
        except ValueError as error:
            # one document over many lines is the usual mistake
            fix = "use `format: json`" if line.strip() in (b"[", b"{") else None
            reason = f"broken JSON in line {number}: {str(error).replace(' line 1,', '')}"
            yield Fault(where, f"line {number}", reason, fix or "mend or delete the line")


def read_json(path: Path) -> Iterator[Raw | Fault]:
    """The items of a list, or one dialogue. The whole file is in memory at once."""
    with open_input(path) as file:
        data = file.read()
    if not data.strip():
        yield _empty(path)
        return
    try:
        value = parse_json(data)
    except ValueError as error:
        fix = "use `format: jsonl`" if "Extra data" in str(error) else "mend the file"
        yield Fault(str(path), "file", f"broken JSON: {error}", fix)
        return
    items = value if isinstance(value, list) else [value]
    yield from _or_empty(path, (Raw(f"{path}#{i}", item) for i, item in enumerate(items)))


def read_csv(path: Path, id_field: str | None) -> Iterator[Raw | Fault]:
    """Rows of one id together, as {first row's columns, CSV_ROWS: rows}; a record a row without id.

    A tab separates columns in `.tsv`. `where` is the line of the first row.
    """
    # surrogateescape keeps reading after a byte that is not UTF-8; the row is refused below
    with open_text(path) as file:
        yield from _or_empty(path, _csv_records(path, file, id_field))


def _csv_records(path: Path, file: TextIO, id_field: str | None) -> Iterator[Raw | Fault]:
    rows = _csv_rows(path, file)
    first = next(rows, None)
    if first is None or isinstance(first, Fault):
        yield first or _empty(path)
        return
    header = first[1]
    if problem := _header_problem(header, id_field):
        yield Fault(str(path), "file", f"{problem}; columns here: {', '.join(header)}")
        return
    number = None if id_field is None else header.index(id_field)
    for _, together in groupby(rows, lambda row: _row_group(row, number)):
        yield _csv_record(path, header, list(together))


def _header_problem(header: list[str], id_field: str | None) -> str | None:
    if id_field is not None and id_field not in header:
        return f"no column {id_field!r}, which `id` names"
    return "two columns have one name" if len(set(header)) < len(header) else None


def _row_group(row: tuple[int, list[str]] | Fault, column: int | None) -> Any:
    """What a run of rows shares: their id; else the line, which no other row has."""
    if isinstance(row, Fault):
        return ("fault", row.where)
    line, cells = row
    return ("line", line) if column is None or column >= len(cells) else ("id", cells[column])


def _csv_record(path: Path, header: list[str], rows: list[Any]) -> Raw | Fault:
    if isinstance(rows[0], Fault):
        return rows[0]
    where = f"{path}:{rows[0][0]}"
    for line, cells in rows:
        if len(cells) != len(header):
            reason = f"line {line} has {len(cells)} columns, the header has {len(header)}"
            return Fault(where, f"line {rows[0][0]}", reason, "quote commas inside a text")
        if any("\udc80" <= c <= "\udcff" for cell in cells for c in cell):
            return Fault(where, f"line {rows[0][0]}", f"line {line} is not UTF-8", "save as UTF-8")
    columns = [dict(zip(header, cells, strict=True)) for _, cells in rows]
    return Raw(where, {**columns[0], CSV_ROWS: columns})


def _csv_rows(path: Path, file: TextIO) -> Iterator[tuple[int, list[str]] | Fault]:
    """(line, cells) of each row that is not blank; a row that cannot be parsed is a Fault."""
    csv.field_size_limit(_CSV_FIELD_CHARS)
    reader = csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",", strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = f"broken CSV in lines {line} to {reader.line_num}: {error}"
            yield Fault(f"{path}:{line}", f"line {line}", reason, "look for an unclosed quote")
            continue
        if cells:
            yield line, cells


def open_input(path: Path) -> BinaryIO:
    """`path` for reading. Raises StrettoError when it cannot be opened."""
    try:
        return path.open("rb")
    except OSError as error:
        raise StrettoError(f"cannot be read: {error.strerror}", str(path)) from None


def open_text(path: Path) -> TextIO:
    """A CSV file as text, bytes that are not UTF-8 as lone surrogates."""
    try:
        return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise StrettoError(f"cannot be read: {error.strerror}", str(path)) from None


def _empty(path: Path) -> Fault:
    return Fault(str(path), "file", "the file is empty", "delete it or fill it")


def _or_empty(path: Path, records: Iterator[Raw | Fault]) -> Iterator[Raw | Fault]:
    """`records`, or one Fault when there is none: a file is never passed over in silence."""
    first = next(records, None)
    yield first or _empty(path)
    yield from records
