"""What every layout asks of a Timeline: the prompt's text, and which events no lane shows."""

from __future__ import annotations

from collections import Counter

from schemas.timeline import Timeline
from token_schema.schema import TokenSchema

# what a lane shows of the events of other kinds than its channel
ALSO_SHOWN = {"listen": ("hear",), "speak": ("say",), "typed": ("tool_result",)}


def not_placed(schema: TokenSchema, timeline: Timeline) -> dict[str, int]:
    """Events that no lane shows, by kind. `hear` is in the sound of `listen`, `say` in that of
    `speak`; results of tools stand in `typed`."""
    shown = {x.channel for x in schema.lanes}
    also = {kind for channel in shown for kind in ALSO_SHOWN.get(channel, ())}
    events = (*timeline.world, *timeline.agent)
    return dict(sorted(Counter(e.kind for e in events if e.kind not in shown | also).items()))


def prompt_text(schema: TokenSchema, timeline: Timeline) -> str:
    """The prompt's text: the context fields that the schema takes and the sample has, one a line."""
    if schema.prompt is None:
        return ""
    values = (getattr(timeline.context, field) for field in schema.prompt.take)
    return "\n".join(v if isinstance(v, str) else ", ".join(v) for v in values if v)
