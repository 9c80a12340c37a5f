"""Print the Timeline's JSON schema: `python -m schemas.timeline_schema > schemas/timeline-1.1.schema.json`.

A change of the Timeline needs a new TIMELINE_VERSION and a new file; old files stay.
"""

from __future__ import annotations

import json

from schemas.timeline import Timeline


def schema_text() -> str:
    """The schema as text: sorted keys, so that a change of order is no change."""
    return json.dumps(Timeline.model_json_schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
