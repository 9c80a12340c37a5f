"""The published JSON Schema: current, accepts every preset, refuses what the language refuses."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml

from token_schema.json_schema import PUBLISHED, text
from token_schema.language import PRESETS, list_presets, schema_data


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_published_file_is_current() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == text(), (
        "run `python -m token_schema.json_schema > token_schema/schema-1.json`"
    )


@pytest.mark.parametrize("name", list_presets())
def test_every_preset_passes_as_written_and_merged(
    name: str, validator: jsonschema.Draft202012Validator
) -> None:
    written = yaml.safe_load((PRESETS / f"{name}.yaml").read_text(encoding="utf-8"))
    validator.validate(written)
    validator.validate(schema_data(name))


def wrong(change: dict[str, Any]) -> dict[str, Any]:
    return {**schema_data("ellsa"), **change}


@pytest.mark.parametrize(
    "data",
    [
        wrong({"nmae": "x"}),
        wrong({"mode": "sideways"}),
        wrong({"clock": {"blocks": 1.0}}),
        wrong({"lanes": [{"listen": {"as": "codes", "rate_hz": 10, "bugdet": 3}}]}),
        wrong({"lanes": [{"hum": {"as": "codes"}}]}),
        wrong({"lanes": [{"write": {"as": "text", "idle": "silence"}}]}),
        {"name": "x", "extends": "ellsa", "change": {"write": {"bugdet": 3}}},
        {"name": "x"},
    ],
)
def test_what_is_wrong_is_refused(
    data: dict[str, Any], validator: jsonschema.Draft202012Validator
) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(data)
