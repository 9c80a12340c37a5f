"""Reads a schema's YAML with the line of every key, so that an error can say where to look.

document = read_yaml(text, "my.yaml")
document.data, document.line(("lanes", 2, "write", "budget"))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from schemas.errors import StrettoError

Path = tuple[str | int, ...]
MAX_NODES = 100_000  # ten levels of ten aliases are 10^10: such a file is no schema


@dataclass(frozen=True)
class Document:
    """A parsed document and the line (from 1) of each of its keys and items."""

    data: Any
    name: str
    lines: dict[Path, int] = field(default_factory=dict)

    def where(self, path: Sequence[str | int]) -> str:
        """`FILE:LINE` of a path, or of the nearest thing around it that stands in the file."""
        at = tuple(path)
        while at and at not in self.lines:
            at = at[:-1]
        return f"{self.name}:{self.lines[at]}" if at else self.name


def read_yaml(text: str, name: str) -> Document:
    """Parse one document. Raises StrettoError for bad YAML and for a key that stands there twice."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None and _size(node, {}) > MAX_NODES:
            raise StrettoError(f"more than {MAX_NODES} values, aliases counted", name)
        data = yaml.safe_load(text)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        # the loader lets these through: a bad date, a tag that does not fit, nesting without end
        raise StrettoError(f"not YAML: {type(error).__name__}", name) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise StrettoError(f"not YAML: {problem}", f"{name}{line}") from None
    lines: dict[Path, int] = {}
    if node is not None:
        _walk(node, (), lines, name)
    return Document(data, name, lines)


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Values below a node, those behind an alias as often as it is used."""
    if id(node) not in known:
        known[id(node)] = MAX_NODES  # an alias to what it stands in has no end
        if isinstance(node, yaml.MappingNode):
            inner = [n for pair in node.value for n in pair]
        else:
            inner = node.value if isinstance(node, yaml.SequenceNode) else []
        known[id(node)] = 1 + sum(_size(n, known) for n in inner)
    return known[id(node)]


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int], name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            at = (*path, key.value)
            if at in lines:
                raise StrettoError(
                    f"key `{key.value}` stands there twice", f"{name}:{key.start_mark.line + 1}"
                )
            lines[at] = key.start_mark.line + 1
            _walk(value, at, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            lines[(*path, i)] = value.start_mark.line + 1
            _walk(value, (*path, i), lines, name)
