"""One dialogue out of a message tree (Open Assistant's format): `prompt` nodes with `replies`.

The path is deterministic: it ends at the deepest assistant message; among equally deep ends the
better reply wins at the first node where they part (lower `rank`, then earlier in the file).
Deleted nodes are not entered. A question that nobody answered therefore never ends a dialogue.
The other branches are not used: they repeat the same turns. One tree is one record and one group.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from generators.sources.refusal import Refused, kind

MAX_NODES = 100_000  # a tree beyond this is not a conversation


def best_path(root: Any, is_assistant: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """The nodes from `root` to the chosen end. Raises Refused for a malformed tree.

    Without any assistant message the deepest path is given (and refused later as one-sided).
    """
    best: tuple[int, int] = (-1, -1)
    chosen: list[dict[str, Any]] = []
    stack: list[list[dict[str, Any]]] = [[_node(root)]]
    seen = 0
    while stack:  # depth first, best reply first; no recursion, so depth is no danger
        path = stack.pop()
        seen += 1
        if seen > MAX_NODES:
            raise Refused(f"the tree has over {MAX_NODES} messages")
        score = (len(path), len(path)) if is_assistant(path[-1]) else (-1, len(path))
        if score > best:  # strictly: an equally deep, worse ranked path does not replace it
            best, chosen = score, path
        stack.extend([*path, reply] for reply in reversed(_replies(path[-1])))
    return chosen


def _replies(node: dict[str, Any]) -> list[dict[str, Any]]:
    replies = node.get("replies") or []
    if not isinstance(replies, list):
        raise Refused(f"`replies` is {kind(replies)}, not a list")
    live = [r for r in map(_node, replies) if not r.get("deleted")]
    return sorted(live, key=_rank)  # stable: file order where ranks are equal or absent


def _rank(node: dict[str, Any]) -> float:
    rank = node.get("rank")
    return rank if isinstance(rank, int) and not isinstance(rank, bool) else float("inf")


def _node(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"a message of the tree is {kind(value)}, not a mapping")
    return value
