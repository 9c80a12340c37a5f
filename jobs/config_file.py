"""Reading a YAML file a person wrote: safe loader, lines in errors, duplicate keys refused.

`load_config("corpus.yaml", ["seed=8", "scene.barge_in.rate=0.2"])` gives the checked config;
`load_yaml` and `with_settings` serve other files (a training, a codec).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from schemas.config import Config
from schemas.errors import StrettoError


class _Loader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys without a word; this one refuses them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep)


def load_config(path: str, settings: Sequence[str] = ()) -> Config:
    """The corpus config of a file, with `--set` settings on top."""
    return Config.from_mapping(with_settings(load_yaml(path), settings), path)


def load_yaml(path: str) -> Any:
    """The document of a YAML file. StrettoError with the line of a fault."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        what = (error.strerror or str(error)).lower()
        raise StrettoError(what, path, "give the path of a YAML file") from None
    except UnicodeDecodeError:
        raise StrettoError("not UTF-8 text", path, "save it as UTF-8") from None
    return parse_yaml(text, path)


def parse_yaml(text: str, where: str) -> Any:
    """The document in `text`; `where` names it in errors."""
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"{where}:{mark.line + 1}" if mark else where
        raise StrettoError(f"broken YAML: {error.problem or error.context}", line) from None
    except yaml.YAMLError as error:
        raise StrettoError(f"broken YAML: {error}", where) from None


def with_settings(data: Any, settings: Sequence[str]) -> Any:
    """`data` with each `dotted.key=value` put in; values are YAML, list items go by number."""
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise StrettoError(f"cannot read {setting!r}", "--set", "write --set key=value")
        value = parse_yaml(text, f"--set {key}")
        data = _put(data, key.strip().split("."), value, f"--set {key}")
    return data


def _put(data: Any, path: list[str], value: Any, where: str) -> Any:
    """A copy of `data` with `value` at `path`; missing mappings are made."""
    if not path:
        return value
    if isinstance(data, list):
        if not path[0].isdigit() or int(path[0]) >= len(data):
            raise StrettoError(f"no item {path[0]!r}", where, f"items are 0 to {len(data) - 1}")
        index = int(path[0])
        return [_put(d, path[1:], value, where) if i == index else d for i, d in enumerate(data)]
    if data is not None and not isinstance(data, dict):
        raise StrettoError(f"{path[0]!r} lies below a plain value", where)
    known = dict(data or {})
    return known | {path[0]: _put(known.get(path[0]), path[1:], value, where)}
