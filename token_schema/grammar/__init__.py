"""The Grammar: what a schema's id sequences look like. `grammar` is the machine that people use.

`rules` says what the small machine of a lane is; `text`, `blocks`, `steps` and `turns` are those
machines; `parts`, `program` and `frames` put them together for a clock; `machine` runs them.
"""

from token_schema.grammar.grammar import Grammar, Parsed, State

__all__ = ["Grammar", "Parsed", "State"]
