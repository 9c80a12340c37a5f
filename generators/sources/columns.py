"""Parquet columns as arrays: float32 [rows, dim] without NaN, or a plain reason why not."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from generators.sources.refusal import Refused


def column_names(path: str) -> list[str]:
    """The top-level columns of a Parquet file. Raises Refused when it cannot be read."""
    return list(_schema(path, *_stamp(path)).names)


def read_columns(path: str, names: tuple[str, ...]) -> pa.Table:
    """Whole columns of a file; the last file read is kept, since v3.0 episodes share files."""
    return _table(path, names, *_stamp(path))


def read_range(path: str, names: tuple[str, ...], start: int, end: int) -> pa.Table:
    """Rows [start, end) of a file, reading only the row groups they lie in."""
    try:
        # no memory map: it would outlive this call and hold the file
        with pq.ParquetFile(path) as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            ends = np.cumsum(sizes)
            if not sizes or end > ends[-1]:
                raise Refused(f"{path}: rows {start} to {end} are not there")
            groups = [i for i, e in enumerate(ends) if e > start and e - sizes[i] < end]
            before = int(ends[groups[0]] - sizes[groups[0]])
            table = file.read_row_groups(groups, columns=list(names))
    except (OSError, pa.ArrowException) as error:
        raise Refused(f"{path}: not a readable Parquet file: {_first_line(error)}") from None
    return table.slice(start - before, end - start)


def vectors(table: pa.Table, name: str) -> NDArray[np.float32]:
    """A column of equally long number lists (or of numbers) as float32 [rows, dim], C order.

    Raises Refused for nulls, ragged lists, other types, NaN and infinity (also by float32's range).
    """
    column = table.column(name)
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    flat, dim = _flatten(array, name)
    if flat.null_count:
        raise Refused(f"column `{name}` has empty values")
    with np.errstate(over="ignore"):
        values = flat.to_numpy(zero_copy_only=False).astype(np.float32)
    values = np.ascontiguousarray(values).reshape(len(array), dim)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise Refused(f"column `{name}` has NaN or infinity in row {int(bad[0])} of the episode")
    return values


def numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    """A column of numbers (or of lists of one number) as float64 [rows]. Raises Refused."""
    flat, dim = _flatten(table.column(name).combine_chunks(), name)
    if dim != 1 or flat.null_count:
        raise Refused(f"column `{name}` does not hold one number a row")
    return flat.to_numpy(zero_copy_only=False).astype(np.float64)


def _flatten(array: Any, name: str) -> tuple[Any, int]:
    """(flat values, values a row)."""
    kind = array.type
    if _is_number(kind):
        return array, 1
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not (is_list or pa.types.is_fixed_size_list(kind)) or not _is_number(kind.value_type):
        raise Refused(f"column `{name}` is {kind}, not a vector of numbers")
    if array.null_count:
        raise Refused(f"column `{name}` has empty values")
    if not is_list:
        return array.flatten(), kind.list_size
    lengths = np.diff(array.offsets.to_numpy())
    if len(lengths) and (low := lengths.min()) != (high := lengths.max()):
        raise Refused(f"column `{name}` is ragged: {low} to {high} numbers a row")
    return array.flatten(), int(lengths[0]) if len(lengths) else 0


def _is_number(kind: Any) -> bool:
    t = pa.types
    return t.is_integer(kind) or t.is_floating(kind) or t.is_boolean(kind)


def _stamp(path: str) -> tuple[int, int]:
    """What a cached reading depends on beside the path. Raises Refused when there is no file."""
    try:
        stat = os.stat(path)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from None
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=4)
def _schema(path: str, size: int, mtime_ns: int) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise Refused(f"{path}: not a readable Parquet file: {_first_line(error)}") from None


@lru_cache(maxsize=1)
def _table(path: str, names: tuple[str, ...], size: int, mtime_ns: int) -> pa.Table:
    try:
        # one file, by itself: no hive partitions out of folder names
        return pq.ParquetFile(path).read(columns=list(names))
    except (OSError, pa.ArrowException) as error:
        raise Refused(f"{path}: not a readable Parquet file: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
